//! How sockets, clients and the hub end.

use super::*;

#[test]
fn client_that_leaves_is_reported_behind_its_events() {
    let mut world = World::new();
    let peer = world.connect("/");
    world.hub.join(peer.key, "room");
    let mut bytes = frame(0x81, br#"42["last"]"#);
    bytes.extend(frame(0x81, b"41"));
    world.bytes(peer.on, bytes);
    assert_eq!(
        world.seen(),
        [r#"#1 ["last"]"#, r##"#1 left ["room"]: client namespace disconnect"##]
    );
    assert!(!world.hub.is_connected(peer.key));
    assert_eq!(world.hub.emit(peer.key, "late", &()), Err(EmitError::Disconnected));
    world.end();
}

#[test]
fn getters_know_a_socket_until_the_poll_behind_its_end() {
    let mut world = World::new();
    let peer = world.connect("/");
    world.is_stuck = true;
    world.says(peer.on, "1");
    let left = loop {
        match world.hub.poll().unwrap() {
            Output::Disconnected(key, ..) => break key,
            output => world.handle(output),
        }
    };
    assert_eq!(world.hub.namespace(left), Some("/"));
    assert!(world.hub.id(left).is_some());
    assert_eq!(world.hub.len(), 1);
    world.hub.poll();
    assert_eq!((world.hub.namespace(left), world.hub.len()), (None, 0));
    world.is_stuck = false;
    world.end();
}

#[test]
fn server_disconnects_a_socket_behind_what_is_queued() {
    let mut world = World::new();
    let peer = world.connect("/");
    let chat = world.connect_on(peer.on, "/chat");
    world.hub.emit(chat, "bye", &()).unwrap();
    world.hub.disconnect(chat);
    world.hub.disconnect(chat);
    assert_eq!(world.messages(peer.on), [r#"2/chat,["bye"]"#, "1/chat,"]);
    assert_eq!(world.seen(), ["#2 left []: server namespace disconnect"]);
    // The client does not know yet.
    world.says(peer.on, r#"2/chat,["late"]"#);
    assert_eq!(world.seen(), [""; 0]);
    assert!(world.hub.is_connected(peer.key));
    world.end();
}

#[test]
fn server_disconnects_a_client_with_all_of_its_sockets() {
    let mut world = World::new();
    let peer = world.connect("/");
    world.connect_on(peer.on, "/chat");
    world.hub.disconnect_client(world.now, peer.key);
    let messages = world.messages(peer.on);
    assert_eq!(messages[..2], ["1", "1/chat,"]);
    assert_eq!(messages[2..], ["88"], "the session is closed");
    let left = "server namespace disconnect";
    assert_eq!(world.seen(), [format!("#1 left []: {left}"), format!("#2 left []: {left}")]);
    world.end();
}

#[test]
fn fault_of_a_client_ends_all_of_its_sockets() {
    let mut world = World::new();
    let peer = world.connect("/");
    world.connect_on(peer.on, "/chat");
    world.says(peer.on, "nonsense");
    assert_eq!(world.seen(), ["#1 left []: forced close", "#2 left []: forced close"]);
    world.end();
}

#[test]
fn silent_client_is_ended_by_the_heartbeat() {
    let mut world = World::with(|config| {
        config.engine.protocol.ping_interval = 2 * SECOND;
        config.engine.protocol.ping_timeout = SECOND;
    });
    let peer = world.connect("/");
    world.pass(4 * SECOND);
    assert_eq!(world.messages(peer.on)[0], "2");
    assert_eq!(world.seen(), ["#1 left []: ping timeout"]);
    world.end();
}

#[test]
fn application_may_disconnect_whom_it_is_told_of() {
    let mut world = World::new();
    world.accepts = false;
    let on = world.open();
    world.says(on, "0");
    world.hub.disconnect(world.asking[0]);
    world.drain();
    assert_eq!(world.seen(), ["#1 asks /", "#1 cancelled"]);
    world.end();
}

#[test]
fn closing_hub_ends_sockets_and_lets_what_is_queued_out() {
    let mut world = World::new();
    let (a, b) = (world.connect("/"), world.connect("/chat"));
    let on = world.open();
    assert!(!world.hub.is_finished());
    world.hub.emit(a.key, "last", &()).unwrap();
    world.hub.close(world.now);
    assert_eq!(world.hub.emit(b.key, "late", &()), Err(EmitError::Disconnected));
    assert_eq!(world.messages(a.on)[..2], [r#"2["last"]"#, "88"]);
    assert_eq!(world.messages(on)[0], "88");
    let left = "server shutting down";
    assert_eq!(world.seen(), [format!("#1 left []: {left}"), format!("#2 left []: {left}")]);
    world.pass(60 * SECOND);
    assert!(world.hub.is_finished());
    world.wires.0.clear();
    world.end();
}

#[test]
fn aborted_hub_is_finished_at_once() {
    let mut world = World::new();
    world.connect("/");
    world.hub.abort(world.now);
    assert!(!world.hub.is_finished());
    world.drain();
    assert_eq!(world.seen(), ["#1 left []: server shutting down"]);
    assert!(world.hub.is_finished());
    world.wires.0.clear();
    world.end();
}

#[test]
fn keys_are_never_used_again() {
    let mut world = World::new();
    let first = world.connect("/");
    world.lose(first.on);
    let second = world.connect("/");
    assert_eq!(first.key.index(), second.key.index());
    assert!(!world.hub.is_connected(first.key));
    world.hub.disconnect(first.key);
    world.hub.disconnect_client(world.now, first.key);
    world.hub.pause(first.key);
    assert!(world.hub.is_connected(second.key));
    world.end();
}

#[test]
fn queues_are_given_back_after_a_burst_and_kept_otherwise() {
    let mut world = World::new();
    let peers: Vec<_> = (0..2 * KEPT).map(|_| world.connect("/")).collect();
    assert!(!world.hub.is_empty());
    for peer in &peers {
        world.hub.pause(peer.key);
        world.hub.resume(peer.key);
        world.hub.emit_with_ack(world.now, peers[0].key, "q", &(), SECOND).unwrap();
    }
    world.hub.disconnect(peers[0].key);
    assert!(world.hub.outputs.capacity() > KEPT && world.hub.readable.capacity() > KEPT);
    world.drain();
    assert_eq!((world.hub.outputs.capacity(), world.hub.readable.capacity()), (0, 0));

    world.says(peers[1].on, r#"2["a"]"#);
    world.says(peers[1].on, "1");
    assert!(world.hub.outputs.capacity() > 0 && world.hub.readable.capacity() > 0);
    peers.iter().for_each(|peer| world.lose(peer.on));
    assert!(world.hub.is_empty());
    world.end();
}

#[test]
fn client_that_ends_its_stream_has_closed_its_transport() {
    let mut world = World::new();
    let peer = world.connect("/");
    world.hub.handle_eof(world.now, peer.on);
    world.drain();
    assert_eq!(world.seen(), ["#1 left []: transport close"]);
    world.end();
}
