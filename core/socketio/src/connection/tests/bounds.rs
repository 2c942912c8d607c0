//! Limits on what a client can make the server keep.

use super::*;

fn few_namespaces() -> World {
    let config = ConnectionConfig { max_namespaces: 2, ..ConnectionConfig::default() };
    World::with(config, Revision::V4)
}

#[test]
fn client_has_so_many_namespaces_and_no_more() {
    let mut world = few_namespaces();
    world.connect("/a");
    world.client_sends("0/undecided,");
    world.events();
    world.client_sends("0/c,");
    assert_eq!(world.sent(), [r#"4/c,{"message":"too many namespaces"}"#]);
    assert!(world.events().is_empty());
    assert_eq!(world.connection.fault(), None);
}

#[test]
fn sockets_that_are_not_released_count_as_namespaces() {
    let mut world = few_namespaces();
    for _ in 0..2 {
        world.connect("/a");
        world.client_sends("1/a,");
        world.events();
    }
    world.client_sends("0/a,");
    assert_eq!(world.sent(), [r#"4/a,{"message":"too many namespaces"}"#]);
}

#[test]
fn names_of_namespaces_that_the_server_has_left_are_bounded() {
    let mut world = few_namespaces();
    for name in ["/a", "/b", "/c"] {
        let slot = world.connect(name);
        world.connection.release(slot, &mut world.wire);
        world.events();
    }
    world.sent();
    world.client_sends(r#"2/c,["late"]"#);
    assert_eq!(world.connection.fault(), None);
    world.client_sends(r#"2/a,["very late"]"#);
    assert_eq!(world.connection.fault(), Some(&Fault::NotConnected));
}

#[test]
fn client_that_asks_without_end_and_takes_no_responses_is_closed() {
    let mut world = few_namespaces();
    world.wire.room = Some(0);
    for asked in 0.. {
        assert!(asked < 1000, "it fills the memory");
        world.client_sends("0/nope,");
        match world.connection.poll_event() {
            Some(ConnectionEvent::Connect(slot, _)) => {
                let error = ConnectError::from("Invalid namespace");
                world.connection.refuse(slot, &error, &mut world.wire);
            }
            _ => break,
        }
    }
    assert_eq!(world.connection.fault(), Some(&Fault::TakesNoResponses));
}

#[test]
fn that_holds_for_requests_beyond_the_limit_too() {
    let mut world = few_namespaces();
    world.connect("/a");
    world.connect("/b");
    world.wire.room = Some(0);
    for _ in 0..1000 {
        world.client_sends("0/c,");
    }
    assert_eq!(world.connection.fault(), Some(&Fault::TakesNoResponses));
    assert!(world.connection.waiting.is_empty());
}

#[test]
fn storage_of_a_burst_is_given_back() {
    let (mut world, slot) = World::connected();
    for _ in 0..100 {
        world.client_sends(r#"2["a"]"#);
    }
    assert_eq!(world.received(slot).len(), 100);
    world.events();
    assert!(world.connection.slots[0].events.capacity() <= KEPT);
    assert!(world.connection.outputs.capacity() <= KEPT);
}
