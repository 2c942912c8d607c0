//! The sockets of the event loop.

use enginewire::hub::ConnectionId;
use mio::net::TcpStream;

/// Sockets by [`ConnectionId::index`], and which of them to read whatever happens.
#[derive(Default)]
pub(crate) struct Sockets {
    table: Vec<Option<Socket>>,
    unread: Vec<ConnectionId>,
}

struct Socket {
    on: ConnectionId,
    stream: TcpStream,
    /// It stands in `unread`.
    unread: bool,
}

impl Sockets {
    pub(crate) fn insert(&mut self, on: ConnectionId, stream: TcpStream) {
        if self.table.len() <= on.index() {
            self.table.resize_with(on.index() + 1, || None);
        }
        self.table[on.index()] = Some(Socket { on, stream, unread: false });
    }

    /// Closes a socket.
    pub(crate) fn remove(&mut self, on: ConnectionId) {
        if self.find(on).is_some() {
            self.table[on.index()] = None;
        }
    }

    pub(crate) fn stream(&mut self, on: ConnectionId) -> Option<&mut TcpStream> {
        self.find(on).map(|socket| &mut socket.stream)
    }

    /// The connection at this place.
    pub(crate) fn at(&self, index: usize) -> Option<ConnectionId> {
        self.table.get(index)?.as_ref().map(|socket| socket.on)
    }

    /// Nothing may come that would tell to read this one: the system tells of each arrival once.
    pub(crate) fn read_later(&mut self, on: ConnectionId) {
        if let Some(socket) = self.find(on)
            && !std::mem::replace(&mut socket.unread, true)
        {
            self.unread.push(on);
        }
    }

    /// Whether there are any to read now.
    pub(crate) const fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Those to read now.
    pub(crate) fn take_unread(&mut self) -> Vec<ConnectionId> {
        let unread = std::mem::take(&mut self.unread);
        for &on in &unread {
            if let Some(socket) = self.find(on) {
                socket.unread = false;
            }
        }
        unread
    }

    fn find(&mut self, on: ConnectionId) -> Option<&mut Socket> {
        self.table.get_mut(on.index())?.as_mut().filter(|socket| socket.on == on)
    }
}
