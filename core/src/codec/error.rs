//! Faults in bytes that should be packets.

/// Why bytes from the peer are not the packets they should be.
///
/// Always the peer's fault. A server's session closes with
/// [`CloseReason::ParseError`](crate::CloseReason::ParseError), a client's with
/// [`TransportFault::Malformed`](crate::TransportFault::Malformed); packets before the fault have been
/// delivered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("packet {packet}, byte {at}: {kind}")]
pub struct DecodeError {
    packet: usize,
    at: usize,
    kind: DecodeErrorKind,
}

impl DecodeError {
    pub(super) fn new(packet: usize, fault: Fault) -> Self {
        Self { packet, at: fault.at, kind: fault.kind }
    }

    /// Returns the number of packets before the faulty one. That is its index in the payload or on
    /// the stream, and zero for a WebSocket message.
    pub const fn packet(&self) -> usize {
        self.packet
    }

    /// Returns where the fault is, as an offset in bytes. It counts from the start of the payload,
    /// of the WebSocket message, or, on a stream, of the packet's header.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Returns what is wrong there.
    pub const fn kind(&self) -> &DecodeErrorKind {
        &self.kind
    }
}

/// A fault in a packet, a payload, or a JSONP body.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// There is nothing where a packet's type should be.
    #[error("a packet without a type")]
    Empty,
    /// This is no packet type. Of a character beyond ASCII, its first byte.
    #[error("'{}' is not a packet type", .0.escape_ascii())]
    UnknownType(u8),
    /// Text is not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// A byte outside the base64 alphabet, or padding before the end.
    #[error("'{}' does not belong into base64 here", .0.escape_ascii())]
    InvalidBase64(u8),
    /// Base64 that ends after the first six bits of a byte.
    #[error("base64 ends inside a byte")]
    TruncatedBase64,
    /// A length of revision 3 in the wrong form. It must be 1 to 19 decimal digits and the sign
    /// that ends it.
    #[error("a length must be 1 to 19 decimal digits and an end sign")]
    InvalidLength,
    /// A length in UTF-16 code units that ends between the two units of one character.
    #[error("the length {length} ends inside a character")]
    SplitCharacter {
        /// Length that the peer gave.
        length: u64,
    },
    /// A length that goes beyond the end.
    #[error("a packet of length {length}, of which only {available} came")]
    Truncated {
        /// Length that the peer gave. It counts bytes, or UTF-16 code units in a text payload of
        /// revision 3.
        length: u64,
        /// Length of what there is, in the same unit.
        available: u64,
    },
    /// More packets in one payload than allowed.
    #[error("more than {max} packets in one payload")]
    TooManyPackets {
        /// The limit.
        max: usize,
    },
    /// A packet larger than allowed.
    #[error("a packet of {size} bytes, the limit is {max}")]
    TooLarge {
        /// Size that the peer gave.
        size: u64,
        /// The limit.
        max: usize,
    },
    /// A percent sign in a form that is not followed by two hexadecimal digits.
    #[error("a percent sign without two hexadecimal digits")]
    InvalidEscape,
}

/// A [`DecodeError`] before it is known which packet it is in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) kind: DecodeErrorKind,
}

/// How many bytes from the start are valid UTF-8, for bytes that are not all.
pub(super) fn valid_up_to(bytes: &[u8]) -> usize {
    match simdutf8::compat::from_utf8(bytes) {
        Ok(text) => text.len(),
        Err(error) => error.valid_up_to(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn says_which_packet_where_and_what() {
        let text = |kind| DecodeError::new(3, Fault { at: 17, kind }).to_string();
        assert_eq!(
            text(DecodeErrorKind::UnknownType(0xe2)),
            r"packet 3, byte 17: '\xe2' is not a packet type"
        );
        assert_eq!(
            text(DecodeErrorKind::TooLarge { size: 1 << 40, max: 1000 }),
            "packet 3, byte 17: a packet of 1099511627776 bytes, the limit is 1000"
        );
        assert_eq!(
            text(DecodeErrorKind::Truncated { length: 9, available: 4 }),
            "packet 3, byte 17: a packet of length 9, of which only 4 came"
        );
    }
}
