//! Capacity: computes what one node, one Redis and ten nodes carry, from measured costs.
//!
//! A cluster ends where the first of its parts is busy: the processors of the nodes, that of Redis, or the network of
//! Redis. The size of the rooms decides which one that is.
//!
//! # Costs
//!
//! Microseconds of CPU, user and kernel, for one broadcast of a text of 64 bytes over WebSocket. The figures are those of
//! `tests/benches/cluster` of the repository with four nodes, medians of three rounds on 30 November 2026. The machine was
//! a virtual one of two cores, which had nothing else to do. Measure on yours:
//!
//! ```sh
//! npm ci --prefix tests/js
//! cargo run --release --manifest-path tests/benches/cluster/Cargo.toml -- --rounds 3 --nodes 2,4
//! ```
//!
//! | | classic | sharded | streams |
//! |---|---|---|---|
//! | the node that sends it | 41.8 / 5.1 | 35.8 / 5.3 | 51.6 / 7.7 |
//! | each other node with a member | 18.4 / 3.1 | 18.5 / 3.4 | 24.8 / 5.9 |
//! | each node without a member | 12.8 / 2.5 | 0 / 0 | 17.2 / 4.6 |
//! | each further member on a node | 7.4 / 0.95 | 6.9 / 0.96 | 7.1 / 1.3 |
//! | Redis, with two nodes | 18.9 / 1.7 | 18.7 / 1.5 | 34.4 / 6.5 |
//! | Redis, with four | 34.0 / 2.8 | 34.5 / 2.8 | 64.9 / 10.6 |
//! | bytes from Redis to each node | 215 | 265 | 299 / 280 |
//!
//! The first figure is for one broadcast at a time, which wakes every process. The second is for 16 at once, which share
//! reads and writes. A cluster that is busy comes from the first to the second by itself, because more waits at each
//! wake-up. All figures are of one run. Those of one at a time are mostly the kernel's, and are a quarter higher or lower in
//! others.
//!
//! - Sharded channels are those of the mode `Dynamic`, which the [cookbook](super::cookbook::nodes) shows.
//! - The node that sends has the event of the client that asks for the broadcast in its figure. All nodes have their first
//!   member in it.
//! - Three quarters of the cost of a member are the kernel's, for a write to its socket. The event is encoded once a node.
//! - A node takes 6.4 MiB, and 6 KiB for each client that is connected and in a room. Buffers of the kernel come on top.
//!
//! # Computing with them
//!
//! `nodes` share the work, of which `reached` get a broadcast: with classic channels and streams all of them, with sharded
//! ones those that have members.
//!
//! ```
//! /// Microseconds of CPU of a broadcast, and bytes of its copies.
//! struct Costs {
//!     sender: f64,
//!     other: f64,
//!     member: f64,
//!     redis: f64,
//!     redis_copy: f64,
//!     copy_bytes: f64,
//! }
//!
//! impl Costs {
//!     /// Broadcasts a second that keep busy: one core of each node, Redis, and its network of 1 Gbit/s.
//!     fn limits(&self, nodes: f64, reached: f64, members: f64) -> [f64; 3] {
//!         let all = self.sender + self.other * (reached - 1.0) + self.member * (members - reached);
//!         let redis = self.redis + self.redis_copy * reached;
//!         [1e6 * nodes / all, 1e6 / redis, 125e6 / (self.copy_bytes * reached)]
//!     }
//! }
//!
//! // Sharded channels, one broadcast at a time. The costs of Redis are a line through those with two and with four nodes.
//! let one = Costs {
//!     sender: 35.8,
//!     other: 18.5,
//!     member: 6.9,
//!     redis: 2.9,
//!     redis_copy: 7.9,
//!     copy_bytes: 265.0,
//! };
//! // Ten nodes: of a room with 10 members Redis is the first limit, of one with 1000 the nodes are.
//! assert_eq!(one.limits(10.0, 10.0, 10.0).map(f64::round), [49_432.0, 12_210.0, 47_170.0]);
//! assert_eq!(one.limits(10.0, 10.0, 1000.0).map(f64::round), [1422.0, 12_210.0, 47_170.0]);
//!
//! // 16 at once: the network is, and the nodes again.
//! let many = Costs {
//!     sender: 5.3,
//!     other: 3.4,
//!     member: 0.96,
//!     redis: 0.21,
//!     redis_copy: 0.65,
//!     copy_bytes: 265.0,
//! };
//! assert_eq!(many.limits(10.0, 10.0, 10.0).map(f64::round), [278_552.0, 149_031.0, 47_170.0]);
//! assert_eq!(many.limits(10.0, 10.0, 1000.0).map(f64::round), [10_139.0, 149_031.0, 47_170.0]);
//! ```
//!
//! # What that comes to
//!
//! Thousands of broadcasts a second, sharded, with one core for each node and one for Redis, at the first of the limits.
//! The range is from one at a time to 16 at once.
//!
//! | members of a room | one node | ten nodes | first limit of ten nodes |
//! |---|---|---|---|
//! | 2, on two nodes at most | 23.4 to 160 | 53.5 to 236 | Redis, then its network |
//! | 10, on ten nodes at most | 10.2 to 71.7 | 12.2 to 47.2 | Redis, then its network |
//! | 100 | 1.4 to 10.0 | 12.1 to 47.2 | the nodes, then the network of Redis |
//! | 1000 | 0.14 to 1.0 | 1.4 to 10.1 | the nodes |
//! | 10 000 | 0.014 to 0.10 | 0.15 to 1.0 | the nodes |
//!
//! - **One node** delivers 140 000 events a second to members of large rooms, and a million where they come in bursts. Beside
//!   one node alone, Redis is never the limit: it carries 93 000 broadcasts a second to one node.
//! - **One Redis** takes 11 microseconds and 8 more for each further node that gets a broadcast, one at a time. With ten
//!   it is busy with 12 200 broadcasts a second, whatever the size of the rooms.
//! - **Ten nodes** deliver ten times as much as one to large rooms. The nodes are the first limit of rooms with more than 100
//!   members, one at a time. Of smaller rooms Redis is, and more nodes make it worse.
//! - **The network of Redis** has a copy for each node that gets a broadcast. Larger events come to it earlier: with 1 KiB
//!   instead of 64 bytes it carries a fifth as many.
//!
//! # What to do at a limit
//!
//! - At the nodes: add nodes, or send less often. Several events in one array are one broadcast.
//! - At Redis: keep the members of a room on one node where the load balancer can, and use sharded channels. With them a
//!   room of two costs Redis two copies. With classic channels and streams it costs as many as there are nodes.
//! - Behind that: applications of their own, each with a Redis and nodes of its own. A second prefix on one Redis does not
//!   help, because it is the processor that is busy.
//! - Of each processor leave a third free, for bursts and for clients that come back after a deployment.
