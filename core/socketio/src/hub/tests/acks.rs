//! Acknowledgements: both ways, of one and of many, in time and late.

use super::*;
use crate::{AckId, Asking};

#[test]
fn client_acknowledges_an_event_once() {
    let mut world = World::new();
    let peer = world.connect("/");
    let ask = world.hub.emit_with_ack(world.now, peer.key, "age?", &(), SECOND).unwrap();
    assert_eq!(ask.socket(), peer.key);
    assert_eq!(world.take(peer.on), r#"20["age?"]"#);
    world.says(peer.on, "30[42]");
    world.says(peer.on, "30[43]");
    assert_eq!(world.seen(), ["#1 acked [42]"]);
    world.end();
}

#[test]
fn acknowledgement_is_awaited_until_its_deadline() {
    let mut world = World::new();
    let peer = world.connect("/");
    world.hub.emit_with_ack(world.now, peer.key, "a", &(), SECOND).unwrap();
    world.hub.emit_with_ack(world.now, peer.key, "b", &(), Duration::MAX).unwrap();
    world.pass(SECOND - Duration::from_nanos(1));
    assert_eq!(world.seen(), [""; 0]);
    world.pass(Duration::from_nanos(1));
    assert_eq!(world.seen(), ["#1 acked timeout"]);
    world.says(peer.on, "30[1]");
    assert_eq!(world.seen(), [""; 0], "it is late");
    world.says(peer.on, "1");
    let left = "client namespace disconnect";
    assert_eq!(world.seen(), [format!("#1 acked {left}"), format!("#1 left []: {left}")]);
    world.end();
}

#[test]
fn forgotten_acknowledgement_never_comes() {
    let mut world = World::new();
    let peer = world.connect("/");
    let ask = world.hub.emit_with_ack(world.now, peer.key, "a", &(), SECOND).unwrap();
    assert!(world.hub.forget(ask));
    assert!(!world.hub.forget(ask));
    world.says(peer.on, "30[1]");
    world.pass(SECOND);
    assert_eq!(world.seen(), [""; 0]);
    world.end();
}

#[test]
fn server_acknowledges_events_at_any_time() {
    let mut world = World::new();
    let peer = world.connect("/");
    let chat = world.connect_on(peer.on, "/chat");
    world.says(peer.on, r#"27["a"]"#);
    world.says(peer.on, r#"2/chat,7["b"]"#);
    assert_eq!(world.seen(), [r#"#1 ["a"] ack 7"#, r#"#2 ["b"] ack 7"#]);
    const PAIR: Asking<(), (String, u8)> = Asking::new("b");
    world.hub.acknowledge_for(chat, PAIR, AckId(7), &("x", 1)).unwrap();
    let placeholder = crate::Attachment::new(0);
    let data = Vec::from([bytes::Bytes::from_static(b"png")]);
    world.hub.acknowledge_with(peer.key, AckId(7), &placeholder, data).unwrap();
    assert_eq!(
        world.messages(peer.on),
        [r#"3/chat,7["x",1]"#, r#"61-7[{"_placeholder":true,"num":0}]"#, "<png>"]
    );
    world.says(peer.on, "1");
    assert_eq!(world.hub.acknowledge(peer.key, AckId(7), &()), Err(EmitError::Disconnected));
    world.end();
}

#[test]
fn numbers_are_shared_by_all_events_of_a_namespace() {
    let mut world = World::new();
    let peers: Vec<_> = (0..2).map(|_| world.connect("/")).collect();
    world.hub.emit_with_ack(world.now, peers[0].key, "a", &(), SECOND).unwrap();
    world.hub.broadcast_with_ack(world.now, "/", &Target::all(), "b", &(), SECOND).unwrap();
    assert_eq!(world.messages(peers[0].on), [r#"20["a"]"#, r#"21["b"]"#]);
    assert_eq!(world.messages(peers[1].on), [r#"21["b"]"#]);
    world.end();
}

#[test]
fn acknowledgements_of_a_broadcast_come_one_by_one_and_then_its_end() {
    let mut world = World::new();
    let peers: Vec<_> = (0..4).map(|_| world.connect("/")).collect();
    world.hub.broadcast_with_ack(world.now, "/", &Target::all(), "q", &(), SECOND).unwrap();
    world.says(peers[2].on, r#"30["c"]"#);
    world.says(peers[0].on, r#"30["a"]"#);
    world.says(peers[0].on, r#"30["again"]"#);
    world.seen.retain(|line| !line.starts_with('#'));
    assert_eq!(world.seen(), [r#"group 1 #3 ["c"]"#, r#"group 1 #1 ["a"]"#]);
    world.lose(peers[1].on);
    assert_eq!(
        world.seen(),
        ["group 1 gone transport error", "#2 left []: transport error"],
        "a member that leaves fails at once"
    );
    world.pass(SECOND - Duration::from_nanos(1));
    assert_eq!(world.seen(), [""; 0]);
    world.pass(Duration::from_nanos(1));
    assert_eq!(world.seen(), ["group 1 #4 timeout", "group 1 completed"]);
    world.says(peers[3].on, r#"30["late"]"#);
    assert_eq!(world.seen(), [""; 0]);
    world.end();
}

#[test]
fn broadcast_to_nobody_is_complete_at_once() {
    let mut world = World::new();
    let none = Target::all().to("none");
    world.hub.broadcast_with_ack(world.now, "/", &Target::all(), "q", &(), SECOND).unwrap();
    let peer = world.connect("/");
    world.hub.broadcast_with_ack(world.now, "/", &none, "q", &(), SECOND).unwrap();
    world.drain();
    assert_eq!(world.seen(), ["group 2 completed"]);
    assert_eq!(world.messages(peer.on), [""; 0]);
    world.end();
}

#[test]
fn client_owes_a_limited_number_of_acknowledgements() {
    let mut world = World::with(|config| config.connection.max_pending_acks = 1);
    let peer = world.connect("/");
    world.hub.emit_with_ack(world.now, peer.key, "a", &(), SECOND).unwrap();
    let error = world.hub.emit_with_ack(world.now, peer.key, "b", &(), SECOND).unwrap_err();
    assert_eq!(error, EmitError::TooManyAcks { max: 1 });
    world.hub.broadcast_with_ack(world.now, "/", &Target::all(), "q", &(), SECOND).unwrap();
    world.drain();
    assert_eq!(
        world.seen(),
        ["group 1 #1 the client has not acknowledged 1 events", "group 1 completed"]
    );
    assert!(world.hub.is_connected(peer.key), "it is slow in its application, not on the wire");
    world.end();
}

#[test]
fn broadcast_tells_the_reason_of_a_socket_that_has_just_left() {
    let endings = [
        ("client namespace disconnect", Some(frame(0x81, b"41"))),
        ("transport close", Some(frame(0x88, b""))),
        ("transport error", None),
    ];
    for (reason, end) in endings {
        let mut world = World::new();
        let (peer, other) = (world.connect("/"), world.connect("/"));
        // The application polls nothing in between, and has not heard of it.
        match end {
            Some(mut bytes) => world.hub.handle_bytes(world.now, peer.on, &mut bytes),
            None => world.wires.lose(&mut world.hub, world.now, peer.on),
        }
        world.hub.broadcast_with_ack(world.now, "/", &Target::all(), "q", &(), SECOND).unwrap();
        world.says(other.on, "30[]");
        let expected = [
            format!("#1 left []: {reason}"),
            format!("group 1 gone {reason}"),
            "group 1 #2 []".into(),
            "group 1 completed".into(),
        ];
        assert_eq!(world.seen(), expected);
        world.end();
    }
}
