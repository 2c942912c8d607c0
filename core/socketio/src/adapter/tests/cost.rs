//! Costs, by counting: a quadratic one would take minutes here.

use enginewire::Time;

use super::*;
use crate::id::PrivateId;

#[test]
fn client_joins_and_leaves_many_rooms_and_memory_returns() {
    const ROOMS: usize = 10_000;
    let (mut adapter, keys) = adapter(2);
    adapter.join(keys[1], "kept");
    let rooms: Vec<_> = (0..ROOMS).map(|n| format!("room {n}")).collect();
    for round in 0..4 {
        for room in &rooms {
            assert!(adapter.join(keys[0], room));
        }
        assert_eq!(adapter.rooms_len(), ROOMS + 1);
        if round == 3 {
            adapter.remove(keys[0]);
        } else {
            // In the order of joining, which moves most entries.
            assert!(rooms.iter().all(|room| adapter.leave(keys[0], room)));
        }
        assert_eq!(adapter.rooms_len(), 1);
        assert!(adapter.rooms.capacity() < 200, "{}", adapter.rooms.capacity());
        assert!(adapter.names.num_buckets() < 512, "{}", adapter.names.num_buckets());
        let own = adapter.members.get(keys[0].index as usize);
        assert!(own.is_none_or(|entry| entry.rooms.capacity() <= 8));
    }
    check(&adapter);
}

#[test]
fn many_members_join_and_leave_one_room_and_memory_returns() {
    const MEMBERS: usize = 100_000;
    let (mut adapter, keys) = adapter(MEMBERS);
    for key in &keys {
        assert!(adapter.join(*key, "a"));
        assert!(!adapter.join(*key, "a"));
    }
    assert_eq!(adapter.room_len("a"), MEMBERS);
    for key in &keys[..MEMBERS / 2] {
        assert!(adapter.leave(*key, "a"));
    }
    for key in &keys[..MEMBERS - 1] {
        adapter.remove(*key);
    }
    assert!(adapter.rooms[0].occupants.capacity() <= 8);
    assert!(adapter.directory.num_buckets() < 512);
    adapter.remove(keys[MEMBERS - 1]);
    adapter.insert(id(0), 0);
    check(&adapter);
}

#[test]
fn many_members_in_rooms_of_many_are_selected_once_each() {
    let (mut adapter, keys) = adapter(2_000);
    let rooms: Vec<_> = (0..50).map(|n| Room::from(format!("room {n}"))).collect();
    for key in &keys {
        assert!(rooms.iter().all(|room| adapter.join(*key, room)));
    }
    let target = Target { rooms: rooms.clone(), except: Vec::new() };
    let selection = adapter.select(&target);
    assert_eq!(selection.len(), keys.len());
    assert_eq!(adapter.sockets_leave(&target, &rooms), keys.len());
    assert_eq!(adapter.rooms_len(), 0);
    check(&adapter);
}

#[test]
fn recovered_client_has_joined_many_rooms_and_leaves_them() {
    const EVENTS: usize = 5_000;
    let mut log = Recovery::new(RecoveryConfig::default(), &mut entropy());
    let pid = PrivateId::parse("00000000000000000000").unwrap();
    let rooms: Vec<_> = (0..200_000).map(|n| Room::from(format!("room {n:06}"))).collect();
    log.connected(pid, id(0));
    rooms.iter().for_each(|room| log.joined(&pid, room));
    for room in rooms.iter().rev().take(EVENTS) {
        log.stamp(Time::ZERO, Target::all().to(room), (), 1);
    }
    log.keep(Time::ZERO, Kept { pid, rooms: rooms.clone(), data: () });
    assert_eq!(log.restore(Time::ZERO, &pid, None).unwrap().missed.len(), EVENTS);
    rooms.iter().for_each(|room| log.left(&pid, room));
    log.received(&pid);
    log.stamp(Time::ZERO, Target::all().to(&rooms[0]), (), 1);
    log.keep(Time::ZERO, Kept { pid, rooms: Vec::new(), data: () });
    assert!(log.restore(Time::ZERO, &pid, None).unwrap().missed.is_empty());
}

#[test]
fn many_events_without_an_entry_are_noted_across_gaps_in_the_log() {
    const EVENTS: usize = 100_000;
    let config = RecoveryConfig { max_events: EVENTS, ..RecoveryConfig::default() };
    let mut log = Recovery::<(), u64>::shared(config, &mut entropy());
    let entry = |sequence| EntryId { time: 1, sequence };
    let note = |log: &mut Recovery<(), u64>, appends: core::ops::Range<u64>| {
        for append in appends {
            log.log(Time::ZERO, None, Target::all(), append, 1);
            log.note_unplaced(append);
        }
    };
    let events = EVENTS as u64;
    note(&mut log, 0..2 * events);
    // Half of them are cut off.
    log.log_late(Time::ZERO, 2 * events - 1, entry(1));
    assert_eq!(log.logged(), (EVENTS, EVENTS));
    let mut cut = log.clone();
    cut.log_late(Time::ZERO, events - 1, entry(2));
    assert_eq!(cut.logged(), (0, 0));
    let gaps: [fn(&mut Recovery<(), u64>); 2] =
        [Recovery::start_anew, |log| log.interrupt(Time::ZERO)];
    for (first, gap) in (2 * events..).step_by(EVENTS).zip(gaps) {
        gap(&mut log);
        note(&mut log, first..first + events);
        let mut late = log.clone();
        late.log_late(Time::ZERO, first + 1, entry(first));
        assert_eq!(late.logged(), (EVENTS, EVENTS), "it is noted");
        late.log_late(Time::ZERO, first - 1, entry(first + 1));
        assert_eq!(late.logged(), (0, 0), "it was cut off");
    }
}
