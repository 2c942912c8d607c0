//! Names of rooms, as applications have them.

use enginewire_socketio::{Room, SocketId};

/// One room or several: `&str`, `String`, [`SocketId`], and arrays, slices and vectors of them.
///
/// The id of a socket is the name of a room that only this socket is in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name rooms",
    note = "a room is a `&str`, a `String` or a `SocketId`; several are an array, a slice or a `Vec` of them"
)]
pub trait Rooms {
    /// Calls `room` with the name of each.
    fn each(&self, room: &mut dyn FnMut(&str));
}

impl Rooms for str {
    fn each(&self, room: &mut dyn FnMut(&str)) {
        room(self);
    }
}

impl Rooms for String {
    fn each(&self, room: &mut dyn FnMut(&str)) {
        room(self);
    }
}

impl Rooms for SocketId {
    fn each(&self, room: &mut dyn FnMut(&str)) {
        room(self.as_str());
    }
}

impl Rooms for Room {
    fn each(&self, room: &mut dyn FnMut(&str)) {
        room(self.as_str());
    }
}

impl<R: Rooms> Rooms for [R] {
    fn each(&self, room: &mut dyn FnMut(&str)) {
        self.iter().for_each(|rooms| rooms.each(room));
    }
}

impl<R: Rooms, const N: usize> Rooms for [R; N] {
    fn each(&self, room: &mut dyn FnMut(&str)) {
        self.as_slice().each(room);
    }
}

impl<R: Rooms> Rooms for Vec<R> {
    fn each(&self, room: &mut dyn FnMut(&str)) {
        self.as_slice().each(room);
    }
}

impl<R: Rooms + ?Sized> Rooms for &R {
    fn each(&self, room: &mut dyn FnMut(&str)) {
        (**self).each(room);
    }
}
