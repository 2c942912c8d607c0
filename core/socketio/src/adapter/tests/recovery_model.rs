//! Recovery against a plain list of what every client was sent and has received.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};
use core::time::Duration;

use enginewire::Time;
use proptest::{collection::vec as list, prelude::*};

use super::*;
use crate::id::PrivateId;

const SOCKETS: usize = 3;
const ROOMS: [&str; 3] = ["a", "b", "c"];
const WINDOW: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
enum Step {
    /// An event to rooms but others: numbers of sockets, then of rooms.
    Emit(Vec<usize>, Vec<usize>),
    Join(usize, usize),
    Leave(usize, usize),
    /// The client takes one event of those on their way.
    Receive(usize),
    Break(usize),
    Return(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = || list(0..SOCKETS + ROOMS.len(), 0..3);
    let step = prop_oneof![
        8 => (names(), names()).prop_map(|(rooms, except)| Step::Emit(rooms, except)),
        3 => (0..SOCKETS, 0..ROOMS.len()).prop_map(|(socket, room)| Step::Join(socket, room)),
        2 => (0..SOCKETS, 0..ROOMS.len()).prop_map(|(socket, room)| Step::Leave(socket, room)),
        8 => (0..SOCKETS).prop_map(Step::Receive),
        3 => (0..SOCKETS).prop_map(Step::Break),
        4 => (0..SOCKETS).prop_map(Step::Return),
        1 => (1u64..4).prop_map(Step::Wait),
    ];
    list(step, 0..150)
}

fn name(n: usize) -> String {
    if n < SOCKETS { id(n).to_string() } else { ROOMS[n - SOCKETS].into() }
}

/// A client, and the socket that the server has for it.
#[derive(Debug, Default)]
struct Client {
    generation: usize,
    connected: bool,
    rooms: BTreeSet<String>,
    /// Events for it that it has not received, with their offsets, and when they were sent.
    owed: Vec<(u32, String, Time)>,
    offset: Option<String>,
    broke: Time,
    /// When it was restored with events that it had missed.
    resent: Option<Time>,
}

impl Client {
    fn pid(&self, socket: usize) -> PrivateId {
        PrivateId::parse(&format!("{:010}{socket:010}", self.generation)).unwrap()
    }

    fn renew(&mut self) {
        *self = Self { generation: self.generation + 1, connected: true, ..Self::default() };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn recovered_client_gets_exactly_what_it_was_owed(
        steps in steps(),
        max_events in prop_oneof![Just(1_000usize), 0usize..8],
    ) {
        let config = RecoveryConfig {
            window: WINDOW, max_delay: DELAY, max_events, ..RecoveryConfig::default()
        };
        let mut log = Recovery::new(config, &mut entropy());
        let mut clients: BTreeMap<usize, Client> = BTreeMap::new();
        let mut now = Time::ZERO;
        // When each event was logged.
        let mut times = Vec::new();
        for socket in 0..SOCKETS {
            let mut client = Client::default();
            client.renew();
            log.connected(client.pid(socket), id(socket));
            clients.insert(socket, client);
        }
        for step in steps {
            match step {
                Step::Emit(rooms, except) => {
                    let names = |list: &[usize]| list.iter().map(|&n| Room::from(name(n))).collect();
                    let target = Target { rooms: names(&rooms), except: names(&except) };
                    let event = u32::try_from(times.len()).unwrap();
                    times.push(now);
                    let offset = log.stamp(now, target.clone(), event, 1).to_string();
                    for (socket, client) in &mut clients {
                        if target.matches(|room| id(*socket) == *room || client.rooms.contains(room)) {
                            client.owed.push((event, offset.clone(), now));
                        }
                    }
                    prop_assert!(log.logged().0 <= max_events);
                }
                Step::Join(socket, room) => {
                    let client = clients.get_mut(&socket).unwrap();
                    if client.connected && client.rooms.insert(ROOMS[room].into()) {
                        log.joined(&client.pid(socket), &ROOMS[room].into());
                    }
                }
                Step::Leave(socket, room) => {
                    let client = clients.get_mut(&socket).unwrap();
                    if client.connected && client.rooms.remove(ROOMS[room]) {
                        log.left(&client.pid(socket), &ROOMS[room].into());
                    }
                }
                Step::Receive(socket) => {
                    let client = clients.get_mut(&socket).unwrap();
                    if client.connected && !client.owed.is_empty() {
                        client.offset = Some(client.owed.remove(0).1);
                    }
                }
                Step::Break(socket) => {
                    let client = clients.get_mut(&socket).unwrap();
                    let rooms = client.rooms.iter().map(|room| Room::from(room.as_str())).collect();
                    let kept = Kept { pid: client.pid(socket), rooms, data: () };
                    prop_assert_eq!(log.keep(now, kept), client.connected);
                    if client.connected {
                        (client.connected, client.broke) = (false, now);
                    }
                }
                Step::Return(socket) => {
                    let client = clients.get_mut(&socket).unwrap();
                    let result = log.restore(now, &client.pid(socket), client.offset.as_deref());
                    if client.connected {
                        prop_assert_eq!(result, Err(Unrecoverable::UnknownSession));
                        continue;
                    }
                    let is_late = client.broke + WINDOW <= now;
                    // Only a log that is too small, or time, may be in the way. Events that are sent twice may
                    // outlive the log.
                    let broke_again = client.resent.is_some_and(|at| at + DELAY > client.broke);
                    let outlived = broke_again
                        && times.first().is_some_and(|at: &Time| *at + WINDOW + DELAY <= now);
                    prop_assert!(result.is_ok() || is_late || max_events < 1_000 || outlived);
                    let Ok(restored) = result else {
                        client.renew();
                        log.connected(client.pid(socket), id(socket));
                        continue;
                    };
                    prop_assert!(!is_late);
                    let rooms: BTreeSet<_> = names(restored.rooms.iter()).into_iter().collect();
                    prop_assert_eq!(&rooms, &client.rooms);
                    let owed = client.owed.iter().map(|(event, offset, _)| (*event, offset.clone()));
                    let missed = restored.missed.iter().map(|missed| (missed.event, missed.offset.to_string()));
                    prop_assert_eq!(missed.collect::<Vec<_>>(), owed.collect::<Vec<_>>());
                    client.connected = true;
                    if !client.owed.is_empty() {
                        client.resent = Some(now);
                    }
                    client.owed.iter_mut().for_each(|(.., sent)| *sent = now);
                }
                Step::Wait(seconds) => {
                    now = now + Duration::from_secs(seconds);
                    log.handle_timeout(now);
                    prop_assert!(log.poll_timeout().is_none_or(|deadline| deadline > now));
                    // What lives has received everything after the longest delay.
                    for client in clients.values_mut().filter(|client| client.connected) {
                        while client.owed.first().is_some_and(|(_, _, sent)| *sent + DELAY <= now) {
                            client.offset = Some(client.owed.remove(0).1);
                        }
                    }
                }
            }
        }
        // Nothing is left when time has passed.
        now = now + WINDOW + DELAY;
        log.handle_timeout(now);
        prop_assert_eq!((log.waiting(), log.logged(), log.poll_timeout()), (0, (0, 0), None));
    }
}
