//! Heads of requests that one node hands over to another, and of their responses.

use alloc::format;

use crate::{
    carrier::HandOver,
    exchange::HttpRequest,
    wire::{
        Output,
        http::{BodyLength, ResponseHead},
    },
};

/// Writes the head of a request for the node that has its session.
///
/// It is as the client has sent it, but for fields that are about one connection. `forwarded` is a field that names the
/// client, for a node that trusts this one. [`Via`](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3) says that it
/// has been handed over. Behind any response but that to an upgrade, the connection closes: bytes behind the request
/// are not another one.
///
/// Fields that the client names in `Connection` stay, unlike in RFC 9110 section 7.6.1, because the two nodes are one
/// server. A client could remove the address otherwise that a load balancer has written.
pub fn write_head(request: &HandOver, forwarded: Option<(&str, &str)>, output: &mut Output) {
    let HandOver { head, is_upgrade, reframed, .. } = request;
    let version = if head.is_http_1_0() { "HTTP/1.0" } else { "HTTP/1.1" };
    for part in [head.method(), " ", head.target(), " ", version, "\r\n"] {
        output.put_slice(part.as_bytes());
    }
    for (name, value) in head.headers() {
        let is_dropped = is_of_connection(name)
            || reframed.as_ref().is_some_and(|reframed| {
                is_of_body(name) || (reframed.key.is_some() && is_key(name))
            });
        if !is_dropped {
            put_field(name, value, output);
        }
    }
    if let Some((name, value)) = forwarded {
        put_field(name, value.as_bytes(), output);
    }
    put_field("Via", VIA.as_bytes(), output);
    if let Some(reframed) = reframed {
        match reframed.body {
            BodyLength::Sized(0) if head.method() == "GET" => {}
            BodyLength::Sized(length) => {
                put_field("Content-Length", format!("{length}").as_bytes(), output);
            }
            BodyLength::Chunked => put_field("Transfer-Encoding", b"chunked", output),
        }
        if let Some(key) = &reframed.key {
            put_field("Sec-WebSocket-Key", key.as_str().as_bytes(), output);
        }
    }
    if *is_upgrade {
        put_field("Upgrade", b"websocket", output);
        put_field("Connection", b"Upgrade", output);
    } else {
        put_field("Connection", b"close", output);
    }
    output.put_slice(b"\r\n");
}

/// Returns the fields of a response that are for the client, whichever connection it comes on.
///
/// Without those that frame its body.
pub(super) fn end_to_end(head: &ResponseHead) -> impl Iterator<Item = (&str, &[u8])> {
    head.headers().filter(|(name, _)| !is_of_connection(name) && !is_of_body(name))
}

/// Returns whether another node has handed the request over.
///
/// It is not handed over again, whoever has sent it. A client that says so for itself is refused by nodes that do not
/// have its session, and gains nothing.
pub fn is_handed_over(head: &dyn HttpRequest) -> bool {
    let mut found = false;
    head.for_each_value("via", &mut |value| {
        found |=
            value.split(|&byte| byte == b',').any(|element| element.trim_ascii() == VIA.as_bytes());
    });
    found
}

/// Returns whether a field is about one connection (RFC 9110 section 7.6.1).
fn is_of_connection(name: &str) -> bool {
    CONNECTION.iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// Returns whether a field is about the bytes of a body on one connection.
fn is_of_body(name: &str) -> bool {
    BODY.iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// Returns whether a field is the key of a WebSocket's handshake.
fn is_key(name: &str) -> bool {
    name.eq_ignore_ascii_case("sec-websocket-key")
}

fn put_field(name: &str, value: &[u8], output: &mut Output) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        output.put_slice(part);
    }
}

/// The pseudonym of all nodes: any that has seen a request is one too many.
const VIA: &str = "1.1 enginewire";

/// Fields that are about the connection of the client.
///
/// `Expect` is not among them, because the owner responds to it. Those that frame the body pass with it.
const CONNECTION: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings"];

/// Fields that another HTTP server has obeyed when it has taken the bytes of a body.
const BODY: [&str; 4] = ["content-length", "transfer-encoding", "trailer", "expect"];
