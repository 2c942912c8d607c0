//! Acknowledgements of events that this side has sent.

use super::*;

#[test]
fn acknowledgement_comes_with_its_arguments_and_once() {
    let (mut world, slot) = World::connected();
    world.ask(slot, 7, SECOND).unwrap();
    assert_eq!(world.sent(), [r#"27["ask"]"#]);
    world.client_sends("37[1,2]");
    world.client_sends("37[3]");
    world.client_sends("38[]");
    assert_eq!(world.events(), ["ack 7 [1,2]"]);
    assert_eq!(world.connection.poll_timeout(), None);
}

#[test]
fn acknowledgement_may_be_without_arguments_or_binary() {
    let (mut world, slot) = World::connected();
    world.ask(slot, 1, SECOND).unwrap();
    world.ask(slot, 2, SECOND).unwrap();
    world.client_sends("31");
    world.client_sends(r#"61-2[{"_placeholder":true,"num":0}]"#);
    world.client_sends(&[9][..]);
    assert_eq!(world.events(), ["ack 1 []", r#"ack 2 [{"_placeholder":true,"num":0}]"#]);
}

#[test]
fn each_fails_at_its_own_deadline() {
    let (mut world, slot) = World::connected();
    world.ask(slot, 1, 3 * SECOND).unwrap();
    world.ask(slot, 2, SECOND).unwrap();
    assert_eq!(world.connection.poll_timeout(), Some(Time::ZERO + SECOND));
    world.pass(SECOND);
    assert_eq!(world.events(), ["no ack 2: the peer has not acknowledged in time"]);
    // Too late: nothing happens.
    world.client_sends("32[]");
    assert!(world.events().is_empty());
    world.pass(2 * SECOND);
    assert_eq!(world.events(), ["no ack 1: the peer has not acknowledged in time"]);
}

#[test]
fn client_has_a_grace_period_to_acknowledge_if_the_process_did_not_run() {
    let (mut world, slot) = World::connected();
    world.ask(slot, 1, SECOND).unwrap();
    world.ask(slot, 2, SECOND).unwrap();
    world.pause(10 * SECOND);
    world.client_sends("31[]");
    assert_eq!(world.events(), ["ack 1 []"]);
    world.pass(9 * SECOND);
    assert_eq!(world.events(), ["no ack 2: the peer has not acknowledged in time"]);
}

#[test]
fn those_of_a_socket_fail_when_it_ends() {
    let mut world = World::new();
    let (first, second) = (world.connect("/"), world.connect("/a"));
    world.ask(first, 1, SECOND).unwrap();
    world.ask(second, 2, SECOND).unwrap();
    world.client_sends("1");
    assert_eq!(
        world.events(),
        [
            "no ack 1: the socket was disconnected: client namespace disconnect",
            "disconnected: client namespace disconnect"
        ]
    );
    world.connection.handle_closed(&CloseReason::PingTimeout);
    assert_eq!(
        world.events(),
        ["no ack 2: the socket was disconnected: ping timeout", "disconnected: ping timeout"]
    );
}

#[test]
fn client_that_owes_too_many_is_asked_no_more() {
    let config = ConnectionConfig { max_pending_acks: 2, ..ConnectionConfig::default() };
    let mut world = World::with(config, Revision::V4);
    let slot = world.connect("/");
    world.ask(slot, 1, SECOND).unwrap();
    world.ask(slot, 2, SECOND).unwrap();
    assert_eq!(world.ask(slot, 3, SECOND), Err(EmitError::TooManyAcks { max: 2 }));
    assert_eq!(world.connection.forget_ack(slot, AckId(1)), Some(1));
    assert_eq!(world.ask(slot, 3, SECOND), Ok(()));
    assert_eq!(world.sent().len(), 3);
}

#[test]
fn event_without_room_is_not_waited_for() {
    let (mut world, slot) = World::connected();
    world.wire.room = Some(0);
    assert!(world.ask(slot, 1, SECOND).is_err());
    assert_eq!(world.connection.poll_timeout(), None);
}

#[test]
fn large_numbers_of_clients_come_back_as_they_are() {
    let (mut world, slot) = World::connected();
    world.client_sends(r#"299999999999999999999["a"]"#);
    let event = world.connection.take_event(slot, &mut world.wire).unwrap();
    let id = event.ack().unwrap();
    let message = Encoder::new().ack(&Parser::Json, "/", id, &1, Vec::new()).unwrap();
    world.connection.acknowledge(slot, message, &mut world.wire).unwrap();
    assert_eq!(world.sent(), ["399999999999999999999[1]"]);
}
