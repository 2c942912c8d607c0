//! Faults, messages and ends at every step of the upgrade.

use enginewire::Revision;
use enginewire_simulator::{EndId, Fault, Numbered, Path, Side, When, World};

use crate::common::*;

/// Whatever becomes of the WebSocket before the client has said its `5`, the session goes on.
fn survives(revision: Revision, fault: Fault, side: Side, bytes: u64) {
    scenario(|seed| {
        let mut world = world(seed);
        let path = move |_: &mut _| Path::default().with(When::Upgraded(side, bytes), fault);
        let life = begin(&mut world, revision, BOTH, path);
        for _ in 0..20 {
            talk(&mut world, life, 3);
            world.run_for(SECOND);
        }
        assert_well(&mut world, life);
        assert_eq!(is_upgraded(&world, life), (false, false));
        world.finish().0
    });
}

/// Bytes of the frame with the probe, masked, and of its answer.
const PROBE: u64 = 2 + 4 + 6;
const ANSWER: u64 = 2 + 6;

#[test]
fn a_probe_that_is_cut_or_swallowed_or_stalls_costs_nothing() {
    for revision in REVISIONS {
        for fault in [Fault::Reset, Fault::Vanish, Fault::Swallow(Side::Client)] {
            for bytes in 0..PROBE {
                survives(revision, fault, Side::Client, bytes);
            }
        }
        for fault in [Fault::Reset, Fault::Vanish, Fault::Swallow(Side::Server)] {
            for bytes in 0..ANSWER {
                survives(revision, fault, Side::Server, bytes);
            }
        }
    }
}

#[test]
fn a_probe_that_is_late_costs_nothing() {
    for revision in REVISIONS {
        for side in [Side::Client, Side::Server] {
            survives(revision, Fault::Stall(30 * SECOND), side, 0);
            survives(revision, Fault::Slow(15 * SECOND), side, 0);
        }
    }
}

/// A proxy that does not know WebSockets.
#[test]
fn an_upgrade_whose_101_is_cut_costs_nothing() {
    for at in [1, 10, 50, 100] {
        scenario(|seed| {
            let mut world = world(seed);
            let mut connections = 0;
            let path = move |_: &mut _| {
                connections += 1;
                match connections {
                    2 => Path::default().with(When::Bytes(Side::Server, at), Fault::Reset),
                    _ => Path::default(),
                }
            };
            let life = world.connect(enginewire_simulator::client_config(BOTH), path);
            assert_well(&mut world, life);
            assert_eq!(is_upgraded(&world, life), (false, false));
            world.finish().0
        });
    }
}

#[test]
fn all_that_is_queued_moves_along_in_order() {
    for revision in REVISIONS {
        for wait in 0..60 {
            scenario(|seed| {
                let mut world = world(seed);
                let life = begin(&mut world, revision, BOTH, good);
                world.run_for(wait * 2 * MILLI);
                let upgraded = is_upgraded(&world, life);
                talk(&mut world, life, MANY);
                assert_full(&world, life, upgraded);
                world.run_for(60 * SECOND);
                assert_eq!(is_upgraded(&world, life), (true, true));
                assert_well(&mut world, life);
                world.finish().0
            });
        }
    }
}

/// Checks that each side that is open, and was not on its WebSocket, has not been able to send all that it
/// was to send: its queue is full, also after a GET or POST has taken as much as there was room for.
fn assert_full(world: &World<Numbered>, life: u64, upgraded: (bool, bool)) {
    let (client, server) = (world.application.client(life), world.application.server(life));
    assert!(upgraded.0 || client.sent < MANY as u64, "{client:?}");
    let open = world.server_end(life).is_some();
    assert!(upgraded.1 || !open || server.sent < MANY as u64, "{server:?}");
}

/// Messages for which no queue has room, not even if it is emptied once: see [`server`].
const MANY: usize = 1000;

/// However late the answer to the probe is, so that the client polls on: nothing is lost, and nobody polls
/// more often than there is reason to.
#[test]
fn a_talk_during_an_upgrade_that_takes_long_loses_nothing() {
    for revision in REVISIONS {
        for delay in 0..12 {
            scenario(|seed| {
                let mut world = world(seed);
                let path = move |_: &mut _| {
                    Path::default()
                        .with(When::Upgraded(Side::Server, 0), Fault::Slow(delay * 30 * MILLI))
                };
                let life = begin(&mut world, revision, BOTH, path);
                for _ in 0..40 {
                    talk(&mut world, life, 1);
                    world.run_for(50 * MILLI);
                }
                world.run_for(20 * SECOND);
                assert_eq!(is_upgraded(&world, life), (true, true));
                assert_well(&mut world, life);
                world.finish().0
            });
        }
    }
}

#[test]
fn either_side_can_close_at_every_step_of_the_upgrade() {
    for revision in REVISIONS {
        for side in [Side::Client, Side::Server] {
            for step in 0..=UPGRADE_STEPS {
                for graceful in [true, false] {
                    scenario(|seed| close_at(seed, revision, side, step, graceful));
                }
            }
        }
    }
}

fn close_at(
    seed: u64,
    revision: Revision,
    side: Side,
    step: u32,
    graceful: bool,
) -> enginewire_simulator::Log {
    let mut world = world(seed);
    let life = begin(&mut world, revision, BOTH, good);
    world.run_until(|world: &World<_>| world.server_end(life).is_some());
    talk(&mut world, life, 2);
    for _ in 0..step {
        world.step();
    }
    assert_spans_upgrade(&world, life, step);
    let id = match (side, world.server_end(life)) {
        (Side::Server, Some(id)) => id,
        (Side::Server, None) => panic!("it is there until it is closed"),
        (Side::Client, _) => EndId::Client(life),
    };
    world.at(id, |application, end| {
        application.burst(end, 3);
        if graceful { end.close() } else { end.abort() }
    });
    world.run_for(100 * SECOND);
    let (client, server) = reasons(&world, life);
    let (ours, theirs) = match side {
        Side::Client => (client, server),
        Side::Server => (server, client),
    };
    assert_eq!(ours, FORCED);
    assert!(theirs.is_some());
    let (client, server) = (world.application.client(life), world.application.server(life));
    match side {
        _ if !graceful => {}
        Side::Client => assert_eq!((server.received, theirs), (client.sent, TOLD), "{client:?}"),
        Side::Server => assert_eq!((client.received, theirs), (server.sent, TOLD), "{server:?}"),
    }
    world.finish().0
}
