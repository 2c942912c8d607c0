//! One HTTP exchange as the protocol sees it, whichever parser is used. It is a request and its
//! response, each as the one side sends it and as the other receives it.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::fmt;

use bytes::Bytes;

/// The head of a request.
///
/// [`wire::http::RequestHead`](crate::wire::http::RequestHead) is one; an adapter for another HTTP
/// server implements it for that server's type.
pub trait HttpRequest {
    /// The method, as received.
    fn method(&self) -> &str;
    /// The path of the target, not decoded, without the query.
    fn path(&self) -> &str;
    /// The query of the target, not decoded, without the `?`; empty if there is none.
    fn query(&self) -> &str;
    /// The value of the `nth` field (from 0) named `name`, case-insensitive.
    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]>;

    /// The value of the first field named `name`, case-insensitive.
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_nth(name, 0)
    }

    /// Calls `visit` with the values of all fields named `name`, case-insensitive, in order.
    ///
    /// Default: one [`header_nth`](Self::header_nth) after the other. Do it in one pass, because a head can have thousands
    /// of fields of one name.
    fn for_each_value<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        (0..).map_while(|nth| self.header_nth(name, nth)).for_each(visit);
    }

    /// Returns whether `token` is in one of the fields named `name`. Each field holds a
    /// comma-separated list. The name and the token are case-insensitive.
    fn has_token(&self, name: &str, token: &str) -> bool {
        (0..).map_while(|nth| self.header_nth(name, nth)).any(|value| {
            value
                .split(|&byte| byte == b',')
                .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
        })
    }

    /// Whether the request asks to go on as a WebSocket (RFC 6455 section 4.1).
    fn is_upgrade(&self) -> bool {
        self.has_token("upgrade", "websocket") && self.has_token("connection", "upgrade")
    }
}

/// The answer to a request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Value of `Content-Type`, if there is a body worth naming.
    pub content_type: Option<&'static str>,
    /// Further header fields.
    pub headers: HeaderLines,
    /// The body.
    pub body: Bytes,
    /// Whether it may be compressed for a client that accepts that. Default false.
    ///
    /// True of a payload with a packet that may be, whatever its length.
    pub compressible: bool,
}

impl Response {
    /// Makes a response with a body. Fields are added to [`headers`](Self::headers).
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let (content_type, headers) = (Some(content_type), HeaderLines::new());
        Self { status, content_type, headers, body: body.into(), compressible: false }
    }

    /// An answer without a body.
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            headers: HeaderLines::new(),
            body: Bytes::new(),
            compressible: false,
        }
    }
}

/// Without the body, which in a handshake holds the session id.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .finish()
    }
}

/// A request of a client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path and query, as in the request line.
    pub target: String,
    /// Value of `Content-Type`, if there is a body.
    pub content_type: Option<&'static str>,
    /// Further header fields.
    pub headers: HeaderLines,
    /// The body.
    pub body: Bytes,
}

/// Without the query, which holds the session id, and the body.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.target.split('?').next())
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The head of an answer, as a client receives it.
///
/// [`wire::http::ResponseHead`](crate::wire::http::ResponseHead) is one; an adapter for another HTTP
/// client implements it for that client's type.
pub trait HttpResponse {
    /// The status code.
    fn status(&self) -> u16;
    /// The value of the `nth` field (from 0) named `name`, case-insensitive.
    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]>;
}

/// Header fields as they go over the wire: complete lines, ready to be copied.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct HeaderLines(Cow<'static, [u8]>);

impl HeaderLines {
    /// The field of a response that no cache may keep (RFC 9111 section 5.2.2.5).
    pub const NO_STORE: Self = Self::from_static("cache-control: no-store\r\n");

    /// No fields.
    pub const fn new() -> Self {
        Self(Cow::Borrowed(&[]))
    }

    /// Lines known to be in order: each field with its CRLF.
    pub(crate) const fn from_static(lines: &'static str) -> Self {
        Self(Cow::Borrowed(lines.as_bytes()))
    }

    /// Appends all of `other`.
    pub fn extend(&mut self, other: &Self) {
        if self.is_empty() {
            *self = other.clone();
        } else if !other.is_empty() {
            self.0.to_mut().extend_from_slice(&other.0);
        }
    }

    /// Appends a field.
    ///
    /// # Errors
    ///
    /// If `name` is not a token or `value` holds a control character (RFC 9110 section 5): it could
    /// otherwise forge fields or a whole second answer. Nothing is appended then.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidHeader> {
        let value = value.as_ref();
        if name.is_empty() || !name.bytes().all(is_token) || !is_field_value(value) {
            return Err(InvalidHeader);
        }
        let lines: &mut Vec<u8> = self.0.to_mut();
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            lines.extend_from_slice(part);
        }
        Ok(())
    }

    /// The lines, each with its CRLF.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Cow::Borrowed(lines) => Bytes::from_static(lines),
            Cow::Owned(lines) => lines.into(),
        }
    }

    /// Returns the names and values of all fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.split(|&byte| byte == b'\n').filter_map(field)
    }

    /// Returns the names and values of all fields as parts of one buffer, in order.
    pub fn into_fields(self) -> impl Iterator<Item = (Bytes, Bytes)> {
        let mut lines = self.into_bytes();
        core::iter::from_fn(move || {
            let end = lines.iter().position(|&byte| byte == b'\n')?;
            let line = lines.split_to(end + 1);
            let (name, value) = field(&line)?;
            Some((line.slice_ref(name), line.slice_ref(value)))
        })
    }

    /// The values of all fields of that name, in whatever case, in order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let is_it = |field: &[u8]| field.eq_ignore_ascii_case(name.as_bytes());
        self.iter().filter(move |(field, _)| is_it(field)).map(|(_, value)| value)
    }

    /// The lines but for fields of these names, in whatever case.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        let mut kept = Vec::new();
        for line in self.0.split_inclusive(|&byte| byte == b'\n') {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            if !names.iter().any(|left_out| name.eq_ignore_ascii_case(left_out.as_bytes())) {
                kept.extend_from_slice(line);
            }
        }
        Self(Cow::Owned(kept))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Splits a line with or without its CRLF into the name and the value. `None` if it is empty.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|&byte| byte == b':')?;
    Some((&line[..end], line[end + 1..].trim_ascii()))
}

impl fmt::Debug for HeaderLines {
    /// Names only: a value may be a secret, such as the cookie with the session id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().filter_map(|(name, _)| core::str::from_utf8(name).ok());
        f.debug_list().entries(names).finish()
    }
}

/// A header field that cannot be sent. Its name is not a token, or its value holds a control
/// character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header name must be a token and its value free of control characters")]
pub struct InvalidHeader;

/// Returns whether a field name may contain `byte` (RFC 9110 section 5.6.2).
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Returns whether a field value may contain `byte` (RFC 9110 section 5.5). It may contain visible
/// characters, white space and bytes above ASCII.
pub(crate) const fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Whether all of `value` may stand in a field.
pub(crate) fn is_field_value(value: &[u8]) -> bool {
    value.iter().copied().all(is_text)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    struct Fields(&'static [(&'static str, &'static str)]);

    impl HttpRequest for Fields {
        fn method(&self) -> &str {
            "GET"
        }
        fn path(&self) -> &str {
            "/"
        }
        fn query(&self) -> &str {
            ""
        }
        fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
            let mut found = self.0.iter().filter(|field| field.0.eq_ignore_ascii_case(name));
            found.nth(nth).map(|field| field.1.as_bytes())
        }
    }

    #[test]
    fn tokens_are_found_in_any_field_and_case() {
        let head = Fields(&[
            ("Connection", "keep-alive"),
            ("connection", "foo , Upgrade"),
            ("Upgrade", "WebSocket"),
        ]);
        assert!(head.is_upgrade());
        assert!(!head.has_token("connection", "up"));
        assert!(!Fields(&[("Upgrade", "h2c"), ("Connection", "Upgrade")]).is_upgrade());
    }

    #[test]
    fn a_header_cannot_smuggle_another() {
        let mut lines = HeaderLines::new();
        assert_eq!(lines.push("X-A", "1\r\nX-B: 2"), Err(InvalidHeader));
        assert_eq!(lines.push("X A", "1"), Err(InvalidHeader));
        assert_eq!(lines.push("", "1"), Err(InvalidHeader));
        assert!(lines.is_empty());
        lines.push("X-A", "caf\u{e9}\t1").unwrap();
        assert_eq!(lines.as_bytes(), "X-A: caf\u{e9}\t1\r\n".as_bytes());
    }

    #[test]
    fn values_are_found_by_name_in_any_case() {
        let mut lines = HeaderLines::from_static("Connection: close\r\nX-A:b:c\r\n");
        lines.push("connection", "Upgrade").unwrap();
        assert!(lines.values("CONNECTION").eq([&b"close"[..], b"Upgrade"]));
        assert!(lines.values("x-a").eq([b"b:c"]));
        assert_eq!(lines.values("close").count(), 0);
        assert_eq!(HeaderLines::new().values("").count(), 0);
    }

    #[test]
    fn fields_are_the_same_in_place_and_as_parts_of_a_buffer() {
        let mut lines = HeaderLines::from_static("cache-control: no-store\r\nX-A:b:c\r\n");
        for _ in 0..2 {
            let fields: Vec<_> = lines.clone().into_fields().collect();
            assert!(lines.iter().eq(fields.iter().map(|(name, value)| (&name[..], &value[..]))));
            assert_eq!((&fields[1].0[..], &fields[1].1[..]), (&b"X-A"[..], &b"b:c"[..]));
            lines.push("X-B", "").unwrap();
        }
        assert_eq!(lines.into_fields().count(), 4);
        assert_eq!(HeaderLines::new().into_fields().count(), 0);
    }

    #[test]
    fn fields_are_left_out_by_name_in_any_case() {
        let lines = HeaderLines::from_static("A: 1\r\nb:2\r\nAB: 3\r\na: 4\r\n");
        assert_eq!(lines.without(&["a", "x"]).as_bytes(), b"b:2\r\nAB: 3\r\n");
        assert_eq!(lines.without(&[]), lines);
        assert!(HeaderLines::new().without(&["a"]).is_empty());
    }

    #[test]
    fn debug_shows_no_values() {
        let mut lines = HeaderLines::new();
        lines.push("Set-Cookie", "io=secret").unwrap();
        assert_eq!(format!("{lines:?}"), r#"["Set-Cookie"]"#);
    }
}
