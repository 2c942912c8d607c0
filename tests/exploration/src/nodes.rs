//! A session whose requests and WebSocket come to another node than its own, on every way of so many moves.
//!
//! The client is a [`ClientHub`](enginewire::ClientHub), the owner of the session a [`ServerHub`](enginewire::ServerHub),
//! and the node between them has a [`carrier::Connection`](enginewire::carrier::Connection) for each connection of the
//! client: all as they ship, on real bytes. What is on its way arrives late or in part, or is lost on either side of the
//! node; the owner cannot be reached, and clocks run.
//!
//! What a node holds of one connection has nothing to do with any other. So all that a move brings to the node goes on
//! to the other side at once, unless it is lost there: other orders differ in nothing that a side can see.

mod node;
mod world;

pub use self::world::{Direction, Leg, Move, Sabotage, Scenario, World};
