//! The end of a server under load: what was acknowledged has reached the application, and every client is
//! told in the protocol's words.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use enginewire_tests::{
    profile::allow_open_files,
    pusher::{End, Pusher, UPGRADE_AFTER, Way},
    random::Random,
};

use rustix::process::Signal;

use crate::{
    Host,
    client::{Client, until},
    ledger::{Pushed, serve_ledger},
    program::Program,
    soon,
};

on_every_runtime!(
    a_server_that_closes_under_load_loses_nothing_that_it_has_acknowledged,
    a_server_that_is_terminated_under_load_tells_everybody_and_loses_nothing,
    a_server_with_a_handler_that_is_terminated_under_load_loses_nothing_either,
    a_server_that_is_terminated_resets_nobody_who_was_there_before,
    a_server_that_is_terminated_tells_those_who_are_about_to_upgrade,
);

fn a_server_that_closes_under_load_loses_nothing_that_it_has_acknowledged<R: Host>() {
    for _ in 0..ROUNDS {
        let (server, ledger) = serve_ledger::<R>(|builder| builder);
        let pushed = under_load(server.local_addr(), || soon("the end", server.close()));
        all_were_told(&pushed);
        pushed.iter().for_each(|pushed| ledger.check(pushed));
        assert_eq!((server.sessions(), server.connections()), (0, 0));
        ledger.check_to_the_end();
    }
}

fn a_server_that_is_terminated_under_load_tells_everybody_and_loses_nothing<R: Host>() {
    terminate_under_load::<R>(&[("WORKERS", 2), ("TELL", 1)]);
}

fn a_server_with_a_handler_that_is_terminated_under_load_loses_nothing_either<R: Host>() {
    terminate_under_load::<R>(&[("WORKERS", 2), ("TELL", 1), ("HANDLER", 1)]);
}

fn terminate_under_load<R: Host>(environment: &[(&str, u64)]) {
    for _ in 0..ROUNDS {
        let server = Program::serve(R::SERVER, 1024, environment);
        let mut received = BTreeMap::new();
        let pushed = under_load(server.address, || {
            let started = Instant::now();
            let (status, told) = server.terminate_and_tell();
            assert!(status.success());
            let took = started.elapsed();
            assert!(took < GRACE, "{took:?}");
            received = told;
        });
        all_were_told(&pushed);
        for Pushed { name, acknowledged, .. } in &pushed {
            let received = received.get(name).copied().unwrap_or(0);
            assert!(received >= *acknowledged, "{name}: {received} of {acknowledged}");
        }
        assert!(received.values().sum::<u64>() > 0);
    }
}

fn a_server_that_is_terminated_resets_nobody_who_was_there_before<R: Host>() {
    // More than a runtime hands out at a time, several times over.
    allow_open_files(4096);
    let server = Program::serve(R::SERVER, 2048, &[("WORKERS", 2)]);
    server.signal(Signal::STOP);
    // The system completes the connections, of which the server learns together with its end.
    let mut clients: Vec<_> = (0..600).map(|_| Client::connect(server.address)).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        match i % 3 {
            0 => client.request("GET", "/engine.io/?EIO=4&transport=polling", ""),
            1 => client.write(Client::upgrade("")),
            _ => {}
        }
    }
    thread::scope(|threads| {
        let ending = threads.spawn(|| {
            // They take whatever they are told, and do nothing about it.
            for client in &mut clients {
                assert!(client.end(), "the connection was reset");
            }
            clients.clear();
        });
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        ending.join().unwrap();
        assert!(server.end().success());
    });
}

fn a_server_that_is_terminated_tells_those_who_are_about_to_upgrade<R: Host>() {
    let server = Program::serve(R::SERVER, 1024, &[("WORKERS", 2)]);
    // How far each is: it has a WebSocket, and has probed it.
    let stages = [(false, false), (true, false), (true, true)];
    let mut clients: Vec<_> = (0..18)
        .map(|i| {
            let mut get = Client::connect(server.address);
            let sid = get.open_polling();
            let (mut probe, upgrade) =
                (Client::connect(server.address), Client::upgrade(&format!("&sid={sid}")));
            let (has_socket, has_probed) = stages[i % 3];
            if has_socket {
                probe.write(&upgrade);
                assert_eq!(probe.answer().status, 101);
            }
            if has_probed {
                probe.send("2probe");
                assert_eq!(probe.text(), "3probe");
            }
            (get, sid, probe, upgrade)
        })
        .collect();
    server.signal(Signal::STOP);
    // The next step comes together with the end.
    for (i, (_, _, probe, upgrade)) in clients.iter_mut().enumerate() {
        match stages[i % 3] {
            (false, _) => probe.write(upgrade),
            (true, false) => probe.send("2probe"),
            (true, true) => probe.send("5"),
        }
    }
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    for (i, (get, sid, probe, _)) in clients.iter_mut().enumerate() {
        if stages[i % 3] == (true, true) {
            // It has upgraded, or is just in time to.
            assert_eq!(probe.next_frame().0, 8);
        } else {
            let answer = get.get(&format!("/engine.io/?EIO=4&transport=polling&sid={sid}"));
            assert!(["1", "6\u{1e}1"].contains(&&*answer.body), "{answer:?}");
        }
    }
    for (i, (_, _, probe, _)) in clients.iter_mut().enumerate() {
        let (had_socket, _) = stages[i % 3];
        if had_socket || probe.answer_or_end().is_some_and(|answer| answer.status == 101) {
            // The server has begun the closing handshake.
            probe.write([0x88, 0x80, 0, 0, 0, 0]);
        }
        assert!(probe.end(), "the connection was reset");
    }
    drop(clients);
    assert!(server.end().success());
}

const ROUNDS: usize = 5;

/// What a program is given to end when it is told to: it breaks off after two seconds, and the machine
/// may be slow.
const GRACE: Duration = Duration::from_secs(8);

/// Clients that push, and those that open one session after the other.
const PUSHERS: usize = 30;
const OPENERS: usize = 12;

/// Whoever had a session has heard of its end in the protocol's words.
fn all_were_told(pushed: &[Pushed]) {
    for Pushed { name, end, acknowledged } in pushed {
        let was_told = match end {
            End::Enough | End::Closed => true,
            // It never had one.
            End::Refused => *acknowledged == 0,
            End::Lost | End::Cut => false,
        };
        assert!(was_told, "{name}: {end:?} after {acknowledged} messages");
    }
}

/// Calls `end`, which ends the server, at some time while everybody pushes.
fn under_load(address: std::net::SocketAddr, end: impl FnOnce()) -> Vec<Pushed> {
    let random = Mutex::new(Random::unforeseen());
    let acknowledgements = AtomicUsize::new(0);
    let pusher = |name: String, i: usize| {
        let (way, random) = (Way::ALL[i % 3], random.lock().unwrap().fork());
        Pusher { address, name, way, random, allowance: usize::MAX }
    };
    thread::scope(|threads| {
        let pusher = &pusher;
        let acknowledgements = &acknowledgements;
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|i| {
                threads.spawn(move || {
                    Pushed::by(pusher(format!("pusher-{i}"), i), |_| {
                        acknowledgements.fetch_add(1, SeqCst);
                        true
                    })
                })
            })
            .collect();
        let openers: Vec<_> = (0..OPENERS)
            .map(|i| {
                threads.spawn(move || {
                    let mut pushed = Vec::new();
                    // Until there is nobody to open a session with.
                    while pushed.last().is_none_or(|last: &Pushed| last.end == End::Enough) {
                        let name = format!("opener-{i}-{}", pushed.len());
                        let pusher = pusher(name, i + pushed.len());
                        // Long enough to have upgraded by then.
                        let mut acknowledgements = 0;
                        pushed.push(Pushed::by(pusher, |_| {
                            acknowledgements += 1;
                            acknowledgements <= UPGRADE_AFTER
                        }));
                    }
                    pushed
                })
            })
            .collect();
        // At least one, or nothing need have come at all.
        let wanted = 1 + random.lock().unwrap().below(PUSHERS * 50);
        until("some acknowledgements", || acknowledgements.load(SeqCst) >= wanted);
        end();
        let mut all: Vec<_> = pushers.into_iter().map(|pusher| pusher.join().unwrap()).collect();
        all.extend(openers.into_iter().flat_map(|opener| opener.join().unwrap()));
        all
    })
}
