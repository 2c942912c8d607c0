//! Heads of answers: what is taken, what is refused, and where.

use alloc::{format, string::String, vec::Vec};

use super::*;

fn parse(text: impl AsRef<[u8]>) -> Result<ResponseHead, ResponseFault> {
    ResponseHead::parse(text.as_ref(), 100)
}

/// A 200 with these header lines.
fn with(lines: &str) -> Result<ResponseHead, ResponseFault> {
    parse(format!("HTTP/1.1 200 OK\r\n{lines}\r\n"))
}

#[test]
fn a_head_comes_out_as_it_went_in() {
    let text = "HTTP/1.1 200 All right\r\nContent-Type: text/plain\r\nX-A: \t1 \r\nx-a: caf\u{e9}\r\n\
                X-B:\r\nContent-Length: 5\r\nConnection: keep-alive, X-Y\r\n\r\n";
    let head = parse(text).unwrap();
    assert_eq!((head.status(), head.reason()), (200, "All right"));
    assert_eq!(head.headers().count(), 6);
    assert_eq!(head.headers().next(), Some(("Content-Type", &b"text/plain"[..])));
    assert!(head.header_values("X-A").eq([&b"1"[..], "caf\u{e9}".as_bytes()]));
    assert_eq!((head.header("x-b"), head.header("x-c")), (Some(&b""[..]), None));
    assert!(head.has_token("connection", "x-y") && !head.has_token("connection", "keep"));
    assert_eq!(head.body_length(), Some(BodyLength::Sized(5)));
    assert!(head.keep_alive() && !head.is_http_1_0());
}

#[test]
fn the_core_finds_a_field_by_its_number() {
    let head = with("Set-Cookie: a\r\nX: y\r\nSet-Cookie: b\r\n").unwrap();
    let head: &dyn HttpResponse = &head;
    assert_eq!(head.status(), 200);
    let found: Vec<_> = (0..3).map(|nth| head.header_nth("set-cookie", nth)).collect();
    assert_eq!(found, [Some(&b"a"[..]), Some(b"b"), None]);
}

#[test]
fn a_reason_may_be_missing_and_may_be_anything() {
    for (line, reason) in [
        ("HTTP/1.1 404 Not Found", "Not Found"),
        ("HTTP/1.1 404 ", ""),
        ("HTTP/1.1 404", ""),
        // Means nothing, so that it is not UTF-8, or not ASCII, matters to nobody.
        ("HTTP/1.1 404 Größe", ""),
    ] {
        let head = parse(format!("{line}\r\n\r\n")).unwrap();
        assert_eq!((head.status(), head.reason()), (404, reason), "{line:?}");
    }
}

#[test]
fn a_malformed_status_line_is_refused() {
    for (line, fault) in [
        ("HTTP/2.0 200 OK", Fault::Version.into()),
        ("HTTP/0.9 200 OK", Fault::Version.into()),
        ("HTTP/1.2 200 OK", Fault::Version.into()),
        ("HTTP/1.10 200 OK", ResponseFault::StatusLine),
        ("http/1.1 200 OK", ResponseFault::StatusLine),
        ("HTTP/1.1", ResponseFault::StatusLine),
        ("HTTP/1.1  200 OK", ResponseFault::StatusLine),
        (" HTTP/1.1 200 OK", ResponseFault::StatusLine),
        ("HTTP/1.1 20 OK", ResponseFault::StatusLine),
        ("HTTP/1.1 2000 OK", ResponseFault::StatusLine),
        ("HTTP/1.1 2x0 OK", ResponseFault::StatusLine),
        ("HTTP/1.1 +20 OK", ResponseFault::StatusLine),
        ("HTTP/1.1 200\tOK", ResponseFault::StatusLine),
        ("HTTP/1.1 200 O\u{1}K", ResponseFault::StatusLine),
        ("ICY 200 OK", ResponseFault::StatusLine),
        ("GET / HTTP/1.1", ResponseFault::StatusLine),
        ("SSH-2.0-OpenSSH_9.9", ResponseFault::StatusLine),
        ("HTTP/1.1 200 O\0K", Fault::Nul { at: 14 }.into()),
        ("HTTP/1.1 200 O\rK", Fault::BareCarriageReturn { at: 14 }.into()),
        ("HTTP/1.1 200 O\nK", Fault::BareLineFeed { at: 14 }.into()),
    ] {
        let text = format!("{line}\r\nX: y\r\n\r\n");
        assert_eq!(parse(text).unwrap_err(), fault, "{line:?}");
    }
}

#[test]
fn a_malformed_field_is_refused_as_in_a_request() {
    for (lines, fault) in [
        ("X : y\r\n", Fault::SpaceBeforeColon { line: 2 }),
        ("A: b\r\n folded\r\n", Fault::Folded { line: 3 }),
        (": y\r\n", Fault::Header { line: 2 }),
        ("X\r\n", Fault::Header { line: 2 }),
        ("X: \u{1}\r\n", Fault::Header { line: 2 }),
        ("X: \0\r\n", Fault::Nul { at: 20 }),
        ("X: a\rb\r\n", Fault::BareCarriageReturn { at: 21 }),
        ("X: a\nY: b\r\n", Fault::BareLineFeed { at: 21 }),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", Fault::RepeatedContentLength),
        ("Content-Length: 1, 1\r\n", Fault::RepeatedContentLength),
        ("Content-Length: -1\r\n", Fault::ContentLength),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", Fault::LengthAndCoding),
        ("Transfer-Encoding: gzip, chunked\r\n", Fault::UnknownCoding),
        ("Transfer-Encoding: chunked, gzip\r\n", Fault::ChunkedNotLast),
    ] {
        assert_eq!(with(lines).unwrap_err(), fault.into(), "{lines:?}");
    }
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(old).unwrap_err(), Fault::CodingInHttp10.into());
}

#[test]
fn the_length_of_a_body_is_told_by_fields_or_status_or_the_end() {
    for (head, length) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n", Some(BodyLength::Sized(7))),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", Some(BodyLength::Chunked)),
        ("HTTP/1.1 200 OK\r\n", None),
        ("HTTP/1.0 200 OK\r\n", None),
        ("HTTP/1.1 100 Continue\r\n", Some(BodyLength::Sized(0))),
        ("HTTP/1.1 101 Switching Protocols\r\n", Some(BodyLength::Sized(0))),
        ("HTTP/1.1 204 No Content\r\n", Some(BodyLength::Sized(0))),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n", Some(BodyLength::Sized(0))),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n", Some(BodyLength::Sized(0))),
        ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n", Some(BodyLength::Sized(0))),
    ] {
        assert_eq!(parse(format!("{head}\r\n")).unwrap().body_length(), length, "{head:?}");
    }
}

#[test]
fn a_connection_lives_on_if_the_version_a_field_and_the_body_allow_it() {
    for (head, keep_alive) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n", false),
        ("HTTP/1.1 204 No Content\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", false),
    ] {
        assert_eq!(parse(format!("{head}\r\n")).unwrap().keep_alive(), keep_alive, "{head:?}");
    }
}

#[test]
fn exactly_one_head_is_asked_for() {
    let text = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n";
    for end in 0..text.len() {
        assert_eq!(parse(&text[..end]).unwrap_err(), Fault::NotOneHead.into(), "up to {end}");
    }
    assert_eq!(parse(format!("{text}x")).unwrap_err(), Fault::NotOneHead.into());
    assert_eq!(parse(format!("\r\n{text}")).unwrap_err(), Fault::EmptyLines { max: 0 }.into());
}

#[test]
fn fields_are_counted() {
    let text = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(3));
    assert!(ResponseHead::parse(text.as_bytes(), 3).is_ok());
    let fault = ResponseHead::parse(text.as_bytes(), 2).unwrap_err();
    assert_eq!(fault, Fault::TooManyHeaders { max: 2 }.into());
    let most = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(1000));
    assert!(ResponseHead::parse(most.as_bytes(), usize::MAX).is_ok());
}

#[test]
fn debug_shows_no_value() {
    let head = with("Set-Cookie: io=secret\r\n").unwrap();
    let debug: String = format!("{head:?}");
    assert_eq!(debug, "ResponseHead { status: 200, headers: 1, .. }");
}
