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
        Ok(Packet::Message(message)) if is_slice(form, &message) => {
            Ok(Packet::Message(unpin(message, size)))
        }
        packet => packet,
    })
}

/// Whether a message of a payload is a slice of it. Base64 was decoded to storage of its own.
const fn is_slice(form: PayloadForm, message: &Message) -> bool {
    matches!(message, Message::Text(_)) || matches!(form, PayloadForm::V3Binary)
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

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec::Vec};

    use super::*;

    /// Whether the first message of a body, so long and with so much behind it, is a slice of the body.
    fn pins(message: usize, behind: usize) -> bool {
        let body = format!("4{}\u{1e}4{}", "a".repeat(message), "b".repeat(behind));
        let body = Bytes::from(body);
        let packets: Result<Vec<_>, _> = packets(PayloadForm::V4, body.clone(), 2).collect();
        let Packet::Message(message) = &packets.unwrap()[0] else { panic!("a message") };
        assert!(message.payload().iter().all(|&byte| byte == b'a'));
        body.as_ptr_range().contains(&message.payload().as_ptr())
    }

    #[test]
    fn message_keeps_a_body_alive_if_that_is_small_or_mostly_its_own() {
        // A type for each message and a separator are part of the body.
        let around = 3;
        let behind = |message: usize, body: usize| body - message - around;
        assert!(pins(1, behind(1, SMALL_BODY)));
        assert!(!pins(1, behind(1, SMALL_BODY + 1)));
        let body = 8 * SMALL_BODY;
        assert!(!pins(body / 4, behind(body / 4, body)));
        assert!(pins(body / 4 + 1, behind(body / 4 + 1, body)));
    }

    #[test]
    fn decoded_base64_is_not_copied_again() {
        for (form, body) in [
            (PayloadForm::V4, format!("bYWJj\u{1e}4{}", "b".repeat(SMALL_BODY))),
            (
                PayloadForm::V3Text,
                format!("6:b4YWJj{}:4{}", SMALL_BODY + 1, "b".repeat(SMALL_BODY)),
            ),
        ] {
            let decode = || PayloadDecoder::new(form, Bytes::from(body.clone()), 2);
            let Packet::Message(message) = decode().next().unwrap().unwrap() else {
                panic!("a message")
            };
            assert_eq!(message, Message::from(b"abc"));
            assert!(!is_slice(form, &message), "{form:?}");
        }
    }

    #[test]
    fn message_that_is_copied_keeps_its_kind_and_payload() {
        for binary in [false, true] {
            let small = if binary { "bYQ==" } else { "4a" };
            let body = format!("{small}\u{1e}4{}", "b".repeat(SMALL_BODY));
            let first = packets(PayloadForm::V4, body.into(), 2).next().unwrap().unwrap();
            let expected = if binary { Message::from(b"a") } else { Message::from("a") };
            assert_eq!(first, Packet::Message(expected));
        }
        // Binary in a slice of the body.
        let mut body = Vec::from(*b"\x01\x02\xff\x04a\x00");
        let filler = SMALL_BODY.to_string();
        body.extend(filler.bytes().map(|digit| digit - b'0'));
        body.push(0xff);
        body.push(b'4');
        body.resize(body.len() + SMALL_BODY - 1, b'b');
        let body = Bytes::from(body);
        let first = packets(PayloadForm::V3Binary, body.clone(), 2).next().unwrap().unwrap();
        let Packet::Message(message) = first else { panic!("a message") };
        assert_eq!(message, Message::from(b"a"));
        assert!(!body.as_ptr_range().contains(&message.payload().as_ptr()));
    }
}
