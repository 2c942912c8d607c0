//! The server's half of the opening handshake (RFC 6455 section 4.2).

use alloc::vec::Vec;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{AcceptKey, only};
use crate::{
    deflate::{DeflateParameters, PerMessageDeflate},
    exchange::{HeaderLines, HttpRequest, is_token},
    wire::http::{BodyLength, RequestHead},
};

/// Checks the opening handshake (RFC 6455 section 4.2.1) and computes the answer to its key.
///
/// `Host` has been checked with the head. Origin, subprotocols and extensions are the caller's.
///
/// # Errors
///
/// The first [`HandshakeError`] in the order of their declaration.
pub fn accept(head: &RequestHead) -> Result<AcceptKey, HandshakeError> {
    if head.method() != "GET" {
        return Err(HandshakeError::Method);
    }
    if head.is_http_1_0() {
        return Err(HandshakeError::Http10);
    }
    if !HttpRequest::is_upgrade(head) {
        return Err(HandshakeError::NoUpgrade);
    }
    // RFC 9110 section 7.8: the new protocol starts after the whole request. No client sends a body
    // here, and without one there is no question where the first frame is.
    if head.body_length() != BodyLength::Sized(0) {
        return Err(HandshakeError::Body);
    }
    check_version(head)?;
    let key = only(head.header_values("sec-websocket-key")).ok_or(HandshakeError::Key)?;
    // "a base64-encoded value that, when decoded, is 16 bytes in length". The buffer is as long as
    // the decoder wants for what it takes to be 18 bytes at most.
    let mut nonce = [0; 18];
    match STANDARD.decode_slice(key, &mut nonce) {
        Ok(16) => Ok(AcceptKey::new(key)),
        _ => Err(HandshakeError::Key),
    }
}

/// Checks the version of the protocol.
///
/// An extended CONNECT has no more to check (RFC 8441 section 5).
///
/// # Errors
///
/// [`HandshakeError::Version`].
pub fn check_version(head: &RequestHead) -> Result<(), HandshakeError> {
    match only(head.header_values("sec-websocket-version")) {
        Some(b"13") => Ok(()),
        _ => Err(HandshakeError::Version),
    }
}

/// Accepts an offer of permessage-deflate, and returns the field of the response as well.
///
/// `None` if there is no offer that is in order. The handshake goes on without compression then (RFC 7692
/// section 5.1).
#[cfg(feature = "deflate")]
pub fn accept_deflate(
    head: &RequestHead,
    options: &PerMessageDeflate,
) -> Option<(DeflateParameters, HeaderLines)> {
    accept_compression(head, Some(options))
}

/// The same if it is on.
pub(crate) fn accept_compression(
    head: &RequestHead,
    options: Option<&PerMessageDeflate>,
) -> Option<(DeflateParameters, HeaderLines)> {
    let offers = head.header_values("sec-websocket-extensions");
    let (parameters, value) = DeflateParameters::accept(options?, offers)?;
    let mut lines = HeaderLines::new();
    // It is made of tokens.
    let _ = lines.push("Sec-WebSocket-Extensions", value);
    Some((parameters, lines))
}

/// Returns the subprotocols that a client offers, in its order of preference. Empty if there is no
/// `Sec-WebSocket-Protocol` (RFC 6455 section 4.1).
///
/// # Errors
///
/// [`HandshakeError::Protocol`] if an offer is not a token, is missing between commas, or is repeated.
pub fn offered_protocols(head: &RequestHead) -> Result<Vec<&str>, HandshakeError> {
    let mut offers = Vec::new();
    for value in head.header_values("sec-websocket-protocol") {
        for offer in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if offer.is_empty() || !offer.iter().copied().all(is_token) {
                return Err(HandshakeError::Protocol);
            }
            // Tokens are ASCII.
            offers.push(core::str::from_utf8(offer).map_err(|_| HandshakeError::Protocol)?);
        }
    }
    let mut sorted = offers.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(HandshakeError::Protocol);
    }
    Ok(offers)
}

/// Why an opening handshake was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The method is not GET.
    #[error("a WebSocket is opened with GET")]
    Method,
    /// HTTP/1.0 cannot be upgraded.
    #[error("a WebSocket is opened with HTTP/1.1 or later")]
    Http10,
    /// `Connection: upgrade` or `Upgrade: websocket` is missing.
    #[error("not an upgrade to WebSocket")]
    NoUpgrade,
    /// The request has a body.
    #[error("the request that opens a WebSocket has no body")]
    Body,
    /// `Sec-WebSocket-Version` is missing, repeated, or not 13.
    #[error("the Sec-WebSocket-Version must be 13")]
    Version,
    /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes in base64.
    #[error("the Sec-WebSocket-Key is missing or not 16 bytes in base64")]
    Key,
    /// `Sec-WebSocket-Protocol` is not a list of tokens, each of which is there once.
    #[error("the Sec-WebSocket-Protocol is not a list of different tokens")]
    Protocol,
}

impl HandshakeError {
    /// The HTTP status to answer with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Http10 | Self::NoUpgrade | Self::Body | Self::Key | Self::Protocol => 400,
            Self::Version => 426,
        }
    }

    /// Header lines that belong into the answer, each ending in CRLF.
    pub const fn headers(&self) -> &'static str {
        match self {
            Self::Method => "Allow: GET\r\n",
            // RFC 6455 section 4.4 wants the versions that are spoken, RFC 9110 section 15.5.22 that a
            // 426 names the protocol, and section 7.8 that `Connection` goes with it.
            Self::Version => {
                "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            }
            Self::Http10 | Self::NoUpgrade | Self::Body | Self::Key | Self::Protocol => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    /// The example of RFC 6455 section 1.2.
    const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://example.com\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn head(text: &str) -> RequestHead {
        RequestHead::parse(text.as_bytes(), 100).unwrap()
    }

    fn changed(from: &str, to: &str) -> Result<AcceptKey, HandshakeError> {
        assert!(GOOD.contains(from));
        accept(&head(&GOOD.replace(from, to)))
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        assert_eq!(accept(&head(GOOD)).unwrap().as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn names_and_tokens_have_no_case_and_lists_have_other_members() {
        let text = GOOD
            .replace("Connection: Upgrade", "CONNECTION: keep-alive, uPGRADE")
            .replace("Upgrade: websocket", "upgrade: h2c\r\nUPGRADE: foo,WebSocket")
            .replace("Sec-WebSocket-Key", "sec-websocket-key");
        assert_eq!(accept(&head(&text)), accept(&head(GOOD)));
    }

    #[test]
    fn each_rule_has_its_refusal() {
        use HandshakeError::*;
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let version = "Sec-WebSocket-Version: 13\r\n";
        for (from, to, error) in [
            ("GET", "POST", Method),
            ("HTTP/1.1", "HTTP/1.0", Http10),
            ("Upgrade: websocket\r\n", "", NoUpgrade),
            ("Upgrade: websocket", "Upgrade: websockets", NoUpgrade),
            ("Connection: Upgrade", "Connection: close", NoUpgrade),
            (key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 1\r\n", Body),
            (
                key,
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nTransfer-Encoding: chunked\r\n",
                Body,
            ),
            (version, "", Version),
            (version, "Sec-WebSocket-Version: 8\r\n", Version),
            (version, "Sec-WebSocket-Version: 13, 8\r\n", Version),
            (version, "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n", Version),
            (key, "", Key),
            (key, &[key, key].concat(), Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR==", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZSE=", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZSEh", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "not base64 at all !!!!==", Key),
        ] {
            assert_eq!(changed(from, to), Err(error), "{from:?} -> {to:?}");
        }
        assert_eq!(changed("dGhlIHNhbXBsZSBub25jZQ==", &"A".repeat(10_000)), Err(Key));
    }

    #[test]
    fn another_version_is_told_which_one_is_spoken() {
        let error = changed("Version: 13", "Version: 8").unwrap_err();
        assert_eq!(error.status(), 426);
        assert!(error.headers().contains("Sec-WebSocket-Version: 13\r\n"));
        assert!(error.headers().contains("Upgrade: websocket\r\n"));
        assert_eq!((HandshakeError::Key.status(), HandshakeError::Key.headers()), (400, ""));
        assert_eq!(
            (HandshakeError::Method.status(), HandshakeError::Method.headers()),
            (405, "Allow: GET\r\n")
        );
    }

    #[test]
    fn offered_subprotocols_are_different_tokens_in_their_order() {
        let offered = |lines: &str| {
            let head = head(&GOOD.replace("Origin: http://example.com\r\n", lines));
            offered_protocols(&head).map(|offers| offers.join("|"))
        };
        for (lines, offers) in [
            ("", ""),
            ("Sec-WebSocket-Protocol: chat\r\n", "chat"),
            ("sec-websocket-protocol: b , a,\tB\r\n", "b|a|B"),
            ("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: v2.b, c\r\n", "a|v2.b|c"),
        ] {
            assert_eq!(offered(lines).as_deref(), Ok(offers), "{lines:?}");
        }
        for value in
            ["", "a,", ",a", "a,,b", "a b", "a, b/c", "\"a\"", "a;q=1", "\u{e9}", "a, b, a"]
        {
            let lines = alloc::format!("Sec-WebSocket-Protocol: {value}\r\n");
            assert_eq!(offered(&lines), Err(HandshakeError::Protocol), "{value:?}");
        }
        let twice = "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n";
        assert_eq!(offered(twice), Err(HandshakeError::Protocol));
        assert_eq!(HandshakeError::Protocol.status(), 400);
    }

    #[test]
    fn a_plain_request_is_no_upgrade() {
        for field in ["Connection: upgrade", "Upgrade: websocket"] {
            let head = head(&alloc::format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"));
            assert_eq!(accept(&head), Err(HandshakeError::NoUpgrade));
        }
        let debug: String = alloc::format!("{:?}", accept(&head(GOOD)).unwrap());
        assert_eq!(debug, "AcceptKey(\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\")");
    }
}
