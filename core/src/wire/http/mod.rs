//! HTTP/1.1 (RFC 9112), both sides.
//!
//! [`Server`] turns the bytes of one connection into requests, one exchange at a time, and writes the answers.
//! [`Client`] writes requests, one at a time, and turns bytes into their answers. Modules that do not know the role
//! have what both need: the end of a head, fields, the length of a body, chunked decoding.
//!
//! Where RFC 9112 leaves a recipient the choice between guessing and refusing, this refuses. A message that two
//! parties can read in two ways smuggles requests past a proxy, and gives one request the answer of another.

mod body;
mod chunked;
mod client;
mod config;
mod date;
mod diagnose;
mod event;
mod exchange;
mod fault;
mod fields;
mod framing;
mod head;
mod pieces;
mod response;
mod response_head;
mod scan;
mod server;
mod start_line;
mod tunnel;

pub(crate) use self::{chunked::append, pieces::Pieces};
pub use self::{
    client::{Client, Reply},
    config::{ClientConfig, Config},
    date::{HttpDate, WallClock},
    event::{Event, TimerKind},
    fault::{ChunkError, Fault, ResponseFault},
    framing::BodyLength,
    head::RequestHead,
    response::{Response, reason_phrase},
    response_head::ResponseHead,
    server::Server,
    tunnel::Tunnel,
};
