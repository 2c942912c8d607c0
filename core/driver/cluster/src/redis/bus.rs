//! The bus: a wire, and the connections that carry its commands.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use enginewire::Time;
use enginewire_driver::{
    Runtime, Sleep,
    socketio::{Bus, BusEvent, Message, Room},
};
use enginewire_socketio::cluster::wire::{
    Command, Format, Subscription, SubscriptionMode, Wire, WireConfig, WireEvent,
};

use super::{
    builder::RedisBuilder,
    commands::{self, Sent},
    emitter::Emitter,
    error::{RedisError, RedisFault},
    monitor::{Counters, RedisMonitor},
    options::Shared,
    resp::{ServerError, Value},
    servers::Servers,
    streams::{self, Read, Reader},
    transport::{Event, fill_random},
};
use crate::trace::trace;

/// Bus on Redis, for [`IoBuilder::cluster`](enginewire_driver::socketio::IoBuilder::cluster).
///
/// See the [module](super) for formats, faults and what is bounded.
pub struct Redis<R: Runtime> {
    shared: Arc<Shared<R>>,
    format: Format,
    wire: Wire,
    servers: Servers<R, Sent>,
    /// Channels of shards that have moved to another server, and are to be subscribed to there.
    moved: VecDeque<Bytes>,
    /// Reads the streams, in the format of streams.
    reader: Option<Reader<R>>,
    phase: Phase,
    /// Subscriptions of the time when the connection was opened that are not sent. They are ahead of all others.
    opening: usize,
    /// Subscriptions of that time that are not confirmed.
    restoring: usize,
    /// Streams that are new, and whose last entry is not known.
    locating: usize,
    /// An event that is not taken yet. Nothing more is read until it is.
    event: Option<BusEvent>,
    sleep: Sleep<R>,
    is_closing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Up,
    Down,
    /// Connected again, but not all subscriptions are confirmed, or streams are not read.
    Restoring,
}

impl<R: Runtime + Default> Redis<R> {
    /// Connects to the server of a URL, with the defaults.
    ///
    /// The URL is `redis://[[user]:password@]host[:port][/database]`, or begins with `rediss` for TLS. A server of a Redis
    /// Cluster says so, and the others are learnt from it. Several are separated by commas: the first that responds is
    /// asked. The format is the [classic](RedisBuilder::classic) one. Only the first attempt counts here: a connection that
    /// is lost later is made anew. Dropping the future drops the attempt.
    ///
    /// # Errors
    ///
    /// The URL is not valid, or the server cannot be reached, refuses the login or is too old, as [`RedisError`] says.
    pub async fn connect(url: &str) -> Result<Self, RedisError> {
        Self::builder(url).connect().await
    }

    /// Connects to a server, to send to a cluster without being a node.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn emitter(url: &str) -> Result<Emitter, RedisError> {
        Self::builder(url).emitter().await
    }

    /// Sets up a bus on the server of a URL.
    pub fn builder(url: &str) -> RedisBuilder<R> {
        RedisBuilder::new(url)
    }
}

impl<R: Runtime> Redis<R> {
    /// Makes a bus of a connection that is open.
    pub(super) fn new(
        shared: Arc<Shared<R>>,
        config: WireConfig,
        servers: Servers<R, Sent>,
    ) -> Self {
        let mut seed = [0; 8];
        fill_random(&mut seed);
        let format = config.format.clone();
        let reads = matches!(format, Format::Streams(_));
        let reader = reads.then(|| Reader::new(&shared, servers.is_cluster()));
        let mut wire = Wire::new(config, u64::from_ne_bytes(seed));
        wire.handle_connected(shared.runtime.clock().now(), true);
        shared.counters.is_up.store(true, Ordering::Relaxed);
        Self {
            shared,
            format,
            wire,
            servers,
            moved: VecDeque::new(),
            reader,
            phase: Phase::Up,
            opening: 0,
            restoring: 0,
            locating: 0,
            event: None,
            sleep: Sleep::default(),
            is_closing: false,
        }
    }

    /// Returns a handle that tells how the bus is doing while a server has it.
    pub fn monitor(&self) -> RedisMonitor {
        RedisMonitor(Arc::clone(&self.shared.counters))
    }

    /// Does what can be done, up to the next event or the end of the turn. Other tasks come first then.
    fn advance(&mut self, cx: &mut Context<'_>, turn: &mut usize) {
        // A turn is short, and its time one.
        let mut now = self.now();
        if self.event.is_none() && self.wire.poll_timeout().is_some_and(|due| due <= now) {
            self.wire.handle_timeout(now);
        }
        while self.event.is_none() {
            let Some(left) = turn.checked_sub(1) else {
                cx.waker().wake_by_ref();
                break;
            };
            *turn = left;
            self.pass_commands();
            if let Some(event) = self.wire.poll_event() {
                self.event = self.translate(event);
            } else if self.phase == Phase::Restoring && self.is_subscribed() {
                self.restored();
            } else if let Poll::Ready(event) = self.servers.poll(cx) {
                self.handle(now, event);
            } else if let Some(read) = self.poll_reader(cx) {
                self.handle_read(now, read);
            } else if self.poll_sleep(cx) {
                now = self.now();
                self.wire.handle_timeout(now);
            } else {
                break;
            }
        }
        let (commands, bytes) = self.servers.in_flight();
        let Counters { in_flight, in_flight_bytes, .. } = &*self.shared.counters;
        in_flight.store(commands, Ordering::Relaxed);
        in_flight_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Gives commands of the wire to the connection, as long as it has room.
    fn pass_commands(&mut self) {
        while self.servers.has_room() {
            if let Some(channel) = self.moved.pop_front() {
                let (sent, place, responds, arguments) = commands::resubscribe(&channel);
                self.servers.push(sent, place, responds, &arguments);
                continue;
            }
            let Some(command) = self.wire.poll_command() else { return };
            let is_of_opening = self.opening > 0;
            if let Command::Subscribe(_) = &command {
                self.opening = self.opening.saturating_sub(1);
            }
            match &command {
                Command::Subscribe(Subscription::Stream(_)) => self.locating += 1,
                Command::Unsubscribe(Subscription::Stream(stream)) => {
                    if let Some(reader) = &mut self.reader {
                        reader.stop(stream);
                    }
                }
                _ => {}
            }
            commands::encode(command, is_of_opening, |sent, place, responds, arguments| {
                self.servers.push(sent, place, responds, arguments);
            });
        }
    }

    fn translate(&self, event: WireEvent) -> Option<BusEvent> {
        Some(match event {
            WireEvent::Joined(node) => BusEvent::Joined(node),
            WireEvent::Lost(node) => BusEvent::Lost(node),
            WireEvent::Nodes(nodes) => BusEvent::Nodes(nodes),
            WireEvent::Asked { request, nodes } => BusEvent::Asked { request, nodes },
            WireEvent::Message { from, namespace, operation } => {
                BusEvent::Message { from, namespace, operation }
            }
            WireEvent::Appended { append, entry } => BusEvent::Appended { append, entry },
            WireEvent::AppendFailed(append) => BusEvent::AppendFailed(append),
            WireEvent::LogRewound => BusEvent::LogRewound,
            WireEvent::Logged { request, response } => BusEvent::Logged { request, response },
            WireEvent::Faulty(error) => {
                self.drop_message(&error);
                return None;
            }
            // There are no others in this version.
            _ => return None,
        })
    }

    fn drop_message(&self, _error: &dyn Error) {
        trace!(WARN, error = %_error, "a message of the cluster is dropped");
        self.shared.counters.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn handle(&mut self, now: Time, event: Event<Sent>) {
        match event {
            Event::Opened => {
                self.locating = 0;
                self.phase = Phase::Restoring;
                self.wire.handle_connected(now, true);
                self.restoring = self.wire.subscriptions();
                self.opening = self.restoring;
                // So that those are confirmed before there is anything else.
                self.pass_commands();
            }
            Event::Lost(error, sent) => {
                let lost = sent.len() + self.servers.forget();
                self.moved.clear();
                self.wire.handle_connected(now, false);
                (self.opening, self.restoring, self.locating) = (0, 0, 0);
                self.lose(Phase::Down, self.shared.lost(error, lost));
            }
            Event::Response(sent, response) => self.handle_response(now, &sent, response),
            Event::Message(channel, Some(message)) => {
                // Names of channels of this node are text.
                if let Ok(channel) = str::from_utf8(&channel) {
                    self.wire.handle_published(now, channel, message);
                }
            }
            Event::Message(_, None) => self.drop_large(),
            Event::Unsubscribed { channel, .. } => self.handle_unsubscribed(channel),
        }
    }

    /// Subscribes again to a channel whose slot has moved, unless it is this node that has ended the subscription.
    fn handle_unsubscribed(&mut self, channel: Bytes) {
        let name = str::from_utf8(&channel).ok().map(|name| Subscription::Shard(name.into()));
        if self.servers.is_open() && name.is_some_and(|name| self.wire.is_subscribed(&name)) {
            trace!(DEBUG, "a channel has moved to another server of the Redis Cluster");
            self.moved.push_back(channel);
        }
    }

    fn handle_response(&mut self, now: Time, sent: &Sent, response: Result<Value, ServerError>) {
        // Later ones may go on for ever.
        let is_of_opening = sent.is_of_opening();
        self.restoring = self.restoring.saturating_sub(usize::from(is_of_opening));
        if let Sent::Last { .. } = sent {
            self.locating = self.locating.saturating_sub(1);
        }
        let value = match response {
            Ok(value) => value,
            Err(error) if commands::is_fatal(sent, &error) => {
                return self.servers.fail(RedisFault::of_command(sent.name(), &error));
            }
            Err(_error) => {
                trace!(WARN, command = sent.name(), error = %_error, "Redis has refused a command");
                self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
                if let Sent::Append(Some(append)) = sent {
                    self.event = Some(BusEvent::AppendFailed(*append));
                }
                // One that waits is told that there is nothing.
                Value::Null
            }
        };
        match sent {
            Sent::Count(channel, request) => {
                if let Some(count) = commands::count(&value) {
                    self.wire.handle_count(now, channel, *request, count);
                }
            }
            Sent::Last { stream, .. } => {
                if let (Some(reader), Some(last)) = (&mut self.reader, streams::last(&value)) {
                    let position = reader.start(stream, last, is_of_opening);
                    self.wire.handle_position(stream, position);
                }
            }
            Sent::Take(request) => {
                self.wire.handle_taken(*request, value.as_bytes().map(|value| &value[..]));
            }
            Sent::Read(request) => {
                let (entries, is_complete) = streams::entries(&value);
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(id, fields)| (id.to_string(), streams::texts(fields)))
                    .collect();
                let entries: Vec<_> =
                    entries.iter().map(|(id, fields)| (id.as_str(), &fields[..])).collect();
                self.wire.handle_read(*request, &entries, is_complete);
            }
            _ => {}
        }
    }

    /// Notes that messages are missed from now on.
    fn lose(&mut self, phase: Phase, error: RedisError) {
        if self.phase == Phase::Up {
            self.shared.counters.is_up.store(false, Ordering::Relaxed);
            self.event = Some(BusEvent::Down(Box::new(error)));
        } else {
            trace!(DEBUG, error = %error, "the bus of the cluster is still disconnected");
        }
        self.phase = phase;
    }

    /// Returns whether everything arrives: all subscriptions are confirmed, on a connection that was not given up over one
    /// of them, and streams are read.
    fn is_subscribed(&self) -> bool {
        let reads = self.reader.as_ref().is_none_or(Reader::is_ready);
        self.restoring == 0 && self.servers.is_open() && reads
    }

    /// Notes that everything arrives again.
    fn restored(&mut self) {
        self.servers.settle();
        self.phase = Phase::Up;
        self.shared.counters.is_up.store(true, Ordering::Relaxed);
        self.event = Some(BusEvent::Up);
    }

    /// Returns what the reader has.
    ///
    /// On a new connection the server may be an older one. The positions stay until it is known where its streams end.
    fn poll_reader(&mut self, cx: &mut Context<'_>) -> Option<Read> {
        let reader = self.reader.as_mut().filter(|_| self.restoring == 0)?;
        match reader.poll(cx, self.locating == 0) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        }
    }

    fn handle_read(&mut self, now: Time, read: Read) {
        match read {
            Read::Entry(entry) => match &entry.fields {
                Some(fields) => {
                    let id = entry.id.to_string();
                    self.wire.handle_entry(now, &entry.stream, &id, &streams::texts(fields));
                }
                None => self.drop_large(),
            },
            Read::Missed(entries) => {
                self.shared.counters.trimmed.fetch_add(entries, Ordering::Relaxed);
                self.event = Some(BusEvent::Missed(entries));
            }
            Read::Admitted => {}
            Read::Lost(error) => {
                // The other connection may be lost as well.
                let is_down = self.phase == Phase::Down;
                self.lose(if is_down { Phase::Down } else { Phase::Restoring }, error);
            }
        }
    }

    /// Returns whether a message can be sent.
    fn has_room(&self) -> bool {
        self.phase == Phase::Up && self.servers.has_room()
    }

    fn drop_large(&self) {
        self.drop_message(&TooLarge { max: self.shared.options.max_message });
    }

    /// Sleeps until the wire has something to do. Returns true if that may be now.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(due) = self.wire.poll_timeout() else { return false };
        self.sleep.poll(&self.shared.runtime, due, cx).is_ready()
    }

    fn now(&self) -> Time {
        self.shared.runtime.clock().now()
    }
}

impl<R: Runtime> Bus for Redis<R> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // While there is room nothing is written: messages that are sent together leave in one write.
        if !self.has_room() {
            self.advance(cx, &mut { TURN });
            if self.event.is_some() {
                // What has woken this task is read, and nothing else wakes it to take the event.
                cx.waker().wake_by_ref();
            }
        }
        if self.has_room() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn send(&mut self, message: Message) {
        let now = self.now();
        self.wire.send(now, message);
        self.pass_commands();
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        self.pass_commands();
        self.servers.flush(cx);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<BusEvent> {
        self.advance(cx, &mut { TURN });
        match self.event.take() {
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }

    fn counts_nodes(&self) -> bool {
        self.wire.counts_nodes()
    }

    fn has_log(&self) -> bool {
        self.wire.has_log()
    }

    fn handle_namespace(&mut self, namespace: &Arc<str>, exists: bool) {
        let now = self.now();
        self.wire.handle_namespace(now, namespace, exists);
    }

    fn watches_rooms(&self) -> bool {
        matches!(
            self.format,
            Format::Sharded(SubscriptionMode::Dynamic | SubscriptionMode::DynamicPrivate)
        )
    }

    fn handle_room(&mut self, namespace: &Arc<str>, room: &Room, exists: bool) {
        let now = self.now();
        self.wire.handle_room(now, namespace, room, exists);
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.servers.is_open() {
            return Poll::Ready(());
        }
        if !self.is_closing {
            self.is_closing = true;
            let now = self.now();
            self.wire.close(now);
        }
        let mut turn = TURN;
        loop {
            self.advance(cx, &mut turn);
            // Nobody takes them any more.
            if self.event.take().is_none() {
                break;
            }
        }
        // Without a connection none are. Streams need not be read for it.
        if self.servers.in_flight().0 == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<R: Runtime> Drop for Redis<R> {
    fn drop(&mut self) {
        self.shared.counters.is_up.store(false, Ordering::Relaxed);
    }
}

impl<R: Runtime> fmt::Debug for Redis<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("url", &self.shared.url)
            .field("format", &self.format)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// Error of a message that was skipped, because it is larger than the limit.
#[derive(Debug, thiserror::Error)]
#[error("a message has more than {max} bytes, its publisher is to blame")]
struct TooLarge {
    max: usize,
}

/// Steps of one poll. A flood of messages that come to no event would hold up the thread else, where the runtime does not
/// interrupt a task by itself.
const TURN: usize = 128;
