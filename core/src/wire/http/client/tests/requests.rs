//! Tests of the requests that the client writes.

use super::*;

const HEAD: &str = "HTTP/1.1\r\nHost: example.com\r\nAccept-Encoding: identity\r\n";

#[test]
fn a_get_has_no_body_and_no_length() {
    assert_eq!(Wire::new().ask(&get()), format!("GET /a?b=c {HEAD}\r\n"));
    let request = get_with("X-A: b\r\nCookie: io=1\r\n");
    let expected = format!("GET /a?b=c {HEAD}X-A: b\r\nCookie: io=1\r\n\r\n");
    assert_eq!(Wire::new().ask(&request), expected);
}

#[test]
fn a_post_has_a_length_even_without_a_body() {
    let head = format!("POST /a?b=c {HEAD}Content-Type: text/plain;charset=UTF-8\r\n");
    let text = Wire::new().ask(&post("4h\u{e9}"));
    assert_eq!(text, format!("{head}Content-Length: 4\r\n\r\n4h\u{e9}"));
    assert_eq!(Wire::new().ask(&post("")), format!("{head}Content-Length: 0\r\n\r\n"));
}

#[test]
fn a_large_body_is_shared() {
    let body = Bytes::from(vec![b'x'; Output::SHARE_FROM]);
    let mut out = Output::new();
    Wire::new().client.request(&post(body.clone()), "a", &mut out);
    out.advance(out.chunk().len());
    assert_eq!(out.chunk().as_ptr(), body.as_ptr());
}

#[test]
fn a_second_request_is_not_written_before_the_first_is_answered() {
    let mut wire = Wire::asked(&get());
    for bytes in ["", "HTTP/1.1 200 OK\r\nContent-Le", "ngth: 2\r\n\r\n1"] {
        wire.feed(bytes);
        let mut out = Output::new();
        wire.client.request(&get(), "a", &mut out);
        assert!(out.is_empty(), "after {bytes:?}");
    }
    wire.feed("2");
    assert_eq!(wire.log, ["200 \"12\""]);
    wire.ask(&get());
}

#[test]
fn nothing_is_written_to_a_connection_that_is_closed_or_upgraded() {
    for (bytes, eof) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false),
        ("garbage\n", false),
        ("", true),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", false),
    ] {
        let mut wire = Wire::asked(&upgrade());
        wire.feed(bytes);
        if eof {
            wire.eof();
        }
        let mut out = Output::new();
        wire.client.request(&get(), "a", &mut out);
        assert!(out.is_empty() && !wire.client.in_exchange(), "after {bytes:?}");
    }
}
