//! Rules of recovery.

use core::time::Duration;

use enginewire::Time;

use super::*;
use crate::id::PrivateId;

type Log = Recovery<&'static str, u32>;

const WINDOW: Duration = Duration::from_secs(120);

fn recovery(change: impl FnOnce(&mut RecoveryConfig)) -> Log {
    let mut config = RecoveryConfig::default();
    change(&mut config);
    Recovery::new(config, &mut entropy())
}

fn pid(n: usize) -> PrivateId {
    PrivateId::parse(&format!("{n:020}")).unwrap()
}

fn kept(n: usize, rooms: &[&str]) -> Kept<&'static str> {
    let rooms = rooms.iter().map(|room| Room::from(*room)).collect();
    Kept { pid: pid(n), rooms, data: "data" }
}

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1_000)
}

fn events(restored: &Restored<&'static str, u32>) -> Vec<u32> {
    restored.missed.iter().map(|missed| missed.event).collect()
}

#[test]
fn client_gets_its_id_rooms_and_data_back_and_what_it_missed_in_order() {
    let mut log = recovery(|_| {});
    log.connected(pid(0), id(0));
    let received = log.stamp(at(0), Target::all(), 1, 1);
    let own = log.stamp(at(0), Target::all().to("s0"), 2, 1);
    log.stamp(at(0), Target::all().to("s1"), 3, 1);
    assert!(log.keep(at(1), kept(0, &["b", "a"])));
    log.stamp(at(2), Target::all().to("a").to("b"), 4, 1);
    log.stamp(at(2), Target::all().to("c"), 5, 1);
    log.stamp(at(2), Target::all().except("b"), 6, 1);
    log.stamp(at(2), Target::all().except("s0"), 7, 1);
    let last = log.stamp(at(2), Target::all().except("s1"), 8, 1);
    assert_eq!(log.latest(), last);

    let restored = log.restore(at(3), &pid(0), Some(&received.to_string())).unwrap();
    assert_eq!(events(&restored), [2, 4, 8]);
    assert_eq!((restored.missed[0].offset, restored.missed[2].offset), (own, last));
    assert_eq!((restored.id, restored.data), (id(0), "data"));
    assert_eq!(names(restored.rooms.iter()), ["a", "b"]);
    assert_eq!(log.living(&pid(0)), Some(&id(0)));
}

#[test]
fn data_of_dropped_sockets_is_given_back() {
    let mut log = recovery(|config| config.max_sessions = 2);
    for n in 0..4 {
        log.connected(pid(n), id(n));
        log.keep(at(n as u64), Kept { data: ["a", "b", "c", "d"][n], ..kept(n, &[]) });
    }
    let dropped = |log: &mut Log| core::iter::from_fn(|| log.poll_dropped()).collect::<Vec<_>>();
    let mut first = dropped(&mut log);
    first.sort_unstable();
    assert_eq!(first, ["a", "b"], "too many");
    assert_eq!(log.restore(at(4), &pid(2), Some("no offset")), Err(Unrecoverable::UnknownOffset));
    assert_eq!(dropped(&mut log), ["c"]);
    log.handle_timeout(at(3) + WINDOW);
    assert_eq!(dropped(&mut log), ["d"], "too late");
    assert!(!log.keep(at(4), Kept { data: "e", ..kept(4, &[]) }));
    assert_eq!(dropped(&mut log), ["e"], "never connected");
    log.connected(pid(5), id(5));
    log.keep(at(5), kept(5, &[]));
    assert_eq!(log.restore(at(5), &pid(5), None).unwrap().data, "data");
    assert_eq!(dropped(&mut log), [""; 0]);
}

/// socket.io #4880.
#[test]
fn socket_is_restored_once_and_not_while_its_predecessor_is_connected() {
    let mut log = recovery(|_| {});
    log.connected(pid(0), id(0));
    assert_eq!(log.restore(at(0), &pid(0), None), Err(Unrecoverable::UnknownSession));
    assert_eq!(log.living(&pid(0)), Some(&id(0)), "to be ended first");
    assert!(log.keep(at(0), kept(0, &[])));
    assert_eq!(log.living(&pid(0)), None);
    assert!(!log.keep(at(0), kept(0, &[])), "it is kept once");
    assert!(log.restore(at(0), &pid(0), None).is_ok());
    assert_eq!(log.restore(at(0), &pid(0), None), Err(Unrecoverable::UnknownSession));
    log.ended(&pid(0));
    assert!(!log.keep(at(0), kept(0, &[])));
    assert_eq!(log.living(&pid(0)), None);
}

/// socket.io #4888 and #5538.
#[test]
fn client_without_an_event_recovers_without_an_offset() {
    let mut log = recovery(|_| {});
    log.stamp(at(0), Target::all(), 1, 1);
    log.connected(pid(0), id(0));
    log.keep(at(0), kept(0, &[]));
    log.stamp(at(1), Target::all(), 2, 1);
    assert_eq!(events(&log.restore(at(2), &pid(0), None).unwrap()), [2]);
}

/// socket.io #5539.
#[test]
fn volatile_event_carries_the_latest_offset_which_is_a_right_one() {
    let mut log = recovery(|_| {});
    let before = log.latest();
    log.connected(pid(0), id(0));
    log.keep(at(0), kept(0, &[]));
    let upcoming = log.upcoming();
    assert_eq!(log.stamp(at(0), Target::all(), 1, 1), upcoming);
    assert_eq!(events(&log.restore(at(1), &pid(0), Some(&before.to_string())).unwrap()), [1]);
}

/// socket.io #5539.
#[test]
fn text_of_an_event_is_no_offset_and_the_socket_is_dropped() {
    for text in ["hello", "", "AAAAAAAAAAAAAAAA"] {
        let mut log = recovery(|_| {});
        log.connected(pid(0), id(0));
        log.keep(at(0), kept(0, &[]));
        assert_eq!(log.restore(at(0), &pid(0), Some(text)), Err(Unrecoverable::UnknownOffset));
        assert_eq!(log.restore(at(0), &pid(0), None), Err(Unrecoverable::UnknownSession));
    }
}

#[test]
fn offset_behind_the_log_is_unknown() {
    let mut log = recovery(|_| {});
    log.connected(pid(0), id(0));
    log.keep(at(0), kept(0, &[]));
    let offset = log.upcoming().to_string();
    assert_eq!(log.restore(at(0), &pid(0), Some(&offset)), Err(Unrecoverable::UnknownOffset));
}

/// socket.io #5282.
#[test]
fn idle_client_recovers_long_after_its_last_event() {
    let mut log = recovery(|_| {});
    log.connected(pid(0), id(0));
    let offset = log.stamp(at(0), Target::all(), 1, 1).to_string();
    // An hour of events for others.
    for second in 0..3_600 {
        log.handle_timeout(at(second));
        log.stamp(at(second), Target::all().to("others"), 2, 1);
    }
    log.keep(at(3_600), kept(0, &[]));
    log.stamp(at(3_601), Target::all(), 3, 1);
    log.handle_timeout(at(3_719));
    assert!(log.logged().0 < 300);
    assert_eq!(events(&log.restore(at(3_719), &pid(0), Some(&offset)).unwrap()), [3]);
}

#[test]
fn log_that_was_cut_off_too_early_recovers_nobody_who_may_miss_an_event() {
    let mut log = recovery(|config| config.max_events = 2);
    log.connected(pid(0), id(0));
    log.connected(pid(1), id(1));
    log.stamp(at(0), Target::all(), 1, 1);
    let offset = log.stamp(at(0), Target::all(), 2, 1).to_string();
    log.keep(at(1), kept(0, &[]));
    log.keep(at(1), kept(1, &[]));
    log.stamp(at(1), Target::all(), 3, 1);
    assert_eq!(log.restore(at(2), &pid(0), None), Err(Unrecoverable::LogCutOff));
    assert_eq!(events(&log.restore(at(2), &pid(1), Some(&offset)).unwrap()), [3]);
}

#[test]
fn log_is_bounded_in_bytes() {
    let mut log = recovery(|config| config.max_bytes = 10);
    log.stamp(at(0), Target::all(), 1, 4);
    log.stamp(at(0), Target::all(), 2, 6);
    assert_eq!(log.logged(), (2, 10));
    log.stamp(at(0), Target::all(), 3, 1);
    assert_eq!(log.logged(), (2, 7));
    log.stamp(at(0), Target::all(), 4, usize::MAX);
    assert_eq!(log.logged(), (0, 0));
    log.stamp(at(0), Target::all(), 5, 10);
    assert_eq!(log.logged(), (1, 10));
}

#[test]
fn socket_expires_after_the_window_with_or_without_a_timeout() {
    for timeout in [false, true] {
        let mut log = recovery(|_| {});
        for (n, second) in [(0, 0), (1, 1)] {
            log.connected(pid(n), id(n));
            log.keep(at(second), kept(n, &[]));
        }
        assert_eq!(log.poll_timeout(), Some(at(0) + WINDOW));
        let now = at(0) + WINDOW;
        let mut expected = Unrecoverable::Expired;
        if timeout {
            log.handle_timeout(now);
            assert_eq!((log.waiting(), log.poll_timeout()), (1, Some(at(1) + WINDOW)));
            expected = Unrecoverable::UnknownSession;
        }
        assert_eq!(log.restore(now, &pid(0), None), Err(expected));
        assert!(log.restore(now, &pid(1), None).is_ok());
        assert_eq!(log.poll_timeout(), None);
    }
}

#[test]
fn events_leave_the_log_after_the_window_and_the_longest_delay() {
    let mut log = recovery(|_| {});
    log.stamp(at(5), Target::all(), 1, 1);
    let deadline = at(5) + WINDOW * 2;
    assert_eq!(log.poll_timeout(), Some(deadline));
    log.handle_timeout(deadline - Duration::from_nanos(1));
    assert_eq!(log.logged(), (1, 1));
    log.handle_timeout(deadline);
    assert_eq!((log.logged(), log.poll_timeout()), ((0, 0), None));
}

#[test]
fn oldest_sockets_are_dropped_when_too_many_wait() {
    let mut log = recovery(|config| config.max_sessions = 2);
    for n in 0..3 {
        log.connected(pid(n), id(n));
        log.keep(at(0), kept(n, &[]));
    }
    assert_eq!(log.waiting(), 2);
    assert_eq!(log.restore(at(0), &pid(0), None), Err(Unrecoverable::UnknownSession));
    assert!(log.restore(at(0), &pid(1), None).is_ok() && log.restore(at(0), &pid(2), None).is_ok());
}

#[test]
fn missed_events_are_missed_again_if_the_new_connection_breaks_at_once() {
    let mut log = recovery(|_| {});
    log.connected(pid(0), id(0));
    log.keep(at(0), kept(0, &["a"]));
    log.stamp(at(0), Target::all().to("a"), 1, 1);
    for _ in 0..2 {
        assert_eq!(events(&log.restore(at(1), &pid(0), None).unwrap()), [1]);
        log.keep(at(1), kept(0, &["a"]));
    }
    assert!(log.restore(at(1), &pid(0), None).is_ok());
    log.received(&pid(0));
    log.keep(at(1), kept(0, &["a"]));
    assert_eq!(events(&log.restore(at(1), &pid(0), None).unwrap()), [0; 0]);
}

#[test]
fn rooms_are_those_at_the_time_of_each_event() {
    let mut log = recovery(|_| {});
    let room = Room::from("a");
    let target = Target::all().to("a");
    log.connected(pid(0), id(0));
    log.stamp(at(0), target.clone(), 1, 1);
    log.joined(&pid(0), &room);
    log.stamp(at(0), target.clone(), 2, 1);
    log.left(&pid(0), &room);
    log.stamp(at(0), target.clone(), 3, 1);
    log.stamp(at(0), Target::all().except("a"), 4, 1);
    log.joined(&pid(0), &room);
    log.stamp(at(0), Target::all().except("a"), 5, 1);
    log.keep(at(1), kept(0, &["a"]));
    log.stamp(at(1), target, 6, 1);
    for _ in 0..2 {
        assert_eq!(events(&log.restore(at(2), &pid(0), None).unwrap()), [2, 4, 6]);
        log.keep(at(2), kept(0, &["a"]));
    }
}

#[test]
fn debug_shows_no_private_id() {
    let mut log = recovery(|_| {});
    log.connected(pid(0), id(0));
    assert!(!format!("{log:?} {:?}", kept(0, &[])).contains("0000000"));
}

#[test]
fn events_that_were_sent_again_are_as_young_as_the_recovery() {
    let mut log = recovery(|config| config.max_events = 2);
    log.connected(pid(0), id(0));
    log.stamp(at(0), Target::all(), 1, 1);
    log.keep(at(0), kept(0, &[]));
    assert_eq!(events(&log.restore(at(119), &pid(0), None).unwrap()), [1]);
    log.keep(at(121), kept(0, &[]));
    log.stamp(at(121), Target::all(), 2, 1);
    log.stamp(at(121), Target::all(), 3, 1);
    // Event 1 was cut off, and logged long before, but the client may not have got it.
    assert_eq!(log.restore(at(122), &pid(0), None), Err(Unrecoverable::LogCutOff));
}

#[test]
fn idle_client_that_was_restored_recovers_again_at_once() {
    let mut log = recovery(|_| {});
    log.connected(pid(0), id(0));
    for second in 0..1_000 {
        log.handle_timeout(at(second));
        log.stamp(at(second), Target::all().to("others"), 1, 1);
    }
    for second in 1_000..1_300 {
        log.keep(at(second), kept(0, &[]));
        log.stamp(at(second), Target::all().to("others"), 1, 1);
        log.handle_timeout(at(second));
        assert_eq!(events(&log.restore(at(second), &pid(0), None).unwrap()), [0; 0]);
    }
}

#[test]
fn restored_client_that_missed_nothing_has_everything() {
    let mut log = recovery(|config| config.max_events = 2);
    log.connected(pid(0), id(0));
    log.stamp(at(0), Target::all().to("others"), 1, 1);
    log.keep(at(0), kept(0, &[]));
    assert_eq!(events(&log.restore(at(1), &pid(0), None).unwrap()), [0; 0]);
    log.keep(at(1), kept(0, &[]));
    log.stamp(at(1), Target::all(), 2, 1);
    log.stamp(at(1), Target::all(), 3, 1);
    assert_eq!(log.logged().0, 2, "the event for others was cut off");
    assert_eq!(events(&log.restore(at(1), &pid(0), None).unwrap()), [2, 3]);
}

#[test]
fn client_that_received_what_was_sent_again_recovers_from_a_later_log() {
    let mut log = recovery(|_| {});
    log.connected(pid(0), id(0));
    let offset = log.stamp(at(0), Target::all(), 1, 1).to_string();
    log.stamp(at(0), Target::all().to("others"), 2, 1);
    log.keep(at(0), kept(0, &[]));
    assert_eq!(events(&log.restore(at(119), &pid(0), None).unwrap()), [1]);
    log.keep(at(121), kept(0, &[]));
    log.handle_timeout(at(240));
    assert_eq!(log.logged().0, 0);
    assert_eq!(events(&log.restore(at(240), &pid(0), Some(&offset)).unwrap()), [0; 0]);
}
