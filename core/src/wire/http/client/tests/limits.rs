//! Limits, each at its last byte. What is held meanwhile, [`Wire::check`] sees.

use super::*;
use crate::wire::http::Fault;

/// A head of `len` bytes.
fn head(len: usize) -> String {
    let (start, end) = ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ", "\r\n\r\n");
    format!("{start}{}{end}", "x".repeat(len - start.len() - end.len()))
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_head_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    assert_eq!(one(head(Wire::MAX_HEAD), false), ("200 \"\"".to_owned(), "idle"));
    let refused = ("fault: the head is longer than 200 bytes".to_owned(), "closed");
    assert_eq!(one(head(Wire::MAX_HEAD + 1), false), refused);
    // Nor is it waited for.
    assert_eq!(one(&head(1000)[..Wire::MAX_HEAD], false), refused);
    let refused = ("fault: the start line is longer than 200 bytes".to_owned(), "closed");
    assert_eq!(one("x".repeat(Wire::MAX_HEAD), false), refused);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn each_interim_answer_has_the_limit_for_itself() {
    let interim = head(Wire::MAX_HEAD).replace("200 OK", "103 OK");
    let answer = format!("{interim}{interim}{}", sized("ok"));
    assert_eq!(one(answer, false), ("200 \"ok\"".to_owned(), "idle"));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn interim_answers_are_counted() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(Client::MAX_INTERIM);
    assert_eq!(one(format!("{interim}{}", sized("")), false), ("200 \"\"".to_owned(), "idle"));
    let over = format!("{interim}HTTP/1.1 103 Early Hints\r\n\r\n");
    let refused = ("fault: more than 16 interim answers".to_owned(), "closed");
    assert_eq!(one(over, false), refused);
}

#[test]
fn fields_are_counted() {
    let config = ClientConfig { max_headers: 2, ..ClientConfig::default() };
    for (fields, expected) in [(2, None), (3, Some(Fault::TooManyHeaders { max: 2 }))] {
        let mut client = Client::new(Arc::new(config.clone()));
        client.request(&get(), "a", &mut Output::new());
        let mut bytes =
            format!("HTTP/1.1 204 No Content\r\n{}\r\n", "A: b\r\n".repeat(fields)).into_bytes();
        let fault = match client.handle_bytes(&mut Input::new(&mut bytes)) {
            Some(Reply::Fault(ResponseFault::Message(fault))) => Some(fault),
            Some(Reply::Response(..)) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(fault, expected);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let exact = "x".repeat(Wire::MAX_BODY);
    let over = format!("{exact}x");
    let chunked = |body: &str| {
        let (first, second) = body.split_at(60);
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             3C\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            second.len()
        )
    };
    let until_close = |body: &str| format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    let refused = ("fault: the body is longer than 100 bytes".to_owned(), "closed");
    for answer in [sized(&exact), chunked(&exact), until_close(&exact)] {
        assert_eq!(one(answer, true), (format!("200 {exact:?}"), "closed"));
    }
    for answer in [sized(&over), chunked(&over), until_close(&over)] {
        assert_eq!(one(&answer, false), refused, "{answer:?}");
        assert_eq!(one(&answer, true), refused, "{answer:?}");
    }
}

#[test]
fn a_body_that_announces_too_much_is_refused_before_its_first_byte() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    ] {
        let refused = ("fault: the body is longer than 100 bytes".to_owned(), "closed");
        assert_eq!(one(head, false), refused, "{head:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn chunk_extensions_and_trailers_have_the_limit_of_a_head() {
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let trailers = "A: b\r\n".repeat(100);
    let refused =
        ("fault: more than 200 bytes of chunk extensions and trailers".to_owned(), "closed");
    assert_eq!(one(format!("{start}{trailers}\r\n"), false), refused);
}
