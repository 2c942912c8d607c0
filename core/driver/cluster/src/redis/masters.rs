//! Connections with the masters of a Redis Cluster, made when they are needed.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use enginewire::{Backoff, Time};
use enginewire_driver::{Runtime, Sleep};

use super::{
    address::Address,
    dial::{Destination, Dialing, dial},
    error::{RedisError, RedisFault},
    link::Responds,
    options::Shared,
    resp::{ServerError, Value, encode},
    servers::Place,
    slots::{Redirect, slot},
    socket::Socket,
    transport::{Event, Tag, Transport, fill_random},
};

/// Connections with the masters of a Redis Cluster, at most one with each. Commands have tags of type `T`.
///
/// A command goes to the owner of the slot of its key, and follows redirections. Commands for one slot are carried out
/// in order, also while the slot moves.
pub(super) struct Masters<R: Runtime, T> {
    shared: Arc<Shared<R>>,
    servers: BTreeMap<Address, Server<R, T>>,
    /// The server for commands without a key.
    home: Address,
    /// Commands for slots of which another server has older commands.
    held: VecDeque<Command<T>>,
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
    /// Its commands without a response, by slots.
    busy: BTreeMap<u16, usize>,
    /// Subscriptions to channels of shards, and to others.
    subscriptions: (usize, usize),
}

/// A command that has no response yet.
struct Command<T> {
    tag: Task<T>,
    slot: Option<u16>,
    responds: Responds,
    /// Its bytes, should another server be the right one.
    bytes: Bytes,
    redirects: u8,
}

/// Purpose of a command, which its response is for.
enum Task<T> {
    Tag(T),
    /// The number is to be added.
    Part(u64),
    /// The owners of slots.
    Slots,
    /// Nobody waits for it any more.
    Forgotten,
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
            held: VecDeque::new(),
            sums: BTreeMap::new(),
            next_sum: 0,
            in_flight: (0, 0),
            state: State::Open,
            backoff: Backoff::new(shared.options.reconnect.clone()),
            sleep: Sleep::default(),
            refresh_at: now + REFRESH,
            refreshing: None,
            last: address,
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
        let mut bytes = Vec::new();
        encode(&mut bytes, arguments);
        if responds == Responds::Fenced {
            encode(&mut bytes, &[b"PING"]);
        }
        let bytes = Bytes::from(bytes);
        let slot = match place {
            Place::Every => return self.push_to_all(tag, &bytes),
            Place::Key(key) => Some(slot(key)),
            Place::Any => None,
        };
        self.route(Command { tag: Task::Tag(tag), slot, responds, bytes, redirects: 0 });
    }

    /// Writes commands, as far as the streams take them.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) {
        self.servers.values_mut().for_each(|server| server.transport.flush(cx));
    }

    /// Begins anew: the owners of slots are asked for, which [`poll`](Self::poll) tells.
    ///
    /// Connections stay, and so do commands in flight.
    pub(super) fn fail(&mut self, fault: RedisFault) {
        let error = RedisError::new(Some(&self.last), fault);
        self.lose(error, Vec::new());
    }

    /// Drops the commands in flight. Their responses are passed over.
    pub(super) fn forget(&mut self) {
        self.sums.clear();
        for command in mem::take(&mut self.held) {
            self.subtract(&command);
        }
        let mut waiting = Vec::new();
        for server in self.servers.values_mut() {
            for command in server.transport.tags_mut() {
                if !matches!(command.tag, Task::Slots) {
                    command.tag = Task::Forgotten;
                }
            }
            for command in mem::take(&mut server.waiting) {
                server.is_done(&command);
                waiting.push(command);
            }
        }
        waiting.iter().for_each(|command| self.subtract(command));
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
                    if self.sleep.poll(&self.shared.runtime, self.refresh_at, cx).is_pending() {
                        return Poll::Pending;
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

    /// Takes a new connection, whose server is the one for commands without a key from now on.
    fn welcome(&mut self, socket: Socket<Tag<Command<T>>>) {
        let address = socket.address.clone();
        let is_master = self.shared.masters().contains(&address);
        // It may be a replica, or one without slots.
        let home = if is_master { Some(address.clone()) } else { self.any_master() };
        self.home = home.unwrap_or_else(|| address.clone());
        if !self.servers.contains_key(&address) {
            let destination = Destination::Server(address.clone());
            let transport = Transport::open(&self.shared, destination, socket);
            self.servers.insert(address, Server::new(transport));
        }
    }

    /// Returns a master, best one with a connection.
    fn any_master(&self) -> Option<Address> {
        let masters = self.shared.masters();
        let connected = masters.iter().find(|master| self.servers.contains_key(master));
        connected.or(masters.first()).cloned()
    }

    /// Sends a command to all masters, whose numbers are added up.
    fn push_to_all(&mut self, tag: T, bytes: &Bytes) {
        let masters = self.shared.masters();
        let id = self.next_sum;
        self.next_sum += 1;
        self.sums.insert(id, Sum { tag, left: masters.len(), sum: 0 });
        for master in masters {
            let (tag, responds) = (Task::Part(id), Responds::InTurn);
            self.add(bytes);
            let command = Command { tag, slot: None, responds, bytes: bytes.clone(), redirects: 0 };
            self.send(&master, command, false);
        }
    }

    fn route(&mut self, command: Command<T>) {
        self.add(&command.bytes);
        let is_held = |held: &Command<T>| held.slot == command.slot;
        if command.slot.is_some() && self.held.iter().any(is_held) {
            self.held.push_back(command);
        } else if let Err(command) = self.try_send(command) {
            self.held.push_back(command);
        }
    }

    /// Sends a command, unless another server has an older one for its slot that may still come here.
    fn try_send(&mut self, command: Command<T>) -> Result<(), Command<T>> {
        let Some(slot) = command.slot else {
            let home = self.home.clone();
            self.send(&home, command, false);
            return Ok(());
        };
        let Some(owner) = self.shared.owner(slot) else {
            self.fail(RedisFault::Unserved(slot));
            return Err(command);
        };
        let is_busy = |(address, server): (&Address, &Server<R, T>)| {
            *address != owner && server.busy.contains_key(&slot)
        };
        if self.servers.iter().any(is_busy) {
            return Err(command);
        }
        self.send(&owner, command, false);
        Ok(())
    }

    /// Sends commands that were held, as far as nothing older is in flight.
    fn release(&mut self) {
        let mut blocked = Vec::new();
        for command in mem::take(&mut self.held) {
            if blocked.contains(&command.slot) {
                self.held.push_back(command);
            } else if let Err(command) = self.try_send(command) {
                blocked.push(command.slot);
                self.held.push_back(command);
            }
        }
    }

    fn send(&mut self, address: &Address, command: Command<T>, asks: bool) {
        if !self.servers.contains_key(address) {
            let transport = Transport::new(&self.shared, Destination::Server(address.clone()));
            self.servers.insert(address.clone(), Server::new(transport));
        }
        let Some(server) = self.servers.get_mut(address) else { return };
        if let Some(slot) = command.slot {
            *server.busy.entry(slot).or_default() += 1;
        }
        if !server.transport.is_open() {
            // Until then the slot may have been moved: it is asked for without, and redirected again.
            server.waiting.push_back(command);
            return;
        }
        if asks {
            server.transport.push_asking();
        }
        server.push(command);
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

    /// Drops a server that is lost. It is told, unless there was nothing of this node.
    fn handle_lost(&mut self, address: &Address, error: RedisError, commands: Vec<Command<T>>) {
        let Some(mut server) = self.servers.remove(address) else { return };
        let mut tags = Vec::new();
        for command in commands.into_iter().chain(mem::take(&mut server.waiting)) {
            self.subtract(&command);
            match command.tag {
                Task::Tag(tag) => tags.push(tag),
                Task::Part(id) => tags.extend(self.sums.remove(&id).map(|sum| sum.tag)),
                Task::Slots | Task::Forgotten => {}
            }
        }
        if self.refreshing.as_ref() == Some(address) {
            self.refreshing = None;
        }
        if server.subscriptions != (0, 0) || !tags.is_empty() {
            self.lose(error, tags);
        } else {
            // A server that has left the Redis Cluster, perhaps.
            if self.home == *address
                && let Some(home) = self.any_master()
            {
                self.home = home;
            }
            self.refresh_at = Time::ZERO;
        }
        self.release();
    }

    fn handle_response(
        &mut self,
        address: &Address,
        mut command: Command<T>,
        response: Result<Value, ServerError>,
    ) -> Option<Event<T>> {
        let server = self.servers.get_mut(address)?;
        server.is_done(&command);
        if command.responds == Responds::ByPush
            && let Ok(Value::Integer(count)) = &response
        {
            let count = usize::try_from(*count).unwrap_or(0);
            match command.slot {
                Some(_) => server.subscriptions.0 = count,
                None => server.subscriptions.1 = count,
            }
        }
        if let Err(error) = &response
            && let Some(slot) = command.slot
            && command.redirects < MAX_REDIRECTS
            && !matches!(command.tag, Task::Forgotten)
            && let Some(redirect) = self.shared.redirect(error, address)
        {
            command.redirects += 1;
            match redirect {
                Redirect::Moved(owner) => {
                    self.shared.set_owner(slot, owner.clone());
                    self.refresh_at = Time::ZERO;
                    self.send(&owner, command, false);
                }
                Redirect::Ask(other) => self.send(&other, command, true),
            }
            self.release();
            return None;
        }
        self.subtract(&command);
        self.release();
        match command.tag {
            Task::Tag(tag) => Some(Event::Response(tag, response)),
            Task::Part(id) => {
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
                if let Ok(slots) = &response {
                    self.shared.learn(slots, address);
                }
                let masters = self.shared.masters();
                if !masters.contains(&self.home) && self.is_open() {
                    // Its subscribers are not counted any more.
                    let error = RedisError::new(Some(&self.home), RedisFault::Replica);
                    self.lose(error, Vec::new());
                }
                self.release();
                None
            }
            Task::Forgotten => None,
        }
    }

    /// Asks for the owners of slots, where nobody is asked already.
    fn refresh(&mut self, now: Time) {
        self.refresh_at = now + REFRESH;
        if self.refreshing.is_some() {
            return;
        }
        let mut bytes = Vec::new();
        encode(&mut bytes, &[b"CLUSTER", b"SLOTS"]);
        let (slot, bytes, home) = (None, bytes.into(), self.home.clone());
        self.add(&bytes);
        self.refreshing = Some(home.clone());
        let command =
            Command { tag: Task::Slots, slot, responds: Responds::InTurn, bytes, redirects: 0 };
        self.send(&home, command, false);
    }

    fn lose(&mut self, error: RedisError, tags: Vec<T>) {
        match &mut self.state {
            State::Lost(_, lost) => lost.extend(tags),
            state => *state = State::Lost(error, tags),
        }
    }

    const fn add(&mut self, bytes: &Bytes) {
        self.in_flight.0 += 1;
        self.in_flight.1 += bytes.len();
    }

    fn subtract(&mut self, command: &Command<T>) {
        self.in_flight.0 -= 1;
        self.in_flight.1 -= command.bytes.len();
    }
}

impl<R: Runtime, T: Send + 'static> Server<R, T> {
    fn new(transport: Transport<R, Command<T>>) -> Self {
        let (waiting, busy) = (VecDeque::new(), BTreeMap::new());
        Self { transport, waiting, busy, subscriptions: (0, 0) }
    }

    fn push(&mut self, command: Command<T>) {
        let (responds, bytes) = (command.responds, command.bytes.clone());
        self.transport.push_encoded(command, responds, &bytes);
    }

    /// Notes that a command of this server has its response, or gets none.
    fn is_done(&mut self, command: &Command<T>) {
        if let Some(slot) = command.slot
            && let Some(count) = self.busy.get_mut(&slot)
        {
            *count -= 1;
            if *count == 0 {
                self.busy.remove(&slot);
            }
        }
    }
}

/// Redirections that a command follows, before it is an error.
const MAX_REDIRECTS: u8 = 5;

/// Time between two questions for the owners of slots. Redirections tell sooner what they concern.
const REFRESH: Duration = Duration::from_secs(10);
