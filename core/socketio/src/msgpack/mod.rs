//! Bytes of MessagePack as values, for packets of clients and for messages between nodes.

mod date;
mod read;
mod write;

pub(crate) use self::{
    read::{Dialect, Reader},
    write::Writer,
};
