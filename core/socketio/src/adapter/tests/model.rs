//! Members, rooms and selections against sets of names.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};

use proptest::{collection::vec, prelude::*};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(usize),
    Remove(usize),
    Join(usize, usize),
    Leave(usize, usize),
    JoinAll(Vec<usize>, Vec<usize>, Vec<usize>),
    LeaveAll(Vec<usize>, Vec<usize>, Vec<usize>),
    Select(Vec<usize>, Vec<usize>),
}

const SOCKETS: usize = 6;

/// Names of rooms and of sockets, present or not.
fn name(n: usize) -> String {
    if n < SOCKETS { id(n).to_string() } else { format!("room {n}") }
}

fn target(rooms: &[usize], except: &[usize]) -> Target {
    let names = |list: &[usize]| list.iter().map(|&n| Room::from(name(n))).collect();
    Target { rooms: names(rooms), except: names(except) }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = || vec(0..SOCKETS + 5, 0..4);
    let step = prop_oneof![
        3 => (0..SOCKETS).prop_map(Step::Insert),
        1 => (0..SOCKETS).prop_map(Step::Remove),
        6 => (0..SOCKETS, 0..SOCKETS + 5).prop_map(|(socket, room)| Step::Join(socket, room)),
        3 => (0..SOCKETS, 0..SOCKETS + 5).prop_map(|(socket, room)| Step::Leave(socket, room)),
        1 => (names(), names(), names()).prop_map(|(a, b, c)| Step::JoinAll(a, b, c)),
        1 => (names(), names(), names()).prop_map(|(a, b, c)| Step::LeaveAll(a, b, c)),
        4 => (names(), names()).prop_map(|(a, b)| Step::Select(a, b)),
    ];
    vec(step, 0..60)
}

/// The rooms of each socket, with its own.
type Model = BTreeMap<usize, BTreeSet<String>>;

fn selected(model: &Model, target: &Target) -> BTreeSet<usize> {
    let is_in = |rooms: &BTreeSet<String>, list: &[Room]| {
        list.iter().any(|room| rooms.contains(room.as_str()))
    };
    let sockets = model.iter().filter(|(_, rooms)| {
        (target.rooms.is_empty() || is_in(rooms, &target.rooms)) && !is_in(rooms, &target.except)
    });
    sockets.map(|(socket, _)| *socket).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn adapter_agrees_with_sets(steps in steps()) {
        let (mut adapter, _) = adapter(0);
        let mut model = Model::new();
        let mut into = Vec::new();
        adapter.watch_rooms();
        let mut existing = BTreeSet::new();
        for step in steps {
            match step {
                Step::Insert(socket) => {
                    if model.insert(socket, BTreeSet::from([name(socket)])).is_some() {
                        // A predecessor ends first.
                        adapter.remove(adapter.find(&id(socket)).unwrap());
                    }
                    adapter.insert(id(socket), socket);
                }
                Step::Remove(socket) => {
                    let removed = adapter.find(&id(socket)).and_then(|key| adapter.remove(key));
                    let removed = removed.map(|removed| {
                        let mut rooms: BTreeSet<_> = names(removed.rooms.iter()).into_iter().collect();
                        assert!(rooms.insert(removed.id.to_string()));
                        rooms
                    });
                    prop_assert_eq!(removed, model.remove(&socket));
                }
                Step::Join(socket, room) => {
                    let joined = adapter.find(&id(socket)).is_some_and(|key| adapter.join(key, &name(room)));
                    prop_assert_eq!(joined, model.get_mut(&socket).is_some_and(|rooms| rooms.insert(name(room))));
                }
                Step::Leave(socket, room) => {
                    let left = adapter.find(&id(socket)).is_some_and(|key| adapter.leave(key, &name(room)));
                    let own = socket == room;
                    prop_assert_eq!(left, !own && model.get_mut(&socket).is_some_and(|rooms| rooms.remove(&name(room))));
                }
                Step::JoinAll(rooms, except, names) => {
                    let target = target(&rooms, &except);
                    let list: Vec<_> = names.iter().map(|&n| Room::from(name(n))).collect();
                    let sockets = selected(&model, &target);
                    prop_assert_eq!(adapter.sockets_join(&target, &list), sockets.len());
                    for socket in sockets {
                        model.get_mut(&socket).unwrap().extend(names.iter().map(|&n| name(n)));
                    }
                }
                Step::LeaveAll(rooms, except, names) => {
                    let target = target(&rooms, &except);
                    let list: Vec<_> = names.iter().map(|&n| Room::from(name(n))).collect();
                    let sockets = selected(&model, &target);
                    prop_assert_eq!(adapter.sockets_leave(&target, &list), sockets.len());
                    for socket in sockets {
                        model.get_mut(&socket).unwrap()
                            .retain(|room| *room == name(socket) || !names.iter().any(|&n| name(n) == *room));
                    }
                }
                Step::Select(rooms, except) => {
                    let target = target(&rooms, &except);
                    let expected: Vec<_> = selected(&model, &target).into_iter().collect();
                    let selection = adapter.select(&target);
                    prop_assert_eq!(selection.len(), expected.len());
                    let mut members: Vec<_> = selection.iter().map(|(_, member)| *member).collect();
                    adapter.select_into(&target, &mut into);
                    let mut listed: Vec<_> = into.iter().map(|(_, member)| *member).collect();
                    members.sort_unstable();
                    listed.sort_unstable();
                    prop_assert_eq!((&members, &listed), (&expected, &expected));
                }
            }
            check(&adapter);
            prop_assert_eq!(adapter.len(), model.len());
            let rooms: BTreeSet<_> = model.iter().flat_map(|(socket, rooms)| rooms.iter().filter(|room| **room != name(*socket))).collect();
            prop_assert_eq!(adapter.rooms_len(), rooms.len());
            while let Some((room, exists)) = adapter.poll_room() {
                let room = room.to_string();
                let changed = if exists { existing.insert(room) } else { existing.remove(&room) };
                prop_assert!(changed);
            }
            prop_assert_eq!(&existing, &model.values().flatten().cloned().collect());
        }
        for socket in 0..SOCKETS {
            if let Some(key) = adapter.find(&id(socket)) {
                adapter.remove(key);
            }
        }
        prop_assert!(adapter.is_empty() && adapter.rooms.is_empty() && adapter.names.is_empty());
        prop_assert!(adapter.directory.is_empty() && adapter.everyone.is_none_or(|list| list.is_empty()));
    }
}
