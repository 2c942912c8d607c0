//! Messages of the official adapters, as nodes of Node.js write and read them.
//!
//! [`Wire`] is a plain value without I/O and clock. It makes commands for a broker of the messages of a
//! [`Cluster`](super::Cluster), and messages for the cluster of what the broker delivers. The formats are those of
//! [`Format`]:
//!
//! | format | messages go by | requests count the nodes by |
//! |---|---|---|
//! | [`Classic`](Format::Classic) | PUBLISH | PUBSUB NUMSUB |
//! | [`Sharded`](Format::Sharded) | SPUBLISH | PUBSUB SHARDNUMSUB |
//! | [`Streams`](Format::Streams) | XADD; requests by PUBLISH or SPUBLISH | PUBSUB NUMSUB or SHARDNUMSUB |
//! | [`Heartbeats`](Format::Heartbeats) | NOTIFY | heartbeats |
//!
//! With streams the nodes [share a log](Wire::has_log): the stream, and the states of sockets beside it, as npm
//! `@socket.io/redis-streams-adapter` has them. Clients come back on any node then, those of Node.js among them.
//!
//! Nodes of two formats do not hear each other. A classic node of Node.js dies of a message of streams: with both on one
//! Redis give them prefixes of their own.
//!
//! ```
//! use enginewire::Time;
//! use enginewire_socketio::{
//!     Args,
//!     adapter::Target,
//!     cluster::{
//!         Broadcast, Message, Operation,
//!         wire::{Command, Format, SubscriptionMode, Wire, WireConfig, WireEvent},
//!     },
//! };
//!
//! let now = Time::ZERO;
//! let config = WireConfig::new(Format::Sharded(SubscriptionMode::Dynamic));
//! let [mut first, mut second] = [1, 2].map(|seed| {
//!     let mut wire = Wire::new(config.clone(), seed);
//!     wire.handle_connected(now, true);
//!     wire.handle_namespace(now, &"/".into(), true);
//!     wire
//! });
//! // The room has a member on the second node.
//! second.handle_room(now, "/", &"chat".into(), true);
//! while let Some(command) = second.poll_command() {
//!     assert!(matches!(command, Command::Subscribe(_))); // SSUBSCRIBE
//! }
//!
//! let operation = Operation::Broadcast(Broadcast::new(Target::all().to("chat"), Args::event("hi", &1)?));
//! first.send(now, Message { to: None, namespace: "/".into(), operation });
//! while let Some(command) = first.poll_command() {
//!     // SPUBLISH, which the broker delivers to all that have subscribed.
//!     if let Command::Publish { channel, message, .. } = command {
//!         assert_eq!(&*channel, "socket.io#/#chat#");
//!         second.handle_published(now, &channel, message);
//!     }
//! }
//! assert!(matches!(second.poll_event(), Some(WireEvent::Message { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod channel;
mod classic;
mod command;
mod config;
mod emitter;
mod event;
mod fields;
mod foreign;
mod heartbeat;
mod ids;
mod incoming;
mod log;
mod messages;
mod namespace;
mod out;
mod part;
mod presence;
mod receive;
mod send;
mod session;
mod subscriptions;
#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::fmt;

use bytes::Bytes;
use enginewire::{Time, carrier::GracePeriod};

pub use self::{
    command::{AttachmentHead, Command, Subscription},
    config::{
        ClassicConfig, Format, HeartbeatsConfig, StreamsConfig, SubscriptionMode, WireConfig,
    },
    emitter::{EmitError, Emitter},
    event::{Blame, WireError, WireEvent, WireFault},
    log::EntryFields,
};
use self::{
    foreign::ForeignRequests,
    ids::{EMITTER, Ids},
    log::Log,
    messages::{HELLO, Sender},
    namespace::Namespaces,
    subscriptions::Subscriptions,
};
use super::{Message, Operation, RequestId, Response};
use crate::{EncodeError, Room};

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
/// It holds the names of namespaces and rooms of this node, and the requests of other nodes and of its own within
/// [`WireConfig::max_requests`]. Messages are held until they are polled.
///
/// Requests to the log are held until they are responded to, for [`WireConfig::request_timeout`] at most, and a grace
/// period. With each are the entries that were read for it, within its [`ReadLimits`](super::ReadLimits). Their number is
/// the owner's to limit.
pub struct Wire {
    config: WireConfig,
    ids: Ids,
    namespaces: Namespaces,
    subscriptions: Subscriptions,
    /// Requests of other nodes, to be answered.
    foreign: ForeignRequests,
    log: Log,
    /// The number of other nodes, as it was last told.
    nodes: usize,
    /// When nodes are to be counted.
    count_at: Option<Time>,
    /// When a heartbeat is due, at the earliest.
    beat_at: Option<Time>,
    /// When to look for nodes that are silent.
    sweep_at: Option<Time>,
    grace: GracePeriod,
    is_closed: bool,
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
            foreign: ForeignRequests::default(),
            log: Log::default(),
            nodes: 0,
            count_at: None,
            beat_at: None,
            sweep_at: None,
            grace: GracePeriod::new(),
            is_closed: false,
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
        if exists {
            self.enter(now, namespace);
        } else if self.namespaces.get(namespace).is_some() {
            self.leave(now, namespace);
            self.foreign.remove_namespace(namespace);
            let Self { config, namespaces, subscriptions, commands, .. } = self;
            namespaces.remove(config, namespace, subscriptions, commands);
            self.tell_nodes();
        }
        self.schedule_count(now);
    }

    /// Handles that a room has its first member here, or has lost the last.
    ///
    /// Rooms of single sockets count as well. Only [`Format::Sharded`] needs it, and only for rooms that have a
    /// channel. A message for the room that is published before the subscription is lost.
    pub fn handle_room(&mut self, _now: Time, namespace: &str, room: &Room, exists: bool) {
        let Self { config, namespaces, subscriptions, commands, .. } = self;
        namespaces.set_room(config, namespace, room, exists, subscriptions, commands);
    }

    /// Sends a message to other nodes.
    ///
    /// One that cannot be written is dropped, with [`WireEvent::Faulty`]. Its request is told to wait for no node.
    ///
    /// An operation in a namespace that was not told of is sent as an [`Emitter`] does. One that expects responses has
    /// the namespace exist from now on.
    pub fn send(&mut self, now: Time, message: Message) {
        let Message { namespace, operation, .. } = message;
        match operation {
            Operation::Respond { request, response } => self.respond(request, &response),
            Operation::Log(request) => {
                self.know(now, &namespace);
                self.send_log(now, &namespace, request);
            }
            operation => self.ask(now, &namespace, &operation),
        }
    }

    /// Handles a message of a channel: of PUBLISH, SPUBLISH or NOTIFY.
    ///
    /// Its own messages may be among them.
    pub fn handle_published(&mut self, now: Time, channel: &str, message: Bytes) {
        self.receive(now, channel, message, false);
    }

    /// Handles a message that was stored apart, as [`Command::Fetch`] asks for it.
    pub fn handle_fetched(&mut self, now: Time, channel: &str, message: Bytes) {
        self.receive(now, channel, message, true);
    }

    /// Handles an entry of a stream: of XREAD. Go on behind it, whatever comes of it.
    ///
    /// Its id is the [`Broadcast::offset`](super::Broadcast::offset) of an event that is not volatile.
    /// Binary data are text in it, so the entry is copied.
    pub fn handle_entry(&mut self, now: Time, stream: &str, id: &str, fields: &[(&str, &[u8])]) {
        self.receive_entry(now, stream, id, fields);
    }

    /// Handles the answer to a [`Command::Count`]: the number of subscribers of a channel.
    ///
    /// The request is that of the command. Later ones go on waiting, because they may have reached other nodes.
    pub fn handle_count(
        &mut self,
        _now: Time,
        channel: &str,
        request: Option<RequestId>,
        subscribers: usize,
    ) {
        self.counted(channel, request, subscribers);
    }

    /// Handles that the broker is connected, or is so no longer.
    ///
    /// When it is, all subscriptions are asked for anew.
    pub fn handle_connected(&mut self, now: Time, is_connected: bool) {
        if !is_connected {
            self.log.forget_requests();
        }
        self.subscriptions.set_connected(is_connected, &mut self.commands);
        self.present_all(now, is_connected);
        self.count_at = None;
        self.schedule_count(now);
    }

    /// Returns the number of channels, patterns and streams that this node listens to.
    ///
    /// When the broker is connected, so many [`Command::Subscribe`] come before all other commands.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Returns whether this node listens to a channel, a pattern or a stream.
    pub fn is_subscribed(&self, subscription: &Subscription) -> bool {
        self.subscriptions.contains(subscription)
    }

    /// Handles that the time of [`poll_timeout`](Self::poll_timeout) has come. Earlier it does nothing.
    ///
    /// If it is called late, the broker and other nodes have a grace period, because what came of them may lie unread.
    pub fn handle_timeout(&mut self, now: Time) {
        let awaited = [self.log.next_deadline(), self.foreign.next_deadline(), self.sweep_at];
        let first = awaited.into_iter().flatten().min();
        if let Some(due) = first.filter(|&due| due <= now)
            && let Some(until) = self.grace.extend(due, now)
        {
            self.log.extend_deadlines(until);
            self.foreign.extend_deadlines(until);
            self.sweep_at = self.sweep_at.map(|at| at.max(until));
        }
        self.foreign.expire(now);
        self.log.expire(now);
        self.handle_presence(now);
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        let (foreign, log) = (self.foreign.next_deadline(), self.log.next_deadline());
        let all = [self.count_at, self.beat_at, self.sweep_at, foreign, log];
        all.into_iter().flatten().min()
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
    ///
    /// Later calls do nothing, but for [`send`](Self::send), which tells requests to wait for no node.
    pub fn close(&mut self, now: Time) {
        self.is_closed = true;
        let names: Vec<_> = self.namespaces.iter().map(|(name, _)| Arc::clone(name)).collect();
        for name in names {
            self.handle_namespace(now, &name, false);
        }
    }

    fn enter(&mut self, now: Time, name: &Arc<str>) {
        if self.is_closed {
            return;
        }
        if !self.has_channel(name) {
            return;
        }
        let Self { config, ids, namespaces, subscriptions, commands, .. } = self;
        if namespaces.insert(config, ids, name, subscriptions, commands) {
            // Behind the subscription, so that the answers are heard.
            self.present(now, name, HELLO);
        }
    }

    /// Returns whether the broker has a channel for a namespace, whose name may be too long for it.
    fn has_channel(&mut self, name: &str) -> bool {
        let Format::Heartbeats(heartbeats) = &self.config.format else { return true };
        let (channel, max) = (self.config.channel(name), heartbeats.max_channel);
        let is_short = channel.len() <= max;
        if !is_short {
            let fault = WireFault::Channel { size: channel.len(), max };
            self.fault(&channel, fault, Blame::Application);
        }
        is_short
    }

    /// Has a namespace exist that was not told of.
    fn know(&mut self, now: Time, name: &Arc<str>) {
        if self.namespaces.get(name).is_none() {
            self.handle_namespace(now, name, true);
        }
    }

    fn ask(&mut self, now: Time, name: &Arc<str>, operation: &Operation) {
        let request = match operation {
            Operation::Broadcast(broadcast) => broadcast.request,
            Operation::FetchSockets { request, .. } => Some(*request),
            Operation::ServerSideEmit { request, .. } => *request,
            _ => None,
        };
        let none = |request| WireEvent::Asked { request, nodes: 0 };
        if request.is_some() {
            self.know(now, name);
        }
        let own = self.namespaces.get(name).map(|(_, namespace)| Arc::clone(&namespace.uid));
        let uid = match own {
            Some(uid) => uid,
            // Other nodes would wait for one that they have heard of.
            None if request.is_none() && !self.is_closed && self.has_channel(name) => {
                EMITTER.into()
            }
            None => {
                // It has too long a channel, or this node is closed.
                self.events.extend(request.map(none));
                return;
            }
        };
        let text = request.map(|request| self.ids.request(request));
        let sender = Sender { uid: &uid, namespace: name };
        match self.config.operation(&sender, operation, text.as_deref()) {
            Ok(command) => {
                self.commands.push_back(command);
                self.restart_beat(now, name, operation);
                if let Some(request) = request {
                    self.count_for(now, name, request);
                }
            }
            Err(error) => {
                self.payload_fault(name, error);
                self.events.extend(request.map(none));
            }
        }
    }

    fn respond(&mut self, request: RequestId, response: &Response) {
        let Some(to) = self.foreign.respond(request, response) else { return };
        let Some((name, namespace)) = self.namespaces.get(&to.namespace) else { return };
        let sender = Sender { uid: &namespace.uid, namespace: name };
        match self.config.response(&sender, &to, response) {
            Ok(command) => self.commands.extend(command),
            Err(error) => self.payload_fault(&to.namespace, error),
        }
    }

    fn payload_fault(&mut self, namespace: &str, error: EncodeError) {
        let channel = self.config.channel(namespace);
        self.fault(&channel, WireFault::Payload(error), Blame::Application);
    }

    fn publisher_fault(&mut self, channel: &str, fault: WireFault) {
        self.fault(channel, fault, Blame::Publisher);
    }

    fn fault(&mut self, channel: &str, fault: WireFault, blame: Blame) {
        let channel = channel::public_part(channel).into();
        self.events.push_back(WireEvent::Faulty(WireError { channel, fault, blame }));
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
            .field("requests", &self.foreign.len())
            .finish_non_exhaustive()
    }
}
