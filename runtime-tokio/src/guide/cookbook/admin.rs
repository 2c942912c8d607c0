//! The admin UI: sockets, rooms and events in a page, while the server runs.
//!
//! These recipes need the feature `admin`. The module [`admin`](crate::socketio::admin) says what pages are told, and what
//! that costs.
//!
//! # Let an operator in
//!
//! ```no_run
//! use enginewire_tokio::{ServerBuilder, socketio::{Io, admin::Admin}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Made by `htpasswd -nBC 10 ""`, for example.
//! let hash = std::env::var("ADMIN_HASH")?;
//! let io = Io::builder().admin(Admin::basic_auth("anna", &hash)?).build();
//! let clients = io.namespace("/");
//! let server = ServerBuilder::new().socketio(&io).bind("127.0.0.1:3000").await?;
//! # drop((clients, server));
//! # Ok(())
//! # }
//! ```
//!
//! The page is the folder `ui/dist` of npm `@socket.io/admin-ui`, on any web server. It asks for the URL of the server, the
//! user and the password. Wrong passwords are limited by the address of the client: behind a proxy set
//! [`trusted_proxies`](crate::ServerBuilder::trusted_proxies). The example `admin` serves the page by itself.
//!
//! # Serve the page from another origin
//!
//! ```no_run
//! use enginewire_tokio::{Cors, CorsOrigin, ServerBuilder};
//!
//! # fn example(builder: ServerBuilder) -> ServerBuilder {
//! let mut cors = Cors::new(CorsOrigin::Exact("https://admin.example.org".into()));
//! cors.credentials = true;
//! builder.cors(cors)
//! # }
//! ```
//!
//! # Watch many clients
//!
//! ```no_run
//! use enginewire_tokio::socketio::admin::{Admin, Mode};
//!
//! # fn example(admin: Admin) -> Admin {
//! admin.mode(Mode::Production).read_only(true)
//! # }
//! ```
//!
//! Pages have the numbers alone then, and no commands. A page of the other mode shows each event of each socket, and becomes
//! slow with some thousand of them.
//!
//! # Show the data of sockets
//!
//! ```no_run
//! use std::sync::Mutex;
//!
//! use enginewire_tokio::socketio::{ConnectError, ConnectRequest, Io, SocketRef};
//! use serde::Serialize;
//!
//! #[derive(Serialize)]
//! struct Player {
//!     name: String,
//!     // Serialized as what it holds.
//!     score: Mutex<u32>,
//! }
//!
//! async fn check(request: ConnectRequest) -> Result<Player, ConnectError> {
//!     let (name,) = request.auth().map_err(|_| "who are you?")?;
//!     Ok(Player { name, score: Mutex::default() })
//! }
//!
//! fn score(socket: &SocketRef<Player>) {
//!     if let Ok(mut score) = socket.data().score.lock() {
//!         *score += 1;
//!     }
//!     // Pages do not notice by themselves.
//!     socket.data_changed();
//! }
//!
//! # async fn example(io: Io) {
//! let players = io.namespace("/game").authorize(check).share_data();
//! # drop(players);
//! # }
//! ```
//!
//! # Watch several nodes
//!
//! Give each node an [`Admin`] of the same namespace, beside its [bus](super::nodes). A page then shows and
//! commands all nodes, whichever it is connected to, and those of Node.js with `instrument()` among them:
//!
//! ```
//! # #[cfg(feature = "redis")]
//! # mod example {
//! use enginewire_tokio::{redis::{Redis, RedisError}, socketio::{Io, admin::Admin}};
//!
//! async fn node(admin: Admin) -> Result<Io, RedisError> {
//!     let redis = Redis::connect("redis://redis.internal").await?;
//!     // Nodes of Node.js count who has a namespace before they ask for its sockets.
//!     let io = Io::builder().cluster(redis).keep_empty_namespaces(true);
//!     Ok(io.admin(admin.server_id("chat-1")).build())
//! }
//! # }
//! ```
//!
//! Names of servers must differ: those of Node.js are that of the host by default, so give `instrument()` a `serverId` if
//! several run on one. A session is known to its own node alone.
//!
//! [`Admin`]: crate::socketio::admin::Admin
