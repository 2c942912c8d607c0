//! Events in both directions.

use super::*;

#[test]
fn events_come_in_order_and_with_their_numbers() {
    let (mut world, slot) = World::connected();
    world.client_sends(r#"2["a",1]"#);
    world.client_sends(r#"27["b"]"#);
    assert_eq!(world.events(), ["readable"], "told once, until all are taken");
    assert_eq!(world.received(slot), [r#"["a",1]"#, r#"7["b"]"#]);
    world.client_sends(r#"2["c"]"#);
    assert_eq!(world.events(), ["readable"]);
    assert_eq!(world.received(slot), [r#"["c"]"#]);
}

#[test]
fn event_with_attachments_comes_when_they_are_there() {
    let (mut world, slot) = World::connected();
    world.client_sends(r#"52-["c",{"_placeholder":true,"num":1}]"#);
    world.client_sends(&[1][..]);
    assert!(!world.connection.is_readable(slot));
    world.client_sends(&[2, 3][..]);
    let event = world.connection.take_event(slot, &mut world.wire).unwrap();
    assert_eq!(event.data::<Vec<u8>>().unwrap(), [2, 3]);
}

#[test]
fn each_namespace_has_its_own_events() {
    let mut world = World::new();
    let (first, second) = (world.connect("/"), world.connect("/a"));
    world.client_sends(r#"2/a,["x"]"#);
    world.client_sends(r#"2["y"]"#);
    world.client_sends(r#"2/a,["z"]"#);
    assert_eq!(world.received(second), [r#"["x"]"#, r#"["z"]"#]);
    assert_eq!(world.received(first), [r#"["y"]"#]);
}

#[test]
fn events_count_as_unread_until_they_are_taken() {
    let (mut world, slot) = World::connected();
    let connecting = world.cost;
    assert_eq!(world.wire.released, connecting);
    world.client_sends(r#"51-["c",{"_placeholder":true,"num":0}]"#);
    world.client_sends(&[0; 100][..]);
    assert_eq!(world.wire.released, connecting);
    world.received(slot);
    assert_eq!(world.wire.released, world.cost);
    // Whatever is not an event does not.
    world.client_sends("30[]");
    world.client_sends("2");
    assert_eq!(world.wire.released, world.cost);
}

#[test]
fn event_without_even_a_name_is_nothing() {
    let (mut world, slot) = World::connected();
    world.client_sends("2");
    world.client_sends("20");
    assert!(world.events().is_empty() && world.received(slot).is_empty());
    assert_eq!(world.connection.fault(), None);
}

#[test]
fn what_has_no_room_comes_back() {
    let (mut world, slot) = World::connected();
    world.wire.room = Some(1);
    assert_eq!(world.emit(slot, "a"), Ok(()));
    assert_eq!(world.emit(slot, "b"), Err(EmitError::Full { queued: 1, max: 1 }));
    world.wire.room = None;
    assert_eq!(world.emit(slot, "b"), Ok(()));
    assert_eq!(world.sent(), [r#"2["a"]"#, r#"2["b"]"#]);
}

#[test]
fn volatile_event_is_sent_at_once_or_dropped() {
    let (mut world, slot) = World::connected();
    world.wire.is_busy = true;
    let sent = world.connection.emit_volatile(slot, event("a", None), &mut world.wire);
    assert_eq!(sent.unwrap_err().reason, EmitError::NotIdle);
    world.wire.is_busy = false;
    assert!(world.connection.emit_volatile(slot, event("b", None), &mut world.wire).is_ok());
    assert_eq!(world.sent(), [r#"2["b"]"#]);
}

#[test]
fn nothing_overtakes_a_response_that_waits_for_room() {
    let mut world = World::new();
    let slot = world.connect("/");
    world.client_sends("0/a,");
    let Some(ConnectionEvent::Connect(second, _)) = world.connection.poll_event() else {
        panic!("no request");
    };
    world.wire.room = Some(0);
    assert!(world.accept(second));
    world.wire.room = Some(1);
    assert!(matches!(world.emit(slot, "a"), Err(EmitError::Full { .. })));
    world.connection.handle_writable(&mut world.wire);
    assert_eq!(world.sent(), [r#"0/a,{"sid":"AAAAAAAAAAAAAAAAAAAA"}"#]);
    world.wire.room = None;
    assert_eq!(world.emit(slot, "a"), Ok(()));
}

#[test]
fn event_that_was_received_can_be_kept_and_shared() {
    let (mut world, slot) = World::connected();
    world.client_sends(r#"2["a","text"]"#);
    let event = world.connection.take_event(slot, &mut world.wire).unwrap();
    let text: &str = event.clone().data::<String>().unwrap().leak();
    assert_eq!((event.name(), text), ("a", "text"));
    assert_eq!(format!("{event:?}"), r#"Event { name: "a", args: 1, ack: None }"#);
}
