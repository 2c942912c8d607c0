//! Bytes on a TCP connection to HTTP/1.1 exchanges and WebSocket messages, and back, on
//! either side of it.
//!
//! Nothing here knows of sessions. All machines take their input through [`Input`] and write to an
//! [`Output`], so that a driver may share one read buffer and one write buffer among all the
//! connections of a thread; what a machine must keep between two reads it keeps itself.

pub mod http;
pub mod ws;

mod arena;
mod input;
mod output;

pub use self::{arena::Arena, input::Input, output::Output};
