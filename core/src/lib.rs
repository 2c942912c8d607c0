//! Engine.IO as a sans-IO state machine.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod codec;
pub mod wire;

mod encoded;
mod entropy;
mod limits;
mod packet;
mod text;
mod time;

pub use crate::{
    encoded::Encoded,
    entropy::Entropy,
    limits::Limits,
    packet::{Message, Packet, Revision},
    text::Text,
    time::Time,
};
