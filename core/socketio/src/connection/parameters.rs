//! Parameters of namespaces, which clients of Socket.IO 2.x have in place of a payload.

use alloc::{string::String, vec::Vec};

use enginewire::query;
use serde::Serialize;

use crate::payload::Payload;

/// Reads the parameters of a namespace as clients of Socket.IO 2.x write them.
pub(super) fn auth_of_query(query: &str) -> Option<Payload> {
    let mut pairs: Vec<(String, Vec<String>)> = Vec::new();
    for (key, value) in query::pairs(query).take(MAX_PARAMETERS) {
        match pairs.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value.into_owned()),
            None => pairs.push((key.into_owned(), alloc::vec![value.into_owned()])),
        }
    }
    (!pairs.is_empty()).then(|| Payload::of(&Parameters(pairs)))
}

/// One value is a string, several are an array, as in Node.
struct Parameters(Vec<(String, Vec<String>)>);

impl Serialize for Parameters {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, values) in &self.0 {
            match values.as_slice() {
                [value] => map.serialize_entry(key, value)?,
                values => map.serialize_entry(key, values)?,
            }
        }
        map.end()
    }
}

/// Parameters of a namespace that are read, to compare few of them: Node reads as many at the most.
const MAX_PARAMETERS: usize = 1000;
