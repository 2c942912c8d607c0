//! Nothing goes wrong: what a session does, and what it costs.

use enginewire_simulator::EndId;

use crate::common::*;

#[test]
fn an_undisturbed_session_lives_on_each_transport_in_each_revision() {
    scenario(|seed| {
        let mut world = world(seed);
        let mut lives = Vec::new();
        for revision in REVISIONS {
            for transports in [POLLING, WEBSOCKET, BOTH] {
                lives.push((begin(&mut world, revision, transports, good), transports));
            }
        }
        for _ in 0..20 {
            lives.iter().for_each(|&(life, _)| talk(&mut world, life, 3));
            world.run_for(17 * SECOND);
        }
        for (life, transports) in lives {
            assert_well(&mut world, life);
            let upgraded = transports == BOTH;
            assert_eq!(is_upgraded(&world, life), (upgraded, upgraded));
        }
        world.finish().0
    });
}

#[test]
fn messages_that_are_sent_before_the_session_is_open_come() {
    for transports in [POLLING, WEBSOCKET, BOTH] {
        scenario(|seed| {
            let mut world = world(seed);
            let life = begin(&mut world, REVISIONS[0], transports, good);
            world.at(EndId::Client(life), |application, end| application.burst(end, 10));
            assert_well(&mut world, life);
            assert_eq!(world.application.server(life).received, 15);
            world.finish().0
        });
    }
}

/// On whichever connections: there are 40 pings in 1000 s, each of which costs a GET that brings it and a
/// POST with the pong.
#[test]
fn an_idle_session_costs_no_more_than_its_heartbeat() {
    for (transports, least, most) in [(POLLING, 78, 80), (WEBSOCKET, 0, 0), (BOTH, 0, 0)] {
        scenario(|seed| {
            let mut world = world(seed);
            let life = begin(&mut world, REVISIONS[0], transports, good);
            world.run_for(10 * SECOND);
            let before = world.exchanges(life);
            assert!(before.0 > 0, "it has begun with a request");
            world.run_for(1000 * SECOND);
            let after = world.exchanges(life);
            let (requests, answers) = (after.0 - before.0, after.1 - before.1);
            assert!((least..=most).contains(&requests), "{requests} requests");
            assert!(requests.abs_diff(answers) <= 1, "{answers} answers to {requests} requests");
            assert_eq!(reasons(&world, life), (None, None));
            world.finish().0
        });
    }
}
