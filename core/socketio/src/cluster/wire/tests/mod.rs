//! Rules of the wires, on a broker in memory with a virtual clock.

mod bounds;
mod broker;
mod channels;
mod cluster;
mod emitter;
mod heartbeats;
mod hostile;
mod log;
mod reading;
mod requests;
mod vectors;

use alloc::{format, string::String, sync::Arc, vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use enginewire::Time;

use super::{
    ClassicConfig, Command, Format, HeartbeatsConfig, StreamsConfig, SubscriptionMode, Wire,
    WireConfig, WireError, WireEvent,
};
use crate::{
    Args, Payload, Room, Value,
    adapter::Target,
    cluster::{Broadcast, Message, Operation, RequestId, Response, SocketInfo},
};

fn classic() -> WireConfig {
    WireConfig::new(Format::Classic(ClassicConfig::default()))
}

fn sharded(mode: SubscriptionMode) -> WireConfig {
    WireConfig::new(Format::Sharded(mode))
}

fn streams() -> WireConfig {
    WireConfig::new(Format::Streams(StreamsConfig::default()))
}

fn heartbeats() -> WireConfig {
    WireConfig::new(Format::Heartbeats(HeartbeatsConfig::default()))
}

/// A configuration of each format, and of each option that changes what goes where.
fn configs() -> Vec<WireConfig> {
    let response_channels = ClassicConfig { has_response_channels: true };
    let many = StreamsConfig { streams: 4, is_sharded: true, ..StreamsConfig::default() };
    let apart = HeartbeatsConfig { max_payload: 1, ..HeartbeatsConfig::default() };
    vec![
        classic(),
        WireConfig::new(Format::Classic(response_channels)),
        sharded(SubscriptionMode::Static),
        sharded(SubscriptionMode::Dynamic),
        sharded(SubscriptionMode::DynamicPrivate),
        streams(),
        WireConfig::new(Format::Streams(many)),
        heartbeats(),
        WireConfig::new(Format::Heartbeats(apart)),
    ]
}

fn at(milliseconds: u64) -> Time {
    Time::ZERO + Duration::from_millis(milliseconds)
}

fn namespace(name: &str) -> Arc<str> {
    name.into()
}

fn event(values: Vec<Value>) -> Args {
    Args::from_values(values)
}

fn binary(bytes: &'static [u8]) -> Value {
    Value::Binary(Bytes::from_static(bytes))
}

fn emit(target: Target, event: Args) -> Broadcast {
    Broadcast::new(target, event)
}

fn hi() -> Operation {
    Operation::Broadcast(emit(Target::all(), Args::event("hi", &1).unwrap()))
}

fn fetch(request: u64) -> Operation {
    Operation::FetchSockets { target: Target::all(), request: RequestId(request) }
}

fn message(operation: Operation) -> Message {
    Message { to: None, namespace: namespace("/"), operation }
}

fn socket(id: &str) -> SocketInfo {
    let handshake = Payload::new(&serde_json::json!({ "headers": {}, "query": {} })).unwrap();
    let rooms = vec![Room::from(id), Room::from("chat")];
    let data = Payload::from_value(Value::Object(vec![("seen".into(), 3_u8.into())]));
    SocketInfo { id: id.into(), rooms, handshake, data }
}

/// A node that has the namespace `/`, on a broker that is connected. Its commands so far are dropped.
fn node(config: WireConfig, seed: u64) -> Wire {
    let mut wire = Wire::new(config, seed);
    wire.handle_connected(at(0), true);
    wire.handle_namespace(at(0), &namespace("/"), true);
    commands(&mut wire);
    wire
}

fn commands(wire: &mut Wire) -> Vec<Command> {
    core::iter::from_fn(|| wire.poll_command()).collect()
}

fn events(wire: &mut Wire) -> Vec<WireEvent> {
    core::iter::from_fn(|| wire.poll_event()).collect()
}

/// The channel and the message of the only command.
fn published(wire: &mut Wire, operation: Operation) -> (Arc<str>, Bytes) {
    wire.send(at(0), message(operation));
    match commands(wire).into_iter().next() {
        Some(Command::Publish { channel, message, .. }) => (channel, message),
        other => panic!("{other:?} publishes nothing"),
    }
}

/// The only operation among the events.
fn operation(wire: &mut Wire) -> Operation {
    let mut operations = events(wire).into_iter().filter_map(|event| match event {
        WireEvent::Message { operation, .. } => Some(operation),
        WireEvent::Faulty(error) => panic!("{error}"),
        _ => None,
    });
    let operation = operations.next().expect("an operation");
    assert!(operations.next().is_none(), "more than one operation");
    operation
}

/// The only fault among the events, of which there is no other.
fn fault(wire: &mut Wire) -> WireError {
    match &*events(wire) {
        [WireEvent::Faulty(error)] => error.clone(),
        other => panic!("{other:?} is not one fault"),
    }
}

/// All that an operation says, but for the number of its request.
fn shown(operation: &Operation) -> String {
    let args = |args: &Args| format!("{:?}", args.to_values().unwrap());
    let payload = |payload: &Payload| format!("{:?}", payload.to_value().unwrap());
    match operation {
        Operation::Broadcast(Broadcast { target, event, volatile, request, timeout, .. }) => {
            let compress = event.may_be_compressed();
            let event = args(event);
            let is_asking = request.is_some();
            let target = members(target);
            format!("{target} {event} {volatile} {compress} {is_asking} {timeout:?}")
        }
        Operation::FetchSockets { target, .. } => format!("fetch {}", members(target)),
        Operation::ServerSideEmit { event, request } => {
            format!("server {} {}", args(event), request.is_some())
        }
        Operation::Respond { response, .. } => match response {
            Response::Clients(clients) => format!("{clients} clients"),
            Response::Ack(ack) => format!("ack {}", args(ack)),
            Response::Event(answer) => format!("answer {}", args(answer)),
            Response::Sockets(sockets) => {
                let shown = sockets.iter().map(|socket| {
                    let SocketInfo { id, rooms, handshake, data } = socket;
                    let rooms = texts(rooms);
                    format!("{id} {rooms:?} {} {}", payload(handshake), payload(data))
                });
                shown.collect::<Vec<_>>().join(", ")
            }
        },
        Operation::Join { target, rooms } => format!("join {} {:?}", members(target), texts(rooms)),
        Operation::Leave { target, rooms } => {
            format!("leave {} {:?}", members(target), texts(rooms))
        }
        Operation::Disconnect { target, close } => {
            format!("disconnect {} {close}", members(target))
        }
        Operation::Log(request) => format!("{request:?}"),
    }
}

/// A target with its names, which `Debug` redacts if they are another node's.
fn members(Target { rooms, except }: &Target) -> String {
    format!("{:?} but {:?}", texts(rooms), texts(except))
}

fn texts(rooms: &[Room]) -> Vec<&str> {
    rooms.iter().map(Room::as_str).collect()
}
