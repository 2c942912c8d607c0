//! The wires of clusters, held to what the reference's adapters and emitters send for the same operations:
//! `tests/vectors/sio-cluster.json`, written by `tests/js/cluster-vectors.mjs`, where its shape is described.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use enginewire::Time;
use enginewire_socketio::{
    Args, Payload, Room,
    adapter::Target,
    cluster::{
        Broadcast, Message, Operation, RequestId, Response, SocketInfo,
        wire::{
            ClassicConfig, Command, Emitter, Format, HeartbeatsConfig, StreamsConfig,
            SubscriptionMode, Wire, WireConfig, WireEvent,
        },
    },
};
use serde_json::{Value, json};

const NOW: Time = Time::ZERO;

/// The seeds of which the ids in the vectors are made.
const REQUESTER: u64 = 2;
const RESPONDER: u64 = 1;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/sio-cluster.json")).unwrap()
}

fn config(format: &str) -> WireConfig {
    WireConfig::new(match format {
        "classic" | "emitter" => Format::Classic(ClassicConfig::default()),
        "classic-response-channels" => {
            let mut classic = ClassicConfig::default();
            classic.has_response_channels = true;
            Format::Classic(classic)
        }
        "sharded-static" => Format::Sharded(SubscriptionMode::Static),
        "sharded-dynamic" => Format::Sharded(SubscriptionMode::Dynamic),
        "sharded-dynamic-private" => Format::Sharded(SubscriptionMode::DynamicPrivate),
        "streams" => Format::Streams(StreamsConfig::default()),
        "streams-4-sharded" => {
            let mut streams = StreamsConfig::default();
            (streams.streams, streams.is_sharded) = (4, true);
            Format::Streams(streams)
        }
        "postgres" => Format::Heartbeats(HeartbeatsConfig::default()),
        _ => panic!("unknown format {format}"),
    })
}

/// The value of the vectors, in which binary data are marked.
fn value(vector: &Value) -> enginewire_socketio::Value {
    use enginewire_socketio::Value as Ours;
    match vector {
        Value::Array(values) => Ours::Array(values.iter().map(value).collect()),
        Value::Object(members) => match members.get("$bin") {
            Some(_) => Ours::Binary(chunk(vector)),
            None => {
                Ours::Object(members.iter().map(|(name, of)| (name.clone(), value(of))).collect())
            }
        },
        plain => plain.clone().into(),
    }
}

fn chunk(vector: &Value) -> Bytes {
    match vector.as_str() {
        Some(text) => text.to_owned().into(),
        None => STANDARD.decode(vector["$bin"].as_str().unwrap()).unwrap().into(),
    }
}

fn rooms(vector: &Value) -> Vec<Room> {
    let rooms = vector.as_array().into_iter().flatten();
    rooms.map(|room| room.as_str().unwrap().into()).collect()
}

/// Call that the caller of the reference has made. Arguments are JSON where they can, as those of our callers are.
fn operation(vector: &Value) -> Operation {
    let target = Target { rooms: rooms(&vector["rooms"]), except: rooms(&vector["except"]) };
    let asks = vector["asks"] == true;
    let request = asks.then_some(RequestId(1));
    let event = || {
        let of = value(&vector["args"]);
        Args::from_payload(Payload::new(&of).unwrap())
    };
    match vector["kind"].as_str().unwrap() {
        "emit" => {
            let flags = &vector["flags"];
            let event = event();
            let compressed = flags["compress"] != false;
            Operation::Broadcast(Broadcast {
                target,
                event: if compressed { event } else { event.without_compression() },
                volatile: flags["volatile"] == true,
                request,
                timeout: flags["timeout"].as_u64().map(Duration::from_millis),
                offset: None,
            })
        }
        "join" => Operation::Join { target, rooms: rooms(&vector["joins"]) },
        "leave" => Operation::Leave { target, rooms: rooms(&vector["joins"]) },
        "disconnect" => Operation::Disconnect { target, close: vector["close"] == true },
        "fetch" => Operation::FetchSockets { target, request: RequestId(1) },
        "server" => Operation::ServerSideEmit { event: event(), request },
        kind => panic!("unknown kind {kind}"),
    }
}

/// All that an operation says, but for the numbers of requests, which are another at each node.
fn shown(operation: &Operation) -> String {
    let args = |args: &Args| format!("{:?}", sorted(args.payload()));
    match operation {
        Operation::Broadcast(Broadcast { target, event, volatile, request, timeout, .. }) => {
            let (target, is_asking) = (members(target), request.is_some());
            format!("{target} {} {volatile} {is_asking} {timeout:?}", args(event))
        }
        Operation::FetchSockets { target, .. } => format!("fetch {}", members(target)),
        Operation::ServerSideEmit { event, request } => {
            format!("server {} {}", args(event), request.is_some())
        }
        Operation::Respond { response, .. } => match response {
            Response::Ack(of) => format!("ack {}", args(of)),
            Response::Event(of) => format!("answer {}", args(of)),
            Response::Sockets(sockets) => {
                let shown = sockets.iter().map(|SocketInfo { id, rooms, handshake, data }| {
                    format!("{id} {:?} {} {}", texts(rooms), sorted(handshake), sorted(data))
                });
                shown.collect::<Vec<_>>().join(", ")
            }
            other => format!("{other:?}"),
        },
        Operation::Join { target, rooms } => format!("join {} {:?}", members(target), texts(rooms)),
        Operation::Leave { target, rooms } => {
            format!("leave {} {:?}", members(target), texts(rooms))
        }
        Operation::Disconnect { target, close } => {
            format!("disconnect {} {close}", members(target))
        }
        other => panic!("{other:?}"),
    }
}

/// A target with its names, which `Debug` redacts if they are another node's.
fn members(Target { rooms, except }: &Target) -> String {
    format!("{:?} but {:?}", texts(rooms), texts(except))
}

fn texts(rooms: &[Room]) -> Vec<&str> {
    rooms.iter().map(Room::as_str).collect()
}

/// The value as JSON, whose members have no order, with text for binary data.
fn sorted(payload: &Payload) -> Value {
    fn json(value: &enginewire_socketio::Value) -> Value {
        use enginewire_socketio::Value as Ours;
        match value {
            Ours::Binary(bytes) => json!({ "$bin": STANDARD.encode(bytes) }),
            Ours::Array(values) => values.iter().map(json).collect(),
            Ours::Object(members) => {
                members.iter().map(|(name, of)| (name.clone(), json(of))).collect()
            }
            plain => plain.to_json().unwrap(),
        }
    }
    json(&payload.to_value().unwrap())
}

fn node(format: &str, seed: u64) -> Wire {
    let mut wire = Wire::new(config(format), seed);
    wire.handle_connected(NOW, true);
    wire.handle_namespace(NOW, &Arc::from("/"), true);
    commands(&mut wire);
    wire
}

fn commands(wire: &mut Wire) -> Vec<Command> {
    let all = std::iter::from_fn(|| wire.poll_command());
    all.filter(|command| !matches!(command, Command::Count { .. })).collect()
}

fn send(wire: &mut Wire, operation: Operation) -> Vec<Command> {
    wire.send(NOW, Message { to: None, namespace: "/".into(), operation });
    commands(wire)
}

/// The command as the vectors have it.
fn plain(command: &Command) -> Value {
    let text = |bytes: &Bytes| match bytes.first() {
        Some(b'{') => Value::from(std::str::from_utf8(bytes).unwrap()),
        _ => json!({ "$bin": STANDARD.encode(bytes) }),
    };
    match command {
        Command::Publish { channel, message, is_sharded, attachment, .. } => json!({
            "channel": **channel,
            "message": text(message),
            "is_sharded": is_sharded,
            "is_stored": attachment.is_some(),
        }),
        Command::Append { stream, fields, .. } => {
            let fields = fields.iter().map(|(name, value)| {
                ((*name).to_owned(), std::str::from_utf8(value).unwrap().into())
            });
            json!({ "stream": **stream, "fields": fields.collect::<serde_json::Map<_, Value>>() })
        }
        other => panic!("{other:?} sends nothing"),
    }
}

/// Gives a node what the reference has sent.
fn deliver(wire: &mut Wire, command: &Value) -> Vec<Operation> {
    match command["stream"].as_str() {
        Some(stream) => {
            let fields = command["fields"].as_object().unwrap();
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (&**name, value.as_str().unwrap().as_bytes()))
                .collect();
            wire.handle_entry(NOW, stream, "1-0", &fields);
        }
        None => {
            let (channel, message) =
                (command["channel"].as_str().unwrap(), chunk(&command["message"]));
            match command["is_stored"] == true {
                true => wire.handle_fetched(NOW, channel, message),
                false => wire.handle_published(NOW, channel, message),
            }
        }
    }
    let events = std::iter::from_fn(|| wire.poll_event());
    let operations = events.filter_map(|event| match event {
        WireEvent::Message { operation, .. } => Some(operation),
        WireEvent::Faulty(error) => panic!("{error} for {command}"),
        _ => None,
    });
    operations.collect()
}

/// Calls `check` with each case of a list, of which there are many, and its format.
fn for_each(list: &str, mut check: impl FnMut(&str, &Value)) {
    let mut cases = 0;
    for (format, of) in vectors()["formats"].as_object().unwrap() {
        for case in of[list].as_array().unwrap() {
            check(format, case);
            cases += 1;
        }
    }
    assert!(cases > 30, "{cases} cases are not many");
}

#[test]
fn node_sends_the_bytes_of_the_reference() {
    for_each("sent", |format, case| {
        if format == "emitter" {
            return;
        }
        let sent = send(&mut node(format, REQUESTER), operation(&case["operation"]));
        let sent: Vec<_> = sent.iter().map(plain).collect();
        assert_eq!(Value::from(sent), case["commands"], "{format} {}", case["operation"]);
    });
}

#[test]
fn emitter_sends_the_bytes_of_the_reference() {
    for case in vectors()["formats"]["emitter"]["sent"].as_array().unwrap() {
        let sent =
            Emitter::new(config("emitter")).emit("/", &operation(&case["operation"])).unwrap();
        assert_eq!(json!([plain(&sent)]), case["commands"], "{}", case["operation"]);
    }
}

#[test]
fn node_reads_what_the_reference_sends() {
    for_each("sent", |format, case| {
        let mut wire = node(format, RESPONDER);
        let expected = operation(&case["operation"]);
        for command in case["commands"].as_array().unwrap() {
            let read = deliver(&mut wire, command);
            let read: Vec<_> = read.iter().map(shown).collect();
            assert_eq!(read, [shown(&expected)], "{format}");
        }
    });
}

/// The answers of the only socket of the reference, see its script.
fn answers(operation: &Operation) -> Vec<Operation> {
    let responses = match operation {
        Operation::Broadcast(_) => {
            vec![Response::Clients(1), Response::Ack(Args::ack("pong").unwrap())]
        }
        Operation::ServerSideEmit { .. } => vec![Response::Event(Args::ack("pong").unwrap())],
        _ => {
            // The order of members is that of the text.
            let handshake = r#"{"headers":{"a":"b"},"query":{},"auth":{},"secure":false}"#;
            vec![Response::Sockets(vec![SocketInfo {
                id: "abcdefghijklmnopqrst".into(),
                rooms: vec!["abcdefghijklmnopqrst".into(), "r1".into()],
                handshake: Payload::from_json(handshake.into(), 0, vec![]),
                data: Payload::from_json(r#"{"n":1}"#.into(), 0, vec![]),
            }])]
        }
    };
    let request = match operation {
        Operation::Broadcast(Broadcast { request, .. })
        | Operation::ServerSideEmit { request, .. } => request.expect("a request"),
        Operation::FetchSockets { request, .. } => *request,
        other => panic!("{other:?} asks for nothing"),
    };
    responses.into_iter().map(|response| Operation::Respond { request, response }).collect()
}

#[test]
fn node_responds_with_the_bytes_of_the_reference() {
    for_each("responses", |format, case| {
        let mut wire = node(format, RESPONDER);
        let asked = deliver(&mut wire, &case["request"]).pop().unwrap();
        let responses = answers(&asked).into_iter().flat_map(|response| send(&mut wire, response));
        let responses: Vec<_> = responses.collect::<Vec<_>>().iter().map(plain).collect();
        assert_eq!(Value::from(responses), case["commands"], "{format} {}", case["operation"]);
    });
}

#[test]
fn node_reads_how_the_reference_responds() {
    for_each("responses", |format, case| {
        let mut wire = node(format, REQUESTER);
        let asked = operation(&case["operation"]);
        let expected: Vec<_> = answers(&match asked.clone() {
            Operation::FetchSockets { target, .. } => {
                Operation::FetchSockets { target, request: RequestId(1) }
            }
            asked => asked,
        })
        .iter()
        .map(shown)
        .collect();
        send(&mut wire, asked);
        let commands = case["commands"].as_array().unwrap();
        let read: Vec<_> =
            commands.iter().flat_map(|command| deliver(&mut wire, command)).collect();
        for operation in &read {
            assert!(matches!(operation, Operation::Respond { request: RequestId(1), .. }));
        }
        assert_eq!(read.iter().map(shown).collect::<Vec<_>>(), expected, "{format}");
    });
}
