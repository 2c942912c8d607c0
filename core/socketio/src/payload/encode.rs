//! Payloads of the application into JSON, or into values.

use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use super::{
    error::EncodeError,
    scan,
    spread::{Sink, Spread},
    typed_event,
    value::{Value, ValueWriter},
    writer::Writer,
};

/// Appends an event as a JSON array: its name, then the arguments.
///
/// An outermost tuple or tuple struct is several arguments, `()` and unit structs are none, anything else is one. A
/// newtype is what is inside. Arrays are tuples to serde, so they are several arguments, and slices are one.
///
/// Values that serialize as bytes become placeholders, and copies of them are pushed to `attachments`. What is there
/// before can be referred to with [`Attachment`](super::Attachment). A `Vec<u8>` is an array of numbers.
///
/// # Errors
///
/// If `payload` fails to serialize, has a key that is no string, or refers to an attachment that is not there. Nothing
/// is left in `out` and `attachments` then.
pub fn write_event<P: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    name: &str,
    payload: &P,
) -> Result<(), EncodeError> {
    write_json(out, attachments, |writer| {
        writer.open();
        writer.event(name);
        payload.serialize(Spread(&mut *writer))?;
        writer.close();
        Ok(())
    })
    .map_err(|error| error.with_event(name))
}

/// Appends the arguments of an acknowledgement as a JSON array.
///
/// They are found, and errors returned, as by [`write_event`].
///
/// # Errors
///
/// As [`write_event`].
pub fn write_args<P: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    payload: &P,
) -> Result<(), EncodeError> {
    write_json(out, attachments, |writer| {
        writer.open();
        payload.serialize(Spread(&mut *writer))?;
        writer.close();
        Ok(())
    })
}

/// Appends one value as JSON. A tuple is an array here.
///
/// # Errors
///
/// As [`write_event`].
pub fn write_value<P: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    payload: &P,
) -> Result<(), EncodeError> {
    write_json(out, attachments, |writer| payload.serialize(writer))
}

/// Appends a variant of an enum as an event in JSON. Returns the event's name.
///
/// A unit variant has no argument, a newtype variant one, a tuple variant several, a struct variant one object.
///
/// # Errors
///
/// As [`write_event`], and if `event` is no variant of an enum without a tag.
pub fn write_enum_event<E: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    event: &E,
) -> Result<&'static str, EncodeError> {
    write_json(out, attachments, |writer| {
        writer.open();
        let name = typed_event::write(writer, event)?;
        writer.close();
        Ok(name)
    })
}

/// Makes the name and the arguments of an event as values.
///
/// They are for parsers of other formats than JSON.
///
/// An [`Attachment`](super::Attachment) in the payload stands for one of `attachments`.
///
/// # Errors
///
/// As [`write_event`], and for integers of more than 64 bits.
pub fn event_values<P: Serialize + ?Sized>(
    name: &str,
    payload: &P,
    attachments: &[Bytes],
) -> Result<Vec<Value>, EncodeError> {
    write_values(attachments, |writer| {
        writer.event(name);
        payload.serialize(Spread(writer))
    })
    .map(|((), values)| values)
    .map_err(|error| error.with_event(name))
}

/// Makes the arguments of an acknowledgement, for parsers of other formats than JSON.
///
/// # Errors
///
/// As [`event_values`].
pub fn args_values<P: Serialize + ?Sized>(
    payload: &P,
    attachments: &[Bytes],
) -> Result<Vec<Value>, EncodeError> {
    write_values(attachments, |writer| payload.serialize(Spread(writer))).map(|((), values)| values)
}

/// Makes the name and the arguments of a variant of an enum.
///
/// The name is returned by itself, too.
///
/// # Errors
///
/// As [`event_values`], and if `event` is no variant of an enum without a tag.
pub fn enum_event_values<E: Serialize + ?Sized>(
    event: &E,
    attachments: &[Bytes],
) -> Result<(&'static str, Vec<Value>), EncodeError> {
    write_values(attachments, |writer| typed_event::write(writer, event))
}

fn write_json<T>(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    write: impl FnOnce(&mut Writer<'_>) -> Result<T, EncodeError>,
) -> Result<T, EncodeError> {
    let (start, given) = (out.len(), attachments.len());
    let mut writer = Writer::new(out, attachments);
    let result = write(&mut writer).map_err(|error| error.in_argument(writer.argument()));
    let imitates = writer.imitates();
    let checked = |value| match imitates {
        true => check(&out[start..], attachments.len()).map(|()| value),
        false => Ok(value),
    };
    let result = result.and_then(checked);
    if result.is_err() {
        out.truncate(start);
        attachments.truncate(given);
    }
    result
}

/// Refuses data that look like a placeholder and stand for nothing, which would close the peer's connection.
fn check(json: &[u8], attachments: usize) -> Result<(), EncodeError> {
    if attachments == 0 {
        return Ok(());
    }
    match core::str::from_utf8(json) {
        Ok(json) if scan::check_placeholders(json, attachments) => Ok(()),
        _ => Err(EncodeError::new("an object has the form of a placeholder for binary data")),
    }
}

fn write_values<T>(
    attachments: &[Bytes],
    write: impl FnOnce(&mut ValueWriter<'_>) -> Result<T, EncodeError>,
) -> Result<(T, Vec<Value>), EncodeError> {
    let mut writer = ValueWriter::new(attachments);
    let result = write(&mut writer).map_err(|error| error.in_argument(writer.argument()));
    result.map(|value| (value, writer.into_values()))
}
