//! A command for servers of a Redis Cluster.

use bytes::Bytes;

use super::super::{address::Address, link::Responds, resp::encode, servers::Place, slots::slot};

/// A command that has no response yet.
pub(super) struct Command<T> {
    pub(super) task: Task<T>,
    pub(super) slot: Option<u16>,
    pub(super) responds: Responds,
    /// Its bytes, should another server be the right one.
    pub(super) bytes: Bytes,
    /// Its place among the commands of the slot.
    pub(super) order: u64,
    /// Redirections that it has followed.
    pub(super) redirects: u8,
    /// The server to which its slot is being moved, and which is to be asked this time.
    pub(super) ask: Option<Address>,
}

/// Purpose of a command, which its response is for.
pub(super) enum Task<T> {
    Tag(T),
    /// The number is to be added.
    Part(u64),
    /// The owners of slots.
    Slots,
}

impl<T> Command<T> {
    pub(super) fn new(
        task: Task<T>,
        place: Place<'_>,
        responds: Responds,
        arguments: &[&[u8]],
    ) -> Self {
        let mut bytes = Vec::new();
        encode(&mut bytes, arguments);
        if responds == Responds::Fenced {
            encode(&mut bytes, &[b"PING"]);
        }
        let slot = match place {
            Place::Key(key) => Some(slot(key)),
            Place::Any | Place::Every => None,
        };
        Self::encoded(task, slot, responds, bytes.into())
    }

    pub(super) const fn encoded(
        task: Task<T>,
        slot: Option<u16>,
        responds: Responds,
        bytes: Bytes,
    ) -> Self {
        Self { task, slot, responds, bytes, order: 0, redirects: 0, ask: None }
    }
}
