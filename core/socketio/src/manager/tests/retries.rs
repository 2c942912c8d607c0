//! Events that are sent until they are acknowledged.

use super::*;

#[test]
fn events_with_retries_leave_one_after_the_other() {
    let (mut world, slot) = World::connected();
    for name in ["a", "b"] {
        world.retry(slot, name).unwrap();
    }
    world.emit(slot, "c").unwrap();
    assert_eq!(world.sent(), [r#"20["a"]"#, r#"2["c"]"#]);
    world.server_sends("30[1]");
    assert_eq!(
        (world.events(), world.sent()),
        (vec!["ack 0 [1]".into()], vec![r#"21["b"]"#.into()])
    );
    world.server_sends("31[]");
    assert_eq!(world.events(), ["ack 1 []"]);
    assert_eq!(world.manager.queued(slot), 0);
}

#[test]
fn event_is_sent_again_at_its_deadline_and_given_up_in_the_end() {
    let (mut world, slot) = World::connected();
    for name in ["a", "b"] {
        world.retry(slot, name).unwrap();
    }
    for _ in 0..3 {
        assert_eq!((world.sent(), world.events()), (vec![r#"20["a"]"#.into()], vec![]));
        assert_eq!(world.manager.poll_timeout(), Some(world.now + 10 * SECOND));
        world.pass(10 * SECOND);
    }
    assert_eq!(world.events(), ["no ack 0: the peer has not acknowledged in time"]);
    assert_eq!(world.sent(), [r#"21["b"]"#]);
}

#[test]
fn server_has_a_grace_period_ahead_of_the_next_time_if_the_process_did_not_run() {
    let (mut world, slot) = World::connected();
    world.retry(slot, "a").unwrap();
    assert_eq!(world.sent(), [r#"20["a"]"#]);
    world.pause(25 * SECOND);
    assert_eq!(world.sent(), Vec::<String>::new());
    world.pass(15 * SECOND);
    assert_eq!(world.sent(), [r#"20["a"]"#]);
    world.pause(25 * SECOND);
    world.server_sends("30[]");
    assert_eq!(world.events(), ["ack 0 []"]);
}

#[test]
fn acknowledgement_of_an_earlier_time_counts() {
    let (mut world, slot) = World::connected();
    world.retry(slot, "a").unwrap();
    world.pass(10 * SECOND);
    assert_eq!(world.sent().len(), 2);
    world.server_sends("30[]");
    world.server_sends("30[]");
    assert_eq!(world.events(), ["ack 0 []"]);
}

#[test]
fn lost_connection_does_not_end_an_event_that_may_be_sent_again() {
    let (mut world, slot) = World::connected();
    world.retry(slot, "a").unwrap();
    for _ in 0..2 {
        assert_eq!(world.sent(), [r#"20["a"]"#]);
        world.lose(&lost(), 0);
        // Without a connection its time does not pass.
        world.pass(100 * SECOND);
        assert_eq!(world.events(), ["open"]);
        world.opened();
        assert_eq!(world.sent(), ["0"]);
        world.server_connects("/");
    }
    assert_eq!(world.sent(), [r#"20["a"]"#]);
    world.lose(&lost(), 0);
    assert_eq!(world.events(), ["no ack 0: the socket was disconnected: transport error"]);
}

#[test]
fn event_without_room_leaves_when_there_is_some() {
    let (mut world, slot) = World::connected();
    world.wire().room = Some(0);
    world.retry(slot, "a").unwrap();
    assert_eq!((world.sent(), world.manager.poll_timeout()), (vec![], None));
    world.set_room(None);
    assert_eq!(world.sent(), [r#"20["a"]"#]);
    assert_eq!(world.manager.poll_timeout(), Some(world.now + 10 * SECOND));
}

#[test]
fn events_with_retries_share_the_bound_of_those_that_wait() {
    let mut world = World::with(|config| {
        config.max_offline = 100;
        config.offline = Offline::Refuse;
    });
    let slot = world.socket("/");
    let taken = (0..100).take_while(|_| world.retry(slot, "event").is_ok()).count();
    assert!((1..10).contains(&taken), "{taken}");
    assert!(matches!(world.retry(slot, "event"), Err(EmitError::Full { max: 100, .. })));
    world.open();
    world.server_connects("/");
    // On a connection other events may have room, so the emitter is told at once, and tries again.
    assert_eq!(world.events(), ["writable"]);
    assert!(matches!(world.retry(slot, "event"), Err(EmitError::Full { max: 100, .. })));
    world.server_sends("30[]");
    assert_eq!(world.events(), ["ack 0 []", "writable"]);
    for id in 1..taken {
        world.server_sends(format!("3{id}[]"));
    }
    assert_eq!(world.sent().len(), 1 + taken);
    world.retry(slot, "event").unwrap();
}

#[test]
fn events_with_retries_end_with_a_socket_that_is_not_tried_again() {
    let (mut world, slot) = World::connected();
    for name in ["a", "b"] {
        world.retry(slot, name).unwrap();
    }
    world.server_sends("1");
    let failed =
        |id| format!("no ack {id}: the socket was disconnected: server namespace disconnect");
    assert_eq!(world.events(), [failed(0), failed(1)]);
    assert_eq!(world.manager.queued(slot), 0);
}

#[test]
fn events_with_retries_end_with_the_last_attempt_to_connect() {
    let mut world = World::with(|config| config.reconnect = None);
    let slot = world.connected_to("/");
    for name in ["a", "b"] {
        world.retry(slot, name).unwrap();
    }
    world.lose(&lost(), 0);
    let failed = |id| format!("no ack {id}: the socket was disconnected: transport error");
    assert_eq!(world.events(), [failed(0), failed(1)]);
}

#[test]
fn event_that_was_sent_is_not_told_to_be_unsent_when_its_socket_is_disconnected() {
    for is_lost in [false, true] {
        let (mut world, slot) = World::connected();
        for name in ["a", "b"] {
            world.retry(slot, name).unwrap();
        }
        assert_eq!(world.sent(), [r#"20["a"]"#]);
        if is_lost {
            world.lose(&lost(), 0);
        }
        assert_eq!(world.disconnect(slot), 1, "the second");
        let failed = "no ack 0: the socket was disconnected: client namespace disconnect";
        assert_eq!(world.events(), [failed, "no ack 1: the event was not sent"], "{is_lost}");
    }
}

#[test]
fn event_that_was_sent_and_is_forgotten_was_not_acknowledged_in_time() {
    let (mut world, slot) = World::connected();
    for name in ["a", "b"] {
        world.retry(slot, name).unwrap();
    }
    assert_eq!(world.manager.forget_offline(slot), 1);
    let failed = "no ack 0: the peer has not acknowledged in time";
    assert_eq!(world.events(), [failed, "no ack 1: the event was not sent"]);
}
