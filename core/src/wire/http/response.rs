//! Answers, and how they are written.

use alloc::format;
use core::fmt;

use bytes::Bytes;

use super::{date::HttpDate, fault::Fault};
use crate::wire::Output;

/// One answer to one request.
///
/// The connection adds what belongs to it: the status line, `Date` if there is a
/// [wall clock](super::Config::wall_clock), `Content-Length`, and `Connection`.
///
/// `Debug` shows neither body nor headers: the answer to an Engine.IO handshake has the secret
/// session id in both.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code, from 200 to 999. Interim answers are the connection's business; a status
    /// below 200 ends the connection.
    pub status: u16,
    /// The value of `Content-Type`, if it is sent.
    pub content_type: Option<&'static str>,
    /// The body. Large ones are sent as they are, not copied. Statuses 204 and 304 have none, so it
    /// is not sent with them, nor in answer to HEAD.
    pub body: Bytes,
    /// Further header fields, each a complete `Name: value\r\n`. Neither `Content-Length` nor
    /// `Transfer-Encoding` may be among them, nor `Date` where there is a wall clock.
    pub headers: Bytes,
    /// Whether to close the connection behind this answer.
    pub close: bool,
}

impl Response {
    /// An answer without a body.
    pub const fn new(status: u16) -> Self {
        Self { status, content_type: None, body: Bytes::new(), headers: Bytes::new(), close: false }
    }

    /// The same answer with a body of that type.
    #[must_use]
    pub fn with_body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.content_type = Some(content_type);
        self.body = body.into();
        self
    }

    /// The same answer with these header lines, each ending in CRLF.
    #[must_use]
    pub fn with_headers(mut self, headers: impl Into<Bytes>) -> Self {
        self.headers = headers.into();
        self
    }

    /// The same answer as the last one of its connection.
    #[must_use]
    pub const fn with_close(mut self) -> Self {
        self.close = true;
        self
    }

    /// Writes the answer; without its body in answer to HEAD.
    pub(super) fn write(
        &self,
        to_head: bool,
        connection: Connection,
        date: Option<HttpDate>,
        out: &mut Output,
    ) {
        debug_assert!(self.headers.is_empty() || self.headers.ends_with(b"\r\n"));
        write_status_line(self.status, out);
        if let Some(date) = date {
            out.put_slice(date.as_line());
        }
        if let Some(content_type) = self.content_type {
            out.put_slice(b"Content-Type: ");
            out.put_slice(content_type.as_bytes());
            out.put_slice(b"\r\n");
        }
        // RFC 9110 section 8.6: no Content-Length with 1xx and 204. That of a 304 would be the one of
        // the representation, which is not known here.
        let has_body = self.status >= 200 && self.status != 204 && self.status != 304;
        if has_body {
            out.put_slice(b"Content-Length: ");
            write_decimal(self.body.len(), out);
            out.put_slice(b"\r\n");
        }
        out.put_slice(&self.headers);
        out.put_slice(match connection {
            Connection::Persist => b"\r\n",
            Connection::KeepAlive => b"Connection: keep-alive\r\n\r\n",
            Connection::Close => b"Connection: close\r\n\r\n",
        });
        if has_body && !to_head {
            out.put_bytes(&self.body);
        }
    }
}

/// A response of a router or session, as a connection sends it.
impl From<crate::Response> for Response {
    fn from(response: crate::Response) -> Self {
        Self {
            status: response.status,
            content_type: response.content_type,
            body: response.body,
            headers: response.headers.into_bytes(),
            close: false,
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("close", &self.close)
            .finish_non_exhaustive()
    }
}

/// The answer that a fault deserves: its sentence as plain text.
impl From<&Fault> for Response {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.status())
            .with_body("text/plain; charset=utf-8", format!("{fault}\n"))
            .with_close()
    }
}

/// Statement of a response about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// None: the connection persists, as is the rule in HTTP/1.1.
    Persist,
    /// It persists, which an HTTP/1.0 client must be told.
    KeepAlive,
    Close,
}

/// Writes the status line of `status`.
pub(super) fn write_status_line(status: u16, out: &mut Output) {
    if status == 200 {
        return out.put_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.put_slice(b"HTTP/1.1 ");
    write_decimal(usize::from(status), out);
    out.put_slice(b" ");
    out.put_slice(reason_phrase(status).as_bytes());
    out.put_slice(b"\r\n");
}

/// The reason phrase that the IANA registry gives `status`; empty if it gives none.
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder of a division by ten")]
pub(super) fn write_decimal(mut number: usize, out: &mut Output) {
    // 2^64 has 20 digits.
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.put_slice(&digits[start..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use bytes::Buf;

    use super::*;

    fn written(response: &Response, to_head: bool, connection: Connection) -> String {
        let mut out = Output::new();
        response.write(to_head, connection, None, &mut out);
        String::from_utf8(out.copy_to_bytes(out.remaining()).into()).unwrap()
    }

    #[test]
    fn an_answer_has_a_length_and_what_it_was_given() {
        let response = Response::new(200)
            .with_body("text/html", "ok")
            .with_headers(Bytes::from_static(b"Cache-Control: no-store\r\nX-A: b\r\n"));
        assert_eq!(
            written(&response, false, Connection::Persist),
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\
             Cache-Control: no-store\r\nX-A: b\r\n\r\nok"
        );
        assert_eq!(
            written(&Response::new(413), false, Connection::Close),
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn an_answer_to_head_has_the_length_but_not_the_body() {
        let response = Response::new(200).with_body("text/html", "x".repeat(12_345));
        assert_eq!(
            written(&response, true, Connection::KeepAlive),
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12345\r\n\
             Connection: keep-alive\r\n\r\n"
        );
    }

    #[test]
    fn statuses_without_content_have_neither_length_nor_body() {
        for (status, reason) in [(204, "No Content"), (304, "Not Modified")] {
            let mut response = Response::new(status);
            response.body = Bytes::from_static(b"lost");
            let expected = format!("HTTP/1.1 {status} {reason}\r\n\r\n");
            assert_eq!(written(&response, false, Connection::Persist), expected);
        }
    }

    #[test]
    fn an_unregistered_status_has_an_empty_reason() {
        let text = written(&Response::new(299), false, Connection::Persist);
        assert!(text.starts_with("HTTP/1.1 299 \r\n"), "{text}");
    }

    #[test]
    fn a_large_body_is_shared() {
        let body = Bytes::from(alloc::vec![b'x'; Output::SHARE_FROM]);
        let mut out = Output::new();
        Response::new(200).with_body("text/plain", body.clone()).write(
            false,
            Connection::Persist,
            None,
            &mut out,
        );
        out.advance(out.chunk().len());
        assert_eq!(out.chunk().as_ptr(), body.as_ptr());
    }

    #[test]
    fn the_answer_to_a_fault_says_what_is_wrong() {
        let response = Response::from(&Fault::HeadTooLarge { max: 16_384 });
        assert_eq!(
            written(&response, false, Connection::Close),
            "HTTP/1.1 431 Request Header Fields Too Large\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 36\r\n\
             Connection: close\r\n\r\nthe head is longer than 16384 bytes\n"
        );
    }

    #[test]
    fn debug_shows_neither_body_nor_headers() {
        let response = Response::new(200)
            .with_body("text/plain", "0{\"sid\":\"secret\"}")
            .with_headers("Set-Cookie: io=secret\r\n");
        assert_eq!(
            format!("{response:?}"),
            "Response { status: 200, content_type: Some(\"text/plain\"), body: 17 bytes, \
             close: false, .. }"
        );
    }
}
