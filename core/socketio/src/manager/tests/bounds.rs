//! Bounds on what waits.

use super::*;

#[test]
fn events_count_as_unread_until_they_are_taken() {
    let (mut world, slot) = World::connected();
    let before = world.wire().released;
    world.server_sends("2[\"a\"]");
    world.server_sends("51-[\"b\",{\"_placeholder\":true,\"num\":0}]");
    world.server_sends(Message::Binary(vec![0; 100].into()));
    assert_eq!(world.wire().released, before);
    assert_eq!(world.manager.unread(), world.cost - before);
    world.updates(slot);
    assert_eq!((world.released(), world.manager.unread()), (world.cost, 0));
}

#[test]
fn events_of_an_earlier_session_count_in_the_next() {
    let (mut world, slot) = World::connected();
    world.server_sends("2[\"a\"]");
    let unread = world.manager.unread();
    assert!(unread > 0);
    world.lose(&lost(), 0);
    assert_eq!(world.manager.unread(), unread);
    world.pass(SECOND);
    world.open();
    world.server_connects("/");
    let before = world.wire().released;
    world.updates(slot);
    assert_eq!(world.wire().released - before, unread);
}

#[test]
fn changes_that_nobody_looks_at_do_not_pile_up() {
    let (mut world, slot) = World::connected();
    world.server_sends("2[\"kept\"]");
    for _ in 0..200 {
        world.lose(&lost(), 0);
        for _ in 0..10 {
            world.pass(5 * SECOND);
            world.events();
            world.lose(&unreachable(), 0);
        }
        world.pass(5 * SECOND);
        world.open();
        world.server_connects("/");
    }
    let updates = world.updates(slot);
    assert!(updates.len() <= 65, "{}", updates.len());
    assert_eq!(updates[0], r#"1:["kept"]"#);
    assert_eq!(updates.last().map(String::as_str), Some("connected id"));
}

#[test]
fn numbers_of_failed_attempts_do_not_pile_up_before_an_application_that_waits() {
    let mut world = World::new();
    let slot = world.socket("/");
    for _ in 0..10 {
        world.events();
        world.lose(&unreachable(), 0);
        world.pass(5 * SECOND);
    }
    let last = ["failed: transport error: no connection to the server", "attempt 10 in 5s"];
    assert_eq!(world.updates(slot), last);
}

#[test]
fn refusal_counts_as_unread_until_it_is_taken() {
    let mut world = World::new();
    let slot = world.socket("/a");
    world.socket("/b");
    world.open();
    let before = world.wire().released;
    let data = "[".repeat(50) + &"]".repeat(50);
    world.server_sends(format!("4/a,{{\"message\":\"no\",\"data\":{data}}}"));
    assert_eq!(world.manager.unread(), world.cost - before);
    assert_eq!(world.updates(slot), ["refused: no"]);
    assert_eq!((world.released(), world.manager.unread()), (world.cost, 0));
    // As many bytes as came, and not a value for each of them.
    let Some(EndReason::Refused(error)) = world.manager.end_reason(slot) else { panic!() };
    assert_eq!(error.data().unwrap().as_json(), Some(&*data));
}
