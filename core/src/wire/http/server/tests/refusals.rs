//! Tests of the requests that the server refuses, and how. Above all, of those that two parties
//! could read in two ways.

use super::*;

/// Behind every attack: if this were served, the attack would have worked.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

/// Feeds `attack` whole and in small pieces; gives the log and the status of the only answer, which
/// are always the same.
fn attack(attack: &str) -> (Vec<String>, u16) {
    let run = |step| {
        let mut wire = Wire::new();
        wire.feed_in_steps(format!("{attack}{SMUGGLED}"), step);
        let is_served = wire.log.iter().any(|line| line.contains("smuggled"));
        assert!(!is_served, "{attack:?} worked: {:?}", wire.log);
        assert!(wire.server.is_closing(), "still open after {attack:?}: {:?}", wire.log);
        let written = wire.written();
        let (head, body) = written.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nConnection: close"), "{head}");
        // So there is no second answer behind the first.
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{written}");
        (wire.log, written)
    };
    let (log, written) = run(usize::MAX);
    for step in [1, 2, 3, 16] {
        assert_eq!(run(step), (log.clone(), written.clone()), "{attack:?} in steps of {step}");
    }
    (log, written.split(' ').nth(1).unwrap().parse().unwrap())
}

/// The status that answers `request`, of which nothing is served.
fn status(request: &str) -> u16 {
    let (log, status) = attack(request);
    assert_eq!(log.len(), 1, "{request:?}: {log:?}");
    assert!(log[0].starts_with(&format!("{status} ")), "{log:?}");
    status
}

#[test]
fn two_ways_to_tell_the_length_are_refused() {
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 0\r\ncontent-length: 39\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding:\r\n",
    ] {
        assert_eq!(status(&format!("{POST}{lines}\r\n0\r\n\r\n")), 400, "{lines:?}");
    }
}

#[test]
fn a_length_that_is_no_number_is_refused() {
    for value in ["", "x", "+5", "-5", "5x", "0x5", "5 6", "5;6", "\"5\"", "1e1", "5.0", "\u{665}"]
    {
        assert_eq!(status(&format!("{POST}Content-Length: {value}\r\n\r\n")), 400, "{value:?}");
    }
    assert_eq!(status(&format!("{POST}Content-Length: 18446744073709551616\r\n\r\n")), 400);
}

#[test]
fn a_coding_that_hides_the_length_is_refused() {
    for (value, expected) in [
        ("chunked, chunked", 400),
        ("chunked, identity", 400),
        ("chunked, gzip", 400),
        ("identity", 400),
        ("gzip", 400),
        ("xchunked", 400),
        ("chunkedx", 400),
        ("\"chunked\"", 400),
        ("chunked;q=1", 400),
        ("c hunked", 400),
        ("chunked\r\nTransfer-Encoding: identity", 400),
        ("chunked\r\nTransfer-Encoding: chunked", 400),
        ("gzip, chunked", 501),
        ("identity, chunked", 501),
        ("gzip\r\nTransfer-Encoding: chunked", 501),
        ("\x0bchunked", 400),
        ("chunked\x0c", 400),
        ("\r\n chunked", 400),
        ("\u{a0}chunked", 400),
    ] {
        let request = format!("{POST}Transfer-Encoding: {value}\r\n\r\n0\r\n\r\n");
        assert_eq!(status(&request), expected, "{value:?}");
    }
    let old =
        "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(status(old), 400);
}

#[test]
fn a_field_that_another_parser_might_see_or_not_is_refused() {
    for line in [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding\0: chunked",
        "Transfer-Encoding: chunked\0",
        "Transfer\x01-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\r\rTransfer-Encoding: chunked",
        "X: y\r\n folded",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "Transfer-Encoding",
        ": chunked",
        "Content-Length 5",
        "Content Length: 5",
    ] {
        assert_eq!(status(&format!("{POST}{line}\r\n\r\n0\r\n\r\n")), 400, "{line:?}");
    }
}

#[test]
fn a_line_that_does_not_end_in_crlf_is_refused() {
    for request in [
        "\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\r",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\n",
    ] {
        assert_eq!(status(request), 400, "{request:?}");
    }
}

#[test]
fn a_request_line_that_could_be_read_otherwise_is_refused() {
    for (line, expected) in [
        ("GET", 400),
        ("GET /", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET /\t HTTP/1.1", 400),
        ("GET /#a HTTP/1.1", 400),
        ("GET a HTTP/1.1", 400),
        ("GET http://u@b/ HTTP/1.1", 400),
        ("G\0T / HTTP/1.1", 400),
        ("GET / HTTP/1.1x", 400),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/1.2", 505),
        ("CONNECT a:443 HTTP/1.1", 501),
    ] {
        assert_eq!(status(&format!("{line}\r\nHost: a\r\n\r\n")), expected, "{line:?}");
    }
}

#[test]
fn a_host_that_is_missing_repeated_or_no_host_is_refused() {
    for lines in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nhost: a\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
    ] {
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{lines}\r\n")), 400, "{lines:?}");
    }
}

#[test]
fn an_expectation_that_cannot_be_met_is_refused() {
    assert_eq!(status(&format!("{POST}Expect: 200-maybe\r\nContent-Length: 5\r\n\r\n")), 417);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_chunked_body_that_could_be_read_otherwise_is_refused() {
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5_\r\nhello\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "0\n\r\n",
        "0\r\n\n",
        "0\r\nGET / HTTP/1.1\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nX: y\n\r\n",
    ] {
        let (log, status) = attack(&format!("{POST}Transfer-Encoding: chunked\r\n\r\n{body}"));
        assert_eq!((log.len(), status), (2, 400), "{body:?}: {log:?}");
        assert!(log[1].starts_with("400 malformed chunked body: "), "{log:?}");
    }
}

#[test]
fn chunk_extensions_and_trailers_without_end_are_refused() {
    for body in [
        format!("5;{}", "x".repeat(300)),
        format!("0\r\n{}", "X: y\r\n".repeat(60)),
        format!("1;{}\r\nx\r\n", "a".repeat(40)).repeat(10),
    ] {
        let (log, status) = attack(&format!("{POST}Transfer-Encoding: chunked\r\n\r\n{body}"));
        assert_eq!(status, 413);
        assert_eq!(log[1..], ["413 more than 200 bytes of chunk extensions and trailers"]);
    }
}

#[test]
fn a_fault_in_a_body_answers_head_without_a_body() {
    let mut wire = Wire::new();
    wire.hold = true;
    wire.feed("HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    wire.server.read_body(wire.now, &mut wire.out);
    wire.feed("x");
    assert!(wire.written().ends_with("\r\nConnection: close\r\n\r\n"));
}

#[test]
fn what_is_legal_though_unusual_is_served() {
    for request in [
        "GET / HTTP/1.1\r\nhOST:a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\t a \t\r\nX:\r\nY: \u{e9}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 002\r\n\r\nab",
        "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let mut wire = Wire::new();
        wire.feed(format!("{request}GET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(wire.log.len(), 2, "{request:?}: {:?}", wire.log);
        assert_eq!(wire.log[1], "GET /next", "{request:?}");
    }
}
