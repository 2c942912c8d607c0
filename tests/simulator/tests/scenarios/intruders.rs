//! Requests that nobody's client would send: repeated by a proxy, or made by hand.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use enginewire::{CloseReason, Revision, TransportFault};
use enginewire_simulator::{EndId, Fault, IntruderId, Log, Numbered, Path, Side, When, World};

use crate::common::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Method {
    Get,
    Post,
}

/// A request of a session, as its client writes it.
fn request(method: Method, revision: Revision, life: u64, sid: &str) -> Vec<u8> {
    let number = revision.number();
    let target = format!("/engine.io/?EIO={number}&transport=polling&life={life}{sid}");
    // A packet that says nothing.
    let noop = if revision == Revision::V3 { "1:6" } else { "6" };
    match method {
        Method::Get => format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"),
        Method::Post => format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{noop}",
            noop.len()
        ),
    }
    .into_bytes()
}

fn sid_of(world: &World<Numbered>, life: u64) -> String {
    let EndId::Server(_, session) = server_of(world, life) else { panic!("it is the server's") };
    let sid = world.hub().session(session).map(|session| session.sid());
    sid.map_or_else(|| panic!("it is open"), |sid| format!("&sid={}", sid.as_str()))
}

/// The status of each answer.
fn statuses(world: &World<Numbered>, id: IntruderId) -> Vec<String> {
    answers(world, id).into_iter().map(|(status, _)| status).collect()
}

/// The status and the body of each answer.
fn answers(world: &World<Numbered>, id: IntruderId) -> Vec<(String, String)> {
    let heard = String::from_utf8_lossy(world.heard(id)).into_owned();
    let answers = heard.split("HTTP/1.1 ").skip(1);
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap_or_default().1.to_owned();
    answers.map(|answer| (answer[..3].to_owned(), body(answer))).collect()
}

/// What a session is about when a request is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It opens, and moves to its WebSocket.
    Opens,
    /// It polls, and this side closes it with messages queued on both.
    Closes(Side),
    /// It has a WebSocket from the beginning.
    OnWebSocket,
}

/// From the first answer to the handshake until the session is on its WebSocket, each time at another
/// moment, a request comes that the client has not sent, from somewhere else: the session ends as the
/// protocol says, on both sides, or goes on as if nothing had been; and each request has one answer.
#[test]
fn a_get_or_post_that_is_there_twice_at_any_moment_is_answered_and_harms_nobody_else() {
    for method in [Method::Get, Method::Post] {
        let overlap = overlap_of(method);
        let mut expected = vec![("200", None), ("400", None), ("400", overlap.clone())];
        if method == Method::Get {
            // The client's own GET comes while this one waits, which is answered with the end.
            expected.push(("200", overlap));
        }
        assert_outcomes(Course::Opens, method, 120, &expected);
    }
}

/// The same while one side closes the session and either has messages queued, until it is long over.
#[test]
fn a_get_or_post_that_is_there_twice_while_the_session_closes_is_answered() {
    for method in [Method::Get, Method::Post] {
        let overlap = overlap_of(method);
        for (side, reason) in [(Side::Client, TOLD), (Side::Server, FORCED)] {
            let mut expected = vec![("200", reason.clone()), ("400", reason)];
            let overlaps = match (method, side) {
                (Method::Post, _) => &["400"][..],
                (Method::Get, Side::Client) => &["200", "400"],
                // While something is queued no GET waits, and then the session is over.
                (Method::Get, Side::Server) => &[],
            };
            expected.extend(overlaps.iter().map(|&status| (status, overlap.clone())));
            assert_outcomes(Course::Closes(side), method, 80, &expected);
        }
    }
}

/// The session has never polled and never will.
#[test]
fn a_get_or_post_for_a_session_on_a_websocket_is_refused_and_harms_nobody() {
    for method in [Method::Get, Method::Post] {
        assert_outcomes(Course::OnWebSocket, method, 30, &[("400", None)]);
    }
}

fn overlap_of(method: Method) -> Option<CloseReason> {
    Some(CloseReason::TransportError(match method {
        Method::Get => TransportFault::PollOverlap,
        Method::Post => TransportFault::PostOverlap,
    }))
}

/// The status of the answer, and why the session is over if it is.
type Outcome = (String, Option<String>);

/// Checks that these are met, and no others.
fn assert_outcomes(
    course: Course,
    method: Method,
    steps: u32,
    expected: &[(&str, Option<CloseReason>)],
) {
    let text = |reason: &CloseReason| reason.to_string();
    let expected: BTreeSet<Outcome> = expected
        .iter()
        .map(|(status, reason)| ((*status).to_owned(), reason.as_ref().map(text)))
        .collect();
    for revision in REVISIONS {
        let outcomes = RefCell::new(BTreeSet::new());
        for step in 0..steps {
            scenario(|seed| {
                let (outcome, log) = repeat_at(seed, revision, course, method, step);
                outcomes.borrow_mut().insert(outcome);
                log
            });
        }
        assert_came(outcomes.into_inner(), expected.iter().cloned(), (method, course, revision));
    }
}

fn repeat_at(
    seed: u64,
    revision: Revision,
    course: Course,
    method: Method,
    step: u32,
) -> (Outcome, Log) {
    let mut world = world(seed);
    // So slow that the body of a POST is some time on its way.
    let slow = |_: &mut _| Path { bandwidth: 200_000, segment: 300, ..Path::default() };
    let transports = match course {
        Course::Opens => BOTH,
        Course::Closes(_) => POLLING,
        Course::OnWebSocket => WEBSOCKET,
    };
    let life = begin(&mut world, revision, transports, slow);
    let other = begin(&mut world, revision, BOTH, good);
    world.run_until(|world| world.server_end(life).is_some());
    let sid = sid_of(&world, life);
    if let Course::Closes(side) = course {
        world.run_for(SECOND);
        let (client, server) = (EndId::Client(life), server_of(&world, life));
        let closer = if side == Side::Client { client } else { server };
        // So little that a GET waits again before a client that closes has sent all.
        let answer = if side == Side::Client { 2 } else { 30 };
        for (id, messages) in [(server, answer), (client, 120)] {
            world.at(id, |application, end| {
                application.burst(end, messages);
                if id == closer {
                    end.close();
                }
            });
        }
    } else {
        world.at(EndId::Client(life), |application, end| application.burst(end, 30));
    }
    for _ in 0..step {
        world.step();
    }
    // There at once, as otherwise the same few moments would be met again and again.
    let intruder = world.intrude(life, Path::exact(Duration::ZERO));
    world.utter(intruder, &request(method, revision, life, &sid));
    world.run_for(60 * SECOND);
    let statuses = statuses(&world, intruder);
    assert_eq!(statuses.len(), 1, "answers to {method:?} at {step}: {statuses:?}");
    let (client, server) = reasons(&world, life);
    let possible = if course == Course::Closes(Side::Client) { FORCED } else { TOLD };
    let possible = [None, possible, REFUSED];
    assert!(possible.contains(&client), "{client:?} after {method:?} at {step}, {course:?}");
    assert_eq!(client.is_some(), server.is_some(), "{client:?} {server:?}");
    if server.is_none() {
        assert_well(&mut world, life);
    }
    assert_well(&mut world, other);
    ((statuses[0].clone(), server.map(|reason| reason.to_string())), world.finish().0)
}

/// A client's short text frame, whose mask changes nothing.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80, 0, 0, 0, 0];
    for byte in text.bytes() {
        frame[1] += 1;
        frame.push(byte);
    }
    frame
}

/// A session that is opened by hand, and a WebSocket that asks to become its transport.
fn open_by_hand(world: &mut World<Numbered>, revision: Revision) -> (u64, String, IntruderId) {
    let life = world.begin_by_hand();
    let polls = world.intrude(life, Path::default());
    world.utter(polls, &request(Method::Get, revision, life, ""));
    world.run_for(SECOND);
    let sid = sid_of(world, life);
    world.leave(polls);
    // Without delay, so that something else can come in the same instant.
    let probes = world.intrude(life, Path::exact(Duration::ZERO));
    let number = revision.number();
    let upgrade = format!(
        "GET /engine.io/?EIO={number}&transport=websocket&life={life}{sid} HTTP/1.1\r\n\
         Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    world.utter(probes, upgrade.as_bytes());
    world.run_for(SECOND);
    assert_eq!(statuses(world, probes), ["101"]);
    (life, sid, probes)
}

/// What came behind the head of the 101.
fn frames(world: &World<Numbered>, id: IntruderId) -> &[u8] {
    let heard = world.heard(id);
    let head = heard.windows(4).position(|end| end == b"\r\n\r\n");
    head.map_or_else(|| panic!("the head has not come"), |head| &heard[head + 4..])
}

/// Sends one message from the server and fetches it with a GET: the session polls.
fn assert_polls(world: &mut World<Numbered>, revision: Revision, life: u64, sid: &str) {
    let server = server_of(world, life);
    let sent = world.application.talk(server).sent;
    world.at(server, |application, end| application.burst(end, 1));
    let polls = world.intrude(life, Path::default());
    world.utter(polls, &request(Method::Get, revision, life, sid));
    world.run_for(SECOND);
    assert_eq!(statuses(world, polls), ["200"]);
    assert_eq!(world.application.talk(server).sent, sent + 1);
    assert!(world.heard(polls).len() > 100, "the message has come");
    world.leave(polls);
}

/// The end of all that was opened by hand: the session polls no more.
fn assert_ends(mut world: World<Numbered>, life: u64) -> Log {
    world.run_for(120 * SECOND);
    assert_eq!(world.application.server(life).closed, SILENT);
    world.finish().0
}

#[test]
fn a_probe_that_says_something_else_costs_its_websocket_and_nothing_more() {
    let wrong =
        ["2", "2prob", "2probe2", "3probe", "4hello", "5", "6", "1", "", "x", "b", "2\u{e9}"];
    for revision in REVISIONS {
        for text in wrong {
            scenario(|seed| {
                let mut world = world(seed);
                let (life, sid, probes) = open_by_hand(&mut world, revision);
                world.utter(probes, &frame(text));
                world.run_for(SECOND);
                assert_eq!(frames(&world, probes), [0x88, 0], "after {text:?}");
                assert_polls(&mut world, revision, life, &sid);
                assert_ends(world, life)
            });
        }
    }
}

#[test]
fn a_probe_that_comes_twice_is_answered_twice_and_completes_once() {
    for revision in REVISIONS {
        scenario(|seed| {
            let mut world = world(seed);
            let (life, sid, probes) = open_by_hand(&mut world, revision);
            world.utter(probes, &frame("2probe").repeat(2));
            world.run_for(SECOND);
            assert_eq!(frames(&world, probes), b"\x81\x063probe".repeat(2));
            // The client has not decided yet, so what is sent still comes by polling.
            assert_polls(&mut world, revision, life, &sid);
            world.utter(probes, &frame("5").repeat(2));
            world.run_for(SECOND);
            let server = server_of(&world, life);
            assert_eq!(world.application.talk(server).upgraded, 1);
            let before = frames(&world, probes).len();
            world.at(server, |application, end| application.burst(end, 1));
            world.run_for(SECOND);
            assert!(frames(&world, probes).len() > before, "the message comes on the WebSocket");
            assert_ends(world, life)
        });
    }
}

/// How the second GET comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Race {
    /// After the client has got the noop.
    Later,
    /// In the same instant as the probe, just behind it.
    Behind,
}

/// A GET waits when the probe comes, and is answered with a noop. The client, which has not got the answer
/// to the probe, polls again: it gets that GET back as well, soon but not at once, and what is queued
/// between that and its `5` comes on the WebSocket.
#[test]
fn a_second_get_may_race_the_noop() {
    for revision in REVISIONS {
        for race in [Race::Later, Race::Behind] {
            for talks in [false, true] {
                scenario(|seed| race_noop(seed, revision, race, talks));
            }
        }
    }
}

fn race_noop(seed: u64, revision: Revision, race: Race, talks: bool) -> Log {
    let mut world = world(seed);
    let (life, sid, probes) = open_by_hand(&mut world, revision);
    let server = server_of(&world, life);
    let get = request(Method::Get, revision, life, &sid);
    let first = world.intrude(life, Path::exact(Duration::ZERO));
    let second = world.intrude(life, Path::exact(Duration::ZERO));
    world.utter(first, &get);
    world.run_for(MILLI);
    assert_eq!(answers(&world, first), [], "it waits");
    world.utter(probes, &frame("2probe"));
    if race == Race::Later {
        world.run_for(50 * MILLI);
    }
    world.utter(second, &get);
    world.run_for(99 * MILLI);
    let of = |packet: &str| {
        let length =
            if revision == Revision::V3 { format!("{}:", packet.len()) } else { String::new() };
        (String::from("200"), format!("{length}{packet}"))
    };
    let got = |world: &World<_>| [answers(world, first), answers(world, second)].concat();
    assert_eq!(got(&world), [of("6")], "the second waits, so that no client spins");
    assert_eq!(frames(&world, probes), b"\x81\x063probe");
    let mut last = of("6");
    if talks {
        // Of what is sent now it is a carrier as any GET is.
        world.at(server, |_, end| assert!(end.send("by polling").is_ok()));
        last = of("4by polling");
    }
    world.run_for(MILLI);
    assert_eq!(got(&world), [of("6"), last.clone()], "within 100 ms");
    for text in ["one", "two"] {
        world.at(server, |_, end| assert!(end.send(text).is_ok()));
    }
    world.run_for(SECOND);
    world.utter(probes, &frame("5"));
    world.run_for(SECOND);
    assert_eq!(world.application.talk(server).upgraded, 1);
    assert_eq!(frames(&world, probes), b"\x81\x063probe\x81\x044one\x81\x044two");
    assert_eq!(got(&world), [of("6"), last], "nothing comes twice");
    assert_ends(world, life)
}

#[test]
fn a_get_behind_a_waiting_one_releases_it_and_waits_itself() {
    for revision in REVISIONS {
        scenario(|seed| {
            let mut world = world(seed);
            let (life, sid, probes) = open_by_hand(&mut world, revision);
            let get = request(Method::Get, revision, life, &sid);
            let polls = world.intrude(life, Path::exact(Duration::ZERO));
            let noop = if revision == Revision::V3 { "1:6" } else { "6" };
            let noops = |n| vec![(String::from("200"), String::from(noop)); n];
            world.utter(polls, &get);
            world.run_for(MILLI);
            assert_eq!(answers(&world, polls), []);
            for n in 1..4 {
                world.utter(polls, &get);
                world.run_for(MILLI);
                assert_eq!(answers(&world, polls), noops(n));
            }
            world.utter(probes, &frame("2probe"));
            world.run_for(MILLI);
            assert_eq!(answers(&world, polls), noops(4));
            world.utter(probes, &frame("5"));
            world.run_for(SECOND);
            assert_eq!(world.application.talk(server_of(&world, life)).upgraded, 1);
            assert_ends(world, life)
        });
    }
}

#[test]
fn a_second_websocket_is_closed_while_one_probes_and_the_first_completes() {
    for revision in REVISIONS {
        scenario(|seed| {
            let mut world = world(seed);
            let (life, sid, probes) = open_by_hand(&mut world, revision);
            world.utter(probes, &frame("2probe"));
            let second = world.intrude(life, Path::default());
            let number = revision.number();
            world.utter(
                second,
                format!(
                    "GET /engine.io/?EIO={number}&transport=websocket&life={life}{sid} HTTP/1.1\r\n\
                     Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                )
                .as_bytes(),
            );
            world.run_for(SECOND);
            assert_eq!(statuses(&world, second), ["101"]);
            assert_eq!(frames(&world, second), b"\x88\0", "a Close without a code");
            world.utter(probes, &frame("5"));
            world.run_for(SECOND);
            let server = server_of(&world, life);
            assert_eq!(world.application.talk(server).upgraded, 1);
            assert_ends(world, life)
        });
    }
}

/// A proxy that passes things on only every so often, in either direction, on all connections: all that
/// is slower. Not so slow that the server gives the upgrade up while the client's last word about it is
/// on its way, for then the two disagree, and the session is over: the protocol has no answer to it.
#[test]
fn a_proxy_that_collects_what_it_passes_on_loses_nothing() {
    for revision in REVISIONS {
        for side in [Side::Client, Side::Server] {
            for every in [20 * MILLI, 700 * MILLI, 2 * SECOND] {
                scenario(|seed| {
                    let mut world = world(seed);
                    let path = move |_: &mut _| {
                        Path::default().with(When::After(MILLI), Fault::Collect(side, every))
                    };
                    let life = begin(&mut world, revision, BOTH, path);
                    for _ in 0..20 {
                        talk(&mut world, life, 3);
                        world.run_for(SECOND);
                    }
                    world.run_for(60 * SECOND);
                    assert_well(&mut world, life);
                    assert!(world.application.client(life).received >= 60);
                    world.finish().0
                });
            }
        }
    }
}
