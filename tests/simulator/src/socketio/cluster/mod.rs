//! Nodes of a cluster and their clients in a world that a seed makes, on a bus that loses and doubles messages.
//!
//! A node is a [`Hub`](enginewire_socketio::hub::Hub), a client a
//! [`ClientHub`](enginewire_socketio::client_hub::ClientHub), both unchanged. The network is that of all worlds. Between
//! each two nodes the bus has a lane with a latency of its own. Nodes crash with all their connections and come back
//! under another name; they are cut off the bus, and neither they nor the others know it at once; or the bus takes
//! nothing of them for a while. A new session of a client is at any node.
//!
//! Or there is a broker between the nodes, and what goes to it and back is bytes: each node has a
//! [`Wire`](enginewire_socketio::cluster::wire::Wire) of one of the official adapters.
//!
//! The streams of a broker can be a log that the nodes share. Then clients whose connections break come back to any node,
//! and recover what they missed.
//!
//! # What is checked
//!
//! Whenever a message arrives at a node, books of their own write down what is to come of it:
//!
//! - A socket gets what its node was told to send to it, by its rooms at that moment, in this order, nothing twice unless
//!   the bus has doubled it, and all of it while it lives, but for volatile events.
//! - It gets the events of each node in the order in which they were sent, unless the bus changes it.
//! - An event that it gets was for it: it was in the rooms that the event is for, and in none of those that are left out,
//!   at a moment between the sending and the arrival.
//! - A message arrives as it was sent. A node responds with the sockets that were its own when it was asked.
//! - A request ends, at its deadline at the latest, and not before all has come that can. What it says is missing is what
//!   has not come: nodes, and acknowledgements that they had announced. An acknowledgement is that of a client, once.
//! - Applications get each server-side event that arrives, in order.
//! - Operations say of other nodes whether they are told, and why not. What waits for the bus is bounded, and so is what
//!   waits for a client.
//! - With a log a node delivers events in its order, its own when the broker tells their places, and without a bus at
//!   once. A client that is recovered gets all that it has missed, nothing twice, in the order of the log, and has its
//!   rooms. No socket is restored that is connected somewhere, or whose time is over. A client that is not recovered is
//!   told so.
//! - In the end all nodes know each other, the last event of each has reached everybody, all sockets are connected on
//!   both sides and complete; and when all clients are closed, nothing is left in the hubs or the network.

mod application;
mod books;
mod broker;
mod bus;
mod faults;
mod lanes;
mod log;
mod requests;
mod returning;
mod wiring;
mod world;

pub use self::{
    books::ClusterTotals,
    world::{BusManner, ClusterManner, ClusterSabotage, ClusterWorld},
};
