//! Events of the application.

use bytes::Bytes;
use enginewire_socketio::{Spread, parser::NamedEvent};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    code::Failure,
    output::ew_event,
    slice::{self, ew_slice},
};

/// Event that was read from C.
pub(crate) struct Event<'a> {
    name: &'a str,
    pub(crate) arguments: Arguments<'a>,
    pub(crate) attachments: Vec<Bytes>,
}

/// Arguments, each as JSON that stays as it is.
pub(crate) struct Arguments<'a>(Vec<&'a RawValue>);

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Spread(&self.0).serialize(serializer)
    }
}

impl ew_event {
    /// Reads an event, and copies its attachments.
    ///
    /// # Safety
    ///
    /// Unless `event` is null, it points to an event whose slices are as those of arguments.
    pub(crate) unsafe fn read<'a>(event: *const Self, what: &str) -> Result<Event<'a>, Failure> {
        // SAFETY: the caller's promise.
        let event = unsafe { slice::borrow(event, what) }?;
        let (data, length) = (event.attachments, event.attachment_count);
        // SAFETY: the same.
        let name = unsafe { event.name.text("event.name") }?;
        // SAFETY: the same.
        let json = unsafe { event.json.text("event.json") }?;
        // SAFETY: the same.
        let attachments = unsafe { slice::array(data, length, "event.attachments") }?;
        let arguments = match json {
            "" => Vec::new(),
            json => serde_json::from_str(json).map_err(|error| {
                Failure::argument(format_args!("event.json is not a JSON array: {error}"))
            })?,
        };
        let copy = |bytes: &ew_slice| {
            // SAFETY: the same.
            let bytes = unsafe { bytes.bytes("event.attachments") }?;
            Ok(Bytes::copy_from_slice(bytes))
        };
        let attachments = attachments.iter().map(copy).collect::<Result<_, Failure>>()?;
        Ok(Event { name, arguments: Arguments(arguments), attachments })
    }
}

impl<'a> Event<'a> {
    pub(crate) fn named<'b>(&'b self) -> NamedEvent<'b, Arguments<'a>> {
        let event = NamedEvent::new(self.name, &self.arguments);
        event.with_attachments(self.attachments.clone())
    }
}
