//! A server of Socket.IO and its clients in a world that a seed makes.
//!
//! The server is a [`Hub`](enginewire_socketio::hub::Hub), unchanged, with an application that sends, asks, joins,
//! disconnects and refuses at random. A client is a model on a [`ClientHub`](enginewire::ClientHub): it connects to
//! namespaces, talks, leaves, is slow, and comes back when its session is over, with what it needs to recover.
//!
//! # What is checked
//!
//! Events for a socket are written down together with its rooms, by rules of the books' own, and compared when it
//! arrives:
//!
//! - A socket gets what was sent to it or to its rooms, in the order in which it was sent, nothing twice and nothing
//!   else. The order is that of the namespace, so it is the same for all of its members.
//! - While it lives it gets all of that, but for volatile events. If it is recovered, it also gets what was sent
//!   meanwhile, but for events to be acknowledged, and is in the same rooms.
//! - A client that comes back in time is recovered. One that has left, was disconnected or comes too late is not.
//! - One that the server disconnects has got what was sent before.
//! - The server gets the events of a socket in order, each once.
//! - Each event to be acknowledged comes to one end: the client's answer, its deadline to the nanosecond, or the end of
//!   the socket, and not later than that. A broadcast comes to one for each recipient.
//! - The hub's rooms, selections and ids are those of the books.
//! - In the end all sockets are connected on both sides and complete; and when all clients have gone, nothing is left in
//!   the hub, the books, or the network.

mod application;
mod books;
mod clients;
mod cluster;
mod ends;
mod person;
mod wiring;
mod world;

pub use self::{
    books::Totals,
    clients::{ClientManner, ClientSabotage, ClientTotals, ClientWorld},
    cluster::{BusManner, ClusterManner, ClusterSabotage, ClusterTotals, ClusterWorld},
    world::{Manner, Sabotage, SocketWorld},
};
