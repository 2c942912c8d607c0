//! Messages of the official adapters: a node of a cluster as Node.js servers know it, on a broker.
//!
//! [`Wire`] is a plain value without I/O and clock. It makes commands for a broker of the messages of a
//! [`Cluster`](super::Cluster), and messages for the cluster of what the broker delivers.

mod channel;
mod command;
mod config;
mod event;
mod heartbeat;
mod ids;
mod namespace;
mod subscriptions;

use alloc::{collections::VecDeque, sync::Arc};
use core::fmt;

use bytes::Bytes;
use enginewire::Time;

pub use self::{
    command::{AttachmentHead, Command, Subscription},
    config::{
        ClassicConfig, Format, HeartbeatsConfig, StreamsConfig, SubscriptionMode, WireConfig,
    },
    event::{Blame, WireError, WireEvent, WireFault},
};
use self::{ids::Ids, namespace::Namespaces, subscriptions::Subscriptions};
use super::Message;
use crate::Room;

/// One node on one broker, as the nodes of an official adapter know it.
///
/// # The loop around it
///
/// Carry out all commands in order, and pass on all events, after each call of a `handle_` method or of
/// [`send`](Self::send). A broker that is connected is to be told first, with
/// [`handle_connected`](Self::handle_connected): before, nothing is subscribed to.
///
/// # Order
///
/// Commands are in the order of the calls. A [`Command::Count`] counts this node as well, so it must come behind its
/// subscription at the broker.
///
/// # Memory
///
/// It holds the names of namespaces and rooms of this node, and the requests of other nodes within
/// [`WireConfig::max_requests`]. Messages are held until they are polled.
pub struct Wire {
    config: WireConfig,
    ids: Ids,
    namespaces: Namespaces,
    subscriptions: Subscriptions,
    /// The number of other nodes, as it was last told.
    nodes: usize,
    /// When nodes are to be counted.
    count_at: Option<Time>,
    commands: VecDeque<Command>,
    events: VecDeque<WireEvent>,
}

impl Wire {
    /// Creates a node without namespaces, on a broker that is not connected yet.
    ///
    /// `seed` has to differ between the nodes of a cluster, also from those of the past. Its ids are made of it.
    pub fn new(config: WireConfig, seed: u64) -> Self {
        Self {
            config,
            ids: Ids::new(seed),
            namespaces: Namespaces::default(),
            subscriptions: Subscriptions::default(),
            nodes: 0,
            count_at: None,
            commands: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Returns whether requests wait for a number of nodes. They do in all formats so far.
    ///
    /// With heartbeats the adapters of the other nodes are known, but each of their namespaces has one. A request
    /// waits for the adapters of its own namespace, and [`WireEvent::Asked`] says how many.
    pub const fn counts_nodes(&self) -> bool {
        true
    }

    /// Handles that a namespace exists on this node, or does no longer.
    pub fn handle_namespace(&mut self, now: Time, namespace: &Arc<str>, exists: bool) {
        let Self { config, ids, namespaces, subscriptions, commands, .. } = self;
        match exists {
            true => {
                namespaces.insert(config, ids, namespace, subscriptions, commands);
            }
            false => namespaces.remove(config, namespace, subscriptions, commands),
        }
        let _ = now;
    }

    /// Handles that a room has its first member on this node, or has lost the last one.
    ///
    /// Rooms of single sockets count as well. Only [`Format::Sharded`] needs it, and only for rooms that have a
    /// channel. A message for the room that is published before the subscription is lost.
    pub fn handle_room(&mut self, _now: Time, namespace: &str, room: &Room, exists: bool) {
        let Self { config, namespaces, subscriptions, commands, .. } = self;
        namespaces.set_room(config, namespace, room, exists, subscriptions, commands);
    }

    /// Sends a message to other nodes.
    ///
    /// One that cannot be written is dropped, with [`WireEvent::Faulty`].
    pub fn send(&mut self, _now: Time, _message: Message) {}

    /// Handles a message of a channel: of PUBLISH, SPUBLISH or NOTIFY.
    pub fn handle_published(&mut self, _now: Time, _channel: &str, _message: Bytes) {}

    /// Handles an entry of a stream: of XREAD.
    pub fn handle_entry(
        &mut self,
        _now: Time,
        _stream: &str,
        _id: &str,
        _fields: &[(&str, &[u8])],
    ) {
    }

    /// Handles the answer to a [`Command::Count`]: the number of subscribers of a channel.
    pub fn handle_count(&mut self, _now: Time, channel: &str, subscribers: usize) {
        let Self { config, namespaces, events, .. } = self;
        let prefix = match config.format {
            Format::Classic(_) => [&config.prefix, "-request"].concat(),
            _ => config.prefix.clone(),
        };
        let name = channel.strip_prefix(&*prefix).and_then(|rest| rest.strip_prefix('#'));
        let name = name.and_then(|rest| rest.strip_suffix('#'));
        let Some(namespace) = name.and_then(|name| namespaces.get_mut(name)) else { return };
        // One of them is this node. The broker may not know it yet.
        let nodes = subscribers.saturating_sub(1);
        namespace.nodes = nodes;
        let asking = core::mem::take(&mut namespace.asking);
        events.extend(asking.into_iter().map(|request| WireEvent::Asked { request, nodes }));
        self.tell_nodes();
    }

    /// Handles that the broker is connected, or is so no longer.
    ///
    /// When it is, all subscriptions are asked for anew.
    pub fn handle_connected(&mut self, now: Time, is_connected: bool) {
        self.subscriptions.set_connected(is_connected, &mut self.commands);
        self.count_at = (is_connected && self.namespaces.first().is_some()).then_some(now);
    }

    /// Handles that the time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, _now: Time) {}

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.count_at
    }

    /// Returns the next command for the broker.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<WireEvent> {
        self.events.pop_front()
    }

    /// Leaves the cluster: ends all subscriptions, and says goodbye where nodes have heartbeats.
    pub fn close(&mut self, now: Time) {
        let names: alloc::vec::Vec<_> =
            self.namespaces.iter().map(|(name, _)| Arc::clone(name)).collect();
        for name in names {
            self.handle_namespace(now, &name, false);
        }
    }

    fn tell_nodes(&mut self) {
        let nodes = self.namespaces.nodes();
        if core::mem::replace(&mut self.nodes, nodes) != nodes {
            self.events.push_back(WireEvent::Nodes(nodes));
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("is_connected", &self.subscriptions.is_connected())
            .field("subscriptions", &self.subscriptions.len())
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}
