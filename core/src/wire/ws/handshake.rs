//! The opening handshake (RFC 6455 section 4), each role's half of it.

mod client;
mod server;

use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

pub(crate) use self::server::accept_compression;
#[cfg(feature = "deflate")]
pub use self::server::accept_deflate;
pub use self::{
    client::{ClientKey, HandshakeRefused},
    server::{HandshakeError, accept, check_version, offered_protocols},
};

/// The value of `Sec-WebSocket-Accept`: proves to the client that the server has read its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// The answer to a key, which is not checked.
    fn new(key: &[u8]) -> Self {
        let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
        let mut text = [0; 28];
        // 20 bytes are 28 characters of base64.
        let encoded = STANDARD.encode_slice(digest, &mut text);
        debug_assert_eq!(encoded, Ok(28));
        Self(text)
    }

    /// As it stands in the header.
    pub fn as_str(&self) -> &str {
        // Base64 is ASCII.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for AcceptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AcceptKey").field(&self.as_str()).finish()
    }
}

/// The value of a field that came exactly once.
fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// The string that is hashed behind the key (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
