//! One Socket.IO server and one client with two namespaces, in all states that they can be in.
//!
//! The server is a [`Connection`](enginewire_socketio::Connection) for each session, and an adapter and a recovery for
//! each namespace, as they ship. Around them stands what [`Hub`](enginewire_socketio::hub::Hub) and the drivers do with
//! their outputs, once more and in short. The client is a model: it follows the protocol, in any order and at any time.
//! Sessions carry messages in order until they break, as the exploration of Engine.IO shows that they do.
//!
//! Events are written down with the sockets that they are for when they are sent, and compared when they arrive.
//!
//! Two things are assumed, as the heartbeat guarantees them: a server notices a broken session, and one on which nothing
//! passes, before [`RecoveryConfig::max_delay`](enginewire_socketio::adapter::RecoveryConfig::max_delay) is over. And a
//! client that has left a namespace knows that messages may come that were for the socket before: packets name the
//! namespace, not the socket.

mod arrivals;
mod books;
mod client;
mod link;
pub mod managed;
mod rules;
mod scenario;
mod server;
mod world;

pub use self::{
    rules::RULES,
    scenario::{Move, Sabotage, Scenario, full, gate},
    world::World,
};
