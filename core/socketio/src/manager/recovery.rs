//! Recovery on the client's side: its secret id, and the offset of its last event.

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::iter;

use crate::{
    event::Event,
    payload::{Argument, DecodeError, Payload, Value},
};

/// Place of a socket in the log of its server.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The secret id. `None` if the server does not recover.
    pid: Option<String>,
    offset: Option<String>,
    /// Last text that was not alike, and may be an offset nevertheless.
    candidate: Option<String>,
}

impl Place {
    /// Notes the secret id of a response. Returns whether the server has recovered the socket.
    pub(super) fn connect(&mut self, pid: Option<String>) -> bool {
        let recovered = pid.is_some() && pid == self.pid;
        if !recovered {
            *self = Self { pid, ..Self::default() };
        }
        recovered
    }

    /// Notes the offset of an event, if it has one.
    ///
    /// Servers append it to the arguments of events that need no acknowledgement, unless they are volatile. The last
    /// argument of such a one may be any string, and must not be taken for it: it would have to have the form of the
    /// offset before.
    pub(super) fn note(&mut self, event: &Event) {
        if self.pid.is_none() || event.ack().is_some() {
            return;
        }
        let Some(offset) = last_string(event).filter(|text| is_offset(text)) else { return };
        let fits = self.offset.as_ref().is_none_or(|last| is_alike(last, &offset));
        // What was noted before may have been any text. Two in a row that are alike tell it.
        let replaces = self.candidate.as_ref().is_some_and(|last| is_alike(last, &offset));
        if fits || replaces {
            self.offset = Some(offset);
            self.candidate = None;
        } else {
            self.candidate = Some(offset);
        }
    }

    /// Returns whether the server is asked to recover the socket.
    pub(super) const fn is_known(&self) -> bool {
        self.pid.is_some()
    }

    /// Adds the place to the payload of a request. One that is no object stays as it is.
    pub(super) fn add_to(&self, auth: Option<&Payload>) -> Result<Option<Payload>, DecodeError> {
        let Some(pid) = &self.pid else { return Ok(auth.cloned()) };
        let mut members = match auth.map(Payload::to_value).transpose()? {
            Some(Value::Object(members)) => members,
            Some(_) => return Ok(auth.cloned()),
            None => Vec::new(),
        };
        let offset = self.offset.as_ref().map(|offset| ("offset", offset));
        for (name, text) in iter::once(("pid", pid)).chain(offset) {
            if !members.iter().any(|(member, _)| member == name) {
                members.push((name.to_owned(), Value::String(text.clone())));
            }
        }
        Ok(Some(Payload::from_value(Value::Object(members))))
    }
}

/// Returns the last argument behind the name, if it is a string.
fn last_string(event: &Event) -> Option<String> {
    let last = event.args().iter().skip(1).last()?;
    match last {
        Argument::Json(json) => {
            let text = json.strip_prefix('"')?.strip_suffix('"')?;
            Some(text.to_owned())
        }
        Argument::Value(value) => value.as_str().map(ToOwned::to_owned),
    }
}

/// Returns whether a text may be an offset: of the reference and of ours, and the ids of streams of Redis.
fn is_offset(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_OFFSET).contains(&text.len()) && text.bytes().all(is_part)
}

/// Returns whether two offsets may be of one server.
///
/// Ids of streams are two numbers. All others have a fixed length, behind which the reference counts those of one
/// millisecond: `PXp1Zx0`, `PXp1Zx0.0`, `PXp1Zx0.1`. A node of ours that has lost its stream gives offsets of its own.
fn is_alike(last: &str, next: &str) -> bool {
    match (is_stream_id(last), is_stream_id(next)) {
        (false, false) => {
            let fixed = |text: &str| text.split('.').next().map(str::len);
            fixed(last) == fixed(next)
        }
        (true, true) => true,
        (true, false) => is_of_one_node(next),
        (false, true) => is_of_one_node(last),
    }
}

/// Returns whether an offset may be that of one node of ours.
fn is_of_one_node(text: &str) -> bool {
    text.len() == OF_ONE_NODE && !text.contains('.')
}

/// Returns whether an offset is the id of an entry in a stream of Redis.
fn is_stream_id(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('-').is_some_and(|(time, count)| is_number(time) && is_number(count))
}

/// Length of the offsets that hubs and drivers of ours give: 12 bytes in base64.
const OF_ONE_NODE: usize = 16;

/// Longest offset that is noted.
const MAX_OFFSET: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Args;

    fn event(args: &(impl serde::Serialize + ?Sized)) -> Event {
        Event::new(Args::event("a", args).unwrap(), None)
    }

    fn place() -> Place {
        let mut place = Place::default();
        assert!(!place.connect(Some("secret".into())));
        place
    }

    #[test]
    fn offset_is_the_last_string_of_an_event_that_needs_no_acknowledgement() {
        let mut place = place();
        place.note(&event("PXp1Zx0"));
        assert_eq!(place.offset.as_deref(), Some("PXp1Zx0"));
        place.note(&event(&(1, "PXp1Zx1")));
        assert_eq!(place.offset.as_deref(), Some("PXp1Zx1"));
        let asking = Event::new(Args::event("a", "PXp1Zx2").unwrap(), Some(crate::AckId(0)));
        for other in [asking, event(&()), event(&1), event(&("PXp1Zx2", 1))] {
            place.note(&other);
            assert_eq!(place.offset.as_deref(), Some("PXp1Zx1"));
        }
    }

    #[test]
    fn text_of_a_volatile_event_is_not_taken_for_an_offset() {
        let mut place = place();
        place.note(&event("1671120045543-0"));
        for text in ["hello", "hello, world", "abcdefghijkl", "", "two\nlines of text", "hi"] {
            place.note(&event(text));
            assert_eq!(place.offset.as_deref(), Some("1671120045543-0"), "{text}");
        }
        place.note(&event("1671120045543-1000"));
        assert_eq!(place.offset.as_deref(), Some("1671120045543-1000"));
    }

    #[test]
    fn offset_of_one_node_follows_the_id_of_a_stream_and_precedes_it() {
        let mut place = place();
        for offset in ["1671120045543-0", "AAAAAAAAAAAB_-09", "AAAAAAAAAAAB_-10", "1671120045543-1"]
        {
            place.note(&event(offset));
            assert_eq!(place.offset.as_deref(), Some(offset));
        }
    }

    #[test]
    fn offsets_of_one_millisecond_are_counted() {
        let mut place = place();
        for offset in ["PXp1Zx0", "PXp1Zx0.0", "PXp1Zx0.10", "PXp1Zx1"] {
            place.note(&event(offset));
            assert_eq!(place.offset.as_deref(), Some(offset));
        }
    }

    #[test]
    fn text_that_was_taken_for_an_offset_is_replaced() {
        let mut place = place();
        for (text, expected) in [("ok", "ok"), ("PXp1Zx0", "ok"), ("PXp1Zx1", "PXp1Zx1")] {
            place.note(&event(text));
            assert_eq!(place.offset.as_deref(), Some(expected));
        }
    }

    #[test]
    fn place_goes_with_a_server_that_does_not_know_it() {
        let mut place = place();
        place.note(&event("PXp1Zx0"));
        assert!(place.connect(Some("secret".into())));
        assert!(place.offset.is_some());
        assert!(!place.connect(Some("another".into())));
        assert_eq!(place.offset, None);
        assert!(!place.connect(None));
        place.note(&event("PXp1Zx0"));
        assert!(place.offset.is_none() && place.add_to(None).unwrap().is_none());
    }

    #[test]
    fn place_is_added_to_the_payload_of_the_application() {
        let mut place = place();
        let alone = place.add_to(None).unwrap().unwrap().to_value().unwrap();
        assert_eq!(alone.to_json().unwrap(), serde_json::json!({"pid": "secret"}));
        place.note(&event("PXp1Zx0"));
        let json = |auth: Option<&str>| {
            let auth = auth.map(|json| Payload::from_json(json.into(), 0, alloc::vec![]));
            let payload = place.add_to(auth.as_ref()).unwrap().unwrap();
            payload.to_value().unwrap().to_json().unwrap()
        };
        let expected = serde_json::json!({"pid": "secret", "offset": "PXp1Zx0"});
        assert_eq!(json(None), expected);
        let expected = serde_json::json!({"token": 1, "pid": "secret", "offset": "PXp1Zx0"});
        assert_eq!(json(Some(r#"{"token":1}"#)), expected);
        // As the reference, whose spread the application's members come last in.
        let expected = serde_json::json!({"pid": "mine", "offset": "PXp1Zx0"});
        assert_eq!(json(Some(r#"{"pid":"mine"}"#)), expected);
        assert_eq!(json(Some("[1]")), serde_json::json!([1]));
    }
}
