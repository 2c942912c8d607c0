//! The client's half of the opening handshake (RFC 6455 section 4.1).

use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{AcceptKey, only};
use crate::{entropy::Entropy, exchange::HeaderLines, wire::http::ResponseHead};

/// The nonce of one opening handshake, which only a server that has read it can answer.
///
/// Offers no extension and no subprotocol.
#[derive(Clone)]
pub struct ClientKey([u8; 24]);

impl ClientKey {
    /// A fresh one: "randomly selected", for each connection.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce);
        let mut text = [0; 24];
        // 16 bytes are 24 characters of base64.
        let encoded = STANDARD.encode_slice(nonce, &mut text);
        debug_assert_eq!(encoded, Ok(24));
        Self(text)
    }

    /// The header fields that make a GET an opening handshake.
    pub fn headers(&self) -> HeaderLines {
        let mut lines = HeaderLines::from_static(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        );
        // Base64 may stand in a field.
        let pushed = lines.push("Sec-WebSocket-Key", self.0);
        debug_assert_eq!(pushed, Ok(()));
        lines
    }

    /// Checks the answer to these.
    ///
    /// # Errors
    ///
    /// The first [`HandshakeRefused`] in the order of their declaration.
    pub fn check(&self, head: &ResponseHead) -> Result<(), HandshakeRefused> {
        if head.status() != 101 {
            return Err(HandshakeRefused::Status(head.status()));
        }
        let upgrades = only(head.header_values("upgrade"))
            .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
        if !upgrades || !head.has_token("connection", "upgrade") {
            return Err(HandshakeRefused::NoUpgrade);
        }
        let expected = AcceptKey::new(&self.0);
        if only(head.header_values("sec-websocket-accept")) != Some(expected.as_str().as_bytes()) {
            return Err(HandshakeRefused::Accept);
        }
        let chooses = |name| head.header_values(name).any(|value| !value.is_empty());
        if chooses("sec-websocket-extensions") {
            return Err(HandshakeRefused::Extension);
        }
        if chooses("sec-websocket-protocol") {
            return Err(HandshakeRefused::Subprotocol);
        }
        Ok(())
    }
}

/// Never shows the key.
impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey")
    }
}

/// Why an opening handshake failed at the server, or at what it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeRefused {
    /// The server does not go on as a WebSocket: an answer like any other, with this status.
    #[error("the server answered the WebSocket handshake with status {0}")]
    Status(u16),
    /// `Connection: upgrade` or `Upgrade: websocket` is missing, or it is another protocol.
    #[error("the server has switched to something other than WebSocket")]
    NoUpgrade,
    /// `Sec-WebSocket-Accept` is missing, repeated, or does not answer the key: whoever sent this
    /// has not understood the handshake, or answers from a cache.
    #[error("the Sec-WebSocket-Accept of the server does not answer the key")]
    Accept,
    /// The server uses an extension, and none was offered.
    #[error("the server has chosen a WebSocket extension that was not offered")]
    Extension,
    /// The server speaks a subprotocol, and none was offered.
    #[error("the server has chosen a WebSocket subprotocol that was not offered")]
    Subprotocol,
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String};

    use super::*;
    use crate::wire::{
        http::RequestHead,
        ws::{HandshakeError, accept},
    };

    /// The answer of RFC 6455 section 1.2.
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    /// The key of the same example.
    fn key() -> ClientKey {
        ClientKey::new(&mut |nonce: &mut [u8]| nonce.copy_from_slice(b"the sample nonce"))
    }

    fn check(answer: &str) -> Result<(), HandshakeRefused> {
        key().check(&ResponseHead::parse(answer.as_bytes(), 100).unwrap())
    }

    #[test]
    fn the_example_of_the_rfc_is_asked_and_accepted() {
        assert_eq!(
            key().headers().as_bytes(),
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        assert_eq!(check(GOOD), Ok(()));
    }

    #[test]
    fn names_and_tokens_have_no_case() {
        let text = GOOD
            .replace("Connection: Upgrade", "CONNECTION: keep-alive, uPGRADE")
            .replace("Upgrade: websocket", "upgrade: WebSocket")
            .replace("Sec-WebSocket-Accept", "sec-websocket-accept");
        assert_eq!(check(&text), Ok(()));
        let nothing_chosen = "\r\nSec-WebSocket-Extensions:\r\nSec-WebSocket-Protocol:\r\n\r\n";
        assert_eq!(check(&GOOD.replace("\r\n\r\n", nothing_chosen)), Ok(()));
    }

    #[test]
    fn each_rule_has_its_refusal() {
        use HandshakeRefused::*;
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        for (from, to, error) in [
            ("101", "200", Status(200)),
            ("101 Switching Protocols", "403 Forbidden", Status(403)),
            ("Upgrade: websocket\r\n", "", NoUpgrade),
            ("Upgrade: websocket", "Upgrade: websockets", NoUpgrade),
            ("Upgrade: websocket", "Upgrade: h2c, websocket", NoUpgrade),
            ("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: h2c", NoUpgrade),
            ("Connection: Upgrade\r\n", "", NoUpgrade),
            ("Connection: Upgrade", "Connection: keep-alive", NoUpgrade),
            (accept, "", Accept),
            (accept, &[accept, accept].concat(), Accept),
            (accept, "Sec-WebSocket-Accept:\r\n", Accept),
            ("s3pPLMBi", "S3pPLMBi", Accept),
            ("xOo=", "xOo", Accept),
            ("xOo=", "xOo=, xOo=", Accept),
            (accept, &[accept, "Sec-WebSocket-Extensions: x\r\n"].concat(), Extension),
            (accept, &[accept, "Sec-WebSocket-Protocol: chat\r\n"].concat(), Subprotocol),
        ] {
            assert!(GOOD.contains(from));
            assert_eq!(check(&GOOD.replacen(from, to, 1)), Err(error), "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn our_server_accepts_what_the_client_asks_and_the_client_its_answer() {
        let mut fill = 0;
        for _ in 0..100 {
            let key = ClientKey::new(&mut |nonce: &mut [u8]| {
                for byte in nonce {
                    fill = u8::wrapping_add(fill, 41);
                    *byte = fill;
                }
            });
            let lines = String::from_utf8(key.headers().into_bytes().into()).unwrap();
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let request = RequestHead::parse(request.as_bytes(), 100).unwrap();
            let accept: Result<AcceptKey, HandshakeError> = accept(&request);
            let accept = accept.unwrap();
            let answer = GOOD.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", accept.as_str());
            let head = ResponseHead::parse(answer.as_bytes(), 100).unwrap();
            assert_eq!(key.check(&head), Ok(()));
            assert_eq!(super::tests::key().check(&head), Err(HandshakeRefused::Accept));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", key()), "ClientKey");
    }
}
