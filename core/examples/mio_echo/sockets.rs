//! The sockets of the event loop.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use enginewire::{Time, hub::ConnectionId};
use mio::net::{TcpListener, TcpStream};

/// A listener that tries again when it has failed.
pub(crate) struct Listener {
    socket: TcpListener,
    again: Option<Time>,
}

impl Listener {
    pub(crate) const fn new(socket: TcpListener) -> Self {
        Self { socket, again: None }
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection, if there is one and it can be used.
    pub(crate) fn accept(&mut self, now: Time) -> Option<TcpStream> {
        self.again = None;
        loop {
            match self.socket.accept() {
                Ok((stream, _)) if stream.set_nodelay(true).is_ok() => return Some(stream),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    // No descriptor, most likely. The system has told of those that wait, and will not
                    // do so again.
                    self.again = Some(now + PAUSE);
                    return None;
                }
            }
        }
    }

    /// When to accept, whatever happens until then.
    pub(crate) const fn again(&self) -> Option<Time> {
        self.again
    }

    /// A descriptor is free.
    pub(crate) fn hurry(&mut self, now: Time) {
        self.again = self.again.map(|_| now);
    }
}

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

/// Before it is tried again to accept.
const PAUSE: Duration = Duration::from_millis(5);
