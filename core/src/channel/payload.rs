//! Payloads of polling, the same in both directions.

use bytes::Bytes;

use crate::{
    codec::{DecodeError, PayloadDecoder, PayloadForm},
    packet::{Message, Packet, Revision},
    text::Text,
    wire::Arena,
};

/// The form of a payload that may be binary, or may not. Revision 3 has a form of its own for those
/// that are.
pub(crate) const fn form_of(revision: Revision, binary: bool) -> PayloadForm {
    match revision {
        Revision::V4 => PayloadForm::V4,
        Revision::V3 if binary => PayloadForm::V3Binary,
        Revision::V3 => PayloadForm::V3Text,
    }
}

/// Takes a payload apart, at most `max` packets of it. None of its messages keeps a large body alive
/// of which it is only a small part.
pub(crate) fn packets(
    form: PayloadForm,
    body: Bytes,
    max: usize,
) -> impl Iterator<Item = Result<Packet, DecodeError>> {
    let size = body.len();
    PayloadDecoder::new(form, body, max).map(move |packet| match packet {
        Ok(Packet::Message(message)) => Ok(Packet::Message(unpin(message, size))),
        packet => packet,
    })
}

/// A message that does not keep the whole body alive of which it is a small part: an application may
/// hold on to it for as long as it likes. Copying at most doubles what a body costs for a moment.
fn unpin(message: Message, body: usize) -> Message {
    if body <= SMALL_BODY || message.len() > body / 4 {
        return message;
    }
    let copy = Bytes::copy_from_slice(message.payload());
    match message {
        Message::Text(_) => Message::Text(Text::from_validated(copy)),
        Message::Binary(_) => Message::Binary(copy),
    }
}

/// Bodies up to this size may be kept alive by any message in them: as much as one kept message pins
/// on a WebSocket.
const SMALL_BODY: usize = Arena::CHUNK;
