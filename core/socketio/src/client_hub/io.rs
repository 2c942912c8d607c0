//! Connections of a client.

use enginewire::{ClientHub as Engine, Compressing, Time, Url};

use super::{ClientEngine, ClientHub, ConnectionId};

/// Network inputs. A name that the hub has forgotten is ignored.
impl ClientHub {
    /// Handles a connection that was asked for, and is there, or is encrypted.
    ///
    /// Returns false if it is not wanted any more and can be closed.
    pub fn handle_connected(&mut self, now: Time, on: ConnectionId) -> bool {
        self.set_now(now);
        self.engine_at(on.serial).is_some_and(|engine| engine.handle_connected(now, on.id))
    }

    /// Handles a connection that was asked for, and is not to be had or encrypted. The name is forgotten.
    pub fn handle_refused(&mut self, now: Time, on: ConnectionId) {
        self.with_engine(now, on, |engine| engine.handle_refused(now, on.id));
    }

    /// Handles bytes that came. They may be changed.
    pub fn handle_bytes(&mut self, now: Time, on: ConnectionId, bytes: &mut [u8]) {
        self.with_engine(now, on, |engine| engine.handle_bytes(now, on.id, bytes));
    }

    /// Handles that the server has closed its side of the connection, which can be closed.
    pub fn handle_eof(&mut self, now: Time, on: ConnectionId) {
        self.with_engine(now, on, |engine| engine.handle_eof(now, on.id));
    }

    /// Handles a connection that has failed. The name is forgotten.
    pub fn handle_lost(&mut self, now: Time, on: ConnectionId) {
        self.with_engine(now, on, |engine| engine.handle_lost(now, on.id));
    }

    /// Handles a connection that did not take the last `left` bytes handed out.
    ///
    /// It is for loops that keep those.
    ///
    /// See [`ClientHub::handle_blocked`](Engine::handle_blocked) of Engine.IO.
    pub fn handle_blocked(&mut self, now: Time, on: ConnectionId, left: usize) {
        self.with_engine(now, on, |engine| engine.handle_blocked(now, on.id, left));
    }

    /// Handles a connection that takes bytes again.
    pub fn handle_writable(&mut self, now: Time, on: ConnectionId) {
        self.with_engine(now, on, |engine| engine.handle_writable(now, on.id));
    }
}

/// The clock.
impl<E: ClientEngine> ClientHub<E> {
    /// Handles deadlines that have passed. Does nothing before that of [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Time) {
        self.set_now(now);
        let past = self.ending.iter_mut().map(|(_, engine)| engine);
        self.engine.iter_mut().chain(past).for_each(|engine| engine.handle_timeout(now));
        // A session that has ended by now is told first: it may be what a socket waits for.
        self.take_engine_events();
        self.manager.handle_timeout(now, &mut self.engine);
    }
}

/// Connections.
impl ClientHub {
    /// Writes what is queued for a connection, see [`ClientHub::transmit`](Engine::transmit) of Engine.IO.
    ///
    /// # Panics
    ///
    /// If `write` claims to have taken more than it was given.
    pub fn transmit(&mut self, now: Time, on: ConnectionId, write: impl FnMut(&[u8]) -> usize) {
        self.with_engine(now, on, |engine| engine.transmit(now, on.id, write));
    }

    /// Takes messages for a connection, and leaves compressing to the caller. [`put_back`](Self::put_back) follows.
    ///
    /// `None` if nothing is to be compressed: [`flush`](Self::flush) follows. See [`ClientHub::pull`](Engine::pull) of
    /// Engine.IO.
    pub fn pull(&mut self, on: ConnectionId) -> Option<Compressing> {
        self.engine_at(on.serial)?.pull(on.id)
    }

    /// Takes back what [`pull`](Self::pull) has given. [`flush`](Self::flush) follows.
    pub fn put_back(&mut self, on: ConnectionId, compressing: Compressing) {
        if let Some(engine) = self.engine_at(on.serial) {
            engine.put_back(on.id, compressing);
        }
    }

    /// Writes what was taken for a connection, see [`ClientHub::flush`](Engine::flush) of Engine.IO.
    ///
    /// # Panics
    ///
    /// If `write` claims to have taken more than it was given.
    pub fn flush(&mut self, now: Time, on: ConnectionId, write: impl FnMut(&[u8]) -> usize) {
        self.with_engine(now, on, |engine| engine.flush(now, on.id, write));
    }

    /// Returns the address to which a connection goes. `None` if the hub has forgotten the name.
    ///
    /// That of a proxy until its tunnel is open, see [`ClientHub::address`](Engine::address) of Engine.IO.
    pub fn address(&self, on: ConnectionId) -> Option<&Url> {
        self.find_engine_at(on.serial)?.address(on.id)
    }

    /// Returns whether a connection should be read.
    ///
    /// Not while the application has too much to catch up with.
    pub fn is_reading(&self, on: ConnectionId) -> bool {
        self.find_engine_at(on.serial).is_some_and(|engine| engine.is_reading(on.id))
    }

    /// Returns the limit on the bytes of one [`handle_bytes`](Self::handle_bytes) of a connection.
    ///
    /// See [`ClientHub::max_read`](Engine::max_read) of Engine.IO.
    pub fn max_read(&self, on: ConnectionId) -> usize {
        let engine = self.find_engine_at(on.serial);
        engine.map_or(usize::MAX, |engine| engine.max_read(on.id))
    }

    /// Returns whether a connection is a WebSocket that may become the session's transport.
    ///
    /// It is best read before others, see [`ClientHub::is_probing`](Engine::is_probing) of Engine.IO.
    pub fn is_probing(&self, on: ConnectionId) -> bool {
        self.find_engine_at(on.serial).is_some_and(|engine| engine.is_probing(on.id))
    }

    fn with_engine(&mut self, now: Time, on: ConnectionId, f: impl FnOnce(&mut Engine)) {
        self.set_now(now);
        if let Some(engine) = self.engine_at(on.serial) {
            f(engine);
            // What follows from it may be actions of the same connection.
            self.take_engine_events();
        }
    }
}
