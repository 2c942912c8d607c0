//! Costs, by counting: a quadratic one would take minutes here.

use super::*;

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
