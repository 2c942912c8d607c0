//! One client of Socket.IO and its server, in all states that they can be in.
//!
//! The client is a [`Manager`](enginewire_socketio::Manager) with sockets of two namespaces, the server a
//! [`Connection`](enginewire_socketio::Connection) for each session, as they ship. Around them stands in short what
//! [`ClientHub`](enginewire_socketio::client_hub::ClientHub), [`Hub`](enginewire_socketio::hub::Hub) and the drivers do.
//! Sessions carry messages in order until they break, at any moment, and each side learns of it in its own time.
//!
//! Events have numbers, in either direction. Each is written down when it is sent, and compared when it arrives.

mod client;
mod rules;
mod scenario;
mod server;
mod world;

pub use self::{
    rules::RULES,
    scenario::{Move, Sabotage, Scenario, full, gate},
    world::World,
};
