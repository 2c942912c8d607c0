//! Peers that are killed at random moments: processes that are there and then are not, with whatever they
//! had under way.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use enginewire::{CloseReason, Event, Reconnect, TransportKind};
use enginewire_driver::{Client, Socket};
use enginewire_tests::{
    process::Running,
    pusher::{End, Pusher, Way},
    random::Random,
};
use rustix::process::Signal;

use crate::{
    Host,
    client::until,
    ledger::{Over, Pushed, beside_others, serve_ledger},
    program::Program,
    soon, until_empty,
};

on_every_runtime!(
    killed_clients_lose_nothing_that_was_acknowledged_and_disturb_nobody,
    a_killed_server_is_noticed_once_and_followed_by_the_next,
);

fn killed_clients_lose_nothing_that_was_acknowledged_and_disturb_nobody<R: Host>() {
    let (server, ledger) = serve_ledger::<R>(|builder| {
        // Who has gone without a word is found out by this, and nobody else even on a slow machine.
        builder.ping_interval(Duration::from_millis(300)).ping_timeout(Duration::from_secs(4))
    });
    let address = server.local_addr();
    let mut random = Random::unforeseen();
    let survivors = Way::ALL.map(|way| {
        let (name, random) = (format!("survivor-{way:?}"), random.fork());
        Pusher { address, name, way, random, allowance: usize::MAX }
    });
    let victims = (0..VICTIMS).map(|i| (format!("victim-{i}"), Way::ALL[i % 3], random.fork()));
    let victims = Mutex::new(victims.collect::<VecDeque<_>>());
    let next_victim = || victims.lock().unwrap().pop_front();
    let survivors = beside_others(survivors.into(), || {
        thread::scope(|threads| {
            for _ in 0..AT_ONCE {
                threads.spawn(|| {
                    while let Some((name, way, random)) = next_victim() {
                        ledger.check(&kill(address, name, way, random));
                    }
                });
            }
        });
    });
    survivors.iter().for_each(|survivor| ledger.check(survivor));
    until_empty(&server);
    soon("the server to close", server.close());
    ledger.check_to_the_end();
}

/// Processes that are killed, and how many of them live at the same time.
const VICTIMS: usize = 60;
const AT_ONCE: usize = 4;

/// Starts a client, lets it push for a while, and kills it.
fn kill(address: SocketAddr, name: String, way: Way, mut random: Random) -> Pushed {
    let mut process = Running::start(Command::new(env!("CARGO_BIN_EXE_pusher")).args([
        address.to_string(),
        name.clone(),
        format!("{way:?}"),
        random.below(usize::MAX).to_string(),
    ]));
    let mut acknowledged = 0;
    // Zero times: it may not even have connected.
    for _ in 0..random.below(20) {
        acknowledged = process.line().unwrap().parse().unwrap();
    }
    thread::sleep(Duration::from_micros(random.below(3000) as u64));
    process.signal(Signal::KILL);
    while let Some(line) = process.line() {
        acknowledged = line.parse().unwrap();
    }
    Pushed { name, end: End::Cut, acknowledged }
}

fn a_killed_server_is_noticed_once_and_followed_by_the_next<R: Host>() {
    let mut random = Random::unforeseen();
    let mut server = Program::serve(R::SERVER, 1024, &[]);
    let address = server.address;
    let mut policy = Reconnect::default();
    policy.delay = Duration::from_millis(10);
    policy.max_delay = Duration::from_millis(50);
    let builders = (0..CLIENTS).map(|i| {
        let transports: &[TransportKind] = match Way::ALL[i % 3] {
            Way::Polling => &[TransportKind::Polling],
            Way::WebSocket => &[TransportKind::WebSocket],
            Way::Upgrade => &[TransportKind::Polling, TransportKind::WebSocket],
        };
        Client::<R>::builder(&format!("http://{address}")).transports(transports)
    });
    let clients = builders.map(|builder| builder.reconnect(policy.clone()).build().unwrap());
    let (echoes, is_over) = (&[const { AtomicUsize::new(0) }; CLIENTS], &AtomicBool::new(false));
    thread::scope(|threads| {
        for (client, echoes) in clients.zip(echoes) {
            threads.spawn(move || R::host(|| follow(&client, echoes, is_over)));
        }
        let over = Over(is_over);
        for life in 1..=LIVES {
            let echoed = || echoes.iter().map(|echoes| echoes.load(SeqCst));
            let wanted = random.below(CLIENTS * 100);
            until("some echoes", || echoed().sum::<usize>() >= wanted);
            if life == LIVES {
                // More for each than there were under way when the server before was killed.
                until("an echo for each", || echoed().all(|echoes| echoes > WINDOW));
            }
            thread::sleep(Duration::from_micros(random.below(3000) as u64));
            server.signal(Signal::KILL);
            if life < LIVES {
                server = Program::serve_at(R::SERVER, address.port());
                echoes.iter().for_each(|echoes| echoes.store(0, SeqCst));
            }
        }
        drop(over);
    });
}

/// Has one session after the other, until nobody listens any more.
fn follow<R: Host>(client: &Client<R>, echoes: &AtomicUsize, is_over: &AtomicBool) {
    let mut sessions = client.sessions();
    loop {
        match soon("an attempt", sessions.next()).unwrap() {
            Ok(socket) => soon("the end", echo_until_killed(socket, echoes)),
            Err(_) if is_over.load(SeqCst) => return,
            Err(_) => {}
        }
    }
}

/// Echoes that a client waits for at the same time.
const WINDOW: usize = 5;

const CLIENTS: usize = 12;

/// Servers at the same address, one after the other.
const LIVES: usize = 5;

/// Has numbered messages echoed in order, until the session is over.
async fn echo_until_killed(mut socket: Socket, echoes: &AtomicUsize) {
    let (mut sent, mut echoed) = (0, 0);
    let reason = loop {
        while sent < echoed + WINDOW && socket.try_send(format!("{sent}")).is_ok() {
            sent += 1;
        }
        match socket.recv_event().await.unwrap() {
            Event::Message(message) => {
                assert_eq!(message, format!("{echoed}").into());
                echoed += 1;
                echoes.fetch_add(1, SeqCst);
            }
            Event::Closed(reason) => break reason,
            _ => {}
        }
    };
    let lost = matches!(reason, CloseReason::TransportError(_) | CloseReason::TransportClose);
    assert!(lost, "{reason:?}");
    assert_eq!(socket.recv_event().await, None, "it is over only once");
    assert_eq!(socket.close().await, reason);
}
