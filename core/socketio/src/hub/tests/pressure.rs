//! Slow clients and slow applications: volatile events, overflow, room, pauses.

use super::*;

fn small_queue(config: &mut HubConfig) {
    config.engine.protocol.limits.max_queued = 1000;
}

/// A client whose socket is blocked, with as many events queued as there is room for.
fn full(world: &mut World) -> Peer {
    let peer = world.connect("/");
    world.set_blocked(peer.on, true);
    // What one write takes is not queued any more.
    world.hub.emit(peer.key, "first", &()).unwrap();
    world.drain();
    while world.hub.emit(peer.key, "fill", &()).is_ok() {}
    peer
}

#[test]
fn volatile_event_is_dropped_behind_a_blocked_socket() {
    let mut world = World::new();
    let (slow, fast) = (world.connect("/"), world.connect("/"));
    world.hub.emit_volatile(slow.key, "a", &()).unwrap();
    assert_eq!(world.take(slow.on), r#"2["a"]"#);
    world.set_blocked(slow.on, true);
    world.hub.emit(slow.key, "b", &()).unwrap();
    world.drain();
    assert_eq!(world.hub.emit_volatile(slow.key, "c", &()), Err(EmitError::NotIdle));
    let delivered = world.hub.broadcast_volatile("/", &Target::all(), "d", &()).unwrap();
    assert_eq!(delivered, Delivered { sockets: 1, skipped: 1, ..Delivered::default() });
    world.set_blocked(slow.on, false);
    assert_eq!(world.messages(slow.on), [r#"2["b"]"#]);
    assert_eq!(world.messages(fast.on), [r#"2["d"]"#]);
    world.end();
}

#[test]
fn socket_without_room_is_told_of_when_there_is_some() {
    let mut world = World::with(small_queue);
    let peer = full(&mut world);
    let error = world.hub.emit(peer.key, "refused", &()).unwrap_err();
    assert!(matches!(error, EmitError::Full { .. }), "{error}");
    assert!(world.hub.acknowledge(peer.key, crate::AckId(0), &()).is_err());
    world.says(peer.on, r#"2["still there"]"#);
    assert_eq!(world.seen(), [r#"#1 ["still there"]"#]);
    world.set_blocked(peer.on, false);
    assert_eq!(world.seen(), ["#1 writable"], "once, however often it was refused");
    world.hub.emit(peer.key, "more", &()).unwrap();
    assert_eq!(world.messages(peer.on).last().unwrap(), r#"2["more"]"#);
    assert_eq!(world.seen(), [""; 0]);
    world.end();
}

#[test]
fn only_the_socket_that_was_refused_is_told_of_room() {
    let mut world = World::with(small_queue);
    let peer = world.connect("/");
    let chat = world.connect_on(peer.on, "/chat");
    world.set_blocked(peer.on, true);
    world.hub.emit(chat, "first", &()).unwrap();
    world.drain();
    while world.hub.emit(chat, "fill", &()).is_ok() {}
    world.set_blocked(peer.on, false);
    assert_eq!(world.seen(), ["#2 writable"]);
    world.end();
}

#[test]
fn broadcast_disconnects_a_client_without_room() {
    let mut world = World::with(small_queue);
    let (slow, fast) = (full(&mut world), world.connect("/"));
    let delivered = world.hub.broadcast("/", &Target::all(), "all", &()).unwrap();
    assert_eq!(delivered, Delivered { sockets: 1, disconnected: 1, ..Delivered::default() });
    world.drain();
    assert_eq!(world.seen(), ["#1 left []: overflow"]);
    assert!(world.wire(slow.on).is_closed || world.hub.session(slow.key).is_none());
    assert_eq!(world.messages(fast.on), [r#"2["all"]"#]);
    world.end();
}

#[test]
fn broadcast_passes_by_a_client_without_room_if_it_is_to() {
    let mut world = World::with(|config| {
        small_queue(config);
        config.overflow = Overflow::Skip;
    });
    let (slow, fast) = (full(&mut world), world.connect("/"));
    let delivered = world.hub.broadcast("/", &Target::all(), "all", &()).unwrap();
    assert_eq!(delivered, Delivered { sockets: 1, skipped: 1, ..Delivered::default() });
    world.hub.broadcast_with_ack(world.now, "/", &Target::all(), "q", &(), SECOND).unwrap();
    world.drain();
    let seen = world.seen();
    assert!(matches!(&seen[..], [line] if line.starts_with("group 1 #1 no room: ")), "{seen:?}");
    assert!(world.hub.is_connected(slow.key));
    assert_eq!(world.messages(fast.on), [r#"2["all"]"#, r#"20["q"]"#]);
    world.end();
}

#[test]
fn broadcast_with_acknowledgements_fails_for_a_client_that_overflows() {
    let mut world = World::with(small_queue);
    full(&mut world);
    let fast = world.connect("/");
    world.hub.broadcast_with_ack(world.now, "/", &Target::all(), "q", &(), SECOND).unwrap();
    world.says(fast.on, "30[1]");
    assert_eq!(
        world.seen(),
        ["#1 left []: overflow", "group 1 gone overflow", "group 1 #2 [1]", "group 1 completed"]
    );
    world.end();
}

#[test]
fn paused_socket_keeps_its_events_and_those_of_others_come() {
    let mut world = World::new();
    let (a, b) = (world.connect("/"), world.connect("/"));
    world.hub.pause(a.key);
    world.says(a.on, r#"2["1"]"#);
    world.says(a.on, r#"2["2"]"#);
    world.says(b.on, r#"2["3"]"#);
    assert_eq!(world.seen(), [r#"#2 ["3"]"#]);
    world.hub.resume(a.key);
    world.drain();
    assert_eq!(world.seen(), [r#"#1 ["1"]"#, r#"#1 ["2"]"#]);
    world.hub.pause(a.key);
    world.says(a.on, r#"2["4"]"#);
    world.says(a.on, "1");
    assert_eq!(world.seen(), [r#"#1 ["4"]"#, "#1 left []: client namespace disconnect"]);
    world.end();
}

#[test]
fn events_that_are_not_taken_stop_the_connection_from_being_read() {
    let mut world = World::with(|config| config.engine.protocol.limits.max_unread = 1000);
    let peer = world.connect("/");
    world.hub.pause(peer.key);
    let event = format!(r#"2["{}"]"#, "x".repeat(90));
    let mut sent = 0;
    while world.hub.is_reading(peer.on) {
        world.says(peer.on, &event);
        sent += 1;
        assert!(sent < 100, "it is never stopped");
    }
    assert_eq!(world.seen(), [""; 0]);
    world.hub.resume(peer.key);
    world.drain();
    assert_eq!(world.seen().len(), sent);
    assert!(world.hub.is_reading(peer.on));
    world.end();
}

#[test]
fn outputs_that_are_polled_late_are_all_there() {
    let mut world = World::new();
    let (a, b) = (world.connect("/"), world.connect("/"));
    world.is_stuck = true;
    world.says(a.on, r#"2["1"]"#);
    world.says(b.on, r#"2["2"]"#);
    world.hub.emit_with_ack(world.now, a.key, "q", &(), SECOND).unwrap();
    world.says(a.on, "30[]");
    world.says(a.on, r#"2["3"]"#);
    world.says(a.on, "1");
    world.hub.broadcast("/", &Target::all(), "all", &()).unwrap();
    world.lose(b.on);
    world.is_stuck = false;
    world.drain();
    let seen = world.seen();
    let of_a: Vec<_> = seen.iter().filter(|line| line.starts_with("#1")).collect();
    assert_eq!(
        of_a,
        ["#1 acked []", r#"#1 ["1"]"#, r#"#1 ["3"]"#, "#1 left []: client namespace disconnect"]
    );
    let of_b: Vec<_> = seen.iter().filter(|line| line.starts_with("#2")).collect();
    assert_eq!(of_b, [r#"#2 ["2"]"#, "#2 left []: transport error"]);
    world.end();
}
