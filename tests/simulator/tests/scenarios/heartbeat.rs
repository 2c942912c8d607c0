//! Who is noticed to be gone, when, and who is not.

use enginewire_simulator::{EndId, Fault, Path, Side, When, client_config};

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

#[test]
fn after_a_long_jump_of_the_clock_everything_comes_to_an_end_or_goes_on() {
    for revision in REVISIONS {
        for transports in [POLLING, WEBSOCKET, BOTH] {
            scenario(|seed| {
                let mut world = world(seed);
                let life = begin(&mut world, revision, transports, good);
                world.run_for(10 * SECOND);
                world.jump(24 * 3600 * SECOND);
                world.run_for(200 * SECOND);
                let (client, server) = reasons(&world, life);
                assert_eq!(client.is_some(), server.is_some(), "{client:?} {server:?}");
                world.finish().0
            });
        }
    }
}
