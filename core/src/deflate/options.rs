//! Options of compression.

use super::Coding;

/// Options of permessage-deflate, the compression of WebSocket messages (RFC 7692).
///
/// Off unless it is set in [`ServerConfig::per_message_deflate`](field@crate::ServerConfig::per_message_deflate) or
/// [`ClientConfig::per_message_deflate`](field@crate::ClientConfig::per_message_deflate), as in the reference. A peer that does
/// not know the extension is served without it.
///
/// **Memory.** A context is the last 32 KiB of a direction, which the next message refers to. By default none is kept
/// between messages: all connections of a thread share a compressor for each window that their peers ask for, and another
/// for responses. By the choice of peers these are eight at most, with some 2 MiB. A broadcast is compressed once.
/// With context takeover a connection keeps, once it has sent and received a compressed message, at most:
///
/// | window bits | to compress | to inflate |
/// |---|---|---|
/// | 15 | 372 KiB | 47 KiB |
/// | 12 | 260 KiB | 47 KiB |
/// | 9 | 246 KiB | 47 KiB |
///
/// **Trust.** A message that is compressed tells by its length what is in it. Where it holds a secret beside text that
/// an attacker chooses, send it with [`Encoded::without_compression`](crate::Encoded::without_compression): the length
/// would disclose the secret after enough tries (the attacks CRIME and BREACH). A message of a peer is cut at
/// [`Limits::max_payload`](crate::Limits::max_payload) while it is inflated. The messages of one read are inflated before
/// back-pressure can stop the peer, a thousandfold at worst: drivers read 4 KiB at a time where compression was agreed on.
/// A loop around a hub asks for that, see [`ServerHub::max_read`](crate::ServerHub::max_read). A client that has sent more
/// than that before it was agreed on is served without compression.
///
/// ```
/// use enginewire::{PerMessageDeflate, ServerConfig};
///
/// let mut deflate = PerMessageDeflate::default();
/// deflate.threshold = 512;
/// let mut config = ServerConfig::default();
/// config.per_message_deflate = Some(deflate);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PerMessageDeflate {
    /// Length in bytes from which on a message is compressed. Default 1024, as the reference.
    ///
    /// Shorter messages gain little, and cost as much as some KiB.
    pub threshold: usize,
    /// Effort of compression, from 1, the fastest, to 9. Default 6, as zlib.
    ///
    /// Other values count as the nearest of these.
    pub level: u8,
    /// Whether the server may refer to its earlier messages. Default false.
    ///
    /// False is `server_no_context_takeover` (RFC 7692 section 7.1.1.1). A client asks for it, a server insists on it.
    pub server_context_takeover: bool,
    /// Whether the client may refer to its earlier messages. Default false.
    ///
    /// False is `client_no_context_takeover` (RFC 7692 section 7.1.1.2).
    pub client_context_takeover: bool,
    /// Base-2 logarithm of the window of the server, 9 to 15. Default 15.
    ///
    /// Less is `server_max_window_bits` (RFC 7692 section 7.1.2.1). Other values count as the nearest of these. A client
    /// may ask for 8: then the server does not compress, because zlib has no such window.
    pub server_max_window_bits: u8,
    /// Base-2 logarithm of the window of the client, 9 to 15. Default 15.
    ///
    /// Less is `client_max_window_bits` (RFC 7692 section 7.1.2.2). A server that limits it declines the offers of clients
    /// that cannot comply. Other values count as the nearest of these.
    pub client_max_window_bits: u8,
}

impl PerMessageDeflate {
    pub(super) fn server_bits(&self) -> u8 {
        self.server_max_window_bits.clamp(MIN_BITS, MAX_BITS)
    }

    pub(super) fn client_bits(&self) -> u8 {
        self.client_max_window_bits.clamp(MIN_BITS, MAX_BITS)
    }
}

impl Default for PerMessageDeflate {
    fn default() -> Self {
        Self {
            threshold: THRESHOLD,
            level: LEVEL,
            server_context_takeover: false,
            client_context_takeover: false,
            server_max_window_bits: MAX_BITS,
            client_max_window_bits: MAX_BITS,
        }
    }
}

/// Options of compressed HTTP bodies (RFC 9110 section 8.4), with the codings `gzip` and `deflate`.
///
/// Off unless it is set in [`ServerConfig::http_compression`](field@crate::ServerConfig::http_compression) or
/// [`ClientConfig::http_compression`](field@crate::ClientConfig::http_compression).
///
/// A server compresses responses to polls for clients that accept it, and inflates the bodies of POSTs. A client accepts
/// compressed responses. Bodies of a peer are cut at [`Limits::max_payload`](crate::Limits::max_payload) while they are
/// inflated.
///
/// The length of a compressed response tells what is in it. Where a response holds a secret beside text that an attacker
/// chooses, send both with [`Encoded::without_compression`](crate::Encoded::without_compression) (the attack BREACH).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpCompression {
    /// Length in bytes from which on a body is compressed. Default 1024, as the reference.
    pub threshold: usize,
    /// Effort of compression, from 1, the fastest, to 9. Default 6, as zlib.
    ///
    /// Other values count as the nearest of these.
    pub level: u8,
    /// Whether a client compresses the bodies of its POSTs, with `gzip`. Default false.
    ///
    /// Only for servers that are known to inflate them, such as Enginewire with this option: the reference does not. A
    /// server does not look at it.
    pub posts: bool,
}

impl HttpCompression {
    /// Whether a body of that length is worth compressing.
    pub(crate) const fn compresses(&self, len: usize) -> bool {
        len >= self.threshold
    }

    /// Returns the coding for a POST of that length, if it is to be in one.
    pub(crate) fn posts(&self, len: usize) -> Option<Coding> {
        (self.posts && self.compresses(len)).then_some(Coding::Gzip)
    }
}

impl Default for HttpCompression {
    fn default() -> Self {
        Self { threshold: THRESHOLD, level: LEVEL, posts: false }
    }
}

/// The greatest window, which is that of the format.
pub(super) const MAX_BITS: u8 = 15;

/// The least window that zlib compresses with.
pub(super) const MIN_BITS: u8 = 9;

/// As the reference. A shorter message is one segment of TCP in any case.
const THRESHOLD: usize = 1024;

/// The default of zlib.
const LEVEL: u8 = 6;
