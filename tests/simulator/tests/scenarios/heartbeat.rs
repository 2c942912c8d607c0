//! Who is noticed to be gone, when, and who is not.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use enginewire::{ClientTimerKind, Revision, Time, TransportKind};
use enginewire_simulator::{
    EndId, Fault, Log, Manner, Numbered, Path, Side, When, World, client_config,
};

use crate::common::*;

/// The pong comes when the server gives up, to the nanosecond: 10 s there, and 10 s back.
#[test]
fn a_pong_exactly_at_the_deadline_counts_if_it_is_first() {
    for timers_first in [false, true] {
        scenario(|seed| {
            let mut world = world(seed);
            world.set_timers_first(timers_first);
            let mut config = client_config(WEBSOCKET);
            config.open_timeout = 60 * SECOND;
            let life = world.connect(config, |_| Path::exact(10 * SECOND));
            world.run_for(200 * SECOND);
            let expected = if timers_first { (TOLD, SILENT) } else { (None, None) };
            assert_eq!(reasons(&world, life), expected);
            world.finish().0
        });
    }
}

#[test]
fn a_peer_that_vanishes_is_noticed_by_both_sides_in_time() {
    for revision in REVISIONS {
        for transports in [POLLING, WEBSOCKET, BOTH] {
            scenario(|seed| {
                let mut world = world(seed);
                // No connection of polling gets that old but for a GET that waits.
                let wait = if transports == POLLING { 10 * SECOND } else { 70 * SECOND };
                let gone = move |_: &mut _| Path::default().with(When::After(wait), Fault::Vanish);
                let life = begin(&mut world, revision, transports, gone);
                world.run_for(wait - SECOND);
                assert_eq!(reasons(&world, life), (None, None));
                world.run_for(120 * SECOND);
                let (client, server) = reasons(&world, life);
                assert!(client.is_some() && server.is_some(), "{client:?} {server:?}");
                world.finish().0
            });
        }
    }
}

#[test]
fn a_stall_that_is_shorter_than_the_heartbeat_costs_nothing() {
    for revision in REVISIONS {
        for transports in [POLLING, WEBSOCKET, BOTH] {
            scenario(|seed| {
                let mut world = world(seed);
                let stalled = |_: &mut _| {
                    Path::default().with(When::After(30 * SECOND), Fault::Stall(15 * SECOND))
                };
                let life = begin(&mut world, revision, transports, stalled);
                world.run_for(31 * SECOND);
                talk(&mut world, life, 20);
                world.run_for(60 * SECOND);
                assert_well(&mut world, life);
                world.finish().0
            });
        }
    }
}

/// The reference loses its heartbeat for good here.
#[test]
fn a_ping_in_flight_at_the_upgrade_is_answered() {
    for revision in REVISIONS {
        for wait in [4, 8, 10, 11, 12, 16, 20] {
            scenario(|seed| {
                let mut config = server();
                config.protocol.ping_interval = wait * 10 * MILLI;
                config.protocol.ping_timeout = SECOND;
                let mut world = enginewire_simulator::World::new(seed, config, Default::default());
                let exact = |_: &mut _| Path::exact(20 * MILLI);
                let life = begin(&mut world, revision, BOTH, exact);
                world.run_for(60 * SECOND);
                assert_eq!(reasons(&world, life), (None, None));
                assert_eq!(is_upgraded(&world, life), (true, true));
                world.at(EndId::Client(life), |_, end| end.close());
                world.finish().0
            });
        }
    }
}

/// After the upgrade the heartbeat must still notice a peer that is gone.
#[test]
fn a_peer_that_vanishes_right_after_the_upgrade_is_noticed() {
    for revision in REVISIONS {
        for bytes in [0, 1, 8, 9, 15, 16, 30] {
            for side in [Side::Client, Side::Server] {
                scenario(|seed| {
                    let mut world = world(seed);
                    let gone = move |_: &mut _| {
                        Path::default().with(When::Upgraded(side, bytes), Fault::Vanish)
                    };
                    let life = begin(&mut world, revision, BOTH, gone);
                    world.run_for(600 * SECOND);
                    let (client, server) = reasons(&world, life);
                    let upgraded = is_upgraded(&world, life);
                    if upgraded.0 {
                        assert!(client.is_some() && server.is_some(), "{client:?} {server:?}");
                    } else {
                        assert_well(&mut world, life);
                    }
                    world.finish().0
                });
            }
        }
    }
}

/// A process that was suspended finds its peer's deadlines passed, and has not read what the peer sent. Both sides
/// have a grace period then.
#[test]
fn clock_jump_at_any_step_of_the_upgrade_costs_a_live_session_nothing() {
    for revision in REVISIONS {
        for jump in JUMPS {
            for step in 0..=UPGRADE_STEPS {
                scenario(|seed| jump_in_upgrade(seed, revision, step, jump));
            }
        }
    }
}

fn jump_in_upgrade(seed: u64, revision: Revision, step: u32, jump: Duration) -> Log {
    let mut world = patient_world(seed);
    let life = begin(&mut world, revision, BOTH, good);
    world.run_until(|world| world.server_end(life).is_some());
    talk(&mut world, life, 2);
    for _ in 0..step {
        world.step();
    }
    assert_spans_upgrade(&world, life, step);
    world.jump(jump);
    world.run_for(200 * SECOND);
    assert_eq!(reasons(&world, life), (None, None), "{revision:?}, step {step}, {jump:?}");
    assert_well(&mut world, life);
    world.finish().0
}

/// Its server keeps connections for longer than any jump: here only the heartbeat counts.
fn patient_world(seed: u64) -> World<Numbered> {
    let mut config = server();
    config.idle_timeout = 2 * JUMPS[3];
    let manner = Manner { size: 100, ..Manner::default() };
    World::new(seed, config, Numbered::new(manner))
}

/// How far a ping and its answer have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Beat {
    /// None is under way.
    Quiet,
    /// It waits for the connection of its POST.
    PingWaits,
    PingFlies,
    /// As the ping.
    PongWaits,
    PongFlies,
    Answered,
}

#[test]
fn clock_jump_between_or_during_pings_costs_a_live_session_nothing() {
    assert_eq!(
        (server().protocol.ping_interval, server().protocol.ping_timeout),
        (INTERVAL, TIMEOUT)
    );
    for revision in REVISIONS {
        for transports in [POLLING, WEBSOCKET, BOTH] {
            for jump in JUMPS {
                let beats = RefCell::new(BTreeSet::new());
                // While nothing happens, and from just before the first ping until behind its answer.
                let moments = (0..=40).map(|after| INTERVAL - MILLI + after * MILLI);
                for wait in std::iter::once(10 * SECOND).chain(moments) {
                    scenario(|seed| {
                        let (beat, log) = jump_in_beat(seed, revision, transports, wait, jump);
                        beats.borrow_mut().insert(beat);
                        log
                    });
                }
                let mut expected =
                    vec![Beat::Quiet, Beat::PingFlies, Beat::PongFlies, Beat::Answered];
                // What the server says waits for nothing.
                match (revision, transports == POLLING) {
                    (Revision::V4, true) => expected.push(Beat::PongWaits),
                    (Revision::V3, true) => expected.push(Beat::PingWaits),
                    (_, false) => {}
                }
                assert_came(beats.into_inner(), expected, (revision, transports, jump));
            }
        }
    }
}

fn jump_in_beat(
    seed: u64,
    revision: Revision,
    transports: &[TransportKind],
    wait: Duration,
    jump: Duration,
) -> (Beat, Log) {
    let mut world = patient_world(seed);
    let life = begin(&mut world, revision, transports, good);
    world.run_until(|world| world.server_end(life).is_some());
    let quiet = wait.min(INTERVAL - MILLI);
    world.run_for(quiet);
    let before = deadlines(&world, life);
    world.run_for(wait - quiet);
    let beat = beat(&world, life, revision, before);
    world.jump(jump);
    world.run_for(200 * SECOND);
    let which = format!("{revision:?} {transports:?}, {beat:?}, {jump:?}");
    assert_eq!(reasons(&world, life), (None, None), "{which}");
    assert_well(&mut world, life);
    (beat, world.finish().0)
}

/// What the client and the server wait for.
type Deadlines = (Option<Time>, Option<Time>);

fn deadlines(world: &World<Numbered>, life: u64) -> Deadlines {
    let server = match world.server_end(life) {
        Some(EndId::Server(_, session)) => world.hub().session(session),
        _ => None,
    };
    let client = world.client(life).and_then(|client| client.session().peer_deadline());
    (client, server.and_then(|session| session.peer_deadline()))
}

/// Who has heard something of the other one has set itself a later deadline.
fn beat(world: &World<Numbered>, life: u64, revision: Revision, before: Deadlines) -> Beat {
    let (client, server) = deadlines(world, life);
    let (asked, heard, answered) = match revision {
        Revision::V4 => (server.is_some(), client > before.0, server.is_none()),
        Revision::V3 => {
            let next = world.client(life).and_then(|client| client.session().poll_timeout());
            let due = next.is_some_and(|(_, kind)| kind == ClientTimerKind::Ping);
            (!due, server > before.1, client > before.0)
        }
    };
    let waits = world.in_flight(life) == 0;
    match (asked, heard) {
        (_, true) if answered => Beat::Answered,
        (_, true) if waits => Beat::PongWaits,
        (_, true) => Beat::PongFlies,
        (true, false) if waits => Beat::PingWaits,
        (true, false) => Beat::PingFlies,
        (false, false) => Beat::Quiet,
    }
}

/// The times of [`server`].
const INTERVAL: Duration = Duration::from_secs(25);
const TIMEOUT: Duration = Duration::from_secs(20);

/// Not exactly what a deadline is away, which only a driver that was on time can meet.
const JUMPS: [Duration; 4] =
    [SECOND, Duration::from_secs(26), Duration::from_secs(46), Duration::from_secs(24 * 3600)];
