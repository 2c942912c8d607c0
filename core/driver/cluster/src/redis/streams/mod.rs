//! Reading of streams, on connections of their own.
//!
//! A read that waits blocks all commands behind it.

mod group;
mod positions;
mod values;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use enginewire_driver::Runtime;
use enginewire_socketio::adapter::EntryId;

use self::group::Group;
pub(super) use self::{
    positions::Entry,
    values::{entries, last, texts},
};
use super::{error::RedisError, options::Shared, slots::slot};

/// Reader of streams, each from a position on that it remembers.
///
/// One connection reads all streams. In a Redis Cluster it reads those of one slot, because no command concerns two.
pub(super) struct Reader<R: Runtime> {
    shared: Arc<Shared<R>>,
    is_cluster: bool,
    groups: Vec<Group<R>>,
    /// The group that has its turn.
    next: usize,
}

/// Event of a [`Reader`].
pub(super) enum Read {
    Entry(Entry),
    /// So many entries of a stream, at least, were trimmed before they were read.
    Missed(u64),
    /// The server lets it read, on a connection that is new.
    Admitted,
    /// The connection was lost, or an attempt has failed. It goes on where it was.
    Lost(RedisError),
}

impl<R: Runtime> Reader<R> {
    pub(super) fn new(shared: &Arc<Shared<R>>, is_cluster: bool) -> Self {
        Self { shared: Arc::clone(shared), is_cluster, groups: Vec::new(), next: 0 }
    }

    /// Returns whether entries arrive. Without streams there are none to arrive.
    pub(super) fn is_ready(&self) -> bool {
        self.groups.iter().all(Group::is_ready)
    }

    /// Reads a stream from behind its last entry on, or goes on with it.
    ///
    /// A stream that ends before the position on a new connection comes from a server that is older, or was made anew. It
    /// is read on from its end, because the entries up to there were read. Returns the position.
    pub(super) fn start(
        &mut self,
        stream: &Arc<str>,
        last: EntryId,
        is_new_connection: bool,
    ) -> EntryId {
        let slot = self.is_cluster.then(|| slot(stream.as_bytes()));
        let known = self.groups.iter().position(|group| group.slot() == slot);
        let index = known.unwrap_or_else(|| {
            self.groups.push(Group::new(&self.shared, slot));
            self.groups.len() - 1
        });
        self.groups[index].start(stream, last, is_new_connection)
    }

    pub(super) fn stop(&mut self, stream: &str) {
        self.groups.retain_mut(|group| {
            group.stop(stream);
            !group.is_empty()
        });
    }

    /// Completes with the next entry. Reads more when all that were read have been taken.
    ///
    /// A read has all streams that are known by then. It waits for entries only if `waits`: not while a stream is about
    /// to be added.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, waits: bool) -> Poll<Read> {
        for _ in 0..self.groups.len() {
            self.next = (self.next + 1) % self.groups.len();
            let read = self.groups[self.next].poll(cx, waits);
            if read.is_ready() {
                return read;
            }
        }
        Poll::Pending
    }
}
