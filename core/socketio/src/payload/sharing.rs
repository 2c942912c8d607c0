//! Parts of a payload that share the storage of the message, for the parsers.

use alloc::borrow::Cow;
use core::ops::Range;

use enginewire::Text;
use serde::Serialize;

use super::{Args, Attachments, EncodeError, Payload, Repr, Value, scan};

/// Bytes of an array before a name that is its first element.
pub(super) const BEFORE_NAME: usize = r#"[""#.len();

static EMPTY_OBJECT: Payload = constant("{}");

const fn constant(json: &'static str) -> Payload {
    let message = Text::from_static(json);
    let attachments = Attachments::None;
    Payload(Repr::Json { message, start: 0, attachments, only: None, name: None })
}

impl Payload {
    /// Returns an object without members.
    pub fn empty_object() -> &'static Self {
        &EMPTY_OBJECT
    }

    /// Makes a payload of something that cannot fail to be serialized.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::new(value).unwrap_or_else(|_| constant("{}"))
    }

    /// Returns the value, made of the JSON if need be. Null if it has none.
    pub(crate) fn value(&self) -> Cow<'_, Value> {
        match self.as_value() {
            Some(value) => Cow::Borrowed(value),
            None => Cow::Owned(self.to_value().unwrap_or(Value::Null)),
        }
    }
}

impl Args {
    /// Returns a list without arguments, nor a name.
    pub fn empty() -> Self {
        Self::from_payload(constant("[]"))
    }

    /// Returns the first argument, which shares the storage. Attachments of others stay with it.
    pub(crate) fn first(&self) -> Option<Payload> {
        match &self.payload.0 {
            Repr::Json { message, start, attachments, .. } => {
                let first = scan::Elements::new(&message[*start..]).next()?;
                let at = (first.as_ptr() as usize).wrapping_sub(message.as_ptr() as usize);
                let message = message.slice(at..at.wrapping_add(first.len()));
                let attachments = attachments.clone();
                Some(Payload(Repr::Json { message, start: 0, attachments, only: None, name: None }))
            }
            Repr::Value { value, .. } => {
                value.as_array()?.first().cloned().map(Payload::from_value)
            }
        }
    }

    /// Returns the message, if it is an event of the namespace `/` that expects no acknowledgement.
    ///
    /// Such events are the same on their way to a server and from it.
    pub(crate) fn as_message(&self) -> Option<&Text> {
        match &self.payload.0 {
            Repr::Json { message, start: 1, attachments: Attachments::None, .. }
                if message.starts_with('2') =>
            {
                Some(message)
            }
            _ => None,
        }
    }

    /// Finds the name of an event once, if it is written as most are.
    pub(crate) fn with_name(mut self) -> Self {
        if let Repr::Json { message, start, name, .. } = &mut self.payload.0 {
            let found = scan::plain_name(&message[*start..]);
            *name = found.and_then(|found| found.len().try_into().ok());
        }
        self
    }

    /// Returns where in the message the name of an event stands, if it is there as it is.
    pub(crate) fn name_range(&self) -> Option<Range<usize>> {
        let Repr::Json { message, start, name, .. } = &self.payload.0 else { return None };
        if let Some(len) = name {
            let start = start + BEFORE_NAME;
            return Some(start..start + *len as usize);
        }
        let Cow::Borrowed(name) = self.name()? else { return None };
        let start = (name.as_ptr() as usize).checked_sub(message.as_ptr() as usize)?;
        let range = start..start.checked_add(name.len())?;
        (message.get(range.clone()) == Some(name)).then_some(range)
    }

    /// Returns a part of the message.
    pub(crate) fn part(&self, range: Range<usize>) -> &str {
        match &self.payload.0 {
            Repr::Json { message, .. } => message.get(range).unwrap_or_default(),
            Repr::Value { .. } => "",
        }
    }
}

impl EncodeError {
    /// An event has a name that applications would take for one of their own library.
    pub(crate) fn reserved(name: &str) -> Self {
        Self::new("the name is reserved").with_event(name)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::{
        PacketData,
        parser::{Decoder, Parser, ParserLimits},
    };

    fn event(message: &'static str) -> (Text, Args) {
        let message = Text::from_static(message);
        let mut decoder = Decoder::new(&Parser::Json, ParserLimits::default());
        let packet = decoder.handle_message(message.clone().into()).unwrap().unwrap();
        match packet.data {
            PacketData::Event { args, .. } => (message, args),
            _ => panic!("{packet:?} is no event"),
        }
    }

    #[test]
    fn name_of_an_event_is_found_in_the_message() {
        let (_, args) = event(r#"2/a,["chat",1]"#);
        assert_eq!(args.name_range(), Some(6..10));
        assert_eq!(args.part(6..10), "chat");
        let looked_for =
            Args::from_payload(Payload::from_json(r#"2/a,["chat",1]"#.into(), 4, Vec::new()));
        assert_eq!(looked_for.name_range(), Some(6..10));
        assert_eq!(looked_for.name(), args.name());
        assert_eq!(looked_for.decode::<u8>(1).unwrap(), args.decode::<u8>(1).unwrap());
        for (message, second) in
            [(r#"2[ "a" , 1 ]"#, 1), (r#"2["","b",2]"#, 2), (r#"2["a"  ,3]"#, 3)]
        {
            let (_, args) = event(message);
            let last = args.len() - 1;
            assert_eq!(args.decode::<u8>(last).unwrap(), second, "{message}");
        }
        let (_, args) = event(r#"2["only"]"#);
        assert_eq!(args.decode::<Option<u8>>(1).unwrap(), None);
        let (_, args) = event(r#"2["ch\u0061t"]"#);
        assert_eq!(args.name_range(), None);
    }

    #[test]
    fn only_an_event_of_the_first_namespace_without_a_number_is_its_message() {
        for (message, is_one) in
            [(r#"2["a"]"#, true), (r#"20["a"]"#, false), (r#"2/a,["a"]"#, false)]
        {
            let (message, args) = event(message);
            assert_eq!(
                args.as_message().is_some_and(|same| *same == *message),
                is_one,
                "{message}"
            );
        }
        assert!(Args::event("a", &()).unwrap().as_message().is_none());
        assert!(Args::empty().is_empty());
    }
}
