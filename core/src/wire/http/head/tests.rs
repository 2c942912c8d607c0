//! Heads of requests: what is taken, what is refused, and where.

use alloc::{format, string::String, vec::Vec};

use super::*;

const BROWSER: &str = "GET /socket.io/?EIO=4&transport=polling&t=P8bYlKq&sid=secret-Ab3 HTTP/1.1\r\n\
    Host: app.example.com\r\nConnection: keep-alive\r\nsec-ch-ua-platform: \"Windows\"\r\n\
    User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Google Chrome\";v=\"131\", \"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\nAccept: */*\r\nOrigin: https://app.example.com\r\nSec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://app.example.com/room/12345\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: _ga=GA1.1.1234567890.1700000000; session=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.abcdefghijklmnop\r\n\r\n";

fn parse(text: impl AsRef<[u8]>) -> Result<RequestHead, Fault> {
    RequestHead::parse(text.as_ref(), usize::MAX)
}

fn get(target: &str) -> Result<RequestHead, Fault> {
    parse(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
}

/// A request with these header lines besides `Host`.
fn with(lines: &str) -> Result<RequestHead, Fault> {
    parse(format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

#[test]
fn a_browsers_head_comes_out_as_it_went_in() {
    let head = parse(BROWSER).unwrap();
    assert_eq!(head.method(), "GET");
    assert_eq!(head.target(), "/socket.io/?EIO=4&transport=polling&t=P8bYlKq&sid=secret-Ab3");
    assert_eq!(head.path(), "/socket.io/");
    assert_eq!(head.query(), "EIO=4&transport=polling&t=P8bYlKq&sid=secret-Ab3");
    assert!(!head.is_http_1_0() && head.keep_alive() && !head.expects_continue());
    assert_eq!(head.body_length(), BodyLength::Sized(0));
    let lines: Vec<String> = head
        .headers()
        .map(|(name, value)| format!("{name}: {}", core::str::from_utf8(value).unwrap()))
        .collect();
    assert_eq!(lines, BROWSER.trim_end().split("\r\n").skip(1).collect::<Vec<_>>());
}

#[test]
fn a_browsers_head_is_held_in_less_than_1300_bytes() {
    let head = parse(BROWSER).unwrap();
    let held = size_of::<RequestHead>() + BROWSER.len() + head.headers().count() * 8;
    assert!(held < 1300, "{held}");
}

#[test]
fn fields_are_found_by_name_in_any_case() {
    let head = with("X-A:\t 1 \t\r\nx-a:2\r\nX-B:\r\nX-C: \t \r\nX-D: caf\u{e9}\r\n").unwrap();
    assert_eq!(head.header("x-A"), Some(&b"1"[..]));
    assert_eq!(head.header_values("X-A").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(head.header("x-b"), Some(&b""[..]));
    assert_eq!(head.header("x-c"), Some(&b""[..]));
    assert_eq!(head.header("x-d"), Some("caf\u{e9}".as_bytes()));
    assert_eq!(head.header("x"), None);
}

#[test]
fn a_token_is_found_in_any_of_the_lists_and_never_in_part() {
    let head = with("Connection: keep-alive, Upgrade\r\nconnection: X-Y\r\n").unwrap();
    for token in ["upgrade", "KEEP-ALIVE", "x-y"] {
        assert!(head.has_token("Connection", token), "{token}");
    }
    for token in ["keep", "alive", "upgrade ", "", "keep-alive, upgrade"] {
        assert!(!head.has_token("Connection", token), "{token}");
    }
}

#[test]
fn debug_shows_neither_the_query_nor_a_header_value() {
    let debug = format!("{:?}", parse(BROWSER).unwrap());
    assert_eq!(debug, "RequestHead { method: \"GET\", path: \"/socket.io/\", headers: 15, .. }");
}

#[test]
fn the_target_may_have_any_form_of_a_request() {
    for (target, path, query) in [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a/b?c=d?e&f", "/a/b", "c=d?e&f"),
        ("//a", "//a", ""),
        ("/a%20b|{}\"<>^`\\", "/a%20b|{}\"<>^`\\", ""),
        ("/http://a/b?c", "/http://a/b", "c"),
        ("http://a", "/", ""),
        ("http://a?b", "/", "b"),
        ("http://a/", "/", ""),
        ("HTTPS://a:80/b?c/d", "/b", "c/d"),
        ("http://[::1]:3000/engine.io/?EIO=4", "/engine.io/", "EIO=4"),
    ] {
        let head = get(target).unwrap();
        assert_eq!((head.target(), head.path(), head.query()), (target, path, query));
    }
    let head = parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!((head.path(), head.query()), ("*", ""));
}

#[test]
fn any_other_target_is_refused() {
    for target in [
        "*",
        "a",
        "a/b",
        "?a",
        "a:80",
        "ftp://a/",
        "http:/a",
        "http://",
        "http:///a",
        "http://?a",
        "http://u@a/",
        "http://a b/",
        "/a#b",
        "/\u{e9}",
        "://a/",
        "http//a",
    ] {
        let expected = if target.contains(' ') { Fault::RequestLine } else { Fault::Target };
        assert_eq!(get(target).unwrap_err(), expected, "{target}");
    }
    let connect = parse("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap_err();
    assert_eq!((connect, connect.status()), (Fault::Connect, 501));
}

#[test]
fn a_request_line_is_three_words_with_one_space_between_them() {
    for line in [
        "GET",
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "G@T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/11",
        "GET / HTTP/1",
        "GET / HTTP/x.y",
        "GET / HTCPCP/1.0",
        "GET / HTTP/1.1 x",
        "/ HTTP/1.1",
        "GET HTTP/1.1",
    ] {
        let fault = parse(format!("{line}\r\nHost: a\r\n\r\n")).unwrap_err();
        assert_eq!((fault, fault.status()), (Fault::RequestLine, 400), "{line:?}");
    }
}

#[test]
fn other_versions_are_refused_as_such() {
    for version in ["0.9", "1.2", "2.0", "3.0"] {
        let fault = parse(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).unwrap_err();
        assert_eq!((fault, fault.status()), (Fault::Version, 505), "{version}");
    }
    assert_eq!(parse("PRI * HTTP/2.0\r\n\r\n").unwrap_err(), Fault::Version);
}

#[test]
fn a_malformed_field_is_named_by_its_line() {
    for (line, fault) in [
        (" folded", Fault::Folded { line: 3 }),
        ("\tfolded: a", Fault::Folded { line: 3 }),
        ("X-A : b", Fault::SpaceBeforeColon { line: 3 }),
        ("X-A\t: b", Fault::SpaceBeforeColon { line: 3 }),
        ("Transfer-Encoding : chunked", Fault::SpaceBeforeColon { line: 3 }),
        ("no colon", Fault::Header { line: 3 }),
        ("X-A", Fault::Header { line: 3 }),
        (": b", Fault::Header { line: 3 }),
        ("X A: b", Fault::Header { line: 3 }),
        ("X-\u{e9}: b", Fault::Header { line: 3 }),
        ("X(A): b", Fault::Header { line: 3 }),
        ("X-A: b\x0bc", Fault::Header { line: 3 }),
        ("X-A: \x7f", Fault::Header { line: 3 }),
        ("X-A: b\0c", Fault::Nul { at: 32 }),
        ("X\0: b", Fault::Nul { at: 27 }),
        ("X-A: b\rc", Fault::BareCarriageReturn { at: 32 }),
        ("X-A: b\nc", Fault::BareLineFeed { at: 32 }),
        ("X-A: b\r", Fault::BareCarriageReturn { at: 32 }),
    ] {
        let found = with(&format!("{line}\r\nX-Z: 1\r\n")).unwrap_err();
        assert_eq!((found, found.status()), (fault, 400), "{line:?}");
    }
    let nul = parse("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap_err();
    assert_eq!(nul, Fault::Nul { at: 5 });
    let cr = parse("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n").unwrap_err();
    assert_eq!(cr, Fault::BareCarriageReturn { at: 5 });
}

#[test]
fn there_is_exactly_one_valid_host() {
    for value in ["a", "", "a.example:80", "[::1]:3000", "%41"] {
        assert!(parse(format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n")).is_ok(), "{value}");
    }
    for value in ["a b", "a/b", "u@a", "a\\b", "\u{e9}", "a\tb", "a#", "a?b", "<a>"] {
        let fault = parse(format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n")).unwrap_err();
        assert_eq!(fault, Fault::InvalidHost, "{value}");
    }
    assert_eq!(parse("GET / HTTP/1.1\r\n\r\n").unwrap_err(), Fault::MissingHost);
    assert_eq!(parse("GET / HTTP/1.1\r\nHosts: a\r\n\r\n").unwrap_err(), Fault::MissingHost);
    assert_eq!(with("HOST: a\r\n").unwrap_err(), Fault::RepeatedHost);
}

#[test]
fn http_1_0_needs_no_host_and_knows_no_expectation() {
    let head = parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n").unwrap();
    assert!(head.is_http_1_0() && !head.keep_alive() && !head.expects_continue());
    let head = parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert!(head.keep_alive());
    let two = parse("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").unwrap_err();
    assert_eq!(two, Fault::RepeatedHost);
}

#[test]
fn only_100_continue_can_be_expected() {
    assert!(with("Expect: 100-Continue\r\n").unwrap().expects_continue());
    for value in ["", "200-ok", "100-continue, x", "100-continue;a"] {
        let fault = with(&format!("Expect: {value}\r\n")).unwrap_err();
        assert_eq!((fault, fault.status()), (Fault::Expectation, 417), "{value}");
    }
}

#[test]
fn fields_are_limited_by_the_bytes_of_the_head_alone() {
    for fields in [63, 64, 65, 100, 257, 10_000] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A:b\r\n".repeat(fields - 1));
        let head = RequestHead::parse(head.as_bytes(), usize::MAX).unwrap();
        assert_eq!(head.headers().count(), fields);
        assert_eq!(head.header_values("a").filter(|value| *value == b"b").count(), fields - 1);
    }
}

#[test]
fn a_configured_number_of_fields_is_kept() {
    for max in [0, 1, 63, 64, 65, 300] {
        let head = |fields| format!("GET / HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(fields));
        assert!(RequestHead::parse(head(max).as_bytes(), max).is_ok(), "{max}");
        let fault = RequestHead::parse(head(max + 1).as_bytes(), max).unwrap_err();
        assert_eq!((fault, fault.status()), (Fault::TooManyHeaders { max }, 431));
    }
}

#[test]
fn faults_behind_many_fields_are_found() {
    let lines = "A: b\r\n".repeat(100);
    let fault = with(&format!("{lines}X : y\r\n")).unwrap_err();
    assert_eq!(fault, Fault::SpaceBeforeColon { line: 103 });
}

#[test]
fn tokens_are_found_among_thousands_of_fields_without_quadratic_work() {
    // A pass for each of them would take minutes.
    let lines = "Connection:a\r\n".repeat(4600);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n{lines}\r\n");
    let head = RequestHead::parse(head.as_bytes(), usize::MAX).unwrap();
    for _ in 0..100 {
        assert!(!HttpRequest::is_upgrade(&head));
    }
}

#[test]
fn the_longest_head_is_64_kib() {
    let head = |len: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(len - start.len() - 4))
    };
    let longest = parse(head(RequestHead::MAX_LEN)).unwrap();
    assert!(longest.header("x").unwrap().len() > 65_000);
    let fault = parse(head(RequestHead::MAX_LEN + 1)).unwrap_err();
    assert_eq!(fault, Fault::HeadTooLarge { max: RequestHead::MAX_LEN });
}

#[test]
fn bytes_that_are_not_exactly_one_head_are_refused() {
    for end in 1..BROWSER.len() {
        assert_eq!(parse(&BROWSER[..end]).unwrap_err(), Fault::NotOneHead, "at {end}");
    }
    for text in [format!("{BROWSER}x"), format!("{BROWSER}{BROWSER}"), format!("\r\n{BROWSER}")] {
        assert_eq!(parse(text).unwrap_err(), Fault::NotOneHead);
    }
    assert_eq!(parse("").unwrap_err(), Fault::NotOneHead);
}

proptest::proptest! {
    /// Checks that accepted heads have the parts that they were made of. No bytes make the parser
    /// panic.
    #[test]
    fn any_bytes_are_parsed_or_refused(
        line in "[A-Z]{1,4} [!-~]{1,9} HTTP/1\\.[01]",
        lines in proptest::collection::vec("[a-zA-Z-]{1,5}:[ -~\t]{0,9}", 0..5),
        noise in proptest::option::of((0usize..60, proptest::num::u8::ANY)),
    ) {
        let mut raw = format!("{line}\r\nHost: a\r\n").into_bytes();
        for line in &lines {
            raw.extend_from_slice(line.as_bytes());
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(b"\r\n");
        if let Some((at, byte)) = noise && at < raw.len() {
            raw[at] = byte;
        }
        match parse(&raw) {
            Ok(head) => {
                let rebuilt = format!("{} {} ", head.method(), head.target());
                proptest::prop_assert!(raw.starts_with(rebuilt.as_bytes()));
                proptest::prop_assert!(head.path().starts_with('/') || head.path() == "*");
                proptest::prop_assert!(head.target().contains(head.query()));
            }
            Err(fault) => proptest::prop_assert!((400..=505).contains(&fault.status())),
        }
    }
}

#[test]
fn head_at_the_front_is_the_one_that_a_scan_finds() {
    let rest = "\r\n\r\nGET";
    for head in
        [BROWSER, "GET / HTTP/1.0\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nA: \u{e9}\r\n\r\n"]
    {
        let bytes = format!("{head}{rest}");
        let (front, len) = RequestHead::parse_front(bytes.as_bytes(), head.len(), 64).unwrap();
        assert_eq!(len, head.len());
        let found = parse(head).unwrap();
        assert!(front.headers().eq(found.headers()));
        assert_eq!((front.target(), front.query()), (found.target(), found.query()));
    }
}

#[test]
fn anything_but_a_head_in_order_is_left_to_the_scan() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let is_left = |bytes: &[u8], max| RequestHead::parse_front(bytes, max, 1).is_none();
    assert!(!is_left(head.as_bytes(), head.len()));
    assert!(is_left(head.as_bytes(), head.len() - 1));
    for len in 0..head.len() {
        assert!(is_left(&head.as_bytes()[..len], head.len()), "{len} bytes");
    }
    for bytes in [
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n",
    ] {
        assert!(is_left(bytes.as_bytes(), 100), "{bytes:?}");
    }
}
