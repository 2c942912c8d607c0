//! The event loop: sockets, a clock and entropy around a hub. Knows nothing of what the server is for.
#![allow(clippy::disallowed_methods, reason = "this is who has the clock and the sockets")]

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use enginewire::{Time, hub::ConnectionId};
use mio::{Events, Interest, Poll, Token, net::TcpListener};

use self::sockets::{Listener, Sockets};
// Those of Engine.IO or of Socket.IO: both ask an event loop for the same.
use super::{Hub, Output};

// Named, as a test server has this file by its path.
#[path = "sockets.rs"]
mod sockets;

/// A hub, its sockets and a clock.
pub(crate) struct EventLoop {
    pub(crate) hub: Hub,
    started: Instant,
    poll: Poll,
    events: Events,
    listener: Listener,
    sockets: Sockets,
    /// What is read, for all connections.
    buffer: Box<[u8]>,
    /// Rounds since the hub was last told the time, in each of which something came.
    crowded: usize,
}

impl EventLoop {
    /// Listens on `address`.
    pub(crate) fn new(hub: Hub, address: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            hub,
            started: Instant::now(),
            poll,
            events: Events::with_capacity(1024),
            listener: Listener::new(listener),
            sockets: Sockets::default(),
            // A message of 64 KiB comes in one read with the heads around it.
            buffer: vec![0; 65 * 1024].into_boxed_slice(),
            crowded: 0,
        })
    }

    /// The address that is listened on.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Does what the hub asks for. `application` gets what is not about sockets.
    pub(crate) fn drain(&mut self, mut application: impl FnMut(&mut Hub, Time, Output)) {
        let now = self.now();
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Write(on) => self.write(now, on),
                Output::Read(on) => self.sockets.read_later(on),
                Output::Shutdown(on) => {
                    if let Some(stream) = self.sockets.stream(on) {
                        // If that fails the connection has, and the next read tells.
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                }
                Output::Close(on) => self.close(now, on),
                output => application(&mut self.hub, now, output),
            }
        }
    }

    /// Waits, until `until` at most, and takes in what has happened.
    pub(crate) fn wait(&mut self, until: Option<Time>) -> io::Result<()> {
        let deadlines = [self.hub.poll_timeout(), until, self.listener.again()];
        let deadline = deadlines.into_iter().flatten().min();
        let patience = match self.sockets.has_unread() {
            true => Some(Duration::ZERO),
            // `mio` rounds it up to whole milliseconds.
            false => deadline.map(|deadline| deadline.since(self.now())),
        };
        match self.poll.poll(&mut self.events, patience) {
            // It has not looked at the sockets.
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let now = self.now();
        let mut accepted = false;
        if self.listener.again().is_some_and(|again| again <= now) {
            accepted |= self.accept(now);
        }
        for on in self.sockets.take_unread() {
            self.read(now, on, true);
        }
        // Taken out while it is walked over.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            if event.token() == LISTENER {
                accepted |= self.accept(now);
                continue;
            }
            let Some(on) = self.sockets.at(event.token().0) else { continue };
            if event.is_writable() {
                self.hub.handle_writable(now, on);
            }
            if event.is_readable() {
                self.read(now, on, event.is_read_closed());
            }
        }
        // Bytes that wait to be read are signs of life, so the clock comes last: when nothing was left to read, or
        // after so many rounds; and not before the connections of this round have been read, for as long again.
        self.crowded = if events.is_empty() { MAX_CROWDED } else { self.crowded + 1 };
        if self.crowded >= MAX_CROWDED && (!accepted || self.crowded >= 2 * MAX_CROWDED) {
            self.crowded = 0;
            self.hub.handle_timeout(now);
        }
        self.events = events;
        Ok(())
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    /// Accepts all that wait. One that cannot be watched is dropped. Returns whether there were any.
    fn accept(&mut self, now: Time) -> bool {
        let mut accepted = false;
        while let Some(mut stream) = self.listener.accept(now) {
            accepted = true;
            let on = self.hub.handle_accepted(now);
            let interest = Interest::READABLE | Interest::WRITABLE;
            match self.poll.registry().register(&mut stream, Token(on.index()), interest) {
                Ok(()) => self.sockets.insert(on, stream),
                Err(_) => self.hub.handle_lost(now, on),
            }
        }
        // The system's clock may have been adjusted since.
        if accepted && let Ok(since_1970) = SystemTime::now().duration_since(UNIX_EPOCH) {
            self.hub.set_wall_clock(now, since_1970);
        }
        accepted
    }

    /// Reads until there is nothing more, which a read that does not fill the buffer tells unless
    /// there is an end behind it (`closed`); or until the hub has enough: it asks again; or until it
    /// is the turn of others.
    fn read(&mut self, now: Time, on: ConnectionId, closed: bool) {
        for _ in 0..READS_PER_TURN {
            let Some(stream) = self.sockets.stream(on).filter(|_| self.hub.is_reading(on)) else {
                return;
            };
            match stream.read(&mut self.buffer) {
                Ok(0) => return self.hub.handle_eof(now, on),
                Ok(n) => {
                    self.hub.handle_bytes(now, on, &mut self.buffer[..n]);
                    if n < self.buffer.len() && !closed {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.lose(now, on),
            }
        }
        self.sockets.read_later(on);
    }

    fn write(&mut self, now: Time, on: ConnectionId) {
        let Some(stream) = self.sockets.stream(on) else { return };
        let mut failed = false;
        self.hub.transmit(now, on, |bytes| match stream.write(bytes) {
            Ok(n) => n,
            Err(error) => {
                failed = error.kind() != ErrorKind::WouldBlock;
                0
            }
        });
        if failed {
            self.lose(now, on);
        }
    }

    fn lose(&mut self, now: Time, on: ConnectionId) {
        self.hub.handle_lost(now, on);
        self.close(now, on);
    }

    fn close(&mut self, now: Time, on: ConnectionId) {
        self.sockets.remove(on);
        self.listener.hurry(now);
    }
}

/// Fills `buffer` with bytes that nobody can guess: ids of sessions are made of them.
#[expect(clippy::expect_used, reason = "a server without entropy must not serve")]
pub(crate) fn entropy(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

/// What one peer may send, 1 MiB, before others have their turn.
const READS_PER_TURN: usize = 16;

/// Rounds in which something has come before the clock is looked at nevertheless.
const MAX_CROWDED: usize = 8;

const LISTENER: Token = Token(usize::MAX);
