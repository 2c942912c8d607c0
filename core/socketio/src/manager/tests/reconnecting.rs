//! Attempts that follow a loss.

use super::*;

#[test]
fn lost_socket_is_connected_again_after_a_delay() {
    let (mut world, slot) = World::connected();
    world.lose(&CloseReason::PingTimeout, 0);
    assert_eq!(world.updates(slot), ["disconnected: ping timeout", "attempt 1 in 1s"]);
    assert!(world.manager.is_active(slot) && world.manager.id(slot).is_none());
    assert_eq!(world.manager.poll_timeout(), Some(world.now + SECOND));
    world.pass(SECOND - Duration::from_millis(1));
    assert!(world.events().is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.events(), ["open"]);
    world.opened();
    world.server_connects("/");
    assert_eq!(world.updates(slot), ["connected id"]);
}

#[test]
fn each_attempt_that_fails_waits_longer_and_a_connected_socket_begins_anew() {
    let (mut world, slot) = World::connected();
    world.lose(&lost(), 0);
    for (attempt, wait) in [(2, 2), (3, 4), (4, 5), (5, 5)] {
        world.updates(slot);
        world.pass(5 * SECOND);
        assert_eq!(world.events(), ["open"]);
        world.lose(&unreachable(), 0);
        let expected = [
            "failed: transport error: no connection to the server".into(),
            format!("attempt {attempt} in {wait}s"),
        ];
        assert_eq!(world.updates(slot), expected);
    }
    world.pass(5 * SECOND);
    world.open();
    world.server_connects("/");
    world.updates(slot);
    world.lose(&lost(), 0);
    assert_eq!(world.updates(slot)[1..], ["attempt 1 in 1s"]);
}

#[test]
fn session_that_opens_and_connects_nobody_does_not_count_as_a_success() {
    let mut world = World::new();
    let slot = world.socket("/");
    for (attempt, wait) in [(1, 1), (2, 2), (3, 4)] {
        world.open();
        world.lose(&lost(), 0);
        assert_eq!(world.updates(slot), [format!("attempt {attempt} in {wait}s")]);
        world.pass(wait * SECOND);
    }
}

#[test]
fn attempts_end_and_the_application_may_begin_again() {
    let mut world = World::with(|config| {
        config.reconnect = config.reconnect.take().map(|policy| policy.with_attempts(1));
    });
    let slot = world.socket("/");
    for _ in 0..2 {
        assert_eq!(world.events(), ["open"]);
        world.lose(&unreachable(), 0);
        world.pass(SECOND);
        assert_eq!(world.events(), ["open"]);
        world.lose(&unreachable(), 0);
        assert_eq!(world.manager.end_reason(slot), Some(&EndReason::Failed(unreachable())));
        world.pass(100 * SECOND);
        assert!(world.events().is_empty() && world.manager.poll_timeout().is_none());
        world.connect(slot);
    }
}

#[test]
fn without_reconnection_a_loss_is_the_end() {
    let mut world = World::with(|config| config.reconnect = None);
    let slot = world.connected_to("/");
    world.lose(&lost(), 0);
    assert_eq!(world.manager.end_reason(slot), Some(&EndReason::Failed(lost())));
    world.pass(100 * SECOND);
    assert!(world.events().is_empty());
    world.connect(slot);
    assert_eq!(world.events(), ["open"]);
}

#[test]
fn what_had_not_left_is_told() {
    let (mut world, slot) = World::connected();
    world.emit(slot, "a").unwrap();
    world.lose(&lost(), 3);
    assert_eq!(world.updates(slot)[0], "disconnected: transport error, 3 unsent");
}

#[test]
fn incomplete_packet_goes_with_its_session() {
    let (mut world, slot) = World::connected();
    world.server_sends("51-[\"a\",{\"_placeholder\":true,\"num\":0}]");
    world.lose(&lost(), 0);
    world.updates(slot);
    world.pass(SECOND);
    world.open();
    world.server_connects("/");
    world.server_sends("2[\"b\"]");
    assert_eq!(world.updates(slot), ["connected id", r#"2:["b"]"#]);
}

#[test]
fn all_sockets_come_back_and_those_that_had_left_do_not() {
    let (mut world, _root) = World::connected();
    let left = world.connected_to("/a");
    world.connected_to("/b");
    world.disconnect(left);
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.open();
    assert_eq!(world.sent(), ["0", "0/b,"]);
}

#[test]
fn events_of_the_last_connection_are_told_before_its_end() {
    let (mut world, slot) = World::connected();
    world.server_sends("2[\"a\"]");
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.open();
    world.server_connects("/");
    world.server_sends("2[\"b\"]");
    assert_eq!(
        world.updates(slot),
        [
            r#"1:["a"]"#,
            "disconnected: transport error",
            "attempt 1 in 1s",
            "connected id",
            r#"2:["b"]"#
        ]
    );
}
