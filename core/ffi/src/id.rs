//! Ids that are numbers: of hubs, connections, sessions and sockets.

use std::fmt;

use crate::code::Failure;

/// Id of a connection. Zero is none.
pub type ew_connection = u64;

/// Id of an Engine.IO session. Zero is none.
pub type ew_session = u64;

/// Id of a Socket.IO socket: one client in one namespace. Zero is none.
pub type ew_socket = u64;

/// Returns a small number that no other id of its kind has meanwhile.
///
/// It can be a place in a table of the application. It is used again after the id has ended.
#[unsafe(no_mangle)]
pub extern "C" fn ew_index(id: u64) -> u32 {
    // The mask is that of 28 bits.
    u32::try_from(id & INDEX_MASK).unwrap_or_default()
}

/// Kind of a thing that has an id: the highest bits of the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hub = 1,
    Connection = 2,
    Session = 3,
    Socket = 4,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hub => "hub",
            Self::Connection => "connection",
            Self::Session => "session",
            Self::Socket => "socket",
        })
    }
}

/// An id is a kind, how often its place was used, and the place.
const INDEX_BITS: u32 = 28;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const GENERATION_BITS: u32 = 32;

pub(crate) fn compose(kind: Kind, generation: u32, index: usize) -> u64 {
    let high = (kind as u64) << (INDEX_BITS + GENERATION_BITS);
    high | (u64::from(generation) << INDEX_BITS) | (index as u64 & INDEX_MASK)
}

/// Id of the only session of a client.
pub(crate) const FIRST_SESSION: u64 = of_number(Kind::Session, 1);

/// Makes an id of a number that is never used again.
pub(crate) const fn of_number(kind: Kind, number: u64) -> u64 {
    (kind as u64) << (INDEX_BITS + GENERATION_BITS) | number
}

/// Returns the number that an id was made of.
pub(crate) fn number(kind: Kind, id: u64) -> Result<u64, Failure> {
    let number = id ^ of_number(kind, 0);
    match number >> (INDEX_BITS + GENERATION_BITS) {
        0 => Ok(number),
        _ => Err(Failure::argument(format_args!("{id:#x} is not the id of a {kind}"))),
    }
}

/// Values by id. A place is used again, an id is not.
pub(crate) struct Table<T> {
    kind: Kind,
    places: Vec<Place<T>>,
}

struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Table<T> {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self { kind, places: Vec::new() }
    }

    /// Returns a place without a value.
    pub(crate) fn vacant(&self) -> usize {
        let vacant = self.places.iter().position(|place| place.value.is_none());
        vacant.unwrap_or(self.places.len())
    }

    /// Puts a value in a place. One that is there is forgotten.
    pub(crate) fn insert(&mut self, index: usize, value: T) -> u64 {
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || Place { generation: 0, value: None });
        }
        let place = &mut self.places[index];
        place.generation = place.generation.wrapping_add(1);
        place.value = Some(value);
        compose(self.kind, place.generation, index)
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        self.places.get_mut(index)?.value.take()
    }

    /// Returns the value in a place, and its id.
    pub(crate) fn at(&self, index: usize) -> Option<(u64, &T)> {
        let place = self.places.get(index)?;
        Some((compose(self.kind, place.generation, index), place.value.as_ref()?))
    }

    /// Returns the value of an id.
    pub(crate) fn get(&self, id: u64) -> Result<&T, Failure> {
        let index = usize::try_from(id & INDEX_MASK).unwrap_or(usize::MAX);
        let place = self.places.get(index);
        let was_given = |place: &&Place<T>| {
            let generation = id >> INDEX_BITS & u64::from(u32::MAX);
            generation != 0 && generation <= u64::from(place.generation)
        };
        let Some(place) = place.filter(|_| self.is_of_kind(id)).filter(was_given) else {
            return Err(Failure::argument(format_args!(
                "{id:#x} is not the id of a {}",
                self.kind
            )));
        };
        let current = compose(self.kind, place.generation, index) == id;
        let value = place.value.as_ref().filter(|_| current);
        value.ok_or_else(|| Failure::closed(&self.kind.to_string()))
    }

    fn is_of_kind(&self, id: u64) -> bool {
        id >> (INDEX_BITS + GENERATION_BITS) == self.kind as u64
    }
}
