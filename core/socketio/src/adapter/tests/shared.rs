//! Rules of recovery in a cluster whose nodes share a log.

use alloc::vec;
use core::time::Duration;

use enginewire::Time;

use super::*;
use crate::id::PrivateId;

type Log = Recovery<&'static str, u64>;

fn shared(change: impl FnOnce(&mut RecoveryConfig)) -> Log {
    let mut config = RecoveryConfig::default();
    change(&mut config);
    Recovery::shared(config, &mut entropy())
}

fn pid(n: usize) -> PrivateId {
    PrivateId::parse(&format!("{n:020}")).unwrap()
}

fn entry(sequence: u64) -> EntryId {
    EntryId { time: 7, sequence }
}

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1_000)
}

/// Logs entries for all, whose events have their numbers.
fn log(node: &mut Log, now: Time, entries: impl IntoIterator<Item = u64>) {
    for n in entries {
        node.log(now, Some(entry(n)), Target::all(), n, 1);
    }
}

fn both(one: &mut Log, two: &mut Log, mut log: impl FnMut(&mut Log)) {
    log(one);
    log(two);
}

/// Keeps a socket, and describes it.
fn lose(node: &mut Log, now: Time, n: usize, rooms: &[&str]) -> SocketState<()> {
    let rooms = rooms.iter().map(|room| Room::from(*room)).collect();
    assert!(node.keep(now, Kept { pid: pid(n), rooms, data: "here" }));
    node.state(&pid(n), 1).unwrap()
}

fn restore(node: &mut Log, now: Time, n: usize, offset: &str) -> Result<Vec<u64>, Unrecoverable> {
    let restored = node.restore(now, &pid(n), Some(offset).filter(|offset| !offset.is_empty()))?;
    Ok(restored.missed.into_iter().map(|missed| missed.event).collect())
}

#[test]
fn socket_of_another_node_gets_what_it_missed_by_the_rooms_of_the_time() {
    let [mut one, mut two] = [shared(|_| {}), shared(|_| {})];
    one.connected(pid(0), id(0));
    for node in [&mut one, &mut two] {
        log(node, at(0), [1]);
    }
    let to = |node: &mut Log, n: u64, room: &str| {
        node.log(at(0), Some(entry(n)), Target::all().to(room), n, 1);
    };
    both(&mut one, &mut two, |node| to(node, 2, "late"));
    one.joined(&pid(0), &"late".into());
    one.joined(&pid(0), &"early".into());
    both(&mut one, &mut two, |node| to(node, 3, "early"));
    one.left(&pid(0), &"early".into());
    both(&mut one, &mut two, |node| to(node, 4, "early"));
    both(&mut one, &mut two, |node| to(node, 5, "late"));
    both(&mut one, &mut two, |node| to(node, 6, "s0"));
    let state = lose(&mut one, at(1), 0, &["late"]);
    assert_eq!((&state.id, state.pid, state.mark), (&id(0), pid(0), 1));
    // It was connected before there was any entry.
    assert_eq!(state.received, None);

    assert_eq!(two.restore(at(1), &pid(0), None), Err(Unrecoverable::UnknownSession));
    two.adopt(at(2), state.with_data("there"));
    let restored = two.restore(at(2), &pid(0), Some("7-1")).unwrap();
    assert_eq!((restored.data, &*restored.rooms), ("there", &["late".into()][..]));
    let missed: Vec<_> = restored.missed.iter().map(|missed| missed.event).collect();
    assert_eq!(missed, [3, 5, 6]);
    // It is connected there, and breaks again before it has received them.
    let state = lose(&mut two, at(3), 0, &["late"]);
    assert_eq!(state.received, Some(entry(2)));
}

#[test]
fn rooms_keep_their_entries_when_those_are_cut_off() {
    let [mut one, mut two] = [shared(|config| config.max_events = 3), shared(|_| {})];
    one.connected(pid(0), id(0));
    let to = |node: &mut Log, n: u64, room: &str| {
        node.log(at(0), Some(entry(n)), Target::all().to(room), n, 1);
    };
    both(&mut one, &mut two, |node| log(node, at(0), [1]));
    both(&mut one, &mut two, |node| to(node, 2, "late"));
    both(&mut one, &mut two, |node| to(node, 3, "early"));
    one.joined(&pid(0), &"late".into());
    one.joined(&pid(0), &"early".into());
    both(&mut one, &mut two, |node| to(node, 4, "early"));
    one.left(&pid(0), &"early".into());
    both(&mut one, &mut two, |node| to(node, 5, "early"));
    both(&mut one, &mut two, |node| to(node, 6, "late"));
    assert_eq!(one.first_entry(), Some(entry(4)));
    let state = lose(&mut one, at(1), 0, &["late"]);
    let stays = state.stays.clone();
    two.adopt(at(2), state.with_data("there"));
    assert_eq!(restore(&mut two, at(2), 0, "7-1"), Ok(vec![4, 6]));
    // The next node gets them as well.
    assert_eq!(lose(&mut two, at(3), 0, &["late"]).stays, stays);
    // Also from one whose log does not reach back to them.
    let mut short = shared(|config| config.max_events = 1);
    log(&mut short, at(0), [5, 6]);
    short.connected(pid(0), id(0));
    let state = lose(&mut short, at(1), 0, &["late"]);
    short.adopt(at(1), SocketState { stays: stays.clone(), ..state }.with_data("there"));
    assert_eq!(restore(&mut short, at(1), 0, "7-6"), Ok(vec![]));
    assert_eq!(lose(&mut short, at(2), 0, &["late"]).stays, stays);
}

#[test]
fn client_without_an_offset_needs_to_be_known_to_have_received_an_entry() {
    let [mut one, mut two] = [shared(|_| {}), shared(|_| {})];
    log(&mut one, at(0), 1..=2);
    log(&mut two, at(0), 1..=4);
    one.connected(pid(0), id(0));
    log(&mut one, at(0), 3..=4);
    let state = lose(&mut one, at(1), 0, &[]);
    two.adopt(at(1), SocketState { received: None, ..state.clone() }.with_data("there"));
    assert_eq!(restore(&mut two, at(1), 0, ""), Err(Unrecoverable::UnknownOffset));
    assert_eq!(two.poll_dropped(), Some("there"));
    two.adopt(at(1), state.with_data("there"));
    assert_eq!(restore(&mut two, at(1), 0, ""), Ok(vec![3, 4]));
}

#[test]
fn copy_is_completed_by_older_entries() {
    let mut node = shared(|_| {});
    node.connected(pid(0), id(0));
    node.log(at(0), None, Target::all(), 50, 1);
    log(&mut node, at(0), [5, 6]);
    let _ = lose(&mut node, at(200), 0, &[]);
    assert_eq!(node.first_entry(), Some(entry(5)));
    assert!(!node.has_offset("7-3") && node.has_offset("7-5") && !node.has_offset("7-7"));
    let older = |n: u64| (entry(n), Target::all(), n, 1);
    // The copy has the last of them already.
    node.log_before(at(1), [3, 4, 5].map(older).into_iter());
    assert_eq!((node.first_entry(), node.logged()), (Some(entry(3)), (5, 5)));
    assert!(node.has_offset("7-3") && node.has_offset("7-4"));
    assert_eq!(node.clone().restore(at(1), &pid(0), Some("7-3")).unwrap().missed.len(), 3);
    // The socket was connected after those.
    assert_eq!(restore(&mut node, at(1), 0, ""), Ok(vec![50, 5, 6]));
    // An empty copy is filled.
    let mut node = shared(|config| config.max_events = 2);
    node.log_before(at(1), [1, 2, 3].map(older).into_iter());
    assert!(!node.has_offset("7-1") && node.has_offset("7-2") && node.has_offset("7-3"));
    log(&mut node, at(1), [4]);
    assert_eq!(node.first_entry(), Some(entry(3)));
}

#[test]
fn socket_that_may_miss_what_its_node_alone_has_is_not_given_to_others() {
    let mut node = shared(|config| config.max_delay = Duration::from_secs(10));
    node.connected(pid(0), id(0));
    log(&mut node, at(0), [1]);
    node.log(at(5), None, Target::all(), 2, 1);
    assert_eq!(node.latest_offset(), node.latest().to_string());
    log(&mut node, at(5), [3]);
    assert!(node.keep(at(6), Kept { pid: pid(0), rooms: vec![], data: "here" }));
    assert_eq!(node.state(&pid(0), 1), None, "whenever it is asked for");
    assert_eq!(node.remaining(at(16), &pid(0)), Some(Duration::from_secs(110)));
    assert!(node.is_own(&pid(0)) && !node.is_own(&pid(1)));
    assert_eq!(restore(&mut node, at(6), 0, "7-1"), Ok(vec![2, 3]));
    // In time it has received it.
    let state = lose(&mut node, at(15), 0, &[]);
    assert_eq!(state.received, Some(entry(1)));
    assert!(node.is_own(&pid(0)), "nothing was given away yet");
    node.mark(&pid(0), 1);
    assert!(!node.is_own(&pid(0)) && !node.reclaim(&pid(0), 2));
    // Another node may restore it.
    let refused = restore(&mut node, at(15), 0, "7-3");
    assert_eq!(refused, Err(Unrecoverable::UnknownSession));
    let mut back = node.clone();
    assert!(back.reclaim(&pid(0), 1) && back.is_own(&pid(0)));
    assert_eq!(restore(&mut back, at(15), 0, "7-3"), Ok(vec![]));
    node.forget(&pid(0));
    assert_eq!(node.poll_dropped(), Some("here"));
}

#[test]
fn event_of_one_node_has_an_offset_that_others_do_not_know() {
    let [mut one, mut two] = [shared(|_| {}), shared(|_| {})];
    for node in [&mut one, &mut two] {
        node.connected(pid(0), id(0));
        log(node, at(0), [1]);
    }
    let offset = one.upcoming().to_string();
    one.log(at(0), None, Target::all(), 2, 1);
    log(&mut one, at(0), [3]);
    assert!(one.has_offset(&offset) && !two.has_offset(&offset));
    let _ = one.keep(at(1), Kept { pid: pid(0), rooms: vec![], data: "here" });
    assert_eq!(restore(&mut one, at(1), 0, &offset), Ok(vec![3]));
}

#[test]
fn copy_starts_anew_when_ids_go_back() {
    for is_told in [false, true] {
        let mut node = shared(|config| config.max_delay = Duration::from_secs(10));
        (0..3).for_each(|n| node.connected(pid(n), id(n)));
        log(&mut node, at(0), [1, 3, 5]);
        let old = lose(&mut node, at(1), 0, &[]);
        assert!(node.has_entry(entry(3)) && !node.has_entry(entry(2)));
        if is_told {
            node.start_anew();
            log(&mut node, at(11), [3]);
        } else {
            log(&mut node, at(11), [2]);
        }
        log(&mut node, at(11), [4]);
        let first = entry(if is_told { 3 } else { 2 });
        assert_eq!((node.first_entry(), node.logged()), (Some(first), (2, 2)));
        assert!(node.has_entry(first) && node.has_entry(entry(4)) && !node.has_entry(entry(5)));
        // Older ones would be counted among those that sockets of this node have received.
        node.log_before(at(11), [(entry(1), Target::all(), 1, 1)].into_iter());
        assert_eq!(node.first_entry(), Some(first));
        // One may miss events, the offset of another is of the old log, and the last one was idle all the time.
        assert_eq!(restore(&mut node, at(11), 0, ""), Err(Unrecoverable::LogCutOff));
        lose(&mut node, at(11), 1, &[]);
        assert_eq!(restore(&mut node, at(11), 1, "7-5"), Err(Unrecoverable::UnknownOffset));
        lose(&mut node, at(11), 2, &[]);
        assert_eq!(restore(&mut node, at(11), 2, "7-4"), Ok(vec![]));
        node.adopt(at(11), old.with_data("there"));
        assert_eq!(restore(&mut node, at(11), 0, ""), Err(Unrecoverable::UnknownOffset));
    }
}

#[test]
fn event_that_has_its_entry_late_is_missed_by_those_that_come_behind_it() {
    let mut node = shared(|config| config.max_events = 5);
    node.connected(pid(0), id(0));
    log(&mut node, at(0), [1]);
    node.log(at(0), None, Target::all(), 20, 1);
    node.note_unplaced(7);
    log(&mut node, at(0), [3]);
    node.log_late(at(1), 7, entry(4));
    assert!(node.has_entry(entry(4)) && node.latest_offset() == "7-4");
    // The socket that was here has it at its first place.
    let _ = node.keep(at(1), Kept { pid: pid(0), rooms: vec![], data: "here" });
    assert_eq!(restore(&mut node.clone(), at(1), 0, "7-1"), Ok(vec![20, 3]));
    assert_eq!(restore(&mut node.clone(), at(1), 0, "7-3"), Ok(vec![]));
    // One of another node has it at either, once.
    for (received, missed) in [("7-1", vec![20, 3]), ("7-3", vec![20]), ("7-4", vec![])] {
        let mut other = node.clone();
        let state = SocketState {
            id: id(1),
            pid: pid(1),
            rooms: vec![],
            data: "there",
            received: None,
            stays: vec![],
            mark: 0,
        };
        other.adopt(at(1), state);
        assert_eq!(restore(&mut other, at(1), 1, received), Ok(missed), "{received}");
    }
    // When it was cut off, all before its entry is: the node cannot tell who has got it.
    log(&mut node, at(2), [5, 6, 7, 8, 9]);
    node.log_late(at(2), 9, entry(10));
    assert!(!node.has_offset("7-9") && node.has_offset("7-10"));
}

#[test]
fn entries_are_not_added_ahead_of_an_event_of_one_node_that_was_cut_off() {
    let mut node = shared(|config| config.max_bytes = 100);
    node.connected(pid(0), id(0));
    log(&mut node, at(0), [1]);
    assert!(node.keep(at(0), Kept { pid: pid(0), rooms: vec![], data: "here" }));
    node.log(at(0), None, Target::all(), 50, 99);
    node.log(at(0), Some(entry(2)), Target::all(), 2, 10);
    node.log_before(at(0), [(entry(1), Target::all(), 1, 1)].into_iter());
    assert!(!node.has_offset("7-1"));
    assert!(restore(&mut node, at(0), 0, "7-1").is_err(), "it would miss that event");
}

#[test]
fn event_that_has_its_entry_late_is_not_another_that_was_added_in_its_place() {
    let mut node = shared(|_| {});
    node.log(at(0), None, Target::all(), 50, 1);
    node.note_unplaced(7);
    node.handle_timeout(at(100_000));
    node.log_before(at(100_000), [(entry(3), Target::all(), 3, 1)].into_iter());
    node.log_late(at(100_000), 7, entry(4));
    assert!(!node.has_offset("7-3") && node.has_offset("7-4"));
}

#[test]
fn last_entry_is_known_when_the_log_is_empty() {
    let mut node = shared(|_| {});
    node.connected(pid(0), id(0));
    log(&mut node, at(0), [1, 2]);
    node.handle_timeout(at(10_000));
    assert_eq!((node.logged(), node.latest_offset().as_str()), ((0, 0), "7-2"));
    assert!(node.has_offset("7-2") && !node.has_offset("7-1"));
    assert!(node.has_entry(entry(2)) && !node.has_entry(entry(3)));
    let state = lose(&mut node, at(10_001), 0, &[]);
    assert_eq!(restore(&mut node, at(10_001), 0, "7-2"), Ok(vec![]));
    // Its own offset is older than the log.
    assert_eq!(state.received, None);
}

#[test]
fn expired_and_refused_offsets_do_not_restore() {
    let mut node = shared(|_| {});
    log(&mut node, at(0), [1, 2]);
    for (offset, error) in [
        ("7-3", Unrecoverable::UnknownOffset),
        ("7-0", Unrecoverable::UnknownOffset),
        ("7-01", Unrecoverable::UnknownOffset),
        ("hello", Unrecoverable::UnknownOffset),
    ] {
        node.connected(pid(0), id(0));
        let state = lose(&mut node, at(1), 0, &[]);
        node.adopt(at(1), state.with_data("there"));
        assert_eq!(restore(&mut node, at(1), 0, offset), Err(error), "{offset}");
    }
    node.connected(pid(0), id(0));
    let _ = lose(&mut node, at(1), 0, &[]);
    assert_eq!(restore(&mut node, at(121), 0, "7-2"), Err(Unrecoverable::Expired));
}

#[test]
fn gap_in_the_log_makes_sockets_new_that_may_miss_what_was_in_it() {
    let mut node = shared(|_| {});
    node.connected(pid(1), "a".into());
    log(&mut node, at(0), 1..=3);
    assert!(node.keep(at(0), Kept { pid: pid(1), rooms: Vec::new(), data: "here" }));
    assert!(node.has_offset("7-3") && node.has_offset("7-2"));
    // The entries 4 to 6 were removed before they were read.
    node.interrupt(at(1));
    assert!(!node.has_offset("7-3") && !node.has_offset("7-2"));
    assert!(node.has_entry(entry(3)), "what was logged does not come again");
    assert!(node.state(&pid(1), 1).is_none(), "nor is it recovered elsewhere");
    log(&mut node, at(1), 7..=8);
    assert_eq!(node.first_entry(), Some(entry(7)), "the log is read up to there");
    assert!(node.has_offset("7-7") && !node.has_offset("7-3"));
    assert!(restore(&mut node, at(1), 1, "7-3").is_err());
}
