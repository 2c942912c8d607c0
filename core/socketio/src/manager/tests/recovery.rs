//! Recovery of a socket that was lost.

use super::*;

/// A client whose socket of `/` can be recovered, and has had an event with an offset.
fn recoverable() -> (World, Slot) {
    let mut world = World::new();
    let slot = world.socket("/");
    world.open();
    world.server_sends(r#"0{"sid":"id","pid":"secret"}"#);
    world.server_sends(r#"2["a","PXp1Zx0"]"#);
    world.updates(slot);
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.updates(slot);
    world.open();
    (world, slot)
}

#[test]
fn lost_socket_asks_for_what_it_has_missed() {
    let (mut world, slot) = recoverable();
    assert_eq!(world.sent(), [r#"0{"pid":"secret","offset":"PXp1Zx0"}"#]);
    // What was missed comes first.
    world.server_sends(r#"2["b","PXp1Zx1"]"#);
    world.server_sends(r#"0{"sid":"id","pid":"secret"}"#);
    assert_eq!(world.updates(slot), [r#"2:["b","PXp1Zx1"]"#, "recovered id"]);
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.open();
    assert_eq!(world.sent(), [r#"0{"pid":"secret","offset":"PXp1Zx1"}"#]);
}

#[test]
fn socket_that_could_not_be_recovered_begins_anew() {
    let (mut world, slot) = recoverable();
    world.server_sends(r#"0{"sid":"other","pid":"another"}"#);
    assert_eq!(world.updates(slot), ["connected other"]);
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.sent();
    world.open();
    assert_eq!(world.sent(), [r#"0{"pid":"another"}"#]);
}

#[test]
fn socket_that_has_left_is_not_recovered() {
    for by_server in [false, true] {
        let (mut world, slot) = recoverable();
        world.server_sends(r#"0{"sid":"id","pid":"secret"}"#);
        if by_server {
            world.server_sends("1");
        } else {
            world.disconnect(slot);
        }
        world.lose(&CloseReason::ForcedClose, 0);
        world.connect(slot);
        world.open();
        assert_eq!(world.sent(), ["0"]);
    }
}
