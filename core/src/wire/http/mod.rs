//! HTTP/1.1 (RFC 9112), server side.
//!
//! [`Server`] turns the bytes of one connection into requests, one exchange at a time, and writes
//! the answers. What a client would need as well (finding the end of a head, fields, the rules for
//! the length of a body, chunked decoding) stands in modules that do not know the role.
//!
//! Where RFC 9112 leaves a recipient the choice between guessing and refusing, this refuses: a
//! message that two parties can read in two ways is how requests are smuggled past a proxy.

mod body;
mod chunked;
mod config;
mod event;
mod exchange;
mod fault;
mod fields;
mod framing;
mod head;
mod response;
mod scan;
mod server;

pub use self::{
    chunked::ChunkError,
    config::Config,
    event::{Event, TimerKind},
    fault::Fault,
    framing::BodyLength,
    head::RequestHead,
    response::{Response, reason_phrase},
    server::Server,
};
