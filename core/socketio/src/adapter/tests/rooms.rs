//! Rules of members and rooms.

use super::*;

#[test]
fn member_joins_and_leaves_a_room_once() {
    let (mut adapter, keys) = adapter(2);
    assert!(adapter.join(keys[0], "a"));
    assert!(!adapter.join(keys[0], "a"));
    assert!(adapter.join(keys[0], "b") && adapter.join(keys[1], "a"));
    assert!(adapter.is_in(keys[0], "a") && !adapter.is_in(keys[1], "b"));
    assert_eq!(names(adapter.rooms(keys[0])), ["a", "b"]);
    assert_eq!((adapter.room_len("a"), adapter.room_len("b"), adapter.room_len("c")), (2, 1, 0));

    assert!(adapter.leave(keys[0], "a"));
    assert!(!adapter.leave(keys[0], "a") && !adapter.leave(keys[0], "c"));
    assert_eq!(names(adapter.rooms(keys[0])), ["b"]);
    assert_eq!(adapter.room_len("a"), 1);
    check(&adapter);
}

#[test]
fn room_vanishes_with_its_last_member() {
    let (mut adapter, keys) = adapter(2);
    adapter.join(keys[0], "a");
    adapter.join(keys[1], "a");
    adapter.leave(keys[0], "a");
    assert_eq!(adapter.rooms_len(), 1);
    adapter.remove(keys[1]);
    assert_eq!((adapter.rooms_len(), adapter.room_len("a")), (0, 0));
    check(&adapter);
}

#[test]
fn removed_member_gives_its_id_and_rooms_in_the_order_of_joining() {
    let (mut adapter, keys) = adapter(1);
    for room in ["x", "y", "z"] {
        adapter.join(keys[0], room);
    }
    let rooms = ["x", "y", "z"].map(Room::from).to_vec();
    assert_eq!(adapter.remove(keys[0]), Some(Removed { id: id(0), member: 0, rooms }));
    assert_eq!(adapter.remove(keys[0]), None);
    assert!(adapter.is_empty() && adapter.find("s0").is_none());
}

#[test]
fn key_of_a_removed_member_names_nobody_even_if_its_slot_is_used_again() {
    let (mut adapter, keys) = adapter(1);
    adapter.remove(keys[0]);
    let next = adapter.insert(id(1), 1);
    assert_eq!(next.index, keys[0].index);
    assert_eq!((adapter.member(keys[0]), adapter.id(keys[0])), (None, None));
    assert!(!adapter.join(keys[0], "a") && !adapter.leave(keys[0], "a"));
    assert!(!adapter.is_in(keys[0], "s0") && adapter.rooms(keys[0]).next().is_none());
    assert_eq!(adapter.member(next), Some(&1));
}

#[test]
fn own_room_is_there_without_an_entry_and_cannot_be_left() {
    let (mut adapter, keys) = adapter(2);
    assert!(adapter.is_in(keys[0], "s0") && !adapter.is_in(keys[1], "s0"));
    assert!(!adapter.join(keys[0], "s0") && !adapter.leave(keys[0], "s0"));
    assert_eq!((adapter.room_len("s0"), adapter.rooms_len()), (1, 0));
    assert!(adapter.rooms(keys[0]).next().is_none());

    // Somebody else may join it.
    assert!(adapter.join(keys[1], "s0"));
    assert_eq!(adapter.room_len("s0"), 2);
    assert_eq!(adapter.all_rooms().map(|(room, len)| (room.as_str(), len)).next(), Some(("s0", 2)));
    adapter.remove(keys[0]);
    assert_eq!(adapter.room_len("s0"), 1);
    check(&adapter);
}

#[test]
fn successor_with_the_same_id_keeps_it_when_its_predecessor_is_removed() {
    let (mut adapter, keys) = adapter(1);
    let next = adapter.insert(id(0), 7);
    assert_eq!(adapter.find("s0"), Some(next));
    adapter.remove(keys[0]);
    assert_eq!(adapter.find("s0"), Some(next));
    adapter.remove(next);
    assert_eq!(adapter.find("s0"), None);
    check(&adapter);
}

#[test]
fn name_of_a_room_is_stored_once() {
    let (mut adapter, keys) = adapter(2);
    adapter.join(keys[0], "a");
    adapter.join(keys[1], "a");
    let [first, second] = [0, 1].map(|n| adapter.rooms(keys[n]).next().unwrap().as_str().as_ptr());
    assert_eq!(first, second);
}

#[test]
fn room_of_a_secret_id_redacts_it() {
    let (mut adapter, keys) = adapter(1);
    let sid = enginewire::Sid::parse("abcdefghijklmnopqrst").unwrap();
    let secret = SocketId::from_engine("/", &sid);
    adapter.insert(secret.clone(), 9);
    adapter.join(keys[0], &secret);
    let text = format!("{:?} {adapter:?}", adapter.rooms(keys[0]).collect::<Vec<_>>());
    assert!(!text.contains("abc"), "{text}");
}

#[test]
fn listings_are_in_the_order_of_slots() {
    let (mut adapter, keys) = adapter(3);
    adapter.remove(keys[1]);
    adapter.insert(id(9), 9);
    assert_eq!(adapter.iter().map(|(_, _, member)| *member).collect::<Vec<_>>(), [0, 9, 2]);
    for (key, room) in [(0, "b"), (2, "a"), (0, "a")] {
        adapter.join(keys[key], room);
    }
    let rooms: Vec<_> = adapter.all_rooms().map(|(room, len)| (room.as_str(), len)).collect();
    assert_eq!(rooms, [("b", 1), ("a", 2)]);
}

#[test]
fn acknowledgements_are_numbered_from_zero() {
    let (mut adapter, _) = adapter(0);
    assert_eq!([adapter.next_ack(), adapter.next_ack()], [AckId(0), AckId(1)]);
}

#[test]
fn watched_rooms_are_told_at_their_first_and_last_member() {
    let (mut adapter, _) = adapter(0);
    let first = adapter.insert(id(0), 0);
    adapter.join(first, "before");
    assert_eq!(adapter.poll_room(), None, "nothing is noted without a watch");

    adapter.watch_rooms();
    let second = adapter.insert(id(1), 1);
    adapter.join(first, "a");
    adapter.join(second, "a");
    // The own room of a member is one before others join it, and as long as they are in it.
    adapter.join(second, "s0");
    adapter.leave(first, "a");
    adapter.remove(first);
    adapter.leave(second, "s0");
    adapter.remove(second);
    let changes: Vec<_> = core::iter::from_fn(|| adapter.poll_room()).collect();
    let changes: Vec<_> = changes.iter().map(|(room, exists)| (room.as_str(), *exists)).collect();
    let expected =
        [("s1", true), ("a", true), ("before", false), ("s0", false), ("a", false), ("s1", false)];
    assert_eq!(changes, expected);
}
