//! The rules that a peer can break.

use thiserror::Error;

/// A rule of RFC 6455 or RFC 7692, or a limit, that the peer broke.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Violation {
    /// Section 5.2: reserved bits to which no extension gives a meaning are 0. With permessage-deflate the first of
    /// them may be set in the first frame of a data message (RFC 7692 section 6.1).
    #[error("reserved bits {bits:#04x} are set in a frame where no extension gives them a meaning")]
    ReservedBits {
        /// The reserved bits of the frame's first byte, where they stand: a part of `0x70`.
        bits: u8,
    },
    /// Section 5.2: opcodes 3 to 7 and 11 to 15 are reserved.
    #[error("a frame has the reserved opcode {opcode:#x}")]
    ReservedOpcode {
        /// The four bits.
        opcode: u8,
    },
    /// Section 5.1: a server closes upon a frame that is not masked.
    #[error("the client sent a frame that is not masked")]
    Unmasked,
    /// Section 5.1: a client closes upon a frame that is masked.
    #[error("the server sent a masked frame")]
    Masked,
    /// Section 5.5: control frames must not be fragmented.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// Section 5.5: control frames carry 125 bytes at most.
    #[error("a control frame announces more than 125 bytes of payload")]
    ControlTooLong,
    /// Section 5.2: the shortest form of a length must be used.
    #[error("a payload length of {size} bytes is not written in its shortest form")]
    LengthNotMinimal {
        /// The length of the payload in bytes.
        size: u64,
    },
    /// Section 5.2: the highest bit of a 64-bit length is 0.
    #[error("the highest bit of a 64-bit payload length is set")]
    LengthOutOfRange,
    /// Section 5.4: a continuation frame continues a message.
    #[error("a continuation frame came where no message is to be continued")]
    UnexpectedContinuation,
    /// Section 5.4: the fragments of two messages are not interleaved.
    #[error("a new message began before the last fragment of the one under way")]
    ExpectedContinuation,
    /// Section 5.5.1: the body of a Close begins with a code of two bytes.
    #[error("the payload of a Close frame is 1 byte, too short for a status code")]
    CloseTooShort,
    /// Section 7.4: this code is not to be sent.
    #[error("{code} is not a status code that may stand in a Close frame")]
    CloseCode {
        /// The code.
        code: u16,
    },
    /// Section 5.5.1: the reason of a Close is UTF-8.
    #[error("the reason in a Close frame is not UTF-8 from its byte {at} on")]
    CloseReason {
        /// Offset in the reason of the first byte that is not part of a character.
        at: usize,
    },
    /// Section 8.1: a text message is UTF-8.
    #[error("a text message is not UTF-8 from its byte {at} on")]
    InvalidUtf8 {
        /// Offset in the message of the first byte that is not part of a character.
        at: usize,
    },
    /// RFC 7692 section 7.2.2: the payload of a compressed message is a DEFLATE stream.
    #[error("a compressed message cannot be inflated")]
    NotDeflated,
    /// A message is larger than we take (section 10.4).
    #[error("a message has {size} bytes or more, the limit is {max}")]
    TooBig {
        /// Bytes that its frames have announced so far, or that have been inflated.
        size: u64,
        /// The most that a message may have.
        max: usize,
    },
    /// A message is cut into more pieces than we take.
    #[error("a message has more than {max} frames")]
    TooManyFragments {
        /// The most frames that a message may have.
        max: usize,
    },
}

impl Violation {
    /// The status code of the Close that answers it (section 7.4.1).
    pub const fn code(&self) -> u16 {
        match self {
            Self::ReservedBits { .. }
            | Self::ReservedOpcode { .. }
            | Self::Unmasked
            | Self::Masked
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::LengthNotMinimal { .. }
            | Self::LengthOutOfRange
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::CloseTooShort
            | Self::CloseCode { .. } => 1002,
            Self::CloseReason { .. } | Self::InvalidUtf8 { .. } | Self::NotDeflated => 1007,
            Self::TooManyFragments { .. } => 1008,
            Self::TooBig { .. } => 1009,
        }
    }
}
