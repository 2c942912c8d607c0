//! Polls whose connections are lost, refused or slow.

use enginewire_simulator::{EndId, Fault, Path, Side, When};

use crate::common::*;

#[test]
fn a_get_whose_connection_is_lost_with_the_answer_ends_the_session_on_both_sides() {
    for revision in REVISIONS {
        scenario(|seed| {
            let mut world = world(seed);
            // Within the answer to the second GET.
            let cut =
                |_: &mut _| Path::default().with(When::Bytes(Side::Server, 700), Fault::Reset);
            let life = begin(&mut world, revision, POLLING, cut);
            world.run_for(SECOND);
            let server = world.server_end(life).expect("it is open");
            world.at(server, |application, end| application.burst(end, 30));
            world.run_for(120 * SECOND);
            let (client, server) = reasons(&world, life);
            assert_eq!(client, BROKEN);
            assert!(server.is_some());
            world.finish().0
        });
    }
}

#[test]
fn a_client_that_goes_while_its_get_is_answered_leaves_nothing() {
    for wait in 0..12 {
        scenario(|seed| {
            let mut world = world(seed);
            let life = begin(&mut world, REVISIONS[0], POLLING, good);
            world.run_for(SECOND);
            let server = world.server_end(life).expect("it is open");
            world.at(server, |application, end| application.burst(end, 3));
            world.run_for(wait * MILLI);
            world.at(EndId::Client(life), |_, end| end.abort());
            world.run_for(120 * SECOND);
            assert_eq!(reasons(&world, life).0, FORCED);
            assert!(reasons(&world, life).1.is_some());
            world.finish().0
        });
    }
}

#[test]
fn connections_that_are_refused_or_too_slow_are_reported_once() {
    scenario(|seed| {
        let mut world = world(seed);
        let refused = begin(&mut world, REVISIONS[0], BOTH, |_| Path::refused());
        let slow = |_: &mut _| Path { connect: 60 * SECOND, ..Path::default() };
        let slow = begin(&mut world, REVISIONS[0], BOTH, slow);
        world.run_for(90 * SECOND);
        for life in [refused, slow] {
            assert!(world.application.client(life).closed.is_some());
            assert_eq!(world.application.client(life).opened, 0);
        }
        world.finish().0
    });
}
