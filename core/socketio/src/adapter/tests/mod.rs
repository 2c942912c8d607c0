//! Tests of the adapter.

mod cost;
mod fingerprint;
mod model;
mod recovery;
mod recovery_model;
mod rooms;
mod selection;
mod sequencer;
mod shared;

use alloc::{format, string::ToString, vec::Vec};

use super::*;

/// Fills buffers with the bytes of a counter, the same in every run.
fn entropy() -> impl FnMut(&mut [u8]) {
    let mut next = 0u8;
    move |buffer: &mut [u8]| {
        for byte in buffer {
            next = next.wrapping_mul(5).wrapping_add(17);
            *byte = next;
        }
    }
}

/// An adapter with the members `s0`, `s1` and so on, which are sent to by their numbers.
fn adapter(members: usize) -> (Adapter<usize>, Vec<MemberKey>) {
    let mut adapter = Adapter::new(&mut entropy());
    let keys = (0..members).map(|n| adapter.insert(id(n), n)).collect();
    (adapter, keys)
}

fn id(n: usize) -> SocketId {
    SocketId::from(format!("s{n}"))
}

/// Asserts that both sides of all memberships agree, and that nothing is stored twice.
fn check<M: Clone>(adapter: &Adapter<M>) {
    let mut memberships = 0;
    for (index, entry) in &adapter.members {
        for (position, membership) in entry.rooms.iter().enumerate() {
            let room = &adapter.rooms[membership.room as usize];
            let occupant = room.occupants[membership.position as usize];
            assert_eq!((occupant.member as usize, occupant.position as usize), (index, position));
            memberships += 1;
        }
    }
    for (index, room) in &adapter.rooms {
        assert!(!room.occupants.is_empty(), "a room without members");
        assert_eq!(adapter.find_room(&room.name), Some(u32::try_from(index).unwrap()));
        memberships -= room.occupants.len();
    }
    assert_eq!(memberships, 0);
    assert_eq!(adapter.names.len(), adapter.rooms.len());
    assert!(adapter.directory.len() <= adapter.members.len());
}

fn names<'a>(rooms: impl Iterator<Item = &'a Room>) -> Vec<alloc::string::String> {
    rooms.map(ToString::to_string).collect()
}
