//! Faults in a message.

use core::time::Duration;

/// Why a message was refused, in whichever direction it went; always the peer's fault.
///
/// Positions count from the first byte of the start line, lines from 1. After any of these the
/// two sides no longer agree where the next message starts, so the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A line of the head ends in LF alone. RFC 9112 section 2.2 lets a recipient accept that; a
    /// proxy in front that does not would see another message than we do.
    #[error("byte {at} of the head is a line feed without a carriage return before it")]
    BareLineFeed {
        /// Offset of the line feed.
        at: usize,
    },
    /// A carriage return in the head that ends no line (RFC 9112 section 2.2).
    #[error("byte {at} of the head is a carriage return without a line feed after it")]
    BareCarriageReturn {
        /// Offset of the carriage return.
        at: usize,
    },
    /// A NUL in the head (RFC 9110 section 5.5).
    #[error("byte {at} of the head is NUL")]
    Nul {
        /// Offset of the NUL.
        at: usize,
    },
    /// Too many empty lines before the message. Before a request, more than a client could have
    /// left behind a body; before a response, any.
    #[error("more than {max} empty lines before the start line")]
    EmptyLines {
        /// How many are skipped.
        max: usize,
    },
    /// The bytes given to [`RequestHead::parse`](super::RequestHead::parse) stop before the empty
    /// line or go on behind it.
    #[error("not exactly one complete head")]
    NotOneHead,
    /// A request line of the wrong form. It must be a method, a target and a version with one space
    /// between them.
    #[error("malformed request line")]
    RequestLine,
    /// The request target is in none of the forms of RFC 9112 section 3.2.
    #[error("invalid request target")]
    Target,
    /// CONNECT asks for a tunnel.
    #[error("CONNECT is not implemented")]
    Connect,
    /// An HTTP version other than 1.0 and 1.1.
    #[error("only HTTP/1.0 and HTTP/1.1 are supported")]
    Version,
    /// A header line without a valid name, or with a control character in its value.
    #[error("line {line} of the head is not a valid header field")]
    Header {
        /// Number of the line.
        line: usize,
    },
    /// White space between a field name and its colon (RFC 9112 section 5.1).
    #[error("line {line} of the head has white space before the colon")]
    SpaceBeforeColon {
        /// Number of the line.
        line: usize,
    },
    /// A line that continues the one before (RFC 9112 section 5.2).
    #[error("line {line} of the head is a continuation of the line before, which is obsolete")]
    Folded {
        /// Number of the line.
        line: usize,
    },
    /// HTTP/1.1 without `Host` (RFC 9112 section 3.2).
    #[error("the Host header is missing")]
    MissingHost,
    /// More than one `Host`.
    #[error("more than one Host header")]
    RepeatedHost,
    /// A `Host` that is no host.
    #[error("the Host header is not a host and port")]
    InvalidHost,
    /// A `Content-Length` that is not one decimal number below 2^64.
    #[error("the Content-Length is not a decimal number")]
    ContentLength,
    /// More than one `Content-Length`, be they equal or not.
    #[error("more than one Content-Length")]
    RepeatedContentLength,
    /// `Content-Length` beside `Transfer-Encoding` (RFC 9112 section 6.1).
    #[error("both Content-Length and Transfer-Encoding")]
    LengthAndCoding,
    /// `Transfer-Encoding` in HTTP/1.0, which does not know it (RFC 9112 section 6.1).
    #[error("Transfer-Encoding in an HTTP/1.0 message")]
    CodingInHttp10,
    /// `chunked` is not the last transfer coding, or is repeated (RFC 9112 section 6.3).
    #[error("chunked is not the last transfer coding, or is there twice")]
    ChunkedNotLast,
    /// A transfer coding besides `chunked`.
    #[error("only the chunked transfer coding is implemented")]
    UnknownCoding,
    /// An `Expect` other than `100-continue` (RFC 9110 section 10.1.1).
    #[error("only the 100-continue expectation can be met")]
    Expectation,
    /// The start line alone is longer than a head may be.
    #[error("the start line is longer than {max} bytes")]
    LineTooLong {
        /// The limit on the head, in bytes.
        max: usize,
    },
    /// The head is too long.
    #[error("the head is longer than {max} bytes")]
    HeadTooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// Too many header fields.
    #[error("more than {max} header fields")]
    TooManyHeaders {
        /// The limit.
        max: usize,
    },
    /// A chunked body that is not one.
    #[error("malformed chunked body: {0}")]
    Chunk(ChunkError),
    /// Chunk extensions or trailers without end.
    #[error("more than {max} bytes of chunk extensions and trailers")]
    ChunkOverhead {
        /// The limit in bytes.
        max: usize,
    },
    /// The head did not arrive in time.
    #[error("the request head was not complete after {after:?}")]
    HeadTimeout {
        /// The patience of the server.
        after: Duration,
    },
    /// The body did not arrive in time, or too slowly.
    #[error("the request body was not complete, and too little of it came within {after:?}")]
    BodyTimeout {
        /// The patience of the server.
        after: Duration,
    },
}

impl Fault {
    /// The HTTP status that a server answers with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::HeadTimeout { .. } | Self::BodyTimeout { .. } => 408,
            Self::ChunkOverhead { .. } => 413,
            Self::LineTooLong { .. } => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge { .. } | Self::TooManyHeaders { .. } => 431,
            Self::Connect | Self::UnknownCoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}

/// Fault in a response. It is always the server's: it broke a rule, or sent more than it was
/// granted.
///
/// The connection ends after any of these, because the start of the next response is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseFault {
    /// A fault that a message of either direction can have.
    #[error(transparent)]
    Message(#[from] Fault),
    /// A status line of the wrong form. It must be a version, three digits and a reason with one
    /// space between them.
    #[error("malformed status line")]
    StatusLine,
    /// Bytes behind an answer, or before a request: they belong to nothing that was asked.
    #[error("bytes that answer no request")]
    Unsolicited,
    /// 101 in answer to a request without `Upgrade` (RFC 9110 section 7.8).
    #[error("switched protocols without being asked")]
    Switched,
    /// Interim answers (RFC 9110 section 15.2) without end.
    #[error("more than {max} interim answers")]
    Interim {
        /// How many are skipped.
        max: usize,
    },
    /// A body in a coding that the request ruled out (RFC 9110 section 12.5.3).
    #[error("a Content-Encoding that was not accepted")]
    ContentCoding,
    /// A body that is not in the coding that its `Content-Encoding` names.
    #[error("a body that is not in its Content-Encoding")]
    Undecodable,
    /// The body is too long.
    #[error("the body is longer than {max} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        max: usize,
    },
}

/// Fault in the framing of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// No hexadecimal number of at most 16 digits where a chunk starts.
    #[error("invalid chunk size")]
    Size,
    /// A control character in a chunk extension, or none after its semicolon.
    #[error("invalid chunk extension")]
    Extension,
    /// A line that does not end in CRLF.
    #[error("a line of the framing does not end in CRLF")]
    LineEnd,
    /// The data goes on where the chunk should end.
    #[error("the chunk is longer than its size says")]
    End,
    /// A trailer that is not a header field.
    #[error("invalid trailer field")]
    Trailer,
}
