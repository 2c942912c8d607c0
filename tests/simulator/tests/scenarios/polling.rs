//! Polls whose connections are lost, refused or slow.

use enginewire_simulator::{EndId, Fault, Numbered, Path, Side, When, World};

use crate::common::*;

/// Has the server answer a GET with far more than the network takes at once.
fn begin_answer(world: &mut World<Numbered>, life: u64) {
    world.run_for(SECOND);
    let server = server_of(world, life);
    // The GET that waits is answered with the first, and the next one with all others.
    world.at(server, |application, end| application.burst(end, 400));
    run_into_answer(world, life);
}

/// Until one part of the answer is on its way and the server has the rest.
fn run_into_answer(world: &mut World<Numbered>, life: u64) {
    world.run_until(|world| world.in_flight(life) > 0 && world.is_answering(life));
}

/// Bytes that the network takes.
const NARROW: usize = 500;

#[test]
fn a_get_whose_connection_is_lost_with_half_the_answer_ends_the_session_on_both_sides() {
    for revision in REVISIONS {
        // Behind the handshake and the answer to the second GET.
        for at in [1000, 1001, 4000, 12_000] {
            scenario(|seed| {
                let mut world = world(seed);
                let cut = move |_: &mut _| {
                    let path = Path { buffer: NARROW, ..Path::default() };
                    path.with(When::Bytes(Side::Server, at), Fault::Reset)
                };
                let life = begin(&mut world, revision, POLLING, cut);
                begin_answer(&mut world, life);
                world.run_until(|world| world.application.client(life).closed.is_some());
                assert!(world.is_answering(life), "the server has the rest");
                assert_eq!(reasons(&world, life), (BROKEN, None));
                // Half an answer says nothing.
                assert_eq!(world.application.client(life).received, 1);
                world.run_for(120 * SECOND);
                assert_eq!(reasons(&world, life), (BROKEN, SILENT));
                world.finish().0
            });
        }
    }
}

#[test]
fn a_client_that_goes_while_its_get_is_answered_leaves_nothing() {
    for revision in REVISIONS {
        for wait in 0..12 {
            scenario(|seed| {
                let mut world = world(seed);
                let narrow = |_: &mut _| Path { buffer: NARROW, ..Path::default() };
                let life = begin(&mut world, revision, POLLING, narrow);
                begin_answer(&mut world, life);
                world.run_for(wait * 9 * MILLI);
                run_into_answer(&mut world, life);
                assert_eq!(world.application.client(life).received, 1, "no more than the first");
                world.at(EndId::Client(life), |_, end| end.abort());
                world.run_for(120 * SECOND);
                assert_eq!(reasons(&world, life), (FORCED, SILENT));
                world.finish().0
            });
        }
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
