//! Clients: who may connect, what is known of them, and their end.
//!
//! # Let in only clients with a token
//!
//! ```no_run
//! use enginewire_tokio::socketio::{ConnectError, ConnectRequest, Io};
//!
//! #[derive(serde::Deserialize)]
//! struct Auth { token: String } // io(url, { auth: { token: ".." } })
//!
//! # struct User;
//! # async fn find_user(_: &str) -> Option<User> { None }
//! async fn authorize(request: ConnectRequest) -> Result<User, ConnectError> {
//!     let auth: Auth = request.auth().map_err(|_| ConnectError::new("no token"))?;
//!     let user = find_user(&auth.token).await;
//!     user.ok_or_else(|| ConnectError::new("unknown token").with_data(&401))
//! }
//!
//! # fn example(io: Io) {
//! let users = io.namespace("/").authorize(authorize);
//! # drop(users);
//! # }
//! ```
//!
//! The client has message and data in its event `connect_error`, and does not try again by itself. Steps of a check are
//! function calls in one `authorize`: no chain, and no `next` to forget. Other namespaces of the client go on meanwhile.
//!
//! # Keep data of a client
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Namespace, Socket};
//! # struct User { name: String }
//! # async fn example(users: Namespace<User>) {
//! users
//!     .serve(|mut socket: Socket<User>| async move {
//!         let mut messages = 0;
//!         while socket.recv().await.is_some() {
//!             messages += 1;
//!             println!("{} has sent {messages}", socket.data().name);
//!         }
//!     })
//!     .await;
//! # }
//! ```
//!
//! A variable of the task is for the task alone. The data are for all who have the socket, and have the type that
//! `authorize` returns. For values that change, put a `Mutex` or an atomic into the data.
//!
//! # Share state between all clients
//!
//! ```no_run
//! # use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
//! # use enginewire_tokio::socketio::{Io, Socket};
//! # async fn example(io: Io) {
//! let count = Arc::new(AtomicUsize::new(0));
//! io.namespace("/")
//!     .serve_with(count, |mut socket: Socket, count| async move {
//!         while socket.recv().await.is_some() {
//!             count.fetch_add(1, Ordering::Relaxed);
//!         }
//!     })
//!     .await;
//! # }
//! ```
//!
//! Each task gets a clone. With a table it is the extractor [`State`], given by [`Routes::with_state`]: one that is
//! missing does not compile.
//!
//! # Read headers, cookies and the query
//!
//! ```no_run
//! # use enginewire_tokio::socketio::SocketRef;
//! # fn example(socket: SocketRef) {
//! let handshake = socket.handshake();
//! let cookies: Option<&[u8]> = handshake.header("cookie");
//! let language: Option<String> = handshake.query_value("lang");
//! # drop((cookies, language));
//! # }
//! ```
//!
//! It is the request that opened the session; later requests of polling are not kept. [`peer_addr`](crate::socketio::SocketRef::peer_addr)
//! is that of a proxy if there is one, unless [`trusted_proxies`](crate::ServerBuilder::trusted_proxies) are set: see
//! [deployment](crate::guide::deployment).
//!
//! # Look up an HTTP session once for all namespaces
//!
//! ```no_run
//! # use enginewire_tokio::{Refusal, ServerBuilder, socketio::{ConnectError, ConnectRequest, Io}};
//! # struct Login { user: u64 }
//! # async fn find_login(_: Option<&[u8]>) -> Option<Login> { None }
//! # fn example(io: Io) -> ServerBuilder {
//! let users = io.namespace("/").authorize(async |request: ConnectRequest| {
//!     let login = request.handshake().extension::<Login>();
//!     login.ok_or_else(|| ConnectError::new("log in first"))
//! });
//! # drop(users);
//! ServerBuilder::new().socketio(&io).allow_request(|handshake| async move {
//!     let login = find_login(handshake.header("cookie")).await;
//!     login.map(|login| handshake.insert(login)).ok_or_else(|| Refusal::new("log in first"))
//! })
//! # }
//! ```
//!
//! `allow_request` decides about a session, before any namespace: a refusal is a response of HTTP. The value is that of
//! the moment; look it up again where it may have changed.
//!
//! # Kick a user
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Io;
//! # fn example(io: Io) {
//! io.to("user:7").disconnect();
//! # }
//! ```
//!
//! Official clients do not come back by themselves after that, but a page may connect anew: have `authorize` refuse it.
//! [`disconnect_clients`](crate::socketio::Broadcast::disconnect_clients) ends the other namespaces of the clients too.
//!
//! # Disconnect a client when its token expires
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Event, Socket};
//! # struct User { expires: tokio::time::Instant }
//! # async fn handle(_: &Socket<User>, _: Event) {}
//! async fn talk(mut socket: Socket<User>) {
//!     let expires = socket.data().expires;
//!     // An error is that of the deadline.
//!     while let Ok(Some(event)) = tokio::time::timeout_at(expires, socket.recv()).await {
//!         handle(&socket, event).await;
//!     }
//!     // Dropped, the socket is disconnected.
//! }
//! ```
//!
//! `recv` is cancel safe: an event that comes at the deadline is either returned or still there. Without this a token
//! is checked once, and its socket lives on.
//!
//! # Let clients come back with what they missed
//!
//! ```no_run
//! # use std::time::Duration;
//! # use enginewire_tokio::socketio::{Io, RecoveryConfig, Socket};
//! let mut recovery = RecoveryConfig::default();
//! recovery.window = Duration::from_secs(60);
//! let io = Io::builder().recovery(recovery).build();
//!
//! async fn talk(mut socket: Socket) {
//!     if !socket.recovered() {
//!         socket.join("news");
//!     }
//!     while socket.recv().await.is_some() {}
//! }
//! # drop((io, talk));
//! ```
//!
//! A recovered socket has its id, rooms and data; its task begins anew. It gets the events that it missed, but for
//! volatile ones and those to be acknowledged. The log is bounded in time, number and bytes, and is lost with the
//! process.
//!
//! [`Routes::with_state`]: crate::socketio::Routes::with_state
//! [`State`]: crate::socketio::State
//!
//! # Connect to a server with TLS
//!
//! ```no_run
//! # #[cfg(feature = "tls")]
//! # async fn example(own: std::sync::Arc<enginewire_tokio::tls::rustls::ClientConfig>)
//! #     -> Result<(), enginewire_tokio::socketio::ClientError> {
//! use enginewire_tokio::{ConnectError, socketio::{self, ClientBuilder, ClientError}};
//!
//! // By the certificates that the platform trusts.
//! let socket = socketio::connect("https://chat.example.org/").await?;
//! // By authorities of your own, or with a certificate of the client's.
//! match ClientBuilder::new("https://chat.internal/").tls(own).connect().await {
//!     // Says whose certificate is refused, by whom, and why.
//!     Err(ClientError::Connect(ConnectError::Tls { to, fault, .. })) => println!("{to}: {fault}"),
//!     other => drop(other?),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A client goes on trying after such an error, as after any other: the server may get another certificate.
//! [`Update::Failed`](crate::socketio::Update::Failed) tells each, and
//! [`ConnectError::is_permanent`](crate::ConnectError::is_permanent) whether there is much hope.
