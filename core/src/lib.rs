//! Engine.IO as a sans-IO state machine.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod codec;
pub mod query;
pub mod wire;

mod config;
mod deadlines;
mod encoded;
mod entropy;
mod exchange;
mod limits;
mod packet;
mod router;
mod session;
mod sid;
mod text;
mod time;

pub use crate::{
    config::{Config, Cookie, Cors, CorsOrigin, HeadersHook, TransportKind, Transports},
    deadlines::{DeadlineKey, Deadlines},
    encoded::Encoded,
    entropy::Entropy,
    exchange::{Head, HeaderLines, InvalidHeader, Response},
    limits::Limits,
    packet::{Message, Packet, Revision},
    router::{BadRequest, Opening, Reject, Route, Router, SessionRequest},
    session::{
        Action, Admission, Body, Carrier, CloseReason, Event, ExchangeId, SendError, Session,
        SocketEnd, SocketId, TimerKind, TransportFault, TrySendError,
    },
    sid::Sid,
    text::Text,
    time::Time,
};
