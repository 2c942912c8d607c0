//! The head of a packet in text: its type, attachments, namespace and number.

use alloc::vec::Vec;
use core::ops::Range;

use super::PacketError;
use crate::packet::AckId;

/// Type of a packet, as the digit that it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Connect,
        Self::Disconnect,
        Self::Event,
        Self::Ack,
        Self::ConnectError,
        Self::BinaryEvent,
        Self::BinaryAck,
    ];

    fn of(digit: u8) -> Option<Self> {
        Self::ALL.get(usize::from(digit.checked_sub(b'0')?)).copied()
    }

    fn has_attachments(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

/// Head of a packet in text. Positions are those of bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// Number of binary messages that follow.
    pub(super) attachments: usize,
    /// The namespace with its leading slash. Empty if the packet has none, which means `/`.
    pub(super) namespace: Range<usize>,
    pub(super) ack: Option<AckId>,
    /// Where the payload begins: at the end of the text if there is none.
    pub(super) payload: usize,
}

impl Head {
    /// Reads the head of a packet.
    ///
    /// Digits are digits. The reference takes a space for a zero, and `1e0` for a number of attachments: no client
    /// writes those.
    pub(super) fn parse(text: &str, max_attachments: usize) -> Result<Self, PacketError> {
        let bytes = text.as_bytes();
        let &digit = bytes.first().ok_or(PacketError::Empty)?;
        let kind = Kind::of(digit).ok_or(PacketError::UnknownType)?;
        let mut at = 1;
        let mut attachments = 0;
        if kind.has_attachments() {
            let (count, digits) = number(&bytes[at..], 20);
            at += digits;
            // None is an error since 4.2.7 of the reference: before, what came next was.
            if digits == 0 || bytes.get(at) != Some(&b'-') || count == Some(0) {
                return Err(PacketError::InvalidAttachments);
            }
            at += 1;
            attachments = count.and_then(|count| count.try_into().ok()).unwrap_or(usize::MAX);
            if attachments > max_attachments {
                let (count, max) = (attachments, max_attachments);
                return Err(PacketError::TooManyAttachments { count, max });
            }
        }
        let mut namespace = at..at;
        if bytes.get(at) == Some(&b'/') {
            let comma = bytes[at..].iter().position(|&byte| byte == b',');
            namespace.end = comma.map_or(bytes.len(), |comma| at + comma);
            at = namespace.end + usize::from(comma.is_some());
        }
        let (ack, digits) = number(&bytes[at..], AckId::MAX_DIGITS);
        if digits > 0 && ack.is_none() {
            return Err(PacketError::InvalidAckId);
        }
        at += digits;
        Ok(Self { kind, attachments, namespace, ack: ack.map(AckId), payload: at })
    }
}

/// Reads the digits at the start of `bytes`. `None` if there are none, or more than `max_digits`.
fn number(bytes: &[u8], max_digits: usize) -> (Option<u128>, usize) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = || bytes[..digits].iter().fold(0, |n, &digit| n * 10 + u128::from(digit - b'0'));
    ((1..=max_digits).contains(&digits).then(value), digits)
}

/// Room that the head of a packet takes at most.
pub(super) fn room(namespace: &str) -> usize {
    // A type, a number of attachments and its dash, a comma, the number of an acknowledgement.
    1 + 20 + 1 + namespace.len() + 1 + AckId::MAX_DIGITS
}

/// Writes the head of a packet into `buffer`, so that it ends at `end`. Returns where it begins.
pub(super) fn write_before(
    buffer: &mut [u8],
    end: usize,
    kind: Kind,
    attachments: usize,
    namespace: &str,
    ack: Option<AckId>,
) -> usize {
    let mut at = end;
    let mut prepend = |bytes: &[u8]| {
        at -= bytes.len();
        buffer[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let mut digits = itoa::Buffer::new();
    if let Some(AckId(ack)) = ack {
        prepend(digits.format(ack).as_bytes());
    }
    if namespace != "/" {
        prepend(b",");
        prepend(namespace.as_bytes());
    }
    if kind.has_attachments() {
        prepend(b"-");
        prepend(digits.format(attachments).as_bytes());
    }
    prepend(&[b'0' + kind as u8]);
    at
}

/// Writes the head of a packet that has neither attachments nor a number.
pub(super) fn write(kind: Kind, namespace: &str) -> Vec<u8> {
    let mut buffer = alloc::vec![0; room(namespace)];
    let end = buffer.len();
    let start = write_before(&mut buffer, end, kind, 0, namespace, None);
    buffer.drain(..start);
    buffer
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String};

    use super::*;

    fn parse(text: &str) -> Result<(Kind, usize, &str, Option<u128>, &str), PacketError> {
        let head = Head::parse(text, 10)?;
        let ack = head.ack.map(|AckId(ack)| ack);
        let namespace = &text[head.namespace.clone()];
        Ok((head.kind, head.attachments, namespace, ack, &text[head.payload..]))
    }

    #[test]
    fn head_has_type_attachments_namespace_and_number() {
        use Kind::{Ack, BinaryAck, BinaryEvent, Connect, Disconnect, Event};
        for (text, head) in [
            ("0", (Connect, 0, "", None, "")),
            ("0/admin,{}", (Connect, 0, "/admin", None, "{}")),
            // The comma may be missing where nothing follows.
            ("0/admin", (Connect, 0, "/admin", None, "")),
            ("0/admin?token=1,", (Connect, 0, "/admin?token=1", None, "")),
            ("1/,", (Disconnect, 0, "/", None, "")),
            (r#"2["a"]"#, (Event, 0, "", None, r#"["a"]"#)),
            (r#"212["a"]"#, (Event, 0, "", Some(12), r#"["a"]"#)),
            (r#"2/a,0["a"]"#, (Event, 0, "/a", Some(0), r#"["a"]"#)),
            // Without a comma all of it is a namespace.
            (r#"2/a["a"]"#, (Event, 0, r#"/a["a"]"#, None, "")),
            ("3/a,7[]", (Ack, 0, "/a", Some(7), "[]")),
            (r#"51-["a"]"#, (BinaryEvent, 1, "", None, r#"["a"]"#)),
            (r#"510-/a,3["a"]"#, (BinaryEvent, 10, "/a", Some(3), r#"["a"]"#)),
            ("62-1[]", (BinaryAck, 2, "", Some(1), "[]")),
            ("299999999999999999999[]", (Event, 0, "", Some(99_999_999_999_999_999_999), "[]")),
        ] {
            assert_eq!(parse(text), Ok(head), "{text}");
        }
    }

    #[test]
    fn malformed_head_is_an_error() {
        use PacketError::{Empty, InvalidAckId, InvalidAttachments, UnknownType};
        for (text, error) in [
            ("", Empty),
            (" ", UnknownType),
            ("7", UnknownType),
            ("/", UnknownType),
            (":", UnknownType),
            ("é", UnknownType),
            ("5", InvalidAttachments),
            ("5-[]", InvalidAttachments),
            ("50-[]", InvalidAttachments),
            ("5000-[]", InvalidAttachments),
            ("51[]", InvalidAttachments),
            ("51", InvalidAttachments),
            ("51e0-[]", InvalidAttachments),
            ("5 1-[]", InvalidAttachments),
            ("6+1-[]", InvalidAttachments),
            ("511-[]", PacketError::TooManyAttachments { count: 11, max: 10 }),
            (
                "599999999999999999999-[]",
                PacketError::TooManyAttachments { count: usize::MAX, max: 10 },
            ),
            (
                "5123456789012345678901234567890123456789012-[]",
                PacketError::TooManyAttachments { count: usize::MAX, max: 10 },
            ),
            (&format!("2{}[]", "1".repeat(39)), InvalidAckId),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert!(parse(&format!("2{}[]", "9".repeat(38))).is_ok());
    }

    #[test]
    fn what_is_written_is_read_again() {
        for kind in Kind::ALL {
            for namespace in ["/", "/a", "/€"] {
                for ack in [None, Some(AckId(0)), Some(AckId(10_u128.pow(38) - 1))] {
                    let attachments = usize::from(kind.has_attachments()) * 10;
                    let mut buffer = alloc::vec![0; room(namespace)];
                    let end = buffer.len();
                    let start = write_before(&mut buffer, end, kind, attachments, namespace, ack);
                    let text = String::from_utf8(buffer[start..].to_vec()).unwrap();
                    let head = Head::parse(&text, 10).unwrap();
                    assert_eq!((head.kind, head.attachments, head.ack), (kind, attachments, ack));
                    let empty = head.namespace.is_empty();
                    assert_eq!(if empty { "/" } else { &text[head.namespace] }, namespace);
                    assert_eq!(head.payload, text.len());
                }
            }
        }
    }
}
