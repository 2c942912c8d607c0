//! Copies, and what makes two managers the same.

use std::hash::DefaultHasher;

use enginewire::Fingerprint;

use super::*;

fn fingerprint(manager: &Manager<u32>, now: Time) -> u64 {
    let mut fingerprint = Fingerprint::new(DefaultHasher::new());
    manager.fingerprint(now, &mut fingerprint);
    fingerprint.finish()
}

#[test]
fn whatever_happens_makes_it_another_and_a_copy_is_the_same() {
    type Happening = fn(&mut World, Slot);
    let happenings: [Happening; 17] = [
        |_, _| {},
        |world, _| assert!(world.manager.open("/a", Auth::None).is_some()),
        |world, _| assert!(world.manager.open("/a", Auth::Ask).is_some()),
        |world, _| {
            assert!(world.manager.open("/a", Auth::Payload(Payload::new("a").unwrap())).is_some())
        },
        |world, _| {
            assert!(world.manager.open("/a", Auth::Payload(Payload::new("b").unwrap())).is_some())
        },
        |world, _| {
            world.socket("/a");
        },
        |world, slot| world.ask(slot, "a", SECOND).unwrap(),
        |world, slot| world.ask(slot, "a", 2 * SECOND).unwrap(),
        |world, slot| world.retry(slot, "a").unwrap(),
        |world, _| world.server_sends("2[\"a\"]"),
        |world, _| world.server_sends("2[\"b\"]"),
        |world, _| world.server_sends("51-[\"a\",{\"_placeholder\":true,\"num\":0}]"),
        |world, _| world.server_sends("1"),
        |world, _| world.lose(&lost(), 0),
        |world, slot| {
            world.lose(&lost(), 0);
            world.emit(slot, "a").unwrap();
        },
        |world, slot| {
            world.disconnect(slot);
        },
        |world, slot| {
            world.wire().room = Some(0);
            world.disconnect(slot);
        },
    ];
    let mut fingerprints: Vec<_> = happenings
        .iter()
        .map(|happening| {
            let (mut world, slot) = World::connected();
            happening(&mut world, slot);
            let copy = world.manager.fork().unwrap();
            assert_eq!(fingerprint(&world.manager, world.now), fingerprint(&copy, world.now));
            fingerprint(&copy, world.now)
        })
        .collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), happenings.len());
}

#[test]
fn one_that_is_only_older_is_the_same() {
    let connecting = |at: Duration| {
        let mut world = World::new();
        world.now = world.now + at;
        world.socket("/");
        world.open();
        (fingerprint(&world.manager, world.now), fingerprint(&world.manager, world.now + SECOND))
    };
    let (young, older) = connecting(Duration::ZERO);
    assert_eq!(connecting(SECOND), (young, older));
    assert_ne!(young, older);
}
