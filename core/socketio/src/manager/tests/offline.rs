//! Events that are emitted while there is no connection.

use super::*;

#[test]
fn events_wait_for_the_connection_in_their_order() {
    let mut world = World::new();
    let slot = world.manager.open("/", Auth::None).unwrap();
    for name in ["a", "b"] {
        world.emit(slot, name).unwrap();
    }
    world.connect(slot);
    world.emit(slot, "c").unwrap();
    world.open();
    world.emit(slot, "d").unwrap();
    assert_eq!(world.sent(), ["0"]);
    world.server_connects("/");
    assert_eq!(world.sent(), [r#"2["a"]"#, r#"2["b"]"#, r#"2["c"]"#, r#"2["d"]"#]);
    assert_eq!(world.manager.queued(slot), 0);
}

#[test]
fn events_without_room_in_the_session_leave_when_there_is_some() {
    let (mut world, slot) = World::connected();
    world.lose(&lost(), 0);
    for name in ["a", "b", "c"] {
        world.emit(slot, name).unwrap();
    }
    world.pass(SECOND);
    world.open();
    world.wire().room = Some(2);
    world.sent();
    world.server_connects("/");
    assert_eq!(world.sent(), [r#"2["a"]"#, r#"2["b"]"#]);
    // None overtakes what waits.
    assert!(matches!(world.emit(slot, "d"), Err(EmitError::Full { .. })));
    world.set_room(None);
    assert_eq!((world.sent(), world.events()), (vec![r#"2["c"]"#.into()], vec!["writable".into()]));
    world.emit(slot, "d").unwrap();
    assert_eq!(world.sent(), [r#"2["d"]"#]);
}

#[test]
fn waiting_events_are_bounded_and_an_emitter_is_told_of_room() {
    let mut world = World::with(|config| config.max_offline = 100);
    let slot = world.socket("/");
    let taken = (0..100).take_while(|_| world.emit(slot, "event").is_ok()).count();
    assert!((1..10).contains(&taken), "{taken}");
    let Err(EmitError::Full { queued, max: 100 }) = world.emit(slot, "event") else { panic!() };
    assert_eq!(queued, world.manager.queued(slot));
    world.open();
    world.server_connects("/");
    assert_eq!(world.events(), ["writable"]);
    assert_eq!(world.sent().len(), 1 + taken);
}

#[test]
fn event_that_is_larger_than_the_limit_waits_alone() {
    let mut world = World::with(|config| config.max_offline = 10);
    let slot = world.socket("/");
    world.emit(slot, "larger than that").unwrap();
    assert!(world.emit(slot, "a").is_err());
}

#[test]
fn events_are_refused_or_dropped_where_that_is_asked_for() {
    let mut world = World::with(|config| config.offline = Offline::Refuse);
    let slot = world.socket("/");
    assert_eq!(world.emit(slot, "a"), Err(EmitError::Disconnected));
    assert_eq!(world.ask(slot, "a", SECOND), Err(EmitError::Disconnected));

    let mut world = World::with(|config| config.offline = Offline::Drop);
    let slot = world.socket("/");
    assert_eq!(world.emit(slot, "a"), Ok(()));
    world.ask(slot, "b", SECOND).unwrap();
    assert_eq!(world.events(), ["open", "no ack 0: the event was not sent"]);
    world.opened();
    world.server_connects("/");
    assert_eq!(world.sent(), ["0"]);
}

#[test]
fn volatile_events_are_sent_at_once_or_not_at_all() {
    let mut world = World::new();
    let slot = world.socket("/");
    assert_eq!(world.emit_volatile(slot, "a"), Err(EmitError::NotIdle));
    world.open();
    assert_eq!(world.emit_volatile(slot, "a"), Err(EmitError::NotIdle));
    world.server_connects("/");
    world.sent();
    world.emit_volatile(slot, "b").unwrap();
    assert_eq!(world.sent(), [r#"2["b"]"#]);
    world.wire().is_busy = true;
    assert_eq!(world.emit_volatile(slot, "c"), Err(EmitError::NotIdle));
    world.disconnect(slot);
    assert_eq!(world.emit_volatile(slot, "d"), Err(EmitError::Disconnected));
}

#[test]
fn waiting_events_can_be_forgotten() {
    let mut world = World::with(|config| config.max_offline = 500);
    let slot = world.socket("/");
    world.emit(slot, "a").unwrap();
    world.ask(slot, "b", SECOND).unwrap();
    world.retry(slot, "c").unwrap();
    while world.emit(slot, "d").is_ok() {}
    world.events();
    assert!(world.manager.forget_offline(slot) > 3);
    let not_sent = "the event was not sent";
    let expected = [format!("no ack 0: {not_sent}"), format!("no ack 1: {not_sent}")];
    assert_eq!(world.events(), [&expected[..], &["writable".into()]].concat());
    assert_eq!(world.manager.queued(slot), 0);
    world.opened();
    world.server_connects("/");
    assert_eq!(world.sent(), ["0"]);
}

#[test]
fn attachments_of_waiting_events_leave_with_them() {
    let mut world = World::new();
    let slot = world.socket("/");
    let attachment = crate::Attachment::new(0);
    let event = NamedEvent::new("a", &attachment).attach(&b"b"[..]);
    let event = Encoder::new().event(&Parser::Json, "/", None, &event).unwrap();
    world.manager.emit(slot, event, &mut world.session).unwrap();
    world.open();
    world.sent();
    world.server_connects("/");
    assert_eq!(world.sent(), [r#"51-["a",{"_placeholder":true,"num":0}] b"b""#]);
}

#[test]
fn emitter_is_told_of_room_while_one_event_still_waits() {
    let mut world = World::with(|config| config.max_offline = 1000);
    let slot = world.socket("/");
    world.emit(slot, "small").unwrap();
    while world.ask(slot, "large", SECOND).is_ok() {}
    world.events();
    world.pass(SECOND);
    let events = world.events();
    assert_eq!(events.last().map(|last| &**last), Some("writable"), "{events:?}");
    world.emit(slot, "another").unwrap();
}
