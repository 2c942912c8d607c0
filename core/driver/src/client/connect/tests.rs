//! Tests of the race of attempts. The network of their runtime is a script, and its clock is
//! virtual.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

use enginewire::{Time, Url};

use super::*;
use crate::{clock::Clock, silent::Silent};

/// A network in which each connection takes a known time and has a known outcome.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    now: Time,
    /// Times at which something waits for the clock.
    awaited: BTreeSet<Time>,
    names: Option<io::ErrorKind>,
    addresses: Vec<SocketAddr>,
    outcomes: BTreeMap<SocketAddr, VecDeque<Outcome>>,
    log: Vec<String>,
}

/// Milliseconds until the attempt ends, and how it does.
type Outcome = (u64, Result<(), io::ErrorKind>);

/// An attempt that has no outcome never ends.
const NEVER: Option<Outcome> = None;

impl Script {
    fn new<'a>(attempts: impl IntoIterator<Item = (&'a str, Option<Outcome>)>) -> Self {
        let script = Self::default();
        {
            let mut inner = script.0.lock().unwrap();
            for (address, outcome) in attempts {
                let address = address.parse().unwrap();
                inner.addresses.push(address);
                inner.outcomes.entry(address).or_default().extend(outcome);
            }
        }
        script
    }

    fn log(&self, entry: impl fmt::Display) {
        let mut inner = self.0.lock().unwrap();
        let millis = inner.now.as_nanos() / 1_000_000;
        inner.log.push(format!("{millis} {entry}"));
    }

    fn wait(&self, deadline: Time) -> Sleep {
        Sleep { script: self.clone(), deadline }
    }

    /// The outcome for `url`, and the log.
    fn connect(&self, url: &str) -> (io::Result<SocketAddr>, Vec<String>) {
        let url = Url::parse(url).unwrap();
        let outcome = self.run(connect_tcp(self, url.host(), url.port()));
        let outcome = outcome.map(|(stream, address)| {
            assert_eq!(stream.0.address, address);
            address
        });
        (outcome, self.0.lock().unwrap().log.clone())
    }

    /// Polls `work`, and whenever it is pending moves the clock to the next time that is awaited.
    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        for _ in 0..1000 {
            if let Poll::Ready(output) = work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                return output;
            }
            let mut inner = self.0.lock().unwrap();
            inner.now = inner.awaited.pop_first().expect("something is awaited");
        }
        panic!("it never ends");
    }
}

struct Sleep {
    script: Script,
    deadline: Time,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.script.0.lock().unwrap();
        if self.deadline <= inner.now {
            return Poll::Ready(());
        }
        inner.awaited.insert(self.deadline);
        Poll::Pending
    }
}

/// An attempt, or a connection. Says when it is dropped.
struct Attempt {
    script: Script,
    address: SocketAddr,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.script.log(format_args!("drop {}", self.address));
    }
}

impl Runtime for Script {
    type Stream = Silent<Attempt>;
    type Listener = ();
    type Sleep = Sleep;

    fn spawn(&self, _task: impl Future<Output = ()> + Send + 'static) {
        unreachable!("connecting is no task of its own");
    }

    fn sleep_until(&self, deadline: Time) -> Sleep {
        self.wait(deadline)
    }

    fn clock(&self) -> Clock {
        let script = self.clone();
        Clock::of(move || script.0.lock().unwrap().now)
    }

    async fn bind(&self, _address: SocketAddr) -> io::Result<()> {
        unreachable!("a client does not listen");
    }

    fn local_addr(&self, _listener: &()) -> io::Result<SocketAddr> {
        unreachable!("a client does not listen");
    }

    async fn accept(&self, _listener: &()) -> io::Result<(Silent<Attempt>, SocketAddr)> {
        unreachable!("a client does not listen");
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.log(format_args!("resolve {host} {port}"));
        let inner = self.0.lock().unwrap();
        inner.names.map_or_else(|| Ok(inner.addresses.clone()), |kind| Err(kind.into()))
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Silent<Attempt>> {
        self.log(format_args!("try {to}"));
        let attempt = Attempt { script: self.clone(), address: to };
        let outcome = self.0.lock().unwrap().outcomes.get_mut(&to).and_then(VecDeque::pop_front);
        let Some((millis, outcome)) = outcome else { return std::future::pending().await };
        self.wait(self.clock().now() + Duration::from_millis(millis)).await;
        outcome?;
        Ok(Silent(attempt))
    }
}

const A4: &str = "192.0.2.1:80";
const B4: &str = "192.0.2.2:80";
const C4: &str = "192.0.2.3:80";
const A6: &str = "[2001:db8::1]:80";
const B6: &str = "[2001:db8::2]:80";

const fn ok(millis: u64) -> Option<Outcome> {
    Some((millis, Ok(())))
}

const fn err(millis: u64, kind: io::ErrorKind) -> Option<Outcome> {
    Some((millis, Err(kind)))
}

const REFUSED: io::ErrorKind = io::ErrorKind::ConnectionRefused;

/// Returns the outcome and the log of the attempts at `http://name`, without the look-up.
fn race_of(attempts: &[(&str, Option<Outcome>)]) -> (Result<String, String>, Vec<String>) {
    let (outcome, mut log) = Script::new(attempts.iter().copied()).connect("http://name");
    assert_eq!(log.remove(0), "0 resolve name 80");
    let outcome = outcome.map(|address| address.to_string()).map_err(|error| error.to_string());
    (outcome, log)
}

#[test]
fn families_take_turns_ipv6_first_each_in_its_order() {
    let all = |addresses: &[&str]| -> Vec<SocketAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    };
    for (given, expected) in [
        (&[][..], &[][..]),
        (&[A4], &[A4]),
        (&[A4, B4], &[A4, B4]),
        (&[A4, A6], &[A6, A4]),
        (&[A4, B4, C4, A6, B6], &[A6, A4, B6, B4, C4]),
        (&[B6, A6, A4], &[B6, A4, A6]),
        (&[A4, A4, A6, A4], &[A6, A4]),
    ] {
        assert_eq!(in_order(all(given)), all(expected), "{given:?}");
    }
    let many = (0..1000_u16).map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
    assert_eq!(in_order(many.collect()).len(), MAX_ADDRESSES);
}

#[test]
fn first_connection_wins_and_the_other_attempts_are_dropped() {
    for (attempts, winner, log) in [
        (&[(A4, ok(1000))][..], A4, &["0 try A4"][..]),
        // The first is in time.
        (&[(A4, ok(249)), (B4, ok(0))], A4, &["0 try A4"]),
        // The first never answers: that costs 250 ms.
        (&[(A4, NEVER), (B4, ok(20))], B4, &["0 try A4", "250 try B4", "270 drop A4"]),
        (&[(A4, NEVER), (A6, ok(20))], A6, &["0 try A6"]),
        (&[(A4, ok(20)), (A6, NEVER)], A4, &["0 try A6", "250 try A4", "270 drop A6"]),
        // The first is late, but earlier than the second.
        (&[(A4, ok(300)), (B4, ok(100))], A4, &["0 try A4", "250 try B4", "300 drop B4"]),
        // Both at once: the preferred one.
        (&[(A4, ok(300)), (B4, ok(50))], A4, &["0 try A4", "250 try B4", "300 drop B4"]),
        (
            &[(A4, NEVER), (B4, NEVER), (C4, ok(1))],
            C4,
            &["0 try A4", "250 try B4", "500 try C4", "501 drop A4", "501 drop B4"],
        ),
        // An attempt that fails is followed at once.
        (&[(A4, err(0, REFUSED)), (B4, ok(5))], B4, &["0 try A4", "0 drop A4", "0 try B4"]),
        (&[(A4, err(9, REFUSED)), (B4, ok(5))], B4, &["0 try A4", "9 drop A4", "9 try B4"]),
        // Also if another one is under way, and the delay counts from there.
        (
            &[(A4, err(300, REFUSED)), (B4, ok(900)), (C4, NEVER), (A6, NEVER)],
            B4,
            &[
                "0 try A6",
                "250 try A4",
                "500 try B4",
                "550 drop A4",
                "550 try C4",
                "1400 drop A6",
                "1400 drop C4",
            ],
        ),
    ] {
        let names = [("A4", A4), ("B4", B4), ("C4", C4), ("A6", A6)];
        let (outcome, got) = race_of(attempts);
        assert_eq!(outcome.as_deref(), Ok(winner), "{attempts:?}");
        let short = |entry: &String| {
            names.iter().fold(entry.clone(), |entry, (name, address)| entry.replace(address, name))
        };
        let mut got: Vec<_> = got.iter().map(short).collect();
        // The connection itself, which the test has dropped.
        assert!(got.pop().unwrap().contains("drop"));
        assert_eq!(got, log, "{attempts:?}");
    }
}

#[test]
fn error_of_all_attempts_is_the_first_that_tells_most() {
    use io::ErrorKind::{HostUnreachable, NetworkUnreachable, PermissionDenied, TimedOut};
    let refused = |address: &str| format!("{address}: connection refused");
    for (attempts, error) in [
        (&[(A4, err(5, REFUSED))][..], refused(A4)),
        (&[(A4, err(5, REFUSED)), (B4, err(0, REFUSED))], refused(A4)),
        (&[(A4, err(300, REFUSED)), (B4, err(0, REFUSED))], refused(B4)),
        (&[(A6, err(0, NetworkUnreachable)), (A4, err(5, REFUSED))], refused(A4)),
        (&[(A6, err(0, REFUSED)), (A4, err(5, NetworkUnreachable))], refused(A6)),
        (&[(A6, err(0, PermissionDenied)), (A4, err(5, REFUSED))], refused(A4)),
        (&[(A6, err(0, HostUnreachable)), (A4, err(0, TimedOut))], format!("{A4}: timed out")),
        (
            &[(A6, err(0, NetworkUnreachable)), (A4, err(0, HostUnreachable))],
            format!("{A6}: network unreachable"),
        ),
    ] {
        assert_eq!(race_of(attempts).0, Err(error), "{attempts:?}");
    }
}

#[test]
fn an_address_is_not_looked_up() {
    for (url, address) in [("http://192.0.2.1", A4), ("ws://[2001:DB8:0::1]/", A6)] {
        let script = Script::new([(A4, ok(1)), (A6, ok(1))]);
        let (outcome, log) = script.connect(url);
        assert_eq!(outcome.unwrap().to_string(), address);
        assert_eq!(log[0], format!("0 try {address}"), "{url}");
    }
}

#[test]
fn names_without_an_address_are_told() {
    let (outcome, _) = Script::default().connect("http://name");
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "name: entity not found");
    let script = Script::default();
    script.0.lock().unwrap().names = Some(io::ErrorKind::Other);
    assert_eq!(script.connect("http://name").0.unwrap_err().to_string(), "name: other error");
}

#[test]
fn dropping_the_race_drops_all_attempts() {
    let script = Script::new([(A4, NEVER), (B4, NEVER)]);
    let url = Url::parse("http://name").unwrap();
    {
        let mut work = Box::pin(connect_tcp(&script, url.host(), url.port()));
        let mut poll = || work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        assert!(poll());
        script.0.lock().unwrap().now = Time::from_millis(250);
        assert!(poll());
    }
    let log = script.0.lock().unwrap().log.clone();
    assert_eq!(log.iter().filter(|entry| entry.contains("try")).count(), 2);
    assert_eq!(log.iter().filter(|entry| entry.contains("drop")).count(), 2, "{log:?}");
}
