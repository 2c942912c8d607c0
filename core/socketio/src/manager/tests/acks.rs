//! Acknowledgements both ways.

use super::*;

#[test]
fn acknowledgement_comes_or_its_deadline() {
    let (mut world, slot) = World::connected();
    world.ask(slot, "a", SECOND).unwrap();
    world.ask(slot, "b", 2 * SECOND).unwrap();
    assert_eq!(world.sent(), [r#"20["a"]"#, r#"21["b"]"#]);
    assert_eq!(world.manager.poll_timeout(), Some(world.now + SECOND));
    world.server_sends("31[\"yes\"]");
    world.pass(2 * SECOND);
    assert_eq!(
        world.events(),
        [r#"ack 1 ["yes"]"#, "no ack 0: the peer has not acknowledged in time"]
    );
    // Late, twice, and never asked for.
    for packet in ["30[]", "31[]", "39[]"] {
        world.server_sends(packet);
    }
    assert!(world.events().is_empty());
}

#[test]
fn server_has_a_grace_period_to_acknowledge_if_the_process_did_not_run() {
    let (mut world, slot) = World::connected();
    world.ask(slot, "a", SECOND).unwrap();
    world.ask(slot, "b", SECOND).unwrap();
    world.pause(10 * SECOND);
    world.server_sends("30[]");
    assert_eq!(world.events(), ["ack 0 []"]);
    world.pass(9 * SECOND);
    assert_eq!(world.events(), ["no ack 1: the peer has not acknowledged in time"]);
}

#[test]
fn acknowledgements_fail_with_the_connection_unless_their_events_have_not_left() {
    let mut world = World::new();
    let slot = world.socket("/");
    world.ask(slot, "a", 10 * SECOND).unwrap();
    world.open();
    world.server_connects("/");
    world.sent();
    world.lose(&lost(), 0);
    world.ask(slot, "b", 10 * SECOND).unwrap();
    assert_eq!(world.events(), ["no ack 0: the socket was disconnected: transport error"]);
    world.pass(SECOND);
    world.open();
    world.sent();
    world.server_connects("/");
    assert_eq!(world.sent(), [r#"21["b"]"#]);
    world.server_sends("31[2]");
    assert_eq!(world.events(), ["ack 1 [2]"]);
}

#[test]
fn event_that_has_not_left_by_its_deadline_does_not_leave() {
    let mut world = World::new();
    let slot = world.socket("/");
    world.emit(slot, "a").unwrap();
    world.ask(slot, "b", SECOND).unwrap();
    world.emit(slot, "c").unwrap();
    let before = world.manager.queued(slot);
    world.pass(SECOND);
    assert_eq!(world.events(), ["open", "no ack 0: the peer has not acknowledged in time"]);
    assert!(world.manager.queued(slot) < before);
    world.opened();
    world.server_connects("/");
    assert_eq!(world.sent(), ["0", r#"2["a"]"#, r#"2["c"]"#]);
}

#[test]
fn numbers_go_on_over_all_connections() {
    let (mut world, slot) = World::connected();
    world.ask(slot, "a", SECOND).unwrap();
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.open();
    world.server_connects("/");
    world.events();
    world.ask(slot, "b", SECOND).unwrap();
    // That of the connection before is not taken for it.
    world.server_sends("30[]");
    assert!(world.events().is_empty());
}

#[test]
fn acknowledgement_that_was_forgotten_is_not_told() {
    let (mut world, slot) = World::connected();
    world.ask(slot, "a", SECOND).unwrap();
    assert_eq!(world.manager.forget_ack(slot, AckId(0)), Some(0));
    world.server_sends("30[]");
    world.pass(SECOND);
    assert!(world.events().is_empty());
}

#[test]
fn server_owes_no_more_acknowledgements_than_allowed() {
    let mut world = World::with(|config| config.max_pending_acks = 1);
    let slot = world.socket("/");
    world.ask(slot, "a", SECOND).unwrap();
    assert_eq!(world.ask(slot, "b", SECOND), Err(EmitError::TooManyAcks { max: 1 }));
    world.pass(SECOND);
    world.ask(slot, "c", SECOND).unwrap();
}

#[test]
fn events_of_the_server_are_acknowledged_on_their_own_connection_alone() {
    let (mut world, slot) = World::connected();
    let ack = || Encoder::new().ack(&Parser::Json, "/", AckId(7), &"ok", vec![]).unwrap();
    world.server_sends("27[\"a\"]");
    assert_eq!(world.updates(slot), [r#"1:7["a"]"#]);
    world.manager.acknowledge(slot, 1, ack(), &mut world.session).unwrap();
    assert_eq!(world.sent(), [r#"37["ok"]"#]);
    world.server_sends("27[\"b\"]");
    world.lose(&lost(), 0);
    let refused = world.manager.acknowledge(slot, 1, ack(), &mut world.session).unwrap_err();
    assert_eq!(refused.reason, EmitError::Disconnected);
    world.pass(SECOND);
    world.open();
    world.server_connects("/");
    world.sent();
    assert!(world.manager.acknowledge(slot, 1, ack(), &mut world.session).is_err());
    world.manager.acknowledge(slot, 2, ack(), &mut world.session).unwrap();
    assert_eq!(world.sent(), [r#"37["ok"]"#]);
}

#[test]
fn acknowledgement_does_not_wait_for_another_connection() {
    let (mut world, slot) = World::connected();
    world.server_sends("20[\"a\"]");
    assert_eq!(world.updates(slot), [r#"1:0["a"]"#]);
    // The session ends, which the manager is not told yet.
    world.manager.abort(&mut world.session);
    let message = || Encoder::new().ack(&Parser::Json, "/", AckId(0), &(), Vec::new()).unwrap();
    let result = world.manager.acknowledge(slot, 1, message(), &mut world.session);
    assert_eq!(result.map_err(|error| error.reason), Err(EmitError::Disconnected));
    assert_eq!(world.emit_volatile(slot, "a"), Err(EmitError::Disconnected));
    assert_eq!(world.manager.queued(slot), 0);
}

#[test]
fn number_is_not_used_for_a_second_socket_of_a_namespace_on_one_session() {
    let (mut world, _root) = World::connected();
    let first = world.connected_to("/a");
    world.ask(first, "a", SECOND).unwrap();
    world.manager.release(world.now, first, &mut world.session);
    world.events();
    let second = world.connected_to("/a");
    world.ask(second, "b", SECOND).unwrap();
    assert_eq!(world.sent(), [r#"2/a,1["b"]"#]);
    world.server_sends("3/a,0[\"late\"]");
    assert!(world.events().is_empty());
    // They begin anew with a session.
    world.manager.release(world.now, second, &mut world.session);
    world.lose(&lost(), 0);
    let third = world.manager.open("/a", Auth::None).unwrap();
    assert_eq!(world.manager.next_ack(third), AckId(0));
}

#[test]
fn event_before_a_response_that_never_came_is_not_acknowledged_on_the_next_connection() {
    let mut world = World::new();
    let slot = world.socket("/");
    world.open();
    world.server_sends("20[\"early\"]");
    assert_eq!(world.updates(slot), [r#"1:0["early"]"#]);
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.open();
    world.server_connects("/");
    let message = Encoder::new().ack(&Parser::Json, "/", AckId(0), &(), Vec::new()).unwrap();
    let result = world.manager.acknowledge(slot, 1, message, &mut world.session);
    assert_eq!(result.map_err(|error| error.reason), Err(EmitError::Disconnected));
}
