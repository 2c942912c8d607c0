//! Connections to other nodes, to which requests for their sessions are handed over.

use alloc::{collections::BTreeMap, vec::Vec};

use bytes::Buf;

use super::{ConnectionId, Output, Role, ServerHub, Slot, find};
use crate::{
    carrier::{NodeState, Passage, Stream, WRITE_CHUNK, Written},
    node::NodeName,
    router::HandOverFault,
    time::Time,
    wire,
};

/// The connections to other nodes, each by that of the client whose request it is for.
#[derive(Default)]
pub(super) struct Links {
    links: BTreeMap<ConnectionId, Link>,
    /// Clients whose link has no connection yet.
    fresh: Vec<(ConnectionId, NodeName)>,
}

/// A connection to another node, between the relay of its client and a socket of the loop.
///
/// Holds as much as a socket takes at once, in each direction.
pub(super) struct Link {
    /// The name of the connection, once it has one.
    on: Option<ConnectionId>,
    state: State,
    to_node: wire::Output,
    from_node: wire::Output,
    /// The socket takes nothing for now.
    blocked: bool,
    /// The client sends nothing behind `to_node`.
    is_last: bool,
    /// The relay needs the link no more.
    is_over: bool,
    /// The loop was not to read it.
    stopped: bool,
    /// The sending side was shut down.
    is_shut: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Connected,
    /// The node sends nothing more.
    Ended,
    /// No connection could be made.
    Unreachable,
}

/// Task of the loop for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Write,
    Read,
    Shutdown,
}

impl ServerHub {
    /// Returns the client of a connection to another node.
    #[inline]
    pub(super) fn client_of(&self, on: ConnectionId) -> Option<ConnectionId> {
        if self.sessions.links.is_empty() {
            return None;
        }
        match self.connections.get(on.index)? {
            Slot { serial, role: Role::Node(client), .. } if *serial == on.serial => Some(*client),
            _ => None,
        }
    }

    /// Hands an input to the link of a client, and passes on what follows.
    pub(super) fn link_input(
        &mut self,
        now: Time,
        client: ConnectionId,
        input: impl FnOnce(&mut Link),
    ) {
        if let Some(link) = self.sessions.links.of(client) {
            input(link);
        }
        self.input(now, client, |_, _, _| {});
    }

    /// Does what follows from driving a connection whose request may be another node's.
    pub(super) fn follow_links(&mut self, now: Time, client: ConnectionId) {
        while let Some((client, node)) = self.sessions.links.next_fresh() {
            let serial = self.sessions.fresh_id();
            let index = self.connections.insert(Slot::new(serial, Role::Node(client)));
            let on = ConnectionId { index, serial };
            if let Some(link) = self.sessions.links.of(client) {
                link.set_connection(on);
            }
            self.sessions.outputs.push_back(Output::HandOver(on, node, client));
        }
        if self.sessions.links.of(client).is_none() {
            return;
        }
        let slot = find(&mut self.connections, client);
        let relayed = slot.and_then(Slot::connection).filter(|it| it.is_relayed());
        let is_blocked = relayed.map(|it| it.is_blocked());
        match (self.sessions.links.of(client), is_blocked) {
            (Some(link), Some(is_blocked)) if !link.is_over() => {
                while let Some((on, task)) = link.next_task() {
                    self.sessions.outputs.push_back(match task {
                        Task::Write => Output::Write(on),
                        Task::Read => Output::Read(on),
                        Task::Shutdown => Output::Shutdown(on),
                    });
                }
                // What is passed on at once is as much as a socket takes.
                if link.from_node.has_remaining() && !is_blocked {
                    self.wake(client);
                }
            }
            _ => self.unlink(now, client),
        }
    }

    /// Ends the link of a client, if it has one.
    pub(super) fn unlink(&mut self, now: Time, client: ConnectionId) {
        if let Some(on) = self.sessions.links.remove(client) {
            self.end(now, on);
        }
    }
}

impl Links {
    /// Adds the link of a client, which is to be connected to a node.
    pub(super) fn insert(&mut self, client: ConnectionId, node: NodeName) {
        let link = Link {
            on: None,
            state: State::Connecting,
            to_node: wire::Output::new(),
            from_node: wire::Output::new(),
            blocked: false,
            is_last: false,
            is_over: false,
            // Until it is connected.
            stopped: true,
            is_shut: false,
        };
        self.links.insert(client, link);
        self.fresh.push((client, node));
    }

    /// Takes a client whose link needs a connection.
    pub(super) fn next_fresh(&mut self) -> Option<(ConnectionId, NodeName)> {
        self.fresh.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    pub(super) fn of(&mut self, client: ConnectionId) -> Option<&mut Link> {
        self.links.get_mut(&client)
    }

    pub(super) fn get(&self, client: ConnectionId) -> Option<&Link> {
        self.links.get(&client)
    }

    /// Removes the link of a client. Returns the name of its connection, if that is there still.
    pub(super) fn remove(&mut self, client: ConnectionId) -> Option<ConnectionId> {
        self.fresh.retain(|&(fresh, _)| fresh != client);
        self.links.remove(&client)?.on
    }
}

/// The side of the loop.
impl Link {
    pub(super) const fn set_connection(&mut self, on: ConnectionId) {
        self.on = Some(on);
    }

    /// Takes bytes of the node.
    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) {
        self.from_node.put_slice(bytes);
    }

    /// Notes that the connection is there, or takes bytes again.
    pub(super) fn handle_writable(&mut self) {
        self.blocked = false;
        if self.state == State::Connecting {
            self.state = State::Connected;
        }
    }

    /// Notes that the node sends nothing more.
    pub(super) fn handle_eof(&mut self) {
        if self.state == State::Connected {
            self.state = State::Ended;
        }
    }

    /// Notes that the connection is lost, or could not be made.
    pub(super) fn handle_lost(&mut self) {
        self.on = None;
        self.to_node.clear();
        self.state = match self.state {
            State::Connecting => State::Unreachable,
            State::Connected | State::Ended => State::Ended,
            State::Unreachable => State::Unreachable,
        };
    }

    /// Writes to the socket as much as it takes.
    pub(super) fn transmit<S: Stream>(&mut self, stream: &mut S) -> Result<(), S::Error> {
        self.blocked = false;
        while self.to_node.has_remaining() && !self.blocked {
            match stream.write(&self.to_node)? {
                Written::Some(length) => self.to_node.advance(length),
                Written::Blocked => self.blocked = true,
            }
        }
        Ok(())
    }

    pub(super) fn is_reading(&self) -> bool {
        self.state == State::Connected && self.from_node.remaining() < WRITE_CHUNK
    }

    /// Returns whether the relay needs the link no more.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns the connection and a task for it that has come up.
    pub(super) fn next_task(&mut self) -> Option<(ConnectionId, Task)> {
        let on = self.on.filter(|_| self.state != State::Connecting)?;
        let stopped = !self.is_reading();
        if core::mem::replace(&mut self.stopped, stopped) && !stopped {
            return Some((on, Task::Read));
        }
        if self.blocked || self.is_shut {
            return None;
        }
        if self.to_node.has_remaining() {
            // Once, until it has written.
            self.blocked = true;
            return Some((on, Task::Write));
        }
        self.is_shut = self.is_last;
        self.is_last.then_some((on, Task::Shutdown))
    }
}

/// The side of the relay.
impl Link {
    /// Passes bytes between the relay and the buffers of the loop.
    pub(super) fn pass(&mut self, passage: Passage<'_>) -> Result<NodeState, HandOverFault> {
        let Passage { to_node, is_last, mut room, from_node } = passage;
        match self.state {
            State::Connecting => return Ok(NodeState::Open),
            State::Unreachable => {
                self.is_over = true;
                return Err(HandOverFault::Unreachable);
            }
            State::Connected if self.to_node.is_empty() => {
                core::mem::swap(to_node, &mut self.to_node);
            }
            State::Connected => {}
            // The node does not read what it has responded to already.
            State::Ended => to_node.clear(),
        }
        self.is_last = is_last && to_node.is_empty();
        while room > 0 && self.from_node.has_remaining() {
            let chunk = self.from_node.chunk();
            let length = chunk.len().min(room);
            from_node(&chunk[..length]);
            self.from_node.advance(length);
            room -= length;
        }
        if self.state == State::Ended && self.from_node.is_empty() {
            self.is_over = true;
            return Ok(NodeState::Ended);
        }
        Ok(NodeState::Open)
    }
}
