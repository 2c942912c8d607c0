//! Rules of selection.

use alloc::vec;

use super::*;

fn select(adapter: &mut Adapter<usize>, target: &Target) -> Vec<usize> {
    let selection = adapter.select(target);
    let members: Vec<_> = selection.iter().map(|(_, member)| *member).collect();
    assert_eq!((selection.len(), selection.is_empty()), (members.len(), members.is_empty()));
    for (key, member) in &selection {
        assert_eq!(adapter.member(key), Some(member));
    }
    members
}

fn is_shared(selection: &Selection<usize>, other: &Selection<usize>) -> bool {
    !selection.is_empty() && selection.as_slice().as_ptr() == other.as_slice().as_ptr()
}

#[test]
fn target_without_rooms_is_everybody() {
    let (mut adapter, _) = adapter(3);
    assert_eq!(select(&mut adapter, &Target::all()), [0, 1, 2]);
    assert_eq!(select(&mut adapter, &Target::all().except("s1")), [0, 2]);
    assert_eq!(select(&mut adapter, &Target::all().except("nobody")), [0, 1, 2]);
}

#[test]
fn target_of_rooms_is_their_union_without_the_excepted() {
    let (mut adapter, keys) = adapter(5);
    for (n, room) in [(0, "a"), (1, "a"), (1, "b"), (2, "b"), (3, "c"), (1, "c")] {
        adapter.join(keys[n], room);
    }
    assert_eq!(select(&mut adapter, &Target::all().to("a")), [0, 1]);
    assert_eq!(select(&mut adapter, &Target::all().to("a").to("b").to("a")), [0, 1, 2]);
    assert_eq!(select(&mut adapter, &Target::all().to("a").to("b").except("c")), [0, 2]);
    assert_eq!(select(&mut adapter, &Target::all().except("a").except("s4")), [2, 3]);
    assert_eq!(select(&mut adapter, &Target::all().to("s3").to("s4").to("s3")), [3, 4]);
    assert_eq!(select(&mut adapter, &Target::all().to("s3").except("s3")), [0; 0]);
    assert_eq!(select(&mut adapter, &Target::all().to("s3").except("c")), [0; 0]);
    assert_eq!(select(&mut adapter, &Target::all().to("nothing")), [0; 0]);
}

#[test]
fn own_room_that_others_have_joined_selects_all_of_them() {
    let (mut adapter, keys) = adapter(3);
    adapter.join(keys[2], "s0");
    assert_eq!(select(&mut adapter, &Target::all().to("s0")), [0, 2]);
    assert_eq!(select(&mut adapter, &Target::all().except("s0")), [1]);
}

#[test]
fn selections_of_all_or_of_one_room_share_their_list_without_at_most_one_socket() {
    let (mut adapter, keys) = adapter(3);
    adapter.join(keys[0], "a");
    adapter.join(keys[1], "a");
    for target in [Target::all(), Target::all().to("a")] {
        let (first, second) =
            (adapter.select(&target), adapter.select(&target.clone().except("s1")));
        assert!(is_shared(&first, &second));
        assert_eq!((second.skipped(), second.len()), (Some(keys[1]), first.len() - 1));
    }
    // One who is not in there is not skipped.
    assert_eq!(adapter.select(&Target::all().to("a").except("s2")).skipped(), None);
}

#[test]
fn shared_list_is_made_anew_after_a_change_and_old_selections_stay() {
    let (mut adapter, keys) = adapter(2);
    adapter.join(keys[0], "a");
    let (all, room) = (adapter.select(&Target::all()), adapter.select(&Target::all().to("a")));
    adapter.join(keys[1], "a");
    adapter.insert(id(2), 2);
    assert_eq!(select(&mut adapter, &Target::all().to("a")), [0, 1]);
    assert_eq!(select(&mut adapter, &Target::all()), [0, 1, 2]);
    adapter.remove(keys[0]);
    assert_eq!(select(&mut adapter, &Target::all().to("a")), [1]);
    assert_eq!((all.len(), room.len()), (2, 1));
}

#[test]
fn nobody_is_kept_by_the_lists_of_an_adapter_that_it_has_left() {
    let member = Arc::new(());
    let mut adapter = Adapter::new(&mut entropy());
    let key = adapter.insert(id(0), member.clone());
    adapter.join(key, "a");
    drop((adapter.select(&Target::all()), adapter.select(&Target::all().to("a"))));
    assert!(Arc::strong_count(&member) > 2);
    adapter.remove(key);
    assert_eq!(Arc::strong_count(&member), 1);
}

#[test]
fn epoch_wraps_around_without_missing_anybody() {
    let (mut adapter, keys) = adapter(3);
    for key in &keys {
        adapter.join(*key, "a");
    }
    let several = Target::all().to("a").to("s0").except("s1");
    let mut into = vec![];
    // A visit of an early epoch leaves its mark, which the wrapped one must not meet.
    for epochs in 1..4 {
        adapter.set_epoch(0);
        for _ in 0..epochs {
            adapter.select_into(&several, &mut into);
        }
        adapter.set_epoch(u32::MAX);
        for _ in 0..4 {
            adapter.select_into(&several, &mut into);
            assert_eq!(into, [(keys[0], 0), (keys[2], 2)]);
        }
    }
    assert_eq!(adapter.epoch, 4);
}

#[test]
fn selecting_into_a_warm_list_allocates_nothing_and_replaces_it() {
    let (mut adapter, keys) = adapter(3);
    adapter.join(keys[0], "a");
    let mut into = Vec::with_capacity(3);
    let at = into.as_ptr();
    adapter.select_into(&Target::all(), &mut into);
    adapter.select_into(&Target::all().to("a").to("s2"), &mut into);
    assert_eq!(into, [(keys[0], 0), (keys[2], 2)]);
    assert_eq!((into.as_ptr(), into.capacity()), (at, 3));
}

#[test]
fn selected_sockets_join_and_leave_rooms() {
    let (mut adapter, keys) = adapter(3);
    let rooms = ["a", "b"].map(Room::from);
    assert_eq!(adapter.sockets_join(&Target::all().except("s1"), &rooms), 2);
    assert_eq!(select(&mut adapter, &Target::all().to("b")), [0, 2]);
    assert_eq!(adapter.sockets_leave(&Target::all().to("a"), &rooms[..1]), 2);
    assert_eq!((adapter.rooms_len(), names(adapter.rooms(keys[2]))), (1, vec!["b".into()]));
    check(&adapter);
}
