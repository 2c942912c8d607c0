//! Several nodes: events, lists and messages across a cluster.
//!
//! # Reach the clients of all nodes
//!
//! ```no_run
//! use enginewire_tokio::socketio::{Bus, Io};
//! # async fn example(bus: impl Bus) -> Result<(), enginewire_tokio::socketio::EmitError> {
//! let io = Io::builder().cluster(bus).build();
//!
//! // Wherever they are, also by the id of one.
//! let sent = io.to("news").emit("news", "hello").await?;
//! match sent.remote {
//!     Ok(nodes) => println!("{} sockets here, and {nodes} other nodes", sent.sockets),
//!     Err(error) => println!("{} sockets here alone: {error}", sent.sockets),
//! }
//! io.to("banned").disconnect();
//! io.broadcast().local().emit("restart", "this node alone").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing else of an application changes. A [`Bus`](crate::socketio::Bus) carries messages between the nodes; brokers
//! such as Redis have none yet, and it is a trait of four functions. Broadcasts of one node come in the same order on all
//! nodes, if the bus keeps it. Clients stay with their node: the load balancer must send each of them to one and the same.
//!
//! # List the clients of all nodes
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{ConnectRequest, Io};
//! # use serde::{Deserialize, Serialize};
//! # async fn example(io: Io) {
//! #[derive(Serialize, Deserialize)]
//! struct User {
//!     name: String,
//! }
//!
//! # async fn check(_: ConnectRequest) -> Result<User, enginewire_tokio::socketio::ConnectError> { Err("no".into()) }
//! let users = io.namespace("/users").authorize(check).share_data();
//! // Later, on any node.
//! let fetched = users.to("lobby").fetch_sockets().await;
//! for socket in &fetched.sockets {
//!     if let Ok(user) = socket.data::<User>() {
//!         println!("{} is {}", socket.id(), user.name);
//!     }
//! }
//! println!("{} nodes have not responded", fetched.missing.nodes);
//! # }
//! ```
//!
//! # Tell the applications of other nodes
//!
//! ```no_run
//! # use enginewire_tokio::socketio::Io;
//! # async fn example(io: Io) -> Result<(), Box<dyn std::error::Error>> {
//! let main = io.namespace("/");
//! let mut events = main.server_events();
//! tokio::spawn(async move {
//!     while let Some(mut event) = events.recv().await {
//!         if event.name() == "sockets?" {
//!             let _ = event.ack().send(&main.len());
//!         }
//!     }
//! });
//! // On another node.
//! let all = io.namespace("/").server_side_emit_with_ack::<usize, _>("sockets?", &()).await?;
//! println!("{}", all.answers.iter().map(|(_, sockets)| sockets).sum::<usize>());
//! # Ok(())
//! # }
//! ```
