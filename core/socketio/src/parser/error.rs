//! Faults of a peer in its packets.

use alloc::string::String;

/// Reason why a message is not a packet. The peer is to blame, and the connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// A message without a byte.
    #[error("an empty message is no packet")]
    Empty,
    /// The first character is no type from 0 to 6.
    #[error("unknown packet type")]
    UnknownType,
    /// The number of attachments is missing, not a number, or zero.
    #[error("invalid number of attachments")]
    InvalidAttachments,
    /// More attachments are announced than allowed.
    #[error("too many attachments: {count}, at most {max} are allowed")]
    TooManyAttachments {
        /// Attachments of the packet.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The packet and its attachments are larger than allowed.
    #[error("packet too large: {size} bytes, at most {max} are allowed")]
    TooLarge {
        /// Bytes so far.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// A packet came while attachments of the last one are missing.
    #[error("text came where an attachment was expected")]
    UnexpectedText,
    /// Binary data came that belongs to no packet.
    #[error("binary data came where a packet was expected")]
    UnexpectedBinary,
    /// The number of the acknowledgement is too large.
    #[error("the number of the acknowledgement has too many digits")]
    InvalidAckId,
    /// The payload is not valid in the parser's format.
    #[error("invalid payload: {0}")]
    Syntax(String),
    /// The payload is not of the shape that this type of packet has.
    #[error("the payload does not fit the type of the packet")]
    InvalidPayload,
    /// An event has a name that is reserved.
    #[error("an event has a reserved name")]
    ReservedName,
    /// A placeholder stands for an attachment that does not exist.
    #[error("a placeholder stands for no attachment")]
    UnknownAttachment,
    /// Values are nested too deeply.
    #[error("values are nested too deeply, at most {max} levels are allowed")]
    TooDeep {
        /// The limit.
        max: usize,
    },
}
