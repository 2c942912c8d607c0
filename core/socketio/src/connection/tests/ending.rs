//! How sockets and connections end.

use super::*;

#[test]
fn events_that_came_before_the_end_are_still_there() {
    let (mut world, slot) = World::connected();
    world.client_sends(r#"2["last"]"#);
    world.client_sends("1");
    assert_eq!(world.events(), ["readable", "disconnected: client namespace disconnect"]);
    assert!(!world.connection.is_connected(slot));
    assert_eq!(world.received(slot), [r#"["last"]"#]);
    assert_eq!(world.wire.released, world.cost);
}

#[test]
fn client_may_come_back_while_its_old_socket_is_not_released() {
    let (mut world, old) = World::connected();
    world.client_sends(r#"2["old"]"#);
    world.client_sends("1");
    world.events();
    let new = world.connect("/");
    world.client_sends(r#"2["new"]"#);
    assert_ne!(old, new);
    assert_eq!(world.received(old), [r#"["old"]"#]);
    assert_eq!(world.received(new), [r#"["new"]"#]);
    assert_eq!(world.emit(old, "a"), Err(EmitError::Disconnected));
}

#[test]
fn server_leaves_behind_what_is_queued() {
    let (mut world, slot) = World::connected();
    world.emit(slot, "bye").unwrap();
    world.connection.disconnect(slot, &mut world.wire);
    assert_eq!(world.sent(), [r#"2["bye"]"#, "1"]);
    assert_eq!(world.events(), ["disconnected: server namespace disconnect"]);
    assert_eq!(world.emit(slot, "a"), Err(EmitError::Disconnected));
    world.connection.disconnect(slot, &mut world.wire);
    assert!(world.sent().is_empty() && world.events().is_empty());
}

#[test]
fn packets_for_a_namespace_that_the_server_has_left_are_no_fault() {
    let mut world = World::new();
    let (slot, other) = (world.connect("/a"), world.connect("/"));
    world.connection.disconnect(slot, &mut world.wire);
    // The client does not know yet.
    world.client_sends(r#"2/a,["late"]"#);
    world.client_sends("3/a,0[]");
    world.client_sends("1/a,");
    assert_eq!(world.connection.fault(), None);
    assert_eq!(world.wire.released, world.cost);
    assert!(world.connection.is_connected(other));
    // It comes back.
    world.events();
    let again = world.connect("/a");
    world.client_sends(r#"2/a,["again"]"#);
    assert_eq!(world.received(again), [r#"["again"]"#]);
}

#[test]
fn packets_for_a_namespace_that_was_never_connected_are_a_fault() {
    for packet in [r#"2/a,["x"]"#, "3/a,0[]", "1/a,"] {
        let (mut world, _) = World::connected();
        world.client_sends(packet);
        assert_eq!(world.connection.fault(), Some(&Fault::NotConnected), "{packet}");
        assert_eq!(world.events(), ["disconnected: forced close"]);
    }
}

#[test]
fn only_servers_refuse() {
    let (mut world, _) = World::connected();
    world.client_sends(r#"4{"message":"no"}"#);
    assert_eq!(world.connection.fault(), Some(&Fault::ConnectErrorFromClient));
}

#[test]
fn message_that_is_no_packet_ends_the_connection() {
    for message in [Message::from("x"), Message::from("2{}"), Message::from(&[1][..])] {
        let (mut world, slot) = World::connected();
        world.client_sends(r#"2["before"]"#);
        world.client_sends(message.clone());
        world.client_sends(r#"2["behind"]"#);
        assert!(matches!(world.connection.fault(), Some(Fault::Packet(_))), "{message:?}");
        assert_eq!(world.wire.closed_at, Some(Time::ZERO));
        assert_eq!(world.received(slot), [r#"["before"]"#]);
        assert_eq!(world.wire.released, world.cost, "{message:?}");
        world.connection.handle_closed(&CloseReason::ForcedClose);
        assert_eq!(world.events(), ["readable", "disconnected: forced close"], "once");
    }
}

#[test]
fn end_of_the_session_is_the_end_of_all_sockets() {
    for (reason, name) in [
        (CloseReason::TransportClose, "transport close"),
        (CloseReason::TransportError(TransportFault::ConnectionLost), "transport error"),
        (DisconnectReason::ServerClosing.close_reason(), "server shutting down"),
    ] {
        let (mut world, _) = World::connected();
        world.connect("/a");
        world.client_sends("0/undecided,");
        world.events();
        world.connection.handle_closed(&reason);
        let disconnected = format!("disconnected: {name}");
        assert_eq!(world.events(), [disconnected.as_str(), disconnected.as_str(), "cancelled"]);
        assert_eq!(world.connection.connected().count(), 0);
    }
}

#[test]
fn client_is_disconnected_from_all_namespaces() {
    let mut world = World::new();
    world.connect("/");
    world.connect("/a");
    world.connection.disconnect_client(Time::ZERO, &mut world.wire);
    assert_eq!(world.sent(), ["1", "1/a,"]);
    assert_eq!(world.events(), vec!["disconnected: server namespace disconnect"; 2]);
    assert_eq!(world.wire.closed_at, Some(Time::ZERO));
    // What it had sent is not read any more.
    world.client_sends(r#"2["late"]"#);
    assert!(world.events().is_empty());
}

#[test]
fn slow_client_is_cut_off() {
    let (mut world, _) = World::connected();
    world.connection.abort(DisconnectReason::Overflow, &mut world.wire);
    assert_eq!(world.events(), ["disconnected: overflow"]);
    assert_eq!(world.wire.aborted, Some(CloseReason::Application("overflow")));
}

#[test]
fn release_disconnects_and_gives_back_what_was_not_taken() {
    let (mut world, slot) = World::connected();
    world.client_sends(r#"2["unread"]"#);
    world.connection.release(slot, &mut world.wire);
    assert_eq!(world.sent(), ["1"]);
    assert_eq!(world.wire.released, world.cost);
    assert!(world.received(slot).is_empty());
    assert_eq!(world.connection.slots.capacity(), 0);
}
