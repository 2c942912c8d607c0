//! The Socket.IO test server on a [`Hub`] and the event loop of the example `mio_echo`: one thread, no runtime.

use std::{
    collections::{BTreeMap, VecDeque},
    process::ExitCode,
    time::Duration,
};

use enginewire::{Deadlines, Time};
use enginewire_socketio::{
    AckError, AckId, Args, ConnectRequest, EmitError, Event, Room, Spread, Value,
    adapter::Target,
    hub::{AskId, GroupId, Hub, HubConfig, Output, SocketKey},
};
use enginewire_tests::{
    profile::{self, UNKNOWN_PROFILE},
    sio_contract::{
        self as contract, Data, Profile, Reasons, nested_binary, object, rooms, type_of,
    },
};
use serde_json::Value as Json;

use self::event_loop::EventLoop;

#[path = "../../../core/examples/mio_echo/event_loop.rs"]
mod event_loop;

fn main() -> std::io::Result<ExitCode> {
    let Some(profile) = Profile::from_environment() else {
        return Ok(ExitCode::from(UNKNOWN_PROFILE));
    };
    let mut config = HubConfig::default();
    config.engine.protocol.ping_interval = profile.ping_interval;
    config.engine.protocol.ping_timeout = profile.ping_timeout;
    config.engine.protocol.allow_eio3 = profile.allow_eio3;
    if let Some(timeout) = profile.connect_timeout {
        config.connection.connect_timeout = timeout;
    }
    let recovers = profile.recovery.is_some();
    config.recovery = profile.recovery;
    let hub = Hub::new(config, event_loop::entropy, event_loop::entropy);
    let mut events = EventLoop::new(hub, profile::address())?;
    println!("{}", events.local_addr()?.port());
    let mut application =
        Application { is_bench: profile.is_bench, recovers, ..Default::default() };
    loop {
        events.drain(|hub, now, output| application.handle(hub, now, output));
        events.wait(application.timers.first())?;
        let now = events.now();
        application.handle_timeout(&mut events.hub, now);
    }
}

/// Obeys the events of its clients.
#[derive(Default)]
struct Application {
    clients: BTreeMap<SocketKey, Client>,
    /// Data of sockets that may come back.
    away: BTreeMap<SocketKey, Data>,
    asked: BTreeMap<AskId, Asked>,
    groups: BTreeMap<GroupId, Group>,
    timers: Deadlines<Timer>,
    reasons: Reasons,
    is_bench: bool,
    /// Whether clients may come back.
    recovers: bool,
}

/// One socket.
#[derive(Default)]
struct Client {
    data: Data,
    is_recovered: bool,
    /// Messages without room. While there are any the socket is paused.
    backlog: VecDeque<Outgoing>,
}

/// Something for a client.
enum Outgoing {
    Emit(String, Vec<Value>),
    Forward(Event),
    Ack(AckId, Vec<Value>),
    Ask(String, Vec<Value>, Duration, Asked),
    /// The end of the socket, or of its whole client.
    Disconnect(bool),
}

/// Consequence of an acknowledgement.
#[derive(Clone)]
enum Asked {
    /// Emit `called` with the name of the event.
    Called(String),
    /// Emit `call-result`.
    Result,
}

/// A broadcast that a client waits for.
struct Group {
    socket: SocketKey,
    ack: Option<AckId>,
    responses: Vec<Value>,
    has_failed: bool,
}

/// Something that is to be done at some time.
enum Timer {
    Authorize(SocketKey, serde_json::Map<String, Json>),
    Acknowledge(SocketKey, AckId, Value),
}

impl Application {
    fn handle(&mut self, hub: &mut Hub, now: Time, output: Output) {
        match output {
            Output::Connect(socket, request, _) => self.authorize(hub, now, socket, &request),
            Output::Recovered(socket, before) => {
                let data = self.away.remove(&before).unwrap_or_default();
                let client = Client { data, is_recovered: true, ..Default::default() };
                self.clients.insert(socket, client);
            }
            Output::Event(socket, event) => {
                if hub.namespace(socket) == Some("/limited") && event.name() == "forbidden" {
                    return self.emit(hub, now, socket, "mw-error", ["forbidden event".into()]);
                }
                self.obey(hub, now, socket, event);
            }
            Output::Writable(socket) => self.send_backlog(hub, now, socket),
            Output::Acknowledged(ask, result) => self.acknowledged(hub, now, ask, result),
            Output::GroupAcknowledged(id, _, result) => {
                let Some(group) = self.groups.get_mut(&id) else { return };
                match result.ok().and_then(|args| args.decode(0).ok()) {
                    Some(response) => group.responses.push(response),
                    None => group.has_failed = true,
                }
            }
            Output::GroupCompleted(id, _) => {
                let Some(group) = self.groups.remove(&id) else { return };
                let result = object([
                    ("err", Value::Bool(group.has_failed)),
                    ("responses", Value::Array(group.responses)),
                ]);
                self.answer(hub, now, group.socket, group.ack, [result]);
            }
            Output::Disconnected(socket, reason, _) => {
                if let Some(id) = hub.id(socket) {
                    self.reasons.insert(id.to_string(), reason.as_str());
                }
                let Some(client) = self.clients.remove(&socket) else { return };
                if self.recovers && reason.is_recoverable() {
                    self.away.insert(socket, client.data);
                }
            }
            Output::Forgotten(socket) => drop(self.away.remove(&socket)),
            _ => {}
        }
    }

    fn handle_timeout(&mut self, hub: &mut Hub, now: Time) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Authorize(socket, auth) => match contract::authorize_in_steps(&auth) {
                    Ok(data) => self.accept(hub, now, socket, data),
                    Err(error) => drop(hub.refuse(now, socket, &error)),
                },
                Timer::Acknowledge(socket, ack, value) => {
                    self.answer(hub, now, socket, Some(ack), [value]);
                }
            }
        }
    }

    fn authorize(&mut self, hub: &mut Hub, now: Time, socket: SocketKey, request: &ConnectRequest) {
        let auth = || request.auth.as_ref().and_then(|auth| auth.decode().ok()).unwrap_or_default();
        match &*request.namespace {
            "/" | "/custom" | "/limited" => self.accept(hub, now, socket, Data::new()),
            "/secret" => match contract::authorize_secret(&auth()) {
                Ok(data) => self.accept(hub, now, socket, data),
                Err(error) => drop(hub.refuse(now, socket, &error)),
            },
            "/mw" => {
                self.timers.arm(now + contract::FIRST_STEP, Timer::Authorize(socket, auth()));
            }
            name if contract::is_dynamic(name) => self.accept(hub, now, socket, Data::new()),
            _ => drop(hub.refuse(now, socket, &"Invalid namespace".into())),
        }
    }

    fn accept(&mut self, hub: &mut Hub, now: Time, socket: SocketKey, data: Data) {
        if !hub.accept(now, socket) {
            return;
        }
        self.clients.insert(socket, Client { data, ..Default::default() });
        if !self.is_bench {
            self.emit(hub, now, socket, "auth", [auth(hub, socket)]);
            if hub.namespace(socket) == Some("/mw") {
                let trace = [1u8, 2, 3].into_iter().map(|n| Value::from(u64::from(n)));
                self.emit(hub, now, socket, "mw", [Value::Array(trace.collect())]);
            }
        }
    }

    fn acknowledged(
        &mut self,
        hub: &mut Hub,
        now: Time,
        ask: AskId,
        result: Result<Args, AckError>,
    ) {
        let values = result.map(|args| args.to_values().unwrap_or_default());
        match (self.asked.remove(&ask), values) {
            (Some(Asked::Called(name)), Ok(values)) => {
                let args = [Value::from(name.as_str()), Value::Array(values)];
                self.emit(hub, now, ask.socket(), "called", args);
            }
            (Some(Asked::Result), Ok(values)) => {
                let args = Value::Array(values);
                let result = object([("timeout", Value::Bool(false)), ("args", args)]);
                self.emit(hub, now, ask.socket(), "call-result", [result]);
            }
            (Some(Asked::Result), Err(AckError::Timeout)) => {
                let result = object([("timeout", Value::Bool(true))]);
                self.emit(hub, now, ask.socket(), "call-result", [result]);
            }
            _ => {}
        }
    }

    /// Does what an event asks for. One with arguments of another shape is ignored.
    fn obey(&mut self, hub: &mut Hub, now: Time, socket: SocketKey, event: Event) {
        match event.name() {
            "echo" | "echo_bin" => self.send(hub, now, socket, Outgoing::Forward(event)),
            "broadcast" if self.is_bench => {
                let _ = hub.forward_to("/", &Target::all(), &event);
            }
            _ => drop(self.obey_command(hub, now, socket, &event)),
        }
    }

    fn obey_command(
        &mut self,
        hub: &mut Hub,
        now: Time,
        socket: SocketKey,
        event: &Event,
    ) -> Option<()> {
        let ack = event.ack();
        let mut args = event.args().to_values().unwrap_or_default();
        args.remove(0);
        let namespace = hub.namespace(socket)?.to_owned();
        match event.name() {
            "message" => self.emit(hub, now, socket, "message-back", args),
            "message-with-ack" | "ack" | "ack_bin" => self.answer(hub, now, socket, ack, args),
            "ack-twice" => self.answer(hub, now, socket, ack, ["first".into()]),
            "ack-later" => {
                let (millis, value) = event.data().ok()?;
                let at = now + Duration::from_millis(millis);
                self.timers.arm(at, Timer::Acknowledge(socket, ack?, value));
            }
            "types" => {
                let types = args.iter().map(|value| Value::from(type_of(value).as_str()));
                let types = Value::Array(types.collect());
                self.answer(hub, now, socket, ack, [types]);
            }
            "call-me" => {
                let (name, args): (String, _) = event.data().ok()?;
                let asked = Asked::Called(name.clone());
                self.send(hub, now, socket, Outgoing::Ask(name, args, Duration::MAX, asked));
            }
            "call-me-timeout" => {
                let timeout = Duration::from_millis(event.data().ok()?);
                let ask = Outgoing::Ask("slow-call".into(), Vec::new(), timeout, Asked::Result);
                self.send(hub, now, socket, ask);
            }
            "join" => {
                for room in args.first().and_then(rooms)? {
                    hub.join(socket, &room);
                }
                self.answer(hub, now, socket, ack, []);
            }
            "leave" => {
                hub.leave(socket, event.data::<&str>().ok()?);
                self.answer(hub, now, socket, ack, []);
            }
            "rooms" => {
                let rooms = sorted(hub.rooms(socket).map(Room::as_str));
                self.answer(hub, now, socket, ack, [rooms]);
            }
            "to-room" => {
                let (rooms, name, args): (Vec<String>, String, Vec<Value>) = event.data().ok()?;
                let target = target(rooms).except(hub.id(socket)?);
                hub.broadcast(&namespace, &target, &name, &Spread(&args)).ok()?;
            }
            "in-room" => {
                let (rooms, name, args): (Vec<String>, String, Vec<Value>) = event.data().ok()?;
                hub.broadcast(&namespace, &target(rooms), &name, &Spread(&args)).ok()?;
            }
            "to-except" => {
                type ToExcept = (Vec<String>, Vec<String>, String, Vec<Value>);
                let (rooms, except, name, args): ToExcept = event.data().ok()?;
                let mut target = target(rooms);
                target.except.extend(except.into_iter().map(Room::from));
                hub.broadcast(&namespace, &target, &name, &Spread(&args)).ok()?;
            }
            "broadcast" => {
                let (name, args): (String, Vec<Value>) = event.data().ok()?;
                let others = Target::all().except(hub.id(socket)?);
                hub.broadcast(&namespace, &others, &name, &Spread(&args)).ok()?;
            }
            "all" => {
                let (name, args): (String, Vec<Value>) = event.data().ok()?;
                hub.broadcast(&namespace, &Target::all(), &name, &Spread(&args)).ok()?;
            }
            "private" => {
                let (id, name, args): (String, String, Vec<Value>) = event.data().ok()?;
                hub.broadcast(&namespace, &Target::all().to(id), &name, &Spread(&args)).ok()?;
            }
            "broadcast-ack" => {
                type BroadcastAck = (Vec<String>, u64, String, Vec<Value>);
                let (rooms, millis, name, args): BroadcastAck = event.data().ok()?;
                let (target, timeout) = (target(rooms), Duration::from_millis(millis));
                let args = Spread(&args);
                let group =
                    hub.broadcast_with_ack(now, &namespace, &target, &name, &args, timeout).ok()?;
                let (responses, has_failed) = (Vec::new(), false);
                self.groups.insert(group, Group { socket, ack, responses, has_failed });
            }
            "volatile-burst" => {
                for i in 0..event.data::<u64>().ok()? {
                    let _ = hub.emit_volatile(socket, "volatile-msg", &i);
                }
            }
            "burst" => {
                for i in 0..event.data::<u64>().ok()? {
                    self.emit(hub, now, socket, "burst-msg", [i.into()]);
                }
            }
            "big" => {
                let big = contract::big(event.data().ok()?);
                self.emit(hub, now, socket, "big", [big]);
            }
            "nested-binary" => {
                let (object, (), list) = nested_binary();
                let args = [object, Value::Null, Value::Array(list)];
                self.emit(hub, now, socket, "nested-binary", args);
            }
            "disconnect-me" => {
                let client = event.data().unwrap_or(false);
                self.send(hub, now, socket, Outgoing::Disconnect(client));
            }
            "kick" => {
                let (rooms, client): (_, Option<bool>) = event.data().ok()?;
                for member in hub.sockets(&namespace, &target(rooms)) {
                    self.send(hub, now, member, Outgoing::Disconnect(client == Some(true)));
                }
            }
            "sockets-join" => {
                let (rooms, room): (_, &str) = event.data().ok()?;
                for member in hub.sockets(&namespace, &target(rooms)) {
                    hub.join(member, room);
                }
                self.answer(hub, now, socket, ack, []);
            }
            "sockets-leave" => {
                let (rooms, room): (_, &str) = event.data().ok()?;
                for member in hub.sockets(&namespace, &target(rooms)) {
                    hub.leave(member, room);
                }
                self.answer(hub, now, socket, ack, []);
            }
            "members" => {
                let room: String = event.data().ok()?;
                let members = hub.sockets(&namespace, &Target::all().to(room));
                let ids = members.iter().filter_map(|&member| hub.id(member));
                let ids = sorted(ids.map(|id| id.as_str()));
                self.answer(hub, now, socket, ack, [ids]);
            }
            "whoami" => {
                let client = self.clients.get(&socket)?;
                let (recovered, data) = (client.is_recovered, client.data.clone());
                let auth = auth(hub, socket);
                let answer = contract::whoami(hub.id(socket)?, &namespace, auth, recovered, data);
                self.answer(hub, now, socket, ack, [answer]);
            }
            "request-info" => {
                let (head, transport) = (hub.handshake(socket)?, hub.session(socket)?.transport());
                let info = contract::request_info(head.query(), head.header("x-test"), transport);
                self.answer(hub, now, socket, ack, [info.into()]);
            }
            "set" => {
                let (key, value) = event.data().ok()?;
                self.clients.get_mut(&socket)?.data.insert(key, value);
                self.answer(hub, now, socket, ack, []);
            }
            "reason-of" => {
                let known = self.reasons.of(event.data().ok()?);
                self.answer(hub, now, socket, ack, [known.map_or(Value::Null, Value::from)]);
            }
            _ => {}
        }
        Some(())
    }
}

/// What is sent waits here while there is no room.
impl Application {
    fn emit(
        &mut self,
        hub: &mut Hub,
        now: Time,
        socket: SocketKey,
        name: &str,
        args: impl Into<Vec<Value>>,
    ) {
        self.send(hub, now, socket, Outgoing::Emit(name.to_owned(), args.into()));
    }

    fn answer(
        &mut self,
        hub: &mut Hub,
        now: Time,
        socket: SocketKey,
        ack: Option<AckId>,
        args: impl Into<Vec<Value>>,
    ) {
        if let Some(ack) = ack {
            self.send(hub, now, socket, Outgoing::Ack(ack, args.into()));
        }
    }

    /// Sends behind what waits already.
    fn send(&mut self, hub: &mut Hub, now: Time, socket: SocketKey, outgoing: Outgoing) {
        let Some(client) = self.clients.get_mut(&socket) else { return };
        if client.backlog.is_empty() {
            let Some(outgoing) = self.try_send(hub, now, socket, outgoing) else { return };
            hub.pause(socket);
            if let Some(client) = self.clients.get_mut(&socket) {
                client.backlog.push_back(outgoing);
            }
        } else {
            client.backlog.push_back(outgoing);
        }
    }

    /// There is room again.
    fn send_backlog(&mut self, hub: &mut Hub, now: Time, socket: SocketKey) {
        while let Some(client) = self.clients.get_mut(&socket)
            && let Some(outgoing) = client.backlog.pop_front()
        {
            if let Some(outgoing) = self.try_send(hub, now, socket, outgoing) {
                if let Some(client) = self.clients.get_mut(&socket) {
                    client.backlog.push_front(outgoing);
                }
                return;
            }
        }
        hub.resume(socket);
    }

    /// Gives back what has no room.
    fn try_send(
        &mut self,
        hub: &mut Hub,
        now: Time,
        socket: SocketKey,
        outgoing: Outgoing,
    ) -> Option<Outgoing> {
        let result = match &outgoing {
            Outgoing::Emit(name, args) => hub.emit(socket, name, &Spread(args)),
            Outgoing::Forward(event) => hub.forward(socket, event),
            Outgoing::Ack(ack, args) => hub.acknowledge(socket, *ack, &Spread(args)),
            Outgoing::Ask(name, args, timeout, asked) => {
                let ask = hub.emit_with_ack(now, socket, name, &Spread(args), *timeout);
                ask.map(|ask| drop(self.asked.insert(ask, asked.clone())))
            }
            Outgoing::Disconnect(true) => {
                hub.disconnect_client(now, socket);
                Ok(())
            }
            Outgoing::Disconnect(false) => {
                hub.disconnect(socket);
                Ok(())
            }
        };
        matches!(result, Err(EmitError::Full { .. })).then_some(outgoing)
    }
}

fn target(rooms: Vec<String>) -> Target {
    rooms.into_iter().fold(Target::all(), Target::to)
}

/// The payload with which a client connected.
fn auth(hub: &Hub, socket: SocketKey) -> Value {
    let auth = hub.auth(socket).map(|auth| auth.to_value().unwrap_or(Value::Null));
    auth.unwrap_or_else(|| object([]))
}

/// A list of names in order.
fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    Value::Array(names.into_iter().map(Value::from).collect())
}
