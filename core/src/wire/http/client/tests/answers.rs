//! Tests of the responses that the client understands.

use super::*;

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_body_ends_where_its_framing_says() {
    for (answer, expected) in [
        (sized("hello"), "200 \"hello\""),
        (sized(""), "200 \"\""),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
                .to_owned(),
            "200 \"hello\"",
        ),
        ("HTTP/1.1 200\r\ntransfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n".to_owned(), "200 \"\""),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), "204 \"\""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".to_owned(), "304 \"\""),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}".to_owned(), "400 \"{}\""),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx".to_owned(),
            "200 \"x\"",
        ),
    ] {
        assert_eq!(one(&answer, false), (expected.to_owned(), "idle"), "{answer:?}");
        assert_eq!(one(&answer, true), (expected.to_owned(), "closed"), "{answer:?}");
        let end = answer.len() - 1;
        assert_eq!(one(&answer[..end], true), ("lost".to_owned(), "closed"), "{answer:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn an_answer_that_ends_the_connection_is_the_last() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        assert_eq!(one(answer, false), ("200 \"ok\"".to_owned(), "closed"), "{answer:?}");
        // What comes behind it is nobody's.
        let more = format!("{answer}more");
        assert_eq!(one(more, true), ("200 \"ok\"".to_owned(), "closed"), "{answer:?}");
    }
    let (log, standing, _) = outcome(&get_with("connection: close\r\n"), sized("ok"), false);
    assert_eq!((log, standing), (vec!["200 \"ok\"".to_owned()], "closed"));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_body_without_a_length_ends_with_the_connection() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n",
    ] {
        for body in ["", "ok", "HTTP/1.1 200 OK\r\n\r\n"] {
            let answer = format!("{head}{body}");
            assert_eq!(one(&answer, true), (format!("200 {body:?}"), "closed"));
            let (log, standing, _) = outcome(&get(), &answer, false);
            assert_eq!((log.len(), standing), (0, "in exchange"), "{answer:?}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn an_answer_to_head_has_the_length_but_not_the_body() {
    let head = Request { method: "HEAD", ..get() };
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n",
    ] {
        let (log, standing, _) = outcome(&head, answer, false);
        assert_eq!((log, standing), (vec!["200 \"\"".to_owned()], "idle"), "{answer:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn interim_answers_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
                   HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\nHTTP/1.1 199\r\n\r\n";
    let answer = format!("{interim}{}", sized("ok"));
    assert_eq!(one(answer, false), ("200 \"ok\"".to_owned(), "idle"));
    assert_eq!(one(interim, true), ("lost".to_owned(), "closed"));
}

#[test]
fn a_connection_answers_one_request_after_the_other() {
    let mut wire = Wire::new();
    for round in 0..3 {
        wire.ask(&get());
        wire.feed("HTTP/1.1 100 Continue\r\n\r\n".repeat(Client::MAX_INTERIM));
        wire.feed(sized(&format!("{round}")));
        assert_eq!(wire.standing(), "idle");
    }
    assert_eq!(wire.log, ["200 \"0\"", "200 \"1\"", "200 \"2\""]);
    wire.eof();
    assert_eq!((wire.log.len(), wire.standing()), (3, "closed"));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn behind_an_upgrade_nothing_is_taken() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                Connection: Upgrade\r\nContent-Length: 5\r\n\r\n";
    for rest in ["", "\u{1}\u{2}hi", "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"] {
        for before in ["", "HTTP/1.1 100 Continue\r\n\r\n"] {
            for eof in [false, true] {
                let (log, standing, left) =
                    outcome(&upgrade(), format!("{before}{head}{rest}"), eof);
                assert_eq!((log.len(), &*log[0]), (1, "101 upgraded"));
                assert_eq!((standing, &*left), ("upgraded", rest));
            }
        }
    }
}

#[test]
fn an_upgrade_may_be_answered_like_any_request() {
    let answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}";
    let (log, standing, left) = outcome(&upgrade(), answer, false);
    assert_eq!((&*log[0], standing, &*left), ("400 \"{}\"", "idle", ""));
}

#[test]
fn a_connection_that_ends_between_two_requests_has_lost_nothing() {
    let mut wire = Wire::new();
    wire.eof();
    assert_eq!((wire.log.len(), wire.standing()), (0, "closed"));
}

#[test]
fn debug_shows_no_byte_of_an_answer() {
    let mut wire = Wire::asked(&get());
    wire.feed("HTTP/1.1 200 OK\r\nSet-Cookie: io=secret");
    assert_eq!(format!("{:?}", wire.client), "Client { state: \"head\", held: 38, .. }");
}
