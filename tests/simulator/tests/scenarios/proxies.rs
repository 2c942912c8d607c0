//! Proxies that close connections in the middle, and that send requests twice.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    time::Duration,
};

use enginewire::{CloseReason, Revision, TransportFault, TransportKind};
use enginewire_simulator::{Fault, Log, Path, Repeats, Side, When, World, client_config, replay};

use crate::common::*;

/// A client on whose connection of this number, counted from 1, this goes wrong.
fn begin_with(
    world: &mut World<enginewire_simulator::Numbered>,
    revision: Revision,
    transports: &[TransportKind],
    number: u32,
    (when, fault): (When, Fault),
    path: Path,
) -> u64 {
    let mut config = client_config(transports);
    config.revision = revision;
    let mut connections = 0;
    world.connect(config, move |_| {
        connections += 1;
        let path = path.clone();
        if connections == number { path.with(when, fault) } else { path }
    })
}

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// Behind byte after byte of what a client or the server has sent on each of a session's connections, the
/// handshake, polls, the request for the upgrade, the 101 and frames: one side finds the end there, in
/// the middle of whatever it is. The session goes on and nothing is missing, or it is over on both sides.
#[test]
fn an_end_of_file_at_any_byte_ends_the_session_on_both_sides_or_costs_nothing() {
    for transports in [BOTH, POLLING, WEBSOCKET] {
        // The first is the handshake's, and of a client that upgrades the second is to be a WebSocket.
        for number in 1..=if transports == WEBSOCKET { 1 } else { 2 } {
            let (survived, ended) = (Cell::new(0), RefCell::new(Vec::new()));
            for (counted, ends) in SIDES.into_iter().flat_map(|side| SIDES.map(|end| (side, end))) {
                for at in (1..40).chain((40..1000).step_by(19)) {
                    let cut = (When::Bytes(counted, at), Fault::End(ends));
                    let revision = REVISIONS[usize::from(at % 2 == 0)];
                    replay(at, |seed| {
                        let (server, log) = cut_off(seed, revision, transports, number, cut);
                        match server {
                            None => survived.set(survived.get() + 1),
                            Some(reason) => ended.borrow_mut().push(reason),
                        }
                        log
                    });
                }
            }
            let (survived, ended) = (survived.get(), ended.into_inner());
            let count = ended.len();
            assert!(count > 100, "{transports:?} {number}: {count} ended, {survived} lived on");
            // The only WebSocket of a session is the session.
            assert_eq!(survived > 0, transports != WEBSOCKET, "{transports:?} {number}");
            if transports == POLLING {
                // What the server has found the end in.
                for fault in [TransportFault::PollLost, TransportFault::PostLost] {
                    let lost = Some(CloseReason::TransportError(fault));
                    assert!(ended.contains(&lost), "{number}: never {lost:?}: {ended:?}");
                }
            }
        }
    }
}

/// Says what the server has said if the session is over, which is nothing if it has never had it.
fn cut_off(
    seed: u64,
    revision: Revision,
    transports: &[TransportKind],
    number: u32,
    cut: (When, Fault),
) -> (Option<Option<CloseReason>>, Log) {
    let mut world = world(seed);
    let life = begin_with(&mut world, revision, transports, number, cut, Path::default());
    for _ in 0..30 {
        world.run_for(50 * MILLI);
        talk(&mut world, life, 1);
    }
    world.run_for(120 * SECOND);
    let (client, server) = (world.application.client(life), world.application.server(life));
    let is_over = server.closed.is_some() || server.opened == 0;
    assert_eq!(client.closed.is_some(), is_over, "{client:?} {server:?}");
    // Both find the end, or are told. Only a server whose session polls may have no connection on which
    // it could.
    assert_ne!(client.closed, SILENT, "{server:?}");
    if server.upgraded > 0 || transports == WEBSOCKET {
        assert_ne!(server.closed, SILENT, "{client:?}");
    }
    if !is_over {
        assert_well(&mut world, life);
        return (None, world.finish().0);
    }
    (Some(server.closed), world.finish().0)
}

/// What came of it that a request was sent twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Nothing.
    Well,
    /// Messages came twice, or went to the proxy.
    Twice,
    Missed,
    /// The session is over at the server, at the client.
    Over(Option<String>, Option<String>),
}

fn over(server: TransportFault, client: CloseReason) -> Outcome {
    let server = CloseReason::TransportError(server);
    Outcome::Over(Some(server.to_string()), Some(client.to_string()))
}

/// A request is on its way, or being answered, or long over, when it comes a second time. The protocol has
/// no way to tell: while the first one waits the two overlap, which ends the session; later a POST delivers
/// its messages once more, and a GET gets what is the client's, or makes the client's next one an overlap.
/// Nothing else comes of it, and nothing at all when it is too late to matter.
#[test]
fn a_request_that_a_proxy_sends_twice_overlaps_or_counts_twice_and_nothing_else() {
    let outcomes = RefCell::new(BTreeSet::new());
    let mut seed = 0;
    for revision in REVISIONS {
        for number in 1..=2 {
            for after in [0, 1, 7, 20, 60, 110, 400, 3000] {
                for at in 0..30 {
                    let begin = When::After(at * 37 * MILLI);
                    let repeat = (begin, Fault::Repeat(after * MILLI));
                    seed += 1;
                    replay(seed, |seed| {
                        let (outcome, log) = repeated(seed, revision, number, repeat);
                        outcomes.borrow_mut().insert(outcome);
                        log
                    });
                }
            }
        }
    }
    let outcomes = outcomes.into_inner();
    let refused = CloseReason::TransportError(TransportFault::Status(400));
    for expected in [
        Outcome::Well,
        Outcome::Twice,
        Outcome::Missed,
        over(TransportFault::PollOverlap, refused.clone()),
        over(TransportFault::PollOverlap, CloseReason::TransportClose),
        over(TransportFault::PostOverlap, refused),
    ] {
        assert!(outcomes.contains(&expected), "never {expected:?}: {outcomes:?}");
    }
}

fn repeated(seed: u64, revision: Revision, number: u32, repeat: (When, Fault)) -> (Outcome, Log) {
    let mut world = world(seed);
    // So slow that the body of a POST is some time on its way.
    let slow = Path { bandwidth: 100_000, segment: 300, ..Path::default() };
    let life = begin_with(&mut world, revision, POLLING, number, repeat, slow);
    for _ in 0..60 {
        world.run_for(40 * MILLI);
        talk(&mut world, life, 2);
    }
    world.run_for(100 * SECOND);
    let Repeats { gets, posts } = world.repeats(life);
    assert!(gets + posts <= 1, "one connection has a proxy that repeats one request");
    let (client, server) = reasons(&world, life);
    assert_eq!(client.is_some(), server.is_some(), "{client:?} {server:?}");
    if server.is_some() {
        let text = |reason: Option<CloseReason>| reason.map(|reason| reason.to_string());
        return (Outcome::Over(text(server), text(client)), world.finish().0);
    }
    // What the proxy was given is missed once something else comes.
    assert_well(&mut world, life);
    let (client, server) = (world.application.client(life), world.application.server(life));
    let outcome = match (server.again, client.missed) {
        (0, 0) => Outcome::Well,
        (_, 0) => Outcome::Twice,
        (0, _) => Outcome::Missed,
        both => panic!("one request has done both: {both:?}"),
    };
    (outcome, world.finish().0)
}

/// The session that the proxy has opened is nobody's. It falls silent, and the client's own does not mind.
#[test]
fn a_handshake_that_a_proxy_sends_twice_opens_a_session_that_is_given_up() {
    for revision in REVISIONS {
        for transports in [POLLING, BOTH] {
            scenario(|seed| {
                let mut world = world(seed);
                let repeat =
                    (When::Bytes(Side::Client, 0), Fault::Repeat(Duration::from_millis(50)));
                let path = Path::default();
                let life = begin_with(&mut world, revision, transports, 1, repeat, path);
                world.run_for(SECOND);
                assert_eq!(world.hub().sessions(), 2);
                world.run_for(50 * SECOND);
                assert_eq!(world.hub().sessions(), 1);
                assert!(!world.repeats(life).any(), "it was no request of a session");
                assert_well(&mut world, life);
                world.finish().0
            });
        }
    }
}
