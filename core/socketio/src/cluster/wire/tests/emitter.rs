//! Programs that send without being a node.

use super::{
    super::{EmitError, Emitter},
    *,
};
use crate::cluster::{AppendId, LogRequest};

fn operations() -> Vec<Operation> {
    let target = || Target::all().to("r1").except("r2");
    vec![
        hi(),
        Operation::Broadcast(emit(target(), event(vec!["e".into(), binary(&[1])]))),
        Operation::Join { target: target(), rooms: vec!["r3".into()] },
        Operation::Leave { target: target(), rooms: vec!["r3".into()] },
        Operation::Disconnect { target: target(), close: true },
        Operation::ServerSideEmit { event: Args::event("e", &1).unwrap(), request: None },
    ]
}

#[test]
fn every_operation_reaches_the_nodes_of_its_format() {
    for config in configs() {
        let emitter = Emitter::new(config.clone());
        for operation in operations() {
            let mut wire = node(config.clone(), 1);
            match emitter.emit("/", &operation).unwrap() {
                Command::Publish { channel, message, .. } => {
                    wire.handle_published(at(0), &channel, message)
                }
                Command::Append { stream, fields, .. } => {
                    let fields: Vec<_> =
                        fields.iter().map(|(name, value)| (*name, &**value)).collect();
                    wire.handle_entry(at(0), &stream, "1-0", &fields);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(
                shown(&super::operation(&mut wire)),
                shown(&operation),
                "{:?}",
                config.format
            );
        }
    }
}

#[test]
fn classic_requests_have_the_text_of_the_reference() {
    let emitter = Emitter::new(classic());
    let text = |operation: &Operation| match emitter.emit("/", operation).unwrap() {
        Command::Publish { channel, message, .. } => {
            format!("{channel} {}", core::str::from_utf8(&message).unwrap())
        }
        other => panic!("{other:?}"),
    };
    let [_, _, join, leave, disconnect, server] = &*operations() else { panic!() };
    assert_eq!(
        text(join),
        r#"socket.io-request#/# {"type":2,"opts":{"rooms":["r1"],"except":["r2"]},"rooms":["r3"]}"#
    );
    assert_eq!(
        text(leave),
        r#"socket.io-request#/# {"type":3,"opts":{"rooms":["r1"],"except":["r2"]},"rooms":["r3"]}"#
    );
    assert_eq!(
        text(disconnect),
        r#"socket.io-request#/# {"type":4,"opts":{"rooms":["r1"],"except":["r2"]},"close":true}"#
    );
    assert_eq!(text(server), r#"socket.io-request#/# {"uid":"emitter","type":6,"data":["e",1]}"#);
}

#[test]
fn streams_entries_have_the_text_of_the_reference() {
    // By the source of npm `@socket.io/redis-streams-emitter` 0.1.
    let target = Target::all().to("r1").except("r2");
    let broadcast = Broadcast { volatile: true, ..emit(target, Args::event("hi", &1).unwrap()) };
    let event = Args::event("e", &1).unwrap();
    for (operation, kind, data) in [
        (
            Operation::Broadcast(broadcast),
            "3",
            r#"{"packet":{"type":2,"data":["hi",1],"nsp":"/"},"opts":{"rooms":["r1"],"flags":{"volatile":true},"except":["r2"]}}"#,
        ),
        (
            Operation::Join { target: Target::all(), rooms: vec!["a".into()] },
            "4",
            r#"{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["a"]}"#,
        ),
        (Operation::ServerSideEmit { event, request: None }, "9", r#"{"packet":["e",1]}"#),
    ] {
        let Command::Append { fields, .. } = Emitter::new(streams()).emit("/", &operation).unwrap()
        else {
            panic!()
        };
        let expected = [("uid", "emitter"), ("nsp", "/"), ("type", kind), ("data", data)];
        assert_eq!(
            fields,
            expected.map(|(name, value)| (name, Bytes::from_static(value.as_bytes())))
        );
    }
}

#[test]
fn slash_is_added_to_a_namespace_without_one() {
    let emitter = Emitter::new(classic());
    assert_eq!(emitter.emit("chat", &hi()), emitter.emit("/chat", &hi()));
}

#[test]
fn operations_that_expect_responses_are_refused() {
    let Operation::Broadcast(broadcast) = hi() else { panic!() };
    let append = LogRequest::Append { append: AppendId(1), broadcast };
    let asking = Broadcast {
        request: Some(RequestId(1)),
        ..emit(Target::all(), Args::event("e", &1).unwrap())
    };
    let event = Args::event("e", &1).unwrap();
    for operation in [
        fetch(1),
        Operation::Broadcast(asking),
        Operation::ServerSideEmit { event, request: Some(RequestId(1)) },
        Operation::Respond { request: RequestId(1), response: Response::Clients(1) },
        Operation::Log(append),
    ] {
        for config in configs() {
            assert_eq!(Emitter::new(config).emit("/", &operation), Err(EmitError::Request));
        }
    }
}
