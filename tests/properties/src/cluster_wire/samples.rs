//! Configurations, operations and answers, by letters.

use enginewire_socketio::{
    Args, Payload,
    adapter::Target,
    cluster::{
        Broadcast, Operation, RequestId, Response, SocketInfo,
        wire::{
            ClassicConfig, Format, HeartbeatsConfig, StreamsConfig, SubscriptionMode, WireConfig,
        },
    },
};

pub(super) fn config(letter: u8) -> WireConfig {
    let mut config = WireConfig::new(match letter {
        b'C' => {
            let mut classic = ClassicConfig::default();
            classic.has_response_channels = true;
            Format::Classic(classic)
        }
        b'0' => Format::Sharded(SubscriptionMode::Static),
        b'1' => Format::Sharded(SubscriptionMode::Dynamic),
        b'2' => Format::Sharded(SubscriptionMode::DynamicPrivate),
        letter @ (b's' | b'S' | b't') => {
            let mut streams = StreamsConfig::default();
            if letter == b'S' {
                (streams.streams, streams.is_sharded) = (4, true);
            }
            streams.only_plaintext = letter == b't';
            Format::Streams(streams)
        }
        b'h' => {
            let mut heartbeats = HeartbeatsConfig::default();
            (heartbeats.max_nodes, heartbeats.max_payload) = (3, 200);
            Format::Heartbeats(heartbeats)
        }
        _ => Format::Classic(ClassicConfig::default()),
    });
    config.max_requests = 8;
    config
}

/// Operations of this node, by their letters.
pub(super) fn operation(letter: u8, request: RequestId) -> Operation {
    let target = || Target::all().to("room").except("other");
    let event = || Args::event("e", &(1, "x")).unwrap();
    match letter {
        b'1' => Operation::Broadcast(Broadcast::new(Target::all().to("room"), event())),
        b'2' => Operation::Broadcast(Broadcast {
            request: Some(request),
            ..Broadcast::new(target(), event())
        }),
        b'3' => Operation::Join { target: target(), rooms: vec!["r".into()] },
        b'4' => Operation::Leave { target: target(), rooms: vec!["r".into()] },
        b'5' => Operation::Disconnect { target: target(), close: true },
        b'6' => Operation::FetchSockets { target: target(), request },
        b'7' => Operation::ServerSideEmit { event: event(), request: None },
        b'8' => Operation::ServerSideEmit { event: event(), request: Some(request) },
        _ => Operation::Broadcast(Broadcast::new(Target::all(), event())),
    }
}

/// Answers to a request, with what it has brought.
pub(super) fn responses(operation: &Operation) -> Vec<Response> {
    match operation {
        Operation::Broadcast(broadcast) => {
            vec![Response::Clients(1), Response::Ack(broadcast.event.clone())]
        }
        Operation::ServerSideEmit { event, .. } => vec![Response::Event(event.clone())],
        _ => {
            let object = || Payload::empty_object().clone();
            let rooms = vec!["socket".into(), "room".into()];
            let id = "socket".into();
            vec![Response::Sockets(vec![SocketInfo {
                id,
                rooms,
                handshake: object(),
                data: object(),
            }])]
        }
    }
}
