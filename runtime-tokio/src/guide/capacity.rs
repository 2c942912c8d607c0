//! Capacity: computes what one node, one Redis and ten nodes carry, from measured costs.
//!
//! A cluster ends where the first of its parts is busy: the processors of the nodes, that of Redis, or the network of
//! Redis. The size of the rooms decides which one that is.
//!
//! # Costs
//!
//! Microseconds of CPU, user and kernel, for one broadcast of a text of 64 bytes over WebSocket. The figures are those of
//! `tests/benches/cluster` of the repository with four nodes, on 30 November 2026. The machine was a virtual one, whose
//! two cores had much other work. Measure on yours:
//!
//! ```sh
//! npm ci --prefix tests/js
//! cargo run --release --manifest-path tests/benches/cluster/Cargo.toml -- --rounds 3 --nodes 2,4
//! ```
//!
//! | | classic | sharded | streams |
//! |---|---|---|---|
//! | the node that sends it | 26.5 / 4.9 | 34.7 / 5.3 | 41.6 / 9.3 |
//! | each other node with a member | 16.3 / 3.7 | 22.4 / 3.6 | 26.0 / 8.0 |
//! | each node without a member | 10.7 / 2.9 | 0 / 0 | 22.5 / 3.7 |
//! | each further member on a node | 9.7 / 1.3 | 9.6 / 1.3 | 10.1 / 1.8 |
//! | Redis, with two nodes | 18.2 / 2.4 | 18.6 / 1.9 | 35.8 / 5.4 |
//! | Redis, with four | 28.2 / 2.8 | 32.3 / 2.7 | 61.3 / 12.5 |
//! | bytes from Redis to each node | 215 | 265 | 299 / 279 |
//!
//! The first figure is for one broadcast at a time, which wakes every process. The second is for 16 at once, which share
//! reads and writes. A cluster that is busy comes from the first to the second by itself, because more waits at each
//! wake-up. Columns are of different runs, so compare figures within one.
//!
//! - Sharded channels are those of the mode `Dynamic`, which the [cookbook](super::cookbook::nodes) shows.
//! - The node that sends has the event of the client that asks for the broadcast in its figure. All nodes have their first
//!   member in it.
//! - Three quarters of the cost of a member are the kernel's, for a write to its socket. The event is encoded once a node.
//! - A node takes 6.6 MiB, and 6 KiB for each client that is connected and in a room. Buffers of the kernel come on top.
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
//!     sender: 34.7,
//!     other: 22.4,
//!     member: 9.6,
//!     redis: 4.9,
//!     redis_copy: 6.85,
//!     copy_bytes: 265.0,
//! };
//! // Ten nodes: of a room with 10 members Redis is the first limit, of one with 1000 the nodes are.
//! assert_eq!(one.limits(10.0, 10.0, 10.0).map(f64::round), [42_319.0, 13_624.0, 47_170.0]);
//! assert_eq!(one.limits(10.0, 10.0, 1000.0).map(f64::round), [1027.0, 13_624.0, 47_170.0]);
//!
//! // 16 at once: the network is, and the nodes again.
//! let many = Costs {
//!     sender: 5.3,
//!     other: 3.6,
//!     member: 1.3,
//!     redis: 1.0,
//!     redis_copy: 0.43,
//!     copy_bytes: 265.0,
//! };
//! assert_eq!(many.limits(10.0, 10.0, 10.0).map(f64::round), [265_252.0, 188_679.0, 47_170.0]);
//! assert_eq!(many.limits(10.0, 10.0, 1000.0).map(f64::round), [7549.0, 188_679.0, 47_170.0]);
//! ```
//!
//! # What that comes to
//!
//! Thousands of broadcasts a second, sharded, with one core for each node and one for Redis, at the first of the limits.
//! The range is from one at a time to 16 at once.
//!
//! | members of a room | one node | ten nodes | first limit of ten nodes |
//! |---|---|---|---|
//! | 2, on two nodes at most | 22.6 to 152 | 53.8 to 236 | Redis, then its network |
//! | 10, on ten nodes at most | 8.3 to 58.8 | 13.6 to 47.2 | Redis, then its network |
//! | 100 | 1.0 to 7.5 | 9.1 to 47.2 | the nodes, then the network of Redis |
//! | 1000 | 0.10 to 0.77 | 1.0 to 7.5 | the nodes |
//! | 10 000 | 0.010 to 0.077 | 0.10 to 0.77 | the nodes |
//!
//! - **One node** delivers 100 000 events a second to members of large rooms, and 770 000 where they come in bursts. Beside
//!   one node alone, Redis is never the limit: it carries 85 000 broadcasts a second to one node.
//! - **One Redis** carries 12 microseconds and 7 more for each further node that gets a broadcast, one at a time. With ten
//!   it is busy with 13 600 broadcasts a second, whatever the size of the rooms.
//! - **Ten nodes** deliver ten times as much as one to large rooms. The nodes are the first limit of rooms with more than 60
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
