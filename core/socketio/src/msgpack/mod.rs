//! Bytes of MessagePack as values, for packets of clients and for messages between nodes.

mod date;
mod read;
mod write;

pub(crate) use self::{
    read::{Dialect, MAX_PACKET_DEPTH, Reader},
    write::Writer,
};
