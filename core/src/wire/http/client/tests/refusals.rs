//! Tests of the responses that the client refuses, and how. Above all, of those that would let one
//! request get the response of another.

use super::*;

/// Returns the fault that the client reports for `answer`. Another response comes behind it, which
/// must not be understood.
fn fault(request: &Request, answer: &str) -> String {
    let smuggled = "HTTP/1.1 299 Smuggled\r\nContent-Length: 0\r\n\r\n";
    let (log, standing, _) = outcome(request, format!("{answer}{smuggled}"), true);
    assert_eq!(standing, "closed", "{answer:?}: {log:?}");
    let [only] = &log[..] else { panic!("{answer:?}: {log:?}") };
    only.strip_prefix("fault: ").unwrap_or_else(|| panic!("{answer:?}: {only}")).to_owned()
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_message_that_breaks_a_rule_is_refused() {
    for (answer, text) in [
        ("garbage\n", "byte 7 of the head is a line feed without a carriage return before it"),
        ("garbage\r\n\r\n", "malformed status line"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", "more than 0 empty lines before the start line"),
        ("\r\n", "more than 0 empty lines before the start line"),
        ("HTTP/2.0 200 OK\r\n\r\n", "only HTTP/1.0 and HTTP/1.1 are supported"),
        (
            "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
            "line 3 of the head is a continuation of the line before, which is obsolete",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            "more than one Content-Length",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "more than one Content-Length"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "the Content-Length is not a decimal number",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "both Content-Length and Transfer-Encoding",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "only the chunked transfer coding is implemented",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "chunked is not the last transfer coding, or is there twice",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding in an HTTP/1.0 message",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "malformed chunked body: invalid chunk size",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "malformed chunked body: the chunk is longer than its size says",
        ),
        (
            "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "both Content-Length and Transfer-Encoding",
        ),
    ] {
        assert_eq!(fault(&get(), answer), text, "{answer:?}");
        assert_eq!(fault(&upgrade(), answer), text, "{answer:?}");
        let interim = format!("HTTP/1.1 100 Continue\r\n\r\n{answer}");
        assert_eq!(fault(&get(), &interim), text, "{interim:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_body_in_a_content_coding_is_refused() {
    for coding in ["gzip", "identity, br", "x"] {
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(fault(&get(), &answer), "a Content-Encoding that was not accepted");
    }
    let until_close = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
    assert_eq!(fault(&get(), until_close), "a Content-Encoding that was not accepted");
    for coding in ["identity", "IDENTITY", ""] {
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(one(answer, false), ("200 \"ok\"".to_owned(), "idle"));
    }
    // No body, nothing encoded.
    let not_modified = "HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n";
    assert_eq!(one(not_modified, false), ("304 \"\"".to_owned(), "idle"));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn nobody_switches_protocols_unasked() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                  Connection: Upgrade\r\n\r\n";
    for request in [get(), post("x"), get_with("Connection: upgrade\r\nX-Upgrade: websocket\r\n")] {
        assert_eq!(fault(&request, answer), "switched protocols without being asked");
    }
}

#[test]
fn bytes_before_a_request_are_refused() {
    let mut wire = Wire::new();
    wire.feed("");
    assert_eq!(wire.standing(), "idle");
    wire.feed("HTTP/1.1 408 Request Timeout\r\n\r\n");
    assert_eq!(wire.log, ["fault: bytes that answer no request"]);
    wire.feed(sized("late"));
    wire.eof();
    assert_eq!((wire.log.len(), wire.standing()), (1, "closed"));
}

#[test]
fn bytes_behind_an_answer_are_refused_in_the_same_read_or_later() {
    for more in ["\r\n", "x", &sized("for the next request")] {
        let (log, standing, _) = outcome(&get(), format!("{}{more}", sized("ok")), false);
        assert_eq!(log, ["200 \"ok\"", "fault: bytes that answer no request"]);
        assert_eq!(standing, "closed");
    }
}

#[test]
fn no_request_is_sent_into_an_answer_that_has_already_come() {
    let mut client = Wire::asked(&get()).client;
    let mut bytes = format!("{}{}", sized("ok"), sized("planted")).into_bytes();
    let mut input = Input::new(&mut bytes);
    assert!(matches!(client.handle_bytes(&mut input), Some(Reply::Response(..))));
    // The driver does not go on as it should, but asks at once.
    let mut out = Output::new();
    client.request(&get(), "a", &mut out);
    assert!(out.is_empty() && client.is_closed() && !client.is_idle());
    let reply = client.handle_bytes(&mut input);
    assert!(matches!(reply, Some(Reply::Fault(ResponseFault::Unsolicited))), "{reply:?}");
}
