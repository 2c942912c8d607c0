//! Connections with the masters of a Redis Cluster, made when they are needed.

mod command;
mod queues;

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use enginewire::{Backoff, Time};
use enginewire_driver::{Runtime, Sleep};

use self::{
    command::{Command, Task},
    queues::Queues,
};
use super::{
    address::Address,
    dial::{Destination, Dialing, dial},
    error::{RedisError, RedisFault},
    link::Responds,
    options::Shared,
    resp::{ServerError, Value},
    servers::Place,
    slots::Redirect,
    socket::Socket,
    transport::{Event, Tag, Transport, fill_random},
};

/// Connections with the masters of a Redis Cluster, at most one with each. Commands have tags of type `T`.
///
/// A command goes to the owner of the slot of its key, and follows redirections. Commands for one slot are carried out in
/// order, also while the slot moves.
pub(super) struct Masters<R: Runtime, T> {
    shared: Arc<Shared<R>>,
    servers: BTreeMap<Address, Server<R, T>>,
    /// The server for commands without a key.
    home: Address,
    queues: Queues<T>,
    /// Commands that all masters carry out, of which some have not responded.
    sums: BTreeMap<u64, Sum<T>>,
    next_sum: u64,
    /// Commands without a response, and their bytes.
    in_flight: (usize, usize),
    state: State<T>,
    backoff: Backoff,
    sleep: Sleep<R>,
    /// When the owners of slots are asked for.
    refresh_at: Time,
    /// The server that is asked for them.
    refreshing: Option<Address>,
    /// The server of the last event.
    last: Address,
    /// A connection is new, and was not polled yet.
    is_dialing: bool,
}

enum State<T> {
    Open,
    /// A server is lost, which is to be told.
    Lost(RedisError, Vec<T>),
    /// The owners of slots are asked for then. `None` if that was tried often enough.
    Waiting(Option<Time>),
    /// A server is asked for them.
    Learning(Dialing<Tag<Command<T>>>),
}

struct Server<R: Runtime, T> {
    transport: Transport<R, Command<T>>,
    /// Commands until it is connected.
    waiting: VecDeque<Command<T>>,
    /// Subscriptions to channels of shards, and to others.
    subscriptions: (usize, usize),
}

/// Numbers of all masters that are added up.
struct Sum<T> {
    tag: T,
    left: usize,
    sum: i64,
}

impl<R: Runtime, T: Send + 'static> Masters<R, T> {
    /// Begins with a connection that is open.
    pub(super) fn new(shared: &Arc<Shared<R>>, socket: Socket<Tag<T>>) -> Self {
        let (address, now) = (socket.address.clone(), shared.runtime.clock().now());
        let mut masters = Self {
            shared: Arc::clone(shared),
            servers: BTreeMap::new(),
            home: address.clone(),
            queues: Queues::new(),
            sums: BTreeMap::new(),
            next_sum: 0,
            in_flight: (0, 0),
            state: State::Open,
            backoff: Backoff::new(shared.options.reconnect.clone()),
            sleep: Sleep::default(),
            refresh_at: now + REFRESH,
            refreshing: None,
            last: address,
            is_dialing: false,
        };
        masters.welcome(socket.retag(shared.options.max_message));
        masters
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    pub(super) const fn in_flight(&self) -> (usize, usize) {
        self.in_flight
    }

    /// Sends a command to where it belongs.
    pub(super) fn push(
        &mut self,
        tag: T,
        place: Place<'_>,
        responds: Responds,
        arguments: &[&[u8]],
    ) {
        if let Place::Every = place {
            return self.push_to_all(tag, arguments);
        }
        let command = Command::new(Task::Tag(tag), place, responds, arguments);
        self.add(&command);
        let Some(slot) = command.slot else {
            let home = self.home.clone();
            return self.send(&home, command);
        };
        let owner = self.owner(slot);
        if let Some(command) = self.queues.push(slot, &owner, command) {
            self.send(&owner, command);
        }
    }

    /// Writes commands, as far as the streams take them. Connections that are new are made by [`poll`](Self::poll).
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) {
        if mem::take(&mut self.is_dialing) {
            cx.waker().wake_by_ref();
        }
        self.servers.values_mut().for_each(|server| server.transport.flush(cx));
    }

    /// Begins anew: the owners of slots are asked for, which [`poll`](Self::poll) tells.
    ///
    /// Connections stay, and so do commands in flight, until they are to be [forgotten](Self::forget).
    pub(super) fn fail(&mut self, fault: RedisFault) {
        let error = RedisError::new(Some(&self.last), fault);
        self.lose(error, Vec::new());
    }

    /// Drops all connections, and with them their subscriptions. Returns the number of commands without a response.
    ///
    /// A command for all masters counts once for each.
    pub(super) fn forget(&mut self) -> usize {
        let (commands, _) = mem::take(&mut self.in_flight);
        self.servers.clear();
        self.queues = Queues::new();
        self.sums.clear();
        // That one is of no message.
        commands - usize::from(self.refreshing.take().is_some())
    }

    /// Notes that the connections do what they are for: the next loss is followed by a short wait.
    pub(super) const fn settle(&mut self) {
        self.backoff.reset();
    }

    /// Completes with the next event.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event<T>> {
        loop {
            // Also while servers are asked for: what arrives is told.
            if let Some((address, event)) = self.poll_servers(cx) {
                self.last = address;
                match self.handle(event) {
                    Some(event) => return Poll::Ready(event),
                    None => continue,
                }
            }
            let now = self.shared.runtime.clock().now();
            match &mut self.state {
                State::Open if self.refresh_at <= now => self.refresh(now),
                State::Open => {
                    let paused = self.queues.pauses_until();
                    let due = paused.map_or(self.refresh_at, |until| until.min(self.refresh_at));
                    if due > now {
                        if self.sleep.poll(&self.shared.runtime, due, cx).is_pending() {
                            return Poll::Pending;
                        }
                        continue;
                    }
                    for slot in self.queues.due(now) {
                        self.advance(slot);
                    }
                }
                State::Lost(..) => {
                    let wait = self.backoff.next(&mut fill_random).map(|wait| now + wait);
                    let lost = mem::replace(&mut self.state, State::Waiting(wait));
                    let State::Lost(error, tags) = lost else { continue };
                    return Poll::Ready(Event::Lost(error, tags));
                }
                State::Waiting(None) => return Poll::Pending,
                State::Waiting(Some(until)) if *until <= now => {
                    self.state = State::Learning(dial(&self.shared, Destination::Any));
                }
                &mut State::Waiting(Some(until)) => {
                    if self.sleep.poll(&self.shared.runtime, until, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                State::Learning(dialing) => match dialing.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => self.state = State::Lost(error, Vec::new()),
                    Poll::Ready(Ok(dialed)) => {
                        self.state = State::Open;
                        self.refresh_at = now + REFRESH;
                        self.welcome(dialed.socket);
                        return Poll::Ready(Event::Opened);
                    }
                },
            }
        }
    }

    /// Takes a new connection. If there is no server for commands without a key any more, it is this one.
    fn welcome(&mut self, socket: Socket<Tag<Command<T>>>) {
        let address = socket.address.clone();
        if !self.servers.contains_key(&address) {
            let destination = Destination::Server(address.clone());
            let transport = Transport::open(&self.shared, destination, socket);
            self.servers.insert(address.clone(), Server::new(transport));
        }
        // With another one, messages would come twice: subscriptions are still at the first.
        if !self.servers.contains_key(&self.home) {
            self.home = address;
        }
        self.check_masters();
    }

    /// Sees to it that subscriptions and commands without a key are at masters, because subscribers are counted there.
    fn check_masters(&mut self) {
        let masters = self.shared.masters();
        if masters.is_empty() {
            return;
        }
        for (address, server) in &mut self.servers {
            if server.subscriptions != (0, 0) && !masters.contains(address) {
                // Its subscriptions end with the connection.
                server.transport.fail(RedisFault::Replica);
            }
        }
        let home = self.servers.get(&self.home);
        if !masters.contains(&self.home) && home.is_none_or(|it| it.subscriptions.1 == 0) {
            let connected = masters.iter().find(|master| self.servers.contains_key(master));
            self.home = connected.unwrap_or(&masters[0]).clone();
        }
    }

    /// Sends a command to all masters, whose numbers are added up.
    fn push_to_all(&mut self, tag: T, arguments: &[&[u8]]) {
        let mut masters = self.shared.masters();
        if masters.is_empty() {
            masters.push(self.home.clone());
        }
        let id = self.next_sum;
        self.next_sum += 1;
        self.sums.insert(id, Sum { tag, left: masters.len(), sum: 0 });
        for master in masters {
            let command = Command::new(Task::Part(id), Place::Every, Responds::InTurn, arguments);
            self.add(&command);
            self.send(&master, command);
        }
    }

    /// Sends the commands of a slot that waited, as far as that keeps their order.
    fn advance(&mut self, slot: u16) {
        let now = self.shared.runtime.clock().now();
        let owner = self.owner(slot);
        while let Some((server, command)) = self.queues.next(now, slot, &owner) {
            self.send(&server, command);
        }
    }

    /// Returns the owner of a slot. Where it is not known, any server responds with it, or that there is none.
    fn owner(&self, slot: u16) -> Address {
        self.shared.owner(slot).unwrap_or_else(|| self.home.clone())
    }

    fn send(&mut self, address: &Address, command: Command<T>) {
        let server = self.servers.entry(address.clone()).or_insert_with(|| {
            self.is_dialing = true;
            Server::new(Transport::new(&self.shared, Destination::Server(address.clone())))
        });
        match server.transport.is_open() {
            true => server.push(command),
            false => server.waiting.push_back(command),
        }
    }

    /// Takes the next event of a server. Each has its turn.
    fn poll_servers(&mut self, cx: &mut Context<'_>) -> Option<(Address, Event<Command<T>>)> {
        let Self { servers, last, .. } = self;
        for range in [(Excluded(&*last), Unbounded), (Unbounded, Excluded(&*last))] {
            for (address, server) in servers.range_mut::<Address, _>(range) {
                if let Poll::Ready(event) = server.transport.poll(cx) {
                    return Some((address.clone(), event));
                }
            }
        }
        let server = servers.get_mut(last)?;
        match server.transport.poll(cx) {
            Poll::Ready(event) => Some((last.clone(), event)),
            Poll::Pending => None,
        }
    }

    /// Handles an event of the server at `last`.
    fn handle(&mut self, event: Event<Command<T>>) -> Option<Event<T>> {
        let address = self.last.clone();
        match event {
            Event::Opened => {
                let server = self.servers.get_mut(&address)?;
                for command in mem::take(&mut server.waiting) {
                    server.push(command);
                }
                None
            }
            Event::Lost(error, commands) => {
                self.handle_lost(&address, error, commands);
                None
            }
            Event::Response(command, response) => self.handle_response(&address, command, response),
            Event::Message(channel, message) => Some(Event::Message(channel, message)),
            Event::Unsubscribed { channel, left } => {
                self.servers.get_mut(&address)?.subscriptions.0 = left;
                Some(Event::Unsubscribed { channel, left })
            }
        }
    }

    /// Drops a server that is lost. It is told if there was something of this node, or if no master is connected any more.
    fn handle_lost(&mut self, address: &Address, error: RedisError, commands: Vec<Command<T>>) {
        let Some(mut server) = self.servers.remove(address) else { return };
        let (mut tags, mut slots) = (Vec::new(), Vec::new());
        for command in commands.into_iter().chain(mem::take(&mut server.waiting)) {
            self.subtract(&command);
            if let Some(slot) = command.slot {
                self.queues.lost(slot);
                slots.push(slot);
            }
            tags.extend(self.tag(command));
        }
        if self.refreshing.as_ref() == Some(address) {
            self.refreshing = None;
        }
        let is_home = self.home == *address;
        let masters = self.shared.masters();
        let other = masters.into_iter().find(|master| self.servers.contains_key(master));
        let is_last = is_home && other.is_none();
        if server.subscriptions != (0, 0) || !tags.is_empty() || is_last {
            self.lose(error, tags);
        } else {
            // A server that has left the Redis Cluster, perhaps.
            if let Some(other) = other.filter(|_| is_home) {
                self.home = other;
            }
            self.refresh_at = Time::ZERO;
        }
        slots.into_iter().for_each(|slot| self.advance(slot));
    }

    /// Returns the tag of a command that gets no response.
    fn tag(&mut self, command: Command<T>) -> Option<T> {
        match command.task {
            Task::Tag(tag) => Some(tag),
            Task::Part(id) => self.sums.remove(&id).map(|sum| sum.tag),
            Task::Slots => None,
        }
    }

    fn handle_response(
        &mut self,
        address: &Address,
        command: Command<T>,
        response: Result<Value, ServerError>,
    ) -> Option<Event<T>> {
        if command.responds == Responds::ByPush
            && let Ok(Value::Integer(count)) = &response
            && let Some(server) = self.servers.get_mut(address)
        {
            let count = usize::try_from(*count).unwrap_or(0);
            match command.slot {
                Some(_) => server.subscriptions.0 = count,
                None => server.subscriptions.1 = count,
            }
        }
        if let Some(slot) = command.slot {
            if let Err(error) = &response
                && let Some(redirect) = self.shared.redirect(error, address)
                && command.redirects < MAX_REDIRECTS
            {
                self.follow(slot, redirect, command);
                return None;
            }
            self.queues.done(slot);
            self.advance(slot);
        }
        self.subtract(&command);
        match command.task {
            Task::Tag(tag) => Some(Event::Response(tag, response)),
            Task::Part(id) => {
                if response.is_err() {
                    // Without its number there is no sum. Those that come later are passed over.
                    return self.sums.remove(&id).map(|sum| Event::Response(sum.tag, response));
                }
                let sum = self.sums.get_mut(&id)?;
                let numbers = response.as_ref().ok().and_then(Value::as_array).unwrap_or_default();
                if let Some(Value::Integer(number)) = numbers.last() {
                    sum.sum = sum.sum.saturating_add(*number);
                }
                sum.left -= 1;
                if sum.left > 0 {
                    return None;
                }
                let Sum { tag, sum, .. } = self.sums.remove(&id)?;
                let response = Value::Array(vec![Value::Null, Value::Integer(sum)]);
                Some(Event::Response(tag, Ok(response)))
            }
            Task::Slots => {
                self.refreshing = None;
                if let Ok(slots) = &response
                    && !self.shared.learn(slots, address)
                    && let Some(server) = self.servers.get_mut(address)
                {
                    // It was taken out of the Redis Cluster.
                    server.transport.fail(RedisFault::Unserved(0));
                }
                self.check_masters();
                None
            }
        }
    }

    /// Asks for the owners of slots, where nobody is asked already.
    fn refresh(&mut self, now: Time) {
        self.refresh_at = now + REFRESH;
        if self.refreshing.is_some() {
            return;
        }
        let home = self.home.clone();
        let arguments: [&[u8]; 2] = [b"CLUSTER", b"SLOTS"];
        let command = Command::new(Task::Slots, Place::Any, Responds::InTurn, &arguments);
        self.add(&command);
        self.refreshing = Some(home.clone());
        self.send(&home, command);
    }

    /// Sends a command again, to the server that another one has named.
    fn follow(&mut self, slot: u16, redirect: Redirect, mut command: Command<T>) {
        let now = self.shared.runtime.clock().now();
        command.redirects += 1;
        match redirect {
            Redirect::Moved(owner) => {
                self.shared.set_owner(slot, owner);
                command.ask = None;
                // Others may have moved as well. A server that has not heard of it yet would be asked too early.
                self.refresh_at = self.refresh_at.min(now + SOON);
            }
            Redirect::Ask(other) => command.ask = Some(other),
        }
        // Servers that send it from one to the other will agree soon.
        let often = u32::from(command.redirects.saturating_sub(MAX_HASTY));
        let pause =
            if often > 0 { (PAUSE * (1 << often.min(10))).min(MAX_PAUSE) } else { Duration::ZERO };
        self.queues.put_back(slot, command, now + pause);
        self.advance(slot);
    }

    fn lose(&mut self, error: RedisError, mut tags: Vec<T>) {
        for command in self.queues.take_held() {
            self.subtract(&command);
            tags.extend(self.tag(command));
        }
        match &mut self.state {
            State::Lost(_, lost) => lost.extend(tags),
            state => *state = State::Lost(error, tags),
        }
    }

    const fn add(&mut self, command: &Command<T>) {
        self.in_flight.0 += 1;
        self.in_flight.1 += command.bytes.len();
    }

    fn subtract(&mut self, command: &Command<T>) {
        self.in_flight.0 -= 1;
        self.in_flight.1 -= command.bytes.len();
    }
}

impl<R: Runtime, T: Send + 'static> Server<R, T> {
    const fn new(transport: Transport<R, Command<T>>) -> Self {
        Self { transport, waiting: VecDeque::new(), subscriptions: (0, 0) }
    }

    fn push(&mut self, command: Command<T>) {
        let (responds, bytes) = (command.responds, command.bytes.clone());
        if command.ask.is_some() {
            self.transport.push_asking();
        }
        self.transport.push_encoded(command, responds, &bytes);
    }
}

/// Redirections that a command follows, before it is an error.
const MAX_REDIRECTS: u8 = 16;

/// Redirections that are followed at once. Before each further one there is a pause, twice as long as the last.
const MAX_HASTY: u8 = 4;

const PAUSE: Duration = Duration::from_millis(5);

const MAX_PAUSE: Duration = Duration::from_millis(500);

/// Time from a redirection to the question for the owners of slots: servers tell each other within a second.
const SOON: Duration = Duration::from_secs(1);

/// Time between two questions for the owners of slots. Redirections tell sooner what they concern.
const REFRESH: Duration = Duration::from_secs(10);
