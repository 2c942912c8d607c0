//! Servers and namespaces: their start, their end, and what is between.
//!
//! # Start a server beside pages and a health check
//!
//! ```no_run
//! use enginewire_tokio::{Cors, CorsOrigin, Response, ServerBuilder, socketio::Io};
//!
//! # async fn talk(mut socket: enginewire_tokio::socketio::Socket) { while socket.recv().await.is_some() {} }
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let io = Io::new();
//!     let clients = io.namespace("/");
//!     let server = ServerBuilder::new()
//!         .socketio(&io)
//!         .cors(Cors::new(CorsOrigin::Exact("https://app.example.org".into())))
//!         .fallback(|request| async move {
//!             match request.head.path() {
//!                 "/health" => Response::new(200, "text/plain", "ok"),
//!                 _ => Response::empty(404),
//!             }
//!         })
//!         .bind("127.0.0.1:3000")
//!         .await?;
//!     println!("http://{}", server.local_addr());
//!     clients.serve(talk).await;
//!     Ok(())
//! }
//! ```
//!
//! Make namespaces before the server listens: a client that asks for one that is not there is refused. Pages of another
//! origin need [`cors`](crate::ServerBuilder::cors). Beside an application of axum or hyper, the feature `tower` serves both
//! on one port.
//!
//! # Serve TLS
//!
//! With the feature `tls`. The certificates are rustls's matter; a configuration with several chooses by the name that
//! the client asks for.
//!
//! ```no_run
//! # #[cfg(feature = "tls")]
//! # async fn example(io: enginewire_tokio::socketio::Io) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use enginewire_tokio::{ServerBuilder, tls::{ServerTls, rustls::{
//!     ServerConfig, crypto::ring, pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
//! }}};
//!
//! let chain = CertificateDer::pem_file_iter("fullchain.pem")?.collect::<Result<_, _>>()?;
//! let key = PrivateKeyDer::from_pem_file("privkey.pem")?;
//! let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
//!     .with_safe_default_protocol_versions()?
//!     .with_no_client_auth()
//!     .with_single_cert(chain, key)?;
//! let tls = ServerTls::new(Arc::new(config));
//! let server = ServerBuilder::new().socketio(&io).tls(tls.clone()).bind("0.0.0.0:443").await?;
//! // Later, for new connections: tls.replace(renewed);
//! # Ok(())
//! # }
//! ```
//!
//! The example `tls` does that whenever the files change. `Handshake::tls` has the name and the client's certificates, if
//! the configuration asks for any:
//! `socket.handshake().tls().map(|tls| &tls.peer_certificates)`. A server may have
//! [plain listeners](crate::ServerBuilder::plain_listener) as well, and `ServerHandle::tls_stats` counts its handshakes.
//!
//! # Serve a Unix socket, a stream in memory, or TLS of another kind
//!
//! ```no_run
//! # use enginewire_tokio::{Server, Stream};
//! # use tokio::io::{AsyncRead, AsyncWrite};
//! # fn example(server: &Server, decrypted: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
//! #     peer: std::net::SocketAddr) {
//! // For each connection that you have accepted yourself.
//! tokio::spawn(server.serve(Stream(decrypted), peer));
//! # }
//! ```
//!
//! [`ServerBuilder::start`](crate::ServerBuilder::start) makes a server without a port for this. Several servers may
//! have the same `Io`, one with TLS and one without.
//!
//! # Know when a client comes and goes
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Socket};
//! # async fn example(io: Io) {
//! io.namespace("/")
//!     .serve(|mut socket: Socket| async move {
//!         println!("{} has come from {}", socket.id(), socket.peer_addr());
//!         while let Some(event) = socket.recv().await {
//!             println!("{event:?}");
//!         }
//!         println!("{} has left: {:?}", socket.id(), socket.reason());
//!     })
//!     .await;
//! # }
//! ```
//!
//! Events wait in the socket from the first, so none is lost before the loop begins. Events that came before the end are
//! still received. A task that returns early disconnects its client.
//!
//! # Wait for the end of a client elsewhere
//!
//! ```no_run
//! # use enginewire_tokio::socketio::SocketRef;
//! # async fn example(socket: SocketRef) {
//! let reason = socket.closed().await;
//! println!("{}: {reason}", socket.id());
//! # }
//! ```
//!
//! A [`SocketRef`] may be kept anywhere: it does not keep the client connected.
//!
//! # Serve several namespaces
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Socket};
//! # async fn visitor(_: Socket) {}
//! # async fn operator(_: Socket) {}
//! # async fn example(io: Io) {
//! let (visitors, operators) = (io.namespace("/"), io.namespace("/admin"));
//! tokio::join!(visitors.serve(visitor), operators.serve(operator));
//! # }
//! ```
//!
//! A client has one connection for all of its namespaces. While an application does not receive in one of them, and its
//! events fill the limit, the others wait too. A namespace must be accepted or served for its events to be read.
//!
//! # Serve namespaces whose names are not known before
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Socket, InvalidPattern};
//! # async fn example(io: Io) -> Result<(), InvalidPattern> {
//! let projects = io.namespaces("/project/{id}")?;
//! projects
//!     .serve(|mut socket: Socket| async move {
//!         println!("project {:?}", socket.param("id"));
//!         while let Some(event) = socket.recv().await {
//!             // To the others of the same project.
//!             let _ = socket.broadcast().forward(&event).await;
//!         }
//!     })
//!     .await;
//! # Ok(())
//! # }
//! ```
//!
//! Each name has a namespace of its own, which goes with its last client. `projects.emit(..)` reaches all of them. There
//! are at most 10 000, see [`IoBuilder::max_children`].
//!
//! # Decide by a query whether a namespace exists
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, NamespaceRequest};
//! # async fn exists(_: &str) -> bool { true }
//! # fn example(io: Io) {
//! let tenants = io.namespaces_by(async |request: NamespaceRequest| exists(request.name()).await);
//! # drop(tenants);
//! # }
//! ```
//!
//! It is asked for names that were not made and match no pattern before it. Who may connect is decided afterwards, by
//! [`authorize`](crate::socketio::Namespace::authorize).
//!
//! # Shut down without losing what is queued
//!
//! ```no_run
//! # use enginewire_tokio::{Server, socketio::{Namespace, Socket}};
//! # async fn talk(_: Socket) {}
//! # async fn example(server: Server, clients: Namespace) {
//! tokio::select! {
//!     () = clients.serve(talk) => {}
//!     _ = tokio::signal::ctrl_c() => {}
//! }
//! server.close().await;
//! # }
//! ```
//!
//! Clients get what is queued for them, then their sessions are closed, and official clients try to come back. `close`
//! waits for the tasks of sockets too, at most as long as
//! [`shutdown_timeout`](crate::ServerBuilder::shutdown_timeout) says. Dropping the server loses what is queued.
//!
//! # Deploy without all clients coming back at once
//!
//! ```no_run
//! # use std::time::Duration;
//! # use enginewire_tokio::{Server, socketio::{Namespace, Socket}};
//! # async fn talk(_: Socket) {}
//! # async fn asked_to_end() {}
//! # async fn example(server: Server, clients: Namespace) {
//! let end = async {
//!     asked_to_end().await;
//!     server.drain(Duration::from_secs(30)).await;
//! };
//! tokio::join!(end, clients.serve(talk));
//! # }
//! ```
//!
//! New sessions are refused with status 503 from the beginning, so that they go to another server. Those that are there
//! are closed one after the other, evenly spread over the time. The example `graceful` does it at SIGTERM.
//!
//! # Watch what is there and what is lost
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Io;
//! # fn example(io: Io) {
//! let stats = io.stats();
//! println!("{} sockets, {} bytes wait for them", stats.sockets, stats.queued);
//! println!("{} clients were too slow, {} acknowledgements too late", stats.overflows, stats.ack_timeouts);
//! # }
//! ```
//!
//! [`Namespace::stats`](crate::socketio::Namespace::stats) counts for one namespace, or for all of a pattern. It visits
//! every socket: once a second is fine, once an event is not. The feature `tracing` tells of single sockets.
//!
//! # Serve clients of Socket.IO 2.x
//!
//! ```no_run
//! # use enginewire_tokio::{ServerBuilder, socketio::Io};
//! # fn example(io: Io) -> ServerBuilder {
//! ServerBuilder::new().socketio(&io).allow_eio3(true)
//! # }
//! ```
//!
//! They are connected to `/` by themselves, have their `auth` in the query of the namespace, and cannot recover.
//!
//! # Send MessagePack instead of JSON
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Io, Parser};
//! let io = Io::builder().parser(Parser::MessagePack).build();
//! # drop(io);
//! ```
//!
//! The clients need npm `socket.io-msgpack-parser`. A server has one parser.
//!
//! [`IoBuilder::max_children`]: crate::socketio::IoBuilder::max_children
//! [`SocketRef`]: crate::socketio::SocketRef
