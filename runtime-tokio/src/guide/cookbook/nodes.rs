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
//! Nothing else of an application changes. A [`Bus`](crate::socketio::Bus) carries messages between the nodes. That on
//! Redis is below; for another broker it is a trait of a few functions. Broadcasts of one node come in the same order on
//! all nodes, if the bus keeps it. Clients stay with their node: the load balancer must send each of them to one and the
//! same, or [nodes hand requests over](crate::guide::deployment#no-sticky-sessions).
//!
//! # Nodes on Redis, with those of Node.js
//!
//! With the feature `redis` of this crate:
//!
//! ```
//! # #[cfg(feature = "redis")]
//! # mod example {
//! use enginewire_tokio::{redis::{Redis, RedisError}, socketio::Io};
//!
//! async fn node() -> Result<Io, RedisError> {
//!     Ok(Io::builder().cluster(Redis::connect("redis://user:password@redis.internal").await?).build())
//! }
//! # }
//! ```
//!
//! That is the format of `createAdapter` of npm `@socket.io/redis-adapter`. With many rooms on many nodes, sharded channels
//! are cheaper: a node gets nothing for rooms that it has no members of. Streams are for nodes that are to get what was
//! sent while their connection was lost. All nodes need the same, and nodes of Node.js have it by their adapter:
//!
//! ```
//! # #[cfg(feature = "redis")]
//! # mod example {
//! # use enginewire_tokio::redis::{Redis, RedisError, SubscriptionMode};
//! # async fn example(url: &str) -> Result<(), RedisError> {
//! // createShardedAdapter(pub, sub, { channelPrefix: "chat" }), on Redis 7
//! let sharded = Redis::builder(url).sharded(SubscriptionMode::Dynamic).prefix("chat").connect().await?;
//! // createAdapter(client), of @socket.io/redis-streams-adapter
//! let streams = Redis::builder(url).streams().connect().await?;
//! # Ok(())
//! # }
//! # }
//! ```
//!
//! While Redis is away, a node serves its own sockets, `sent.remote` above is an error, and the node comes back by itself.
//! `Redis::monitor` tells how the bus is doing. The manager of python-socketio is another format, which neither these nodes
//! nor those of Node.js read.
//!
//! # Send from a worker
//!
//! A process that has no clients sends with an `Emitter`, as npm `@socket.io/redis-emitter` does:
//!
//! ```
//! # #[cfg(feature = "redis")]
//! # mod example {
//! # use enginewire_tokio::redis::{Redis, RedisError};
//! # async fn example() -> Result<(), RedisError> {
//! let emitter = Redis::emitter("redis://redis.internal").await?;
//! emitter.of("/orders").to("order 7").emit("paid", &12.5).await?;
//! emitter.to("banned").disconnect(true).await?;
//! # Ok(())
//! # }
//! # }
//! ```
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
//!
//! # Let clients come back on any node
//!
//! ```no_run
//! # use enginewire_tokio::socketio::{Bus, ConnectRequest, Io, RecoveryConfig};
//! # use serde::{Deserialize, Serialize};
//! #[derive(Serialize, Deserialize)]
//! struct User {
//!     name: String,
//! }
//!
//! # async fn check(_: ConnectRequest) -> Result<User, enginewire_tokio::socketio::ConnectError> { Err("no".into()) }
//! # async fn example(bus: impl Bus) {
//! let io = Io::builder().cluster(bus).recovery(RecoveryConfig::default()).build();
//! let users = io.namespace("/users").authorize(check).restore_data();
//! # drop(users);
//! # }
//! ```
//!
//! The bus must have a [log](crate::socketio::Bus::has_log) that the nodes share, as that on Redis has with `streams()`. Events are delivered when they are in it.
//! A client that comes back on another node has its rooms, its data and what it missed, as on its own node. Without
//! `restore_data` it is authorized again, and has the data of that. Data is what it was when the connection broke: keep
//! what changes often elsewhere.
//!
//! # Bring a broker of your own
//!
//! A bus has two halves. One knows the messages and channels of the official adapters, and which nodes there are: `Wire`,
//! in the crate `enginewire-socketio`, which has no I/O. The other, yours, carries its commands to the broker, and what
//! the broker delivers back.
//!
//! ```
//! use enginewire_socketio::cluster::wire::{Command, Format, HeartbeatsConfig, Subscription, Wire, WireConfig};
//!
//! // That of Postgres, Mongo and brokers that do not count who listens: nodes hear of each other by heartbeats.
//! let mut wire = Wire::new(WireConfig::new(Format::Heartbeats(HeartbeatsConfig::default())), 42);
//! let now = enginewire_tokio::enginewire::Time::ZERO;
//! wire.handle_connected(now, true);
//! wire.handle_namespace(now, &"/".into(), true);
//!
//! // Listen first, then say hello: the order of commands is theirs to keep.
//! let Some(Command::Subscribe(Subscription::Channel(channel))) = wire.poll_command() else { panic!() };
//! assert_eq!(&*channel, "socket.io#/");
//! let Some(Command::Publish { channel, message, .. }) = wire.poll_command() else { panic!() };
//! assert_eq!(&*channel, "socket.io#/");
//! assert!(message.starts_with(b"{"));
//! ```
//!
//! The example `postgres` is a whole one, on `LISTEN` and `NOTIFY`, whose nodes belong to one cluster with those of npm
//! `@socket.io/postgres-adapter`. What it shows holds for other brokers:
//!
//! | part | rule |
//! |---|---|
//! | `poll_ready` | completes when there is room, so that what waits is bounded by `max_cluster_queue` alone |
//! | `poll_flush` | passes on what was given, because nothing may follow for a while |
//! | `poll_event` | gives the wire its time and what has arrived, one after the other, and passes on its events |
//! | a message that is fetched | holds up those behind it, or the order of a node is lost. Its query goes another way than notifications do, or the two wait for each other |
//! | a lost connection | `Down`, then attempts at longer and longer intervals, then `Up`: the wire asks for its channels anew |
//! | a command that the broker refuses | is logged, and its message lost. It does not end the connection: some names are clients' |
//! | names | are quoted or escaped: those of dynamic namespaces are clients' |
//! | `poll_close` | has the wire say goodbye, and waits until that has left |
