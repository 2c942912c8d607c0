//! The client's half of the opening handshake (RFC 6455 section 4.1).

use alloc::string::String;
use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{AcceptKey, only};
use crate::{
    deflate::{DeflateParameters, NotOffered, PerMessageDeflate},
    entropy::Entropy,
    exchange::HeaderLines,
    wire::{http::ResponseHead, ws},
};

/// The nonce of one opening handshake. Only a server that has read it can answer it.
///
/// Offers the subprotocols that [`offering`](Self::offering) names. Of extensions it offers permessage-deflate, if its
/// options are given.
#[derive(Clone)]
pub struct ClientKey {
    key: [u8; 24],
    /// Subprotocols, separated by commas.
    offered: String,
    compression: Option<PerMessageDeflate>,
}

impl ClientKey {
    /// A fresh one: "randomly selected", for each connection.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce);
        let mut text = [0; 24];
        // 16 bytes are 24 characters of base64.
        let encoded = STANDARD.encode_slice(nonce, &mut text);
        debug_assert_eq!(encoded, Ok(24));
        Self { key: text, offered: String::new(), compression: None }
    }

    /// Reads the subprotocols that the request offers in `Sec-WebSocket-Protocol`.
    ///
    /// The field itself stays the request's: [`headers`](Self::headers) does not hold it.
    #[must_use]
    pub fn offering(mut self, request: &HeaderLines) -> Self {
        self.offered.clear();
        for value in request.values("sec-websocket-protocol") {
            if !self.offered.is_empty() {
                self.offered.push(',');
            }
            self.offered.push_str(&String::from_utf8_lossy(value));
        }
        self
    }

    /// Offers permessage-deflate with these options (RFC 7692 section 5.1).
    ///
    /// [`headers`](Self::headers) has the offer, and [`deflate`](Self::deflate) what the server has chosen of it.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn offering_deflate(self, options: &PerMessageDeflate) -> Self {
        self.with_compression(Some(options))
    }

    /// The same if there are options.
    #[must_use]
    pub(crate) fn with_compression(mut self, options: Option<&PerMessageDeflate>) -> Self {
        self.compression = options.cloned();
        self
    }

    /// Returns the limit on the bytes of one read of the response, which may have compressed messages behind it.
    pub(crate) const fn max_read(&self) -> usize {
        ws::max_read(self.compression.is_some())
    }

    /// The header fields that make a GET an opening handshake.
    pub fn headers(&self) -> HeaderLines {
        let mut lines = HeaderLines::from_static(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        );
        // Base64 may stand in a field.
        let pushed = lines.push("Sec-WebSocket-Key", self.key);
        debug_assert_eq!(pushed, Ok(()));
        if let Some(options) = &self.compression {
            // It is made of tokens.
            let _ = lines.push("Sec-WebSocket-Extensions", DeflateParameters::offer(options));
        }
        lines
    }

    /// Checks the response to these, and returns the subprotocol that the server has chosen.
    ///
    /// `None` if none was offered. Names of subprotocols have a case.
    ///
    /// # Errors
    ///
    /// The first [`HandshakeRefused`] in the order of their declaration.
    pub fn check(&self, head: &ResponseHead) -> Result<Option<&str>, HandshakeRefused> {
        if head.status() != 101 {
            return Err(HandshakeRefused::Status(head.status()));
        }
        let upgrades = only(head.header_values("upgrade"))
            .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
        if !upgrades || !head.has_token("connection", "upgrade") {
            return Err(HandshakeRefused::NoUpgrade);
        }
        if !self.is_accepted(head) {
            return Err(HandshakeRefused::Accept);
        }
        self.compression(head)?;
        let mut offered = self.offered.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut chosen = head.header_values("sec-websocket-protocol").filter(|it| !it.is_empty());
        match (chosen.next(), chosen.next()) {
            (None, _) if offered.next().is_none() => Ok(None),
            (None, _) => Err(HandshakeRefused::NoSubprotocol),
            (Some(chosen), None) => {
                let chosen = offered.find(|name| name.as_bytes() == chosen);
                chosen.map(Some).ok_or(HandshakeRefused::Subprotocol)
            }
            (Some(_), Some(_)) => Err(HandshakeRefused::Subprotocol),
        }
    }
}

impl ClientKey {
    /// Returns the value of `Sec-WebSocket-Key`.
    pub(crate) fn as_str(&self) -> &str {
        // Base64 is ASCII.
        core::str::from_utf8(&self.key).unwrap_or_default()
    }

    /// Returns whether the server has read the key.
    pub(crate) fn is_accepted(&self, head: &ResponseHead) -> bool {
        let expected = AcceptKey::new(&self.key);
        only(head.header_values("sec-websocket-accept")) == Some(expected.as_str().as_bytes())
    }

    /// Returns what the server has chosen of the [offer](Self::offering_deflate). `None` if it does not compress.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), which comes first.
    #[cfg(feature = "deflate")]
    pub fn deflate(
        &self,
        head: &ResponseHead,
    ) -> Result<Option<DeflateParameters>, HandshakeRefused> {
        self.compression(head)
    }

    /// Returns what the server has chosen of the offer of compression.
    ///
    /// # Errors
    ///
    /// [`HandshakeRefused::Extension`] if it has chosen what was not offered (RFC 6455 section 9.1).
    pub(crate) fn compression(
        &self,
        head: &ResponseHead,
    ) -> Result<Option<DeflateParameters>, HandshakeRefused> {
        let mut chosen = head.header_values("sec-websocket-extensions");
        let result = match &self.compression {
            Some(options) => DeflateParameters::check(options, chosen),
            None if chosen.any(|value| !value.is_empty()) => Err(NotOffered),
            None => Ok(None),
        };
        result.map_err(|NotOffered| HandshakeRefused::Extension)
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
    /// A response like any other, with this status. The server does not go on as a WebSocket.
    #[error("the server answered the WebSocket handshake with status {0}")]
    Status(u16),
    /// `Connection: upgrade` or `Upgrade: websocket` is missing, or it is another protocol.
    #[error("the server has switched to something other than WebSocket")]
    NoUpgrade,
    /// A `Sec-WebSocket-Accept` that is missing, repeated, or does not answer the key. Its sender
    /// has not understood the handshake, or answers from a cache.
    #[error("the Sec-WebSocket-Accept of the server does not answer the key")]
    Accept,
    /// The server uses an extension that was not offered, or with parameters that were not.
    #[error("the server has chosen a WebSocket extension that was not offered")]
    Extension,
    /// The server has chosen a subprotocol that was not offered, or several.
    #[error("the server has chosen a WebSocket subprotocol that was not offered")]
    Subprotocol,
    /// The server has chosen none of the subprotocols that were offered.
    ///
    /// RFC 6455 allows that; browsers and the reference fail such a handshake, as one without the
    /// subprotocol is of no use.
    #[error("the server has chosen none of the WebSocket subprotocols that were offered")]
    NoSubprotocol,
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

    fn check(answer: &str) -> Result<Option<String>, HandshakeRefused> {
        check_offer(&[], answer)
    }

    /// Checks an answer to a request with these values of `Sec-WebSocket-Protocol`.
    fn check_offer(values: &[&str], answer: &str) -> Result<Option<String>, HandshakeRefused> {
        let mut request = HeaderLines::new();
        for value in values {
            request.push("Sec-WebSocket-Protocol", value).unwrap();
        }
        let head = ResponseHead::parse(answer.as_bytes(), 100).unwrap();
        key().offering(&request).check(&head).map(|chosen| chosen.map(String::from))
    }

    #[test]
    fn the_example_of_the_rfc_is_asked_and_accepted() {
        assert_eq!(
            key().headers().as_bytes(),
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        assert_eq!(check(GOOD), Ok(None));
    }

    #[test]
    fn names_and_tokens_have_no_case() {
        let text = GOOD
            .replace("Connection: Upgrade", "CONNECTION: keep-alive, uPGRADE")
            .replace("Upgrade: websocket", "upgrade: WebSocket")
            .replace("Sec-WebSocket-Accept", "sec-websocket-accept");
        assert_eq!(check(&text), Ok(None));
        let nothing_chosen = "\r\nSec-WebSocket-Extensions:\r\nSec-WebSocket-Protocol:\r\n\r\n";
        assert_eq!(check(&GOOD.replace("\r\n\r\n", nothing_chosen)), Ok(None));
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
    fn server_chooses_one_of_the_subprotocols_that_were_offered() {
        use HandshakeRefused::{NoSubprotocol, Subprotocol};
        for (offered, fields, expected) in [
            (&["chat"][..], "Sec-WebSocket-Protocol: chat", Ok(Some("chat"))),
            (&["chat, v2"], "sec-websocket-protocol:  v2 ", Ok(Some("v2"))),
            (&["chat ,v2", "v3"], "Sec-WebSocket-Protocol: v3", Ok(Some("v3"))),
            (&["chat, v2"], "Sec-WebSocket-Protocol: chat, v2", Err(Subprotocol)),
            (&["chat, v2"], "Sec-WebSocket-Protocol: v3", Err(Subprotocol)),
            (&["chat"], "Sec-WebSocket-Protocol: Chat", Err(Subprotocol)),
            (&["chat"], "Sec-WebSocket-Protocol: cha", Err(Subprotocol)),
            (
                &["chat"],
                "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat",
                Err(Subprotocol),
            ),
            (&["chat"], "X: y", Err(NoSubprotocol)),
            (&["chat"], "Sec-WebSocket-Protocol:", Err(NoSubprotocol)),
            (&[], "X: y", Ok(None)),
            (&[""], "Sec-WebSocket-Protocol: ", Ok(None)),
            (&[], "Sec-WebSocket-Protocol: chat", Err(Subprotocol)),
        ] {
            let answer = GOOD.replace("\r\n\r\n", &format!("\r\n{fields}\r\n\r\n"));
            let expected = expected.map(|chosen| chosen.map(String::from));
            assert_eq!(check_offer(offered, &answer), expected, "{offered:?} {fields}");
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
            assert_eq!(key.check(&head), Ok(None));
            assert_eq!(super::tests::key().check(&head), Err(HandshakeRefused::Accept));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", key()), "ClientKey");
    }
}
