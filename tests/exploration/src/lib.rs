//! One client, one server and the network between them, in all states that they can be in.
//!
//! A [`World`] holds both state machines as they ship and what is on its way between them. From the
//! first one on, [`explore`] makes each move that is possible in each state, breadth first, and looks
//! in each at the rules of `rules`. What is the same state it knows by its fingerprint, so a run
//! that comes to its end has seen all that can happen within the [`Scenario`]; and the first state that
//! breaks a rule is one that no fewer moves lead to.
//!
//! Three things make this many states fewer without leaving one out:
//!
//! - Times count relative to the present, and names by the order in which they come up, see
//!   [`Fingerprint`](enginewire::Fingerprint): nothing asks when it is or what a name is.
//! - Each side has a clock of its own, and a clock only ever moves to the next deadline. As what is on
//!   its way can be late by any time, no side can tell how the other's clock stands, and what comes
//!   between two deadlines is handled alike whenever it comes.
//! - Connections of the same kind stand together, in the order in which they were made; nothing depends
//!   on the order in which those of different kinds were made.
//!
//! And two more bound what would not end: so many faults of the network, and so many moves of a clock
//! while something else could happen.
//!
//! [`socketio`] does the same with Socket.IO: one server, one client with two namespaces. [`hub`] walks all ways of so
//! many moves through a whole hub with its clients, and [`nodes`] through a client whose requests come to a node that has not
//! its session.

mod arrivals;
pub mod hub;
mod network;
pub mod nodes;
mod outputs;
mod rules;
mod scenario;
mod search;
pub mod socketio;
mod states;
pub mod walk;
mod words;
mod world;

pub use crate::{
    rules::RULES,
    scenario::{Move, Sabotage, Scenario, Side},
    search::{Change, Report, System, explore},
    world::World,
};
