//! A whole hub of Socket.IO with its clients, on every way of so many moves.
//!
//! [`Hub`](enginewire_socketio::hub::Hub) reads and writes bytes of HTTP and WebSocket, and has neither a copy nor a
//! fingerprint of its own. So each way is walked from the beginning: all sequences of moves up to a length, without
//! leaving out those that lead to the same state. What [`socketio`](crate::socketio) finds by its states about
//! connections and adapters is looked at here through the hub around them, on its real outputs.
//!
//! Clients are models that speak over WebSockets. What is written to a client arrives at once, or once the client reads
//! again.

mod client;
mod world;

pub use self::world::{Move, Sabotage, Scenario, World};
use crate::walk::{self, Walked};

/// Walks all ways of at most `length` moves, up to the first one that breaks a rule.
pub fn walk(scenario: Scenario, length: usize) -> Walked<Move> {
    walk::walk(|| World::new(scenario), length)
}
