//! Beside an application of axum or hyper: one port for pages, an API and sockets.
//!
//! These recipes need the feature `tower`. The module [`tower`](crate::tower) says what differs from a server that listens
//! by itself.
//!
//! # Serve sockets beside the routes of axum
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use enginewire_tokio::{ServerBuilder, socketio::Io};
//! use tokio::net::TcpListener;
//!
//! # async fn talk(mut socket: enginewire_tokio::socketio::Socket) { while socket.recv().await.is_some() {} }
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let io = Io::new();
//!     let clients = io.namespace("/");
//!     // Without a listener. Dropping it would end its sessions.
//!     let server = ServerBuilder::new().socketio(&io).start()?;
//!     tokio::spawn(async move { clients.serve(talk).await });
//!     let app = Router::new().route("/", get(async || "a page")).layer(server.layer());
//!     axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await
//! }
//! ```
//!
//! Layers that are added after it are in front of it: tracing, CORS, authentication. Set CORS there or with
//! [`cors`](crate::ServerBuilder::cors), not in both places.
//!
//! # Serve sockets as one route
//!
//! ```no_run
//! # use axum::Router;
//! # use enginewire_tokio::{ServerBuilder, socketio::Io};
//! # fn example(io: Io) -> std::io::Result<()> {
//! let server = ServerBuilder::new().socketio(&io).start()?;
//! let app = Router::<()>::new().route_service("/socket.io/", server.service());
//! // Below a prefix: the path of clients is then "/chat/socket.io/".
//! let app = app.nest_service("/chat", server.service());
//! # drop((app, server));
//! # Ok(())
//! # }
//! ```
//!
//! A nested service sees the path without the prefix. To nest it by the path of clients alone, set the
//! [path](crate::ServerBuilder::path) of the server to `/`.
//!
//! # Find out who is logged in
//!
//! ```no_run
//! # use axum::{Router, extract::Request, middleware::{self, Next}, response::Response};
//! # use enginewire_tokio::{ServerBuilder, socketio::{ConnectError, ConnectRequest, Io}};
//! #[derive(Clone)]
//! struct User(String);
//!
//! async fn log_in(mut request: Request, next: Next) -> Response {
//!     # let user = None;
//!     // Of a cookie, a token, a store of sessions.
//!     if let Some(user) = user {
//!         request.extensions_mut().insert(User(user));
//!     }
//!     next.run(request).await
//! }
//!
//! # fn example(io: Io) -> std::io::Result<()> {
//! let users = io.namespace("/").authorize(async |request: ConnectRequest| {
//!     let user = request.handshake().extension::<User>();
//!     user.ok_or_else(|| ConnectError::new("log in first"))
//! });
//! let server = ServerBuilder::new().socketio(&io).start()?;
//! let app = Router::<()>::new().layer(server.layer()).layer(middleware::from_fn(log_in));
//! # drop((users, app, server));
//! # Ok(())
//! # }
//! ```
//!
//! Each extension of the request that opens a session is one of its handshake. The example `axum` does this with
//! `tower-sessions`, and has a page to log in.
//!
//! # Know the addresses of clients
//!
//! ```no_run
//! # use std::net::SocketAddr;
//! # use axum::{Router, extract::ConnectInfo};
//! # use enginewire_tokio::Server;
//! # use tokio::net::TcpListener;
//! # async fn example(server: Server, listener: TcpListener) -> std::io::Result<()> {
//! let layer = server.layer().peer_addr(|extensions| {
//!     extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)
//! });
//! let app = Router::new().layer(layer).into_make_service_with_connect_info::<SocketAddr>();
//! axum::serve(listener, app).await
//! # }
//! ```
//!
//! # Shut both down
//!
//! ```no_run
//! # use axum::Router;
//! # use enginewire_tokio::Server;
//! # use tokio::net::TcpListener;
//! # async fn example(server: Server, listener: TcpListener, app: Router) -> std::io::Result<()> {
//! axum::serve(listener, app)
//!     .with_graceful_shutdown(async move {
//!         let _ = tokio::signal::ctrl_c().await;
//!         server.close().await;
//!     })
//!     .await
//! # }
//! ```
//!
//! The server is closed first: until then clients may come for what is queued. axum waits for requests, and a poll is one
//! that lasts as long as the ping interval.
//!
//! # Serve sockets on hyper alone
//!
//! ```no_run
//! # use enginewire_tokio::Server;
//! # use hyper::server::conn::http1;
//! # use hyper_util::{rt::TokioIo, service::TowerToHyperService};
//! # use tokio::net::TcpListener;
//! # async fn example(server: Server, listener: TcpListener) -> std::io::Result<()> {
//! let service = TowerToHyperService::new(server.service());
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
//!     // Without upgrades there are no WebSockets.
//!     tokio::spawn(connection.with_upgrades());
//! }
//! # }
//! ```
