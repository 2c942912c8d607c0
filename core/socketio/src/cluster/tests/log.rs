//! Rules of appends and requests to a log that the nodes share.

use alloc::{boxed::Box, vec, vec::Vec};

use enginewire::Entropy;

use super::*;
use crate::{
    adapter::SocketState,
    id::{PrivateId, SocketId},
};

const SOON: Time = Time::from_millis(100);

fn entry(sequence: u64) -> EntryId {
    EntryId { time: 0, sequence }
}

fn append(node: &mut Node, namespace: &Arc<str>) -> AppendId {
    node.append(DEADLINE, namespace, broadcast(), 1).unwrap()
}

fn state() -> Box<SocketState<()>> {
    Box::new(SocketState {
        id: SocketId::from("id"),
        pid: pid(),
        rooms: vec![],
        data: (),
        received: None,
        stays: vec![],
        mark: 0,
    })
}

fn pid() -> PrivateId {
    let mut zeros = |bytes: &mut [u8]| bytes.fill(0);
    PrivateId::random(&mut zeros as &mut dyn Entropy)
}

fn ends(node: &mut Node) -> Vec<(AppendId, Option<u64>)> {
    let ends = events(node).into_iter().map(|event| match event {
        Event::Appended { append, entry, .. } => (append, entry.map(|entry| entry.sequence)),
        event => panic!("{event:?}"),
    });
    ends.collect()
}

#[test]
fn appends_leave_with_the_messages_and_end_with_their_entries() {
    let mut node = node(1);
    let [one, two] = [(); 2].map(|()| append(&mut node, &namespace()));
    let keep = node.keep_state(&namespace(), state(), Duration::from_secs(1), 1);
    assert_eq!((one, two, keep), (AppendId(1), AppendId(2), Ok(())));
    let next = |node: &mut Node| node.poll_message().map(|message| message.operation);
    for expected in [one, two] {
        let Some(Operation::Log(LogRequest::Append { append, broadcast })) = next(&mut node) else {
            panic!("no append");
        };
        assert_eq!((append, broadcast.event), (expected, 'e'));
    }
    assert!(matches!(next(&mut node), Some(Operation::Log(LogRequest::Keep { .. }))));
    node.handle_appended(one, entry(7));
    node.handle_appended(one, entry(8));
    node.handle_appended(AppendId(9), entry(9));
    node.handle_appended(two, entry(10));
    assert_eq!(ends(&mut node), [(one, Some(7)), (two, Some(10))]);
    assert_eq!(node.poll_timeout(), None);
}

#[test]
fn append_that_the_log_has_passed_has_failed() {
    let mut node = node(1);
    let other: Arc<str> = "/other".into();
    let [one, two] = [(); 2].map(|()| append(&mut node, &namespace()));
    let of_another = append(&mut node, &other);
    let four = append(&mut node, &namespace());
    // Entries of other namespaces may be in another log.
    node.handle_appended(four, entry(1));
    assert_eq!(ends(&mut node), [(one, None), (two, None), (four, Some(1))]);
    node.handle_appended(of_another, entry(3));
    assert_eq!(ends(&mut node), [(of_another, Some(3))]);
}

#[test]
fn append_that_has_failed_ends_behind_those_before_it() {
    let mut node = node(1);
    let [one, two, three] = [(); 3].map(|()| append(&mut node, &namespace()));
    node.handle_append_failed(two);
    node.handle_timeout(SOON);
    assert_eq!((ends(&mut node), node.poll_timeout()), (vec![], Some(DEADLINE)));
    node.handle_appended(one, entry(7));
    assert_eq!(ends(&mut node), [(one, Some(7))]);
    assert_eq!(node.poll_timeout(), Some(Time::ZERO));
    node.handle_timeout(SOON);
    assert_eq!(ends(&mut node), [(two, None)]);
    node.handle_append_failed(two);
    node.handle_append_failed(three);
    node.handle_timeout(SOON);
    assert_eq!((ends(&mut node), node.poll_timeout()), (vec![(three, None)], None));
}

#[test]
fn deadline_and_loss_of_the_bus_end_what_waits_for_the_log() {
    let mut node = node(1);
    let take = node.take_state(SOON, &namespace(), pid(), 1).unwrap();
    let one = append(&mut node, &namespace());
    assert_eq!(node.poll_timeout(), Some(SOON));
    node.handle_timeout(SOON);
    assert_eq!(events(&mut node), [Event::Logged(take, None)]);
    node.handle_log_response(take, LogResponse::State(Some(state())));
    assert_eq!((events(&mut node), node.poll_timeout()), (vec![], Some(DEADLINE)));
    node.handle_timeout(DEADLINE);
    assert_eq!(ends(&mut node), [(one, None)]);
    let limits = ReadLimits { max_events: 1, max_bytes: 1 };
    let [two, three] = [(); 2].map(|()| append(&mut node, &namespace()));
    let range = (entry(1), None);
    let read = node.read_log(DEADLINE, &namespace(), range, limits, 1).unwrap();
    node.set_connected(false);
    let appended = |append| Event::Appended { append, namespace: namespace(), entry: None };
    let expected = [appended(two), appended(three), Event::Logged(read, None)];
    assert_eq!(events(&mut node), expected);
    let refused = node.take_state(DEADLINE, &namespace(), pid(), 1);
    assert_eq!(refused, Err(TellError::Disconnected));
    // What was sent before may be in the log.
    node.set_connected(true);
    node.handle_appended(two, entry(1));
    let late = Event::AppendedLate { append: two, namespace: namespace(), entry: entry(1) };
    assert_eq!(events(&mut node), [late]);
    node.handle_appended(two, entry(1));
    assert_eq!(events(&mut node), []);
}

#[test]
fn late_entries_of_all_that_waited_for_a_lost_bus_are_told() {
    const APPENDS: usize = 5000;
    let mut node = Node::new(usize::MAX);
    let waiting: Vec<_> = (0..APPENDS).map(|_| append(&mut node, &namespace())).collect();
    node.set_connected(false);
    assert_eq!(ends(&mut node).len(), APPENDS);
    node.set_connected(true);
    for append in waiting {
        node.handle_appended(append, entry(append.0));
        let (namespace, entry) = (namespace(), entry(append.0));
        assert_eq!(events(&mut node), [Event::AppendedLate { append, namespace, entry }]);
    }
}

#[test]
fn refused_appends_take_no_place_among_those_that_may_have_an_entry_late() {
    let mut node = Node::new(usize::MAX);
    let lost = append(&mut node, &namespace());
    node.handle_timeout(DEADLINE);
    assert_eq!(ends(&mut node), [(lost, None)]);
    for _ in 0..200_000 {
        let refused = append(&mut node, &namespace());
        node.handle_append_failed(refused);
        node.handle_timeout(SOON);
        assert_eq!(ends(&mut node), [(refused, None)]);
    }
    node.handle_appended(lost, entry(1));
    let late = Event::AppendedLate { append: lost, namespace: namespace(), entry: entry(1) };
    assert_eq!(events(&mut node), [late]);
}

/// Without the order by namespaces each entry would go through all appends of the others, for minutes.
#[test]
fn appends_of_a_slow_namespace_cost_entries_of_others_nothing() {
    const APPENDS: usize = 100_000;
    let mut node = Node::new(usize::MAX);
    let [slow, healthy] = ["/slow", "/healthy"].map(Arc::<str>::from);
    let waiting: Vec<_> = (0..APPENDS).map(|_| append(&mut node, &slow)).collect();
    for _ in 0..APPENDS {
        let one = append(&mut node, &healthy);
        node.handle_appended(one, entry(one.0));
        assert_eq!(ends(&mut node), [(one, Some(one.0))]);
    }
    // Those of one namespace end together when the log has passed them.
    let (&last, passed) = waiting.split_last().unwrap();
    node.handle_appended(last, entry(1));
    let expected: Vec<_> = passed.iter().map(|&one| (one, None)).chain([(last, Some(1))]).collect();
    assert_eq!(ends(&mut node), expected);
    assert!(node.logging.is_idle());
}

#[test]
fn queues_of_namespaces_end_with_their_appends() {
    let mut node = node(1);
    let [a, b] = ["/a", "/b"].map(Arc::<str>::from);
    let [one, two, three] = [&a, &b, &a].map(|of| append(&mut node, of));
    node.handle_append_failed(one);
    node.handle_timeout(SOON);
    assert_eq!(ends(&mut node), [(one, None)]);
    node.handle_appended(three, entry(1));
    assert_eq!(ends(&mut node), [(three, Some(1))]);
    node.handle_timeout(DEADLINE);
    assert_eq!(ends(&mut node), [(two, None)]);
    assert!(node.logging.is_idle());
    let four = append(&mut node, &a);
    assert!(!node.logging.is_idle());
    node.set_connected(false);
    assert_eq!(ends(&mut node), [(four, None)]);
    assert!(node.logging.is_idle());
}

/// Without the order of deadlines each turn would go through all of them, for minutes.
#[test]
fn many_requests_to_the_log_cost_nothing_until_their_deadline() {
    const REQUESTS: u64 = 100_000;
    let mut node = Node::new(usize::MAX);
    for time in 1..=REQUESTS {
        let deadline = DEADLINE + Duration::from_millis(time);
        node.take_state(deadline, &namespace(), pid(), 1).unwrap();
        node.handle_timeout(Time::ZERO);
    }
    assert_eq!(events(&mut node).len(), 0);
    for _ in 0..REQUESTS {
        let due = node.poll_timeout().unwrap();
        node.handle_timeout(due);
        assert_eq!(events(&mut node).len(), 1);
    }
    assert_eq!(node.poll_timeout(), None);
}

#[test]
fn response_is_told_once_unless_the_request_is_cancelled() {
    let mut node = node(1);
    let [one, two, three] =
        [(); 3].map(|()| node.take_state(DEADLINE, &namespace(), pid(), 1).unwrap());
    let response = || LogResponse::State(Some(state()));
    node.handle_log_response(one, response());
    node.handle_log_response(one, response());
    node.cancel(two);
    node.handle_log_response(two, response());
    node.handle_log_response(three, LogResponse::State(None));
    node.cancel(three);
    assert_eq!(events(&mut node), [Event::Logged(one, Some(response()))]);
    // Another node cannot respond in place of the bus, nor ask in its name.
    let request = LogRequest::Take { pid: pid(), request: one };
    node.handle_message(NodeId(1), namespace(), Operation::Log(request));
    assert_eq!(events(&mut node), []);
}

#[test]
fn log_has_a_grace_period_to_respond_if_the_process_did_not_run() {
    let mut node = node(1);
    let [one, two] = [(); 2].map(|()| append(&mut node, &namespace()));
    let take = node.take_state(DEADLINE, &namespace(), pid(), 1).unwrap();
    node.handle_append_failed(one);
    let late = DEADLINE + Duration::from_secs(30);
    node.handle_timeout(late);
    assert_eq!(ends(&mut node), [(one, None)], "it is known to have failed");
    node.handle_log_response(take, LogResponse::State(Some(state())));
    let taken = events(&mut node);
    assert!(matches!(taken[..], [Event::Logged(_, Some(LogResponse::State(Some(_))))]));
    node.handle_appended(two, entry(1));
    assert_eq!(ends(&mut node), [(two, Some(1))]);
    assert_eq!(node.poll_timeout(), None);
}
