//! Rules of the log that nodes of streams share, and of the states beside it.

use alloc::string::ToString;

use super::*;
use crate::{
    adapter::{EntryId, MAX_STAYS, SocketState, Stay},
    cluster::{AppendId, LogRequest, LogResponse, ReadLimits},
    id::PrivateId,
};

type Fields = Vec<(&'static str, Bytes)>;

const LIMITS: ReadLimits = ReadLimits { max_events: 150, max_bytes: 1 << 20 };

/// State of a socket with a room and data, as the reference has written it.
const SESSION: &str = "hKNzaWS0TUhKTHdmOHlpb1NGV2dGS0FBQUOjcGlktGpOVHpMb2FBblUtSE9pRzdBQUFEpXJvb21zkrRNSEpMd2Y4eWlvU0ZXZ0ZLQUFBQ6JyMaRkYXRhgaF4AQ==";

fn entry(sequence: u64) -> EntryId {
    EntryId { time: 7, sequence }
}

fn pid() -> PrivateId {
    PrivateId::parse("jNTzLoaAnU-HOiG7AAAD").unwrap()
}

fn state() -> SocketState<Payload> {
    SocketState {
        id: "MHJLwf8yioSFWgFKAAAC".into(),
        pid: pid(),
        rooms: vec![Room::of_another_node("r1".into())],
        data: Payload::from_value(Value::Object(vec![("x".into(), 1_u8.into())])),
        received: None,
        stays: vec![],
        mark: 0,
    }
}

fn ask(wire: &mut Wire, request: LogRequest) -> Vec<Command> {
    wire.send(at(0), message(Operation::Log(request)));
    commands(wire)
}

/// The fields of an entry that a node appends.
fn append(wire: &mut Wire, number: u64) -> Fields {
    let Operation::Broadcast(broadcast) = hi() else { panic!() };
    let request = LogRequest::Append { append: AppendId(number), broadcast };
    match &mut *ask(wire, request) {
        [Command::Append { stream, fields, append, .. }] => {
            assert_eq!((&**stream, *append), ("socket.io", Some(AppendId(number))));
            core::mem::take(fields)
        }
        other => panic!("{other:?}"),
    }
}

fn handle(wire: &mut Wire, id: EntryId, fields: &Fields) -> Vec<WireEvent> {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
    wire.handle_entry(at(0), "socket.io", &id.to_string(), &fields);
    events(wire)
}

/// Handles a page of entries with these numbers.
fn handle_read(wire: &mut Wire, request: u64, entries: &[(u64, &Fields)]) -> Vec<WireEvent> {
    handle_page(wire, request, entries, true)
}

/// Handles a page of entries, of which the rest is missing unless it is complete.
fn handle_page(
    wire: &mut Wire,
    request: u64,
    entries: &[(u64, &Fields)],
    is_complete: bool,
) -> Vec<WireEvent> {
    let ids: Vec<_> = entries.iter().map(|(n, _)| entry(*n).to_string()).collect();
    let fields = |fields: &&Fields| -> Vec<(&str, Vec<u8>)> {
        fields.iter().map(|(name, value)| (*name, value.to_vec())).collect()
    };
    let all: Vec<_> = entries.iter().map(|(_, entry)| fields(entry)).collect();
    let all: Vec<Vec<(&str, &[u8])>> = all
        .iter()
        .map(|entry| entry.iter().map(|(name, value)| (*name, &**value)).collect())
        .collect();
    let page: Vec<_> = ids.iter().zip(&all).map(|(id, fields)| (&**id, &**fields)).collect();
    wire.handle_read(RequestId(request), &page, is_complete);
    events(wire)
}

/// The numbers of the entries in the only response.
fn entries(events: &[WireEvent]) -> Option<Vec<u64>> {
    match events {
        [WireEvent::Logged { response: LogResponse::Entries(entries), .. }] => {
            Some(entries.as_ref()?.iter().map(|entry| entry.id.sequence).collect())
        }
        other => panic!("{other:?}"),
    }
}

fn read(wire: &mut Wire, request: u64, from: u64) -> Vec<Command> {
    let from = entry(from);
    let request = RequestId(request);
    ask(wire, LogRequest::Read { from, until: None, limits: LIMITS, request })
}

#[test]
fn own_entry_ends_its_append_and_other_nodes_get_the_broadcast() {
    let [mut one, mut two] = [1, 2].map(|seed| node(streams(), seed));
    assert!(one.has_log() && !node(classic(), 1).has_log());
    let fields = append(&mut one, 5);
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["uid", "nsp", "type", "append", "data"]);
    let told = handle(&mut one, entry(3), &fields);
    let [WireEvent::Appended { append: AppendId(5), entry: id }] = *told else {
        panic!("{told:?}");
    };
    assert_eq!(id, entry(3));
    let told = handle(&mut two, entry(3), &fields);
    let [WireEvent::Message { operation: Operation::Broadcast(broadcast), .. }] = &*told else {
        panic!("{told:?}");
    };
    assert_eq!(broadcast.offset, Some(entry(3)));
    // Other entries of its own, and numbers that are none, tell nothing.
    let mut others = fields.clone();
    others[3].1 = Bytes::from_static(b"x");
    assert!(handle(&mut one, entry(4), &others).is_empty());
    others.remove(3);
    assert!(handle(&mut one, entry(5), &others).is_empty());
}

#[test]
fn append_that_cannot_be_written_has_failed() {
    let deep = ["[\"e\",", &"[".repeat(200), &"]".repeat(200), "]"].concat();
    let attachments = vec![Bytes::from_static(b"x")];
    let args = Args::from_payload(Payload::from_json(deep.into(), 0, attachments));
    let mut wire = node(streams(), 1);
    let request = |args| {
        let broadcast = emit(Target::all(), args);
        LogRequest::Append { append: AppendId(3), broadcast }
    };
    assert_eq!(ask(&mut wire, request(args)), []);
    let told = events(&mut wire);
    let [WireEvent::Faulty(_), WireEvent::AppendFailed(AppendId(3))] = *told else {
        panic!("{told:?}");
    };
    wire.close(at(0));
    commands(&mut wire);
    assert_eq!(ask(&mut wire, request(Args::event("hi", &1).unwrap())), []);
    let told = events(&mut wire);
    let [WireEvent::AppendFailed(AppendId(3))] = *told else { panic!("{told:?}") };
}

#[test]
fn state_of_a_socket_has_the_bytes_of_the_reference() {
    let mut wire = node(streams(), 1);
    let lifetime = Duration::from_secs(120);
    let stored = ask(&mut wire, LogRequest::Keep { state: state().into(), lifetime });
    let [Command::Store { key, value, lifetime: stored_for }] = &*stored else {
        panic!("{stored:?}");
    };
    assert_eq!((&**key, &**value), ("sio:session:jNTzLoaAnU-HOiG7AAAD", SESSION.as_bytes()));
    assert_eq!(*stored_for, lifetime);
    assert!(!format!("{stored:?}").contains("jNTz"), "the private id is a secret");
    assert_eq!(taken(&mut wire, Some(SESSION.as_bytes())), Some(shown_state(&state())));
    // Redis takes no time that overflows, nor none at all.
    for (lifetime, expected) in [
        (Duration::MAX, Duration::from_secs(i32::MAX as u64)),
        (Duration::ZERO, Duration::from_millis(1)),
    ] {
        let stored = ask(&mut wire, LogRequest::Keep { state: state().into(), lifetime });
        let [Command::Store { lifetime, .. }] = *stored else { panic!("{stored:?}") };
        assert_eq!(lifetime, expected);
    }
}

/// All of a state but its private id, which reading compares.
fn shown_state(state: &SocketState<Payload>) -> String {
    let rooms = texts(&state.rooms);
    let stays: Vec<_> = state.stays.iter().map(|stay| stay.room.as_str()).collect();
    format!("{state:?} {rooms:?} {stays:?}")
}

/// Takes a state, for which the broker has this value.
fn taken(wire: &mut Wire, value: Option<&[u8]>) -> Option<String> {
    let asked = ask(wire, LogRequest::Take { pid: pid(), request: RequestId(1) });
    let [Command::Take { request: RequestId(1), key }] = &*asked else { panic!("{asked:?}") };
    assert_eq!(&**key, "sio:session:jNTzLoaAnU-HOiG7AAAD");
    wire.handle_taken(RequestId(1), value);
    let mut told = events(wire);
    let response = told.pop();
    let Some(WireEvent::Logged { response: LogResponse::State(state), .. }) = response else {
        panic!("{response:?}");
    };
    // One that cannot be read is told.
    assert_eq!(told.len(), usize::from(value.is_some() && state.is_none()));
    state.map(|state| shown_state(&state))
}

#[test]
fn state_of_a_socket_is_read_back_and_no_part_of_it_is() {
    let mut wire = node(streams(), 1);
    let stay = |after, until| Stay { room: Room::of_another_node("r1".into()), after, until };
    let full = SocketState {
        received: Some(entry(9)),
        stays: vec![stay(Some(entry(1)), None), stay(None, Some(entry(2)))],
        mark: u64::MAX,
        ..state()
    };
    let written = super::super::session::write(&full).unwrap();
    assert_eq!(taken(&mut wire, Some(&written)), Some(shown_state(&full)));
    assert_eq!(taken(&mut wire, None), None);
    for end in 0..written.len() {
        assert_eq!(taken(&mut wire, Some(&written[..end])), None, "{end} bytes");
    }
    let behind = [&*written, b"AA=="].concat();
    assert_eq!(taken(&mut wire, Some(&behind)), None);
    // Of another socket.
    let other = PrivateId::parse("aaaaaaaaaaaaaaaaaaaa").unwrap();
    assert!(super::super::session::read(&written, &other).is_err());
    // Twice, and one that was not asked for.
    wire.handle_taken(RequestId(1), Some(&written));
    assert!(events(&mut wire).is_empty());
}

#[test]
fn state_with_more_stays_than_a_socket_can_have_is_refused() {
    let mut wire = node(streams(), 1);
    let stays = |count| SocketState {
        stays: vec![
            Stay {
                room: Room::of_another_node("r1".into()),
                after: None,
                until: Some(entry(2))
            };
            count
        ],
        ..state()
    };
    let mut take = |state: &SocketState<Payload>| {
        let written = super::super::session::write(state).unwrap();
        taken(&mut wire, Some(&written))
    };
    let most = stays(state().rooms.len() + MAX_STAYS);
    assert_eq!(take(&most), Some(shown_state(&most)));
    assert_eq!(take(&stays(most.stays.len() + 1)), None);
}

#[test]
fn entries_are_read_page_by_page_within_the_limits() {
    let mut wire = node(streams(), 1);
    wire.handle_position("socket.io", entry(1000));
    let fields = append(&mut node(streams(), 2), 1);
    let command = |from: &str| Command::Read {
        request: RequestId(1),
        stream: "socket.io".into(),
        from: from.into(),
        until: "+".into(),
        count: 100,
    };
    assert_eq!(read(&mut wire, 1, 1), [command("7-1")]);
    let page = |numbers: core::ops::Range<u64>| numbers.map(|n| (n, &fields)).collect::<Vec<_>>();
    assert!(handle_read(&mut wire, 1, &page(1..101)).is_empty());
    assert_eq!(commands(&mut wire), [command("7-101")]);
    let read_all = handle_read(&mut wire, 1, &page(101..131));
    assert_eq!(entries(&read_all), Some((1..131).collect()));
    // Too many.
    read(&mut wire, 1, 1);
    assert!(handle_read(&mut wire, 1, &page(1..101)).is_empty());
    assert_eq!(entries(&handle_read(&mut wire, 1, &page(101..160))), None);
    // The first one is not there, or there is none.
    read(&mut wire, 1, 1);
    assert_eq!(entries(&handle_read(&mut wire, 1, &page(2..5))), None);
    read(&mut wire, 1, 1);
    assert_eq!(entries(&handle_read(&mut wire, 1, &[])), None);
    assert!(handle_read(&mut wire, 1, &page(1..2)).is_empty(), "nobody has asked");
    let until = LogRequest::Read {
        from: entry(1),
        until: Some(entry(4)),
        limits: LIMITS,
        request: RequestId(2),
    };
    let asked = ask(&mut wire, until);
    let [Command::Read { until, .. }] = &*asked else { panic!("{asked:?}") };
    assert_eq!(until, "(7-4");
}

#[test]
fn page_that_is_cut_is_read_on_and_one_without_entries_is_no_end_of_the_log() {
    let mut wire = node(streams(), 1);
    wire.handle_position("socket.io", entry(1000));
    let fields = append(&mut node(streams(), 2), 1);
    read(&mut wire, 1, 1);
    assert!(handle_page(&mut wire, 1, &[(1, &fields), (2, &fields)], false).is_empty());
    let commands = commands(&mut wire);
    let [Command::Read { from, .. }] = &*commands else { panic!("{commands:?}") };
    assert_eq!(from, "7-3");
    let read_all = handle_page(&mut wire, 1, &[(3, &fields)], true);
    assert_eq!(entries(&read_all), Some(vec![1, 2, 3]));
    // The next entry is too large, or the command was refused.
    read(&mut wire, 1, 1);
    assert!(handle_page(&mut wire, 1, &[(1, &fields)], false).is_empty());
    assert_eq!(entries(&handle_page(&mut wire, 1, &[], false)), None);
}

#[test]
fn what_cannot_be_sent_again_is_no_entry_of_the_log() {
    let mut wire = node(streams(), 1);
    wire.handle_position("socket.io", entry(1000));
    let mut other = node(streams(), 2);
    let fields = append(&mut other, 1);
    let with = |name: &str, value: &'static str| {
        let mut fields = fields.clone();
        let value = Bytes::from_static(value.as_bytes());
        fields
            .iter_mut()
            .filter(|(field, _)| *field == name)
            .for_each(|field| field.1 = value.clone());
        fields
    };
    let volatile = r#"{"packet":{"data":["e"]},"opts":{"flags":{"volatile":true}}}"#;
    let reserved = r#"{"packet":{"data":["connect"]},"opts":{}}"#;
    let no_event = r#"{"opts":{}}"#;
    let others = [
        with("nsp", "/other"),
        with("type", "4"),
        with("type", "x"),
        with("data", "?"),
        with("data", volatile),
        with("data", reserved),
        with("data", no_event),
        vec![],
    ];
    let page: Vec<_> =
        [(1, &fields)].into_iter().chain((2..).zip(&others)).chain([(20, &fields)]).collect();
    read(&mut wire, 1, 1);
    assert_eq!(entries(&handle_read(&mut wire, 1, &page)), Some(vec![1, 20]));
}

#[test]
fn entries_wait_until_they_were_handled_as_such() {
    let mut wire = node(streams(), 1);
    let fields = append(&mut node(streams(), 2), 1);
    wire.handle_position("socket.io", entry(4));
    read(&mut wire, 1, 3);
    read(&mut wire, 2, 3);
    assert_eq!(entries(&handle_read(&mut wire, 1, &[(3, &fields)])), Some(vec![3]));
    assert!(handle_read(&mut wire, 2, &[(3, &fields), (5, &fields), (6, &fields)]).is_empty());
    assert_eq!(handle(&mut wire, entry(5), &fields).len(), 1);
    let told = handle(&mut wire, entry(6), &fields);
    assert!(matches!(told[0], WireEvent::Message { .. }), "the entry comes first");
    assert_eq!(entries(&told[1..]), Some(vec![3, 5, 6]));
    // An entry of a namespace that is not here counts as well, and one that cannot be read.
    read(&mut wire, 3, 3);
    assert!(handle_read(&mut wire, 3, &[(3, &fields), (7, &fields)]).is_empty());
    wire.handle_entry(at(0), "socket.io", "7-7", &[("nsp", b"/other")]);
    assert_eq!(entries(&events(&mut wire)), Some(vec![3, 7]));
}

#[test]
fn log_that_goes_back_is_told_once_and_its_entries_are_delivered() {
    let mut wire = node(streams(), 1);
    let fields = append(&mut node(streams(), 2), 1);
    let is_rewound = |told: &[WireEvent]| match told {
        [WireEvent::Message { .. }] => false,
        [WireEvent::LogRewound, WireEvent::Message { .. }] => true,
        other => panic!("{other:?}"),
    };
    wire.handle_position("socket.io", entry(4));
    assert!(!is_rewound(&handle(&mut wire, entry(9), &fields)));
    // Without a word of the broker it comes a second time.
    assert!(!is_rewound(&handle(&mut wire, entry(9), &fields)));
    wire.handle_connected(at(0), false);
    wire.handle_connected(at(0), true);
    wire.handle_position("socket.io", entry(7));
    assert!(is_rewound(&handle(&mut wire, entry(8), &fields)));
    assert!(!is_rewound(&handle(&mut wire, entry(9), &fields)));
    // What is read of the log waits for these.
    read(&mut wire, 1, 8);
    assert!(handle_read(&mut wire, 1, &[(8, &fields), (10, &fields)]).is_empty());
    let told = handle(&mut wire, entry(10), &fields);
    assert_eq!(entries(&told[1..]), Some(vec![8, 10]));
    // Ids that go on behind those that were lost.
    wire.handle_position("socket.io", entry(2));
    assert!(!is_rewound(&handle(&mut wire, entry(11), &fields)));
}

#[test]
fn requests_end_with_the_broker_and_in_time() {
    let mut wire = node(streams(), 1);
    let fields = append(&mut node(streams(), 2), 1);
    read(&mut wire, 1, 3);
    ask(&mut wire, LogRequest::Take { pid: pid(), request: RequestId(2) });
    wire.handle_connected(at(0), false);
    wire.handle_connected(at(0), true);
    assert!(handle_read(&mut wire, 1, &[(3, &fields)]).is_empty());
    wire.handle_taken(RequestId(2), Some(SESSION.as_bytes()));
    assert!(events(&mut wire).is_empty());
    commands(&mut wire);
    read(&mut wire, 3, 3);
    wire.handle_timeout(at(10_000));
    assert!(handle_read(&mut wire, 3, &[(3, &fields)]).is_empty());
}

#[test]
fn node_without_a_log_responds_that_there_is_nothing() {
    let mut wire = node(classic(), 1);
    let take = LogRequest::Take { pid: pid(), request: RequestId(1) };
    assert!(ask(&mut wire, take).is_empty());
    let told = events(&mut wire);
    assert!(matches!(
        &*told,
        [WireEvent::Logged { request: RequestId(1), response: LogResponse::State(None) }]
    ));
    assert!(read(&mut wire, 2, 1).is_empty());
    assert_eq!(entries(&events(&mut wire)), None);
    let Operation::Broadcast(broadcast) = hi() else { panic!() };
    let append = LogRequest::Append { append: AppendId(1), broadcast };
    assert!(matches!(&*ask(&mut wire, append), [Command::Publish { .. }]));
}

/// Without the order of requests each turn would go through all of them, for minutes.
#[test]
fn many_requests_to_the_log_cost_nothing_until_they_expire() {
    const REQUESTS: u64 = 50_000;
    let expires = |request: u64| at(request) + Duration::from_secs(10);
    let mut wire = node(streams(), 1);
    wire.handle_position("socket.io", entry(0));
    let fields = append(&mut node(streams(), 2), 1);
    for number in 1..=REQUESTS {
        let request = RequestId(number);
        let take = LogRequest::Take { pid: pid(), request: RequestId(REQUESTS + number) };
        let read = LogRequest::Read { from: entry(number), until: None, limits: LIMITS, request };
        for request in [read, take] {
            wire.send(at(number), message(Operation::Log(request)));
            commands(&mut wire);
            wire.poll_timeout();
        }
    }
    // The first half waits for its entries.
    for number in 1..=REQUESTS / 2 {
        assert!(handle_read(&mut wire, number, &[(number, &fields)]).is_empty());
        wire.poll_timeout();
    }
    for number in 1..=REQUESTS / 4 {
        wire.handle_position("socket.io", entry(number));
        assert_eq!(entries(&events(&mut wire)), Some(vec![number]));
    }
    wire.count_at = None;
    for number in 1..=REQUESTS {
        assert_eq!(wire.poll_timeout(), Some(expires(number)));
        wire.handle_timeout(expires(number));
        wire.count_at = None;
    }
    assert_eq!(wire.poll_timeout(), None);
    wire.handle_position("socket.io", entry(REQUESTS));
    assert!(events(&mut wire).is_empty());
}
