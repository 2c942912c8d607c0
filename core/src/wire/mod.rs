//! HTTP/1.1 exchanges and WebSocket messages from the bytes on a TCP connection, and back. Both
//! sides of the connection are here.
//!
//! Sessions are not known here. All machines take their input through [`Input`] and write to an
//! [`Output`]. So a driver may share one read buffer and one write buffer among all the connections
//! of a thread. A machine keeps for itself whatever it needs between two reads.

pub mod http;
pub mod proxy_protocol;
pub mod ws;

mod arena;
mod input;
mod output;

pub use self::{arena::Arena, input::Input, output::Output};
