//! The event loop: sockets on an io_uring, a clock and entropy around a hub. Knows nothing of what the server
//! is for.
#![allow(clippy::disallowed_methods, reason = "this is who has the clock and the sockets")]

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use enginewire::{
    ServerHub, Time,
    hub::{ConnectionId, Output},
};

use self::ring::{Completion, Key, Received, Ring};

// Named, as the benchmark has this file by its path.
#[path = "ring.rs"]
mod ring;

/// A hub, its sockets and a clock.
pub(crate) struct EventLoop {
    pub(crate) hub: ServerHub,
    started: Instant,
    ring: Ring,
    /// By [`Key::index`].
    connections: Vec<Option<Connection>>,
    /// By [`ConnectionId::index`].
    keys: Vec<Option<(ConnectionId, Key)>>,
    /// Connections with something kept that the hub may want now.
    unread: Vec<Key>,
    /// Closed sockets with bytes in flight, and when those are given up. In the order of their deadlines.
    lingering: VecDeque<(Time, Key)>,
    /// When to accept again after a failure.
    accept_at: Option<Time>,
    /// Rounds since the hub was last told the time, in each of which something came.
    crowded: usize,
}

struct Connection {
    key: Key,
    on: ConnectionId,
    /// Bytes that came while the hub did not want any. Receiving is paused then, so there are no more than the
    /// ring has buffers.
    kept: Vec<u8>,
    /// The peer has shut down its sending side behind `kept`.
    has_ended: bool,
}

impl EventLoop {
    /// Listens on `address`.
    pub(crate) fn new(hub: ServerHub, address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            hub,
            started: Instant::now(),
            ring: Ring::new(address)?,
            connections: Vec::new(),
            keys: Vec::new(),
            unread: Vec::new(),
            lingering: VecDeque::new(),
            accept_at: None,
            crowded: 0,
        })
    }

    /// The address that is listened on.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.ring.local_addr()
    }

    /// Does what the hub asks for. `application` gets what is not about sockets.
    ///
    /// All that is written goes out with the next [`wait`](Self::wait), in one system call.
    pub(crate) fn drain(&mut self, mut application: impl FnMut(&mut ServerHub, Time, Output)) {
        let now = self.now();
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Write(on) => {
                    if let Some(key) = self.key(on) {
                        self.hub.transmit(now, on, |bytes| self.ring.write(key, bytes));
                        self.ring.flush(key);
                    }
                }
                Output::Read(on) => self.unread.extend(self.key(on)),
                Output::Shutdown(on) => {
                    if let Some(key) = self.key(on) {
                        self.ring.shutdown(key);
                    }
                }
                Output::Close(on) => {
                    if let Some(key) = self.remove(on)
                        && !self.ring.close(key)
                    {
                        self.lingering.push_back((now + LINGER, key));
                    }
                }
                output => application(&mut self.hub, now, output),
            }
        }
    }

    /// Waits, until `until` at most, and takes in what has happened.
    pub(crate) fn wait(&mut self, until: Option<Time>) -> io::Result<()> {
        let lingering = self.lingering.front().map(|&(deadline, _)| deadline);
        let deadlines = [self.hub.poll_timeout(), until, self.accept_at, lingering];
        let deadline = deadlines.into_iter().flatten().min();
        self.ring.wait(match self.unread.is_empty() {
            false => Some(Duration::ZERO),
            true => deadline.map(|deadline| deadline.since(self.now())),
        })?;
        let now = self.now();
        if self.accept_at.take_if(|at| *at <= now).is_some() {
            self.ring.accept();
        }
        while let Some(&(deadline, key)) = self.lingering.front()
            && deadline <= now
        {
            self.lingering.pop_front();
            self.ring.abort(key);
        }
        for key in std::mem::take(&mut self.unread) {
            self.read_on(now, key);
        }
        let (mut accepted, mut received) = (false, false);
        while let Some(completion) = self.ring.poll() {
            match completion {
                Completion::Accepted(key) => {
                    accepted = true;
                    self.insert(now, key);
                }
                Completion::Refused => self.accept_at = Some(now + PAUSE),
                Completion::Received(key, bytes) => {
                    received = true;
                    self.receive(now, key, bytes);
                }
                Completion::Ended(key) => {
                    received = true;
                    if let Some(connection) = self.connection(key) {
                        connection.has_ended = true;
                        self.read_on(now, key);
                    }
                }
                Completion::Paused(key) => self.read_on(now, key),
                Completion::Writable(key) => {
                    if let Some(on) = self.connection(key).map(|connection| connection.on) {
                        self.hub.handle_writable(now, on);
                    }
                }
                Completion::Failed(key) => self.lose(now, key),
            }
        }
        // The system's clock may have been adjusted since.
        if accepted && let Ok(since_1970) = SystemTime::now().duration_since(UNIX_EPOCH) {
            self.hub.set_wall_clock(now, since_1970);
        }
        // Bytes that wait to be read are signs of life, so the clock comes last: when nothing was left to read, or
        // after so many rounds; and not before the connections of this round have been read, for as long again.
        self.crowded = if accepted || received { self.crowded + 1 } else { MAX_CROWDED };
        if self.crowded >= MAX_CROWDED && (!accepted || self.crowded >= 2 * MAX_CROWDED) {
            self.crowded = 0;
            self.hub.handle_timeout(now);
        }
        Ok(())
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    /// Hands bytes to the hub, or keeps them for later.
    fn receive(&mut self, now: Time, key: Key, received: Received) {
        if let Some(connection) = find(&mut self.connections, key) {
            if connection.kept.is_empty() && self.hub.is_reading(connection.on) {
                self.hub.handle_bytes(now, connection.on, self.ring.bytes(&received));
                self.ring.receive(key);
            } else {
                connection.kept.extend_from_slice(self.ring.bytes(&received));
                self.ring.pause(key);
            }
        }
        self.ring.recycle(received);
    }

    /// Hands to the hub what was kept as far as it wants it, and receives again behind that.
    fn read_on(&mut self, now: Time, key: Key) {
        let Some(connection) = find(&mut self.connections, key) else { return };
        let on = connection.on;
        let mut taken = 0;
        while taken < connection.kept.len() && self.hub.is_reading(on) {
            let end = connection.kept.len().min(taken + CHUNK);
            self.hub.handle_bytes(now, on, &mut connection.kept[taken..end]);
            taken = end;
        }
        connection.kept.drain(..taken);
        if !connection.kept.is_empty() || !self.hub.is_reading(on) {
            return;
        }
        connection.kept = Vec::new();
        if connection.has_ended {
            self.hub.handle_eof(now, on);
        } else {
            self.ring.receive(key);
        }
    }

    fn insert(&mut self, now: Time, key: Key) {
        let on = self.hub.handle_accepted(now);
        let connection = Connection { key, on, kept: Vec::new(), has_ended: false };
        put(&mut self.connections, key.index(), connection);
        put(&mut self.keys, on.index(), (on, key));
    }

    fn lose(&mut self, now: Time, key: Key) {
        if let Some(on) = self.connection(key).map(|connection| connection.on) {
            self.hub.handle_lost(now, on);
            self.remove(on);
            self.ring.abort(key);
        }
    }

    fn remove(&mut self, on: ConnectionId) -> Option<Key> {
        let key = self.key(on)?;
        self.keys[on.index()] = None;
        self.connections[key.index()] = None;
        Some(key)
    }

    fn key(&self, on: ConnectionId) -> Option<Key> {
        let (named, key) = (*self.keys.get(on.index())?)?;
        (named == on).then_some(key)
    }

    fn connection(&mut self, key: Key) -> Option<&mut Connection> {
        find(&mut self.connections, key)
    }
}

fn find(connections: &mut [Option<Connection>], key: Key) -> Option<&mut Connection> {
    connections.get_mut(key.index())?.as_mut().filter(|connection| connection.key == key)
}

fn put<T>(table: &mut Vec<Option<T>>, index: usize, value: T) {
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    table[index] = Some(value);
}

/// Fills `buffer` with bytes that nobody can guess: session ids are made of them.
#[expect(clippy::expect_used, reason = "a server without entropy must not serve")]
pub(crate) fn entropy(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

/// Bytes that the hub is given at once of those kept.
const CHUNK: usize = 64 * 1024;

/// Rounds in which something has come before the clock is looked at nevertheless. The kernel takes as few as 20
/// completions into one round while thousands wait.
const MAX_CROWDED: usize = 64;

/// How long a closed connection has for its last bytes, of which there is not more than a buffer.
const LINGER: Duration = Duration::from_secs(5);

/// Before it is tried again to accept.
const PAUSE: Duration = Duration::from_millis(5);
