//! Whether two adapters are the same, for programs that walk through all states.

use core::hash::{Hash, Hasher};

use enginewire::Fingerprint;

use super::{Adapter, Member, Membership, Occupant, RoomEntry};

impl<M: Hash> Adapter<M> {
    /// Feeds all that the adapter's future depends on into `into`.
    ///
    /// Lists that were made for selections, and how much storage is unused, change no result.
    #[doc(hidden)]
    pub fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { members, rooms, serial, next_ack, .. } = self;
        into.push(&(serial, next_ack, members.len(), members.vacant_key(), rooms.vacant_key()));
        for (index, Member { id, serial, mark: _, member, rooms }) in members {
            into.push(&(index, id, serial, member, rooms.len()));
            for Membership { room, position } in rooms {
                into.push(&(room, position));
            }
        }
        for (index, RoomEntry { name, occupants, cache: _ }) in rooms {
            into.push(&(index, name, occupants.len()));
            for Occupant { member, position } in occupants {
                into.push(&(member, position));
            }
        }
    }
}
