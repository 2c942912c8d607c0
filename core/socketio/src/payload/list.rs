//! A list whose values are arguments.

use serde::{Serialize, Serializer, ser::SerializeTuple};

/// List whose values are the arguments of an event, one by one.
///
/// A slice is a single argument otherwise, an array. A list is for arguments whose number is not known before.
///
/// ```
/// use enginewire_socketio::{Args, Spread};
///
/// let numbers = vec![1, 2];
/// assert_eq!(Args::event("a", &Spread(&numbers))?.json(1), Some("1"));
/// assert_eq!(Args::event("a", &numbers)?.json(1), Some("[1,2]"));
/// # Ok::<(), enginewire_socketio::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Spread<'a, T>(pub &'a [T]);

impl<T: Serialize> Serialize for Spread<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for argument in self.0 {
            tuple.serialize_element(argument)?;
        }
        tuple.end()
    }
}
