//! The head of one request.

use alloc::vec::Vec;
use core::{fmt, mem::MaybeUninit};

use httparse::Status;

use super::{
    diagnose::{diagnose, is_version},
    fault::Fault,
    fields::{FEW_HEADERS, Fields, Span, is_named, list, most_headers},
    framing::{BodyLength, Framing},
    scan::Scan,
    start_line::RequestLine,
};
use crate::exchange::HttpRequest;

/// The head of one request, checked and owned.
///
/// It lives as long as a session, so it is small: one allocation for the bytes as received and one
/// for eight bytes per header field. Nothing in it is decoded; a header value may hold any bytes
/// above ASCII. `Debug` shows neither the query, where Engine.IO has the secret session id, nor any
/// header value.
#[derive(Clone)]
pub struct RequestHead {
    fields: Fields,
    method: Span,
    target: Span,
    path: Span,
    query: Span,
    body: BodyLength,
    http_1_0: bool,
    keep_alive: bool,
    expects_continue: bool,
    is_upgrade: bool,
}

impl RequestHead {
    /// The longest head in bytes, whatever the configuration says: positions are kept in 16 bits.
    pub const MAX_LEN: usize = Fields::MAX_LEN;

    /// Parses exactly one head with at most `max_headers` fields. It extends from the request line
    /// to the empty line.
    ///
    /// # Errors
    ///
    /// The first [`Fault`] found, or [`Fault::NotOneHead`] if `raw` stops before the empty line, goes
    /// on behind it, or starts with one.
    pub fn parse(raw: &[u8], max_headers: usize) -> Result<Self, Fault> {
        match Scan::request().find(raw, Self::MAX_LEN)? {
            Some(found) if found == (0..raw.len()) => Self::parse_found(raw, max_headers),
            _ => Err(Fault::NotOneHead),
        }
    }

    /// Parses the head of at most `max` bytes that `bytes` begin with. Returns its length, too.
    ///
    /// A shortcut for the common case, in one pass. `None` leaves anything else to [`Scan`] and
    /// [`parse_found`](Self::parse_found), which would have found the same head.
    pub(super) fn parse_front(
        bytes: &[u8],
        max: usize,
        max_headers: usize,
    ) -> Option<(Self, usize)> {
        // The parser skips any number of empty lines.
        if matches!(bytes.first(), None | Some(b'\r' | b'\n')) {
            return None;
        }
        let mut few = [const { MaybeUninit::uninit() }; FEW_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let slots = &mut few[..max_headers.min(FEW_HEADERS)];
        let parsed = request.parse_with_uninit_headers(bytes, slots);
        let Ok(Status::Complete(len)) = parsed else { return None };
        let raw = &bytes[..len];
        if len > max || has_bare_line_feed(raw) {
            return None;
        }
        Some((Self::new(raw, &request).ok()?, len))
    }

    /// Parses a head that [`Scan`] has found: it is no longer than `MAX_LEN`, and every line
    /// feed in it follows a carriage return.
    pub(super) fn parse_found(raw: &[u8], max_headers: usize) -> Result<Self, Fault> {
        let mut few = [const { MaybeUninit::uninit() }; FEW_HEADERS];
        let mut many = Vec::new();
        let mut request = httparse::Request::new(&mut []);
        let slots = &mut few[..max_headers.min(FEW_HEADERS)];
        let mut parsed = request.parse_with_uninit_headers(raw, slots);
        if parsed == Err(httparse::Error::TooManyHeaders) && max_headers > FEW_HEADERS {
            many.resize_with(max_headers.min(most_headers(raw)), MaybeUninit::uninit);
            request = httparse::Request::new(&mut []);
            parsed = request.parse_with_uninit_headers(raw, &mut many);
        }
        match parsed {
            Ok(Status::Complete(n)) if n == raw.len() => {}
            Ok(_) => return Err(Fault::NotOneHead),
            Err(error) => {
                // The same fault as if the line had come byte by byte.
                RequestLine::START.check(raw, 0)?;
                let fault = diagnose(raw, error, max_headers);
                return Err(fault.unwrap_or_else(|line| request_line_fault(line, error)));
            }
        }
        Self::new(raw, &request)
    }

    /// Checks a head that was parsed.
    fn new(raw: &[u8], request: &httparse::Request<'_, '_>) -> Result<Self, Fault> {
        let (Some(method), Some(target), Some(version)) =
            (request.method, request.path, request.version)
        else {
            return Err(Fault::RequestLine);
        };
        let http_1_0 = version == 0;
        let (path, query) = split_target(method, target)?;
        let mut framing = Framing::default();
        let mut wishes = Wishes::default();
        for header in &*request.headers {
            framing.field(header.name, header.value)?;
            wishes.field(header.name, header.value)?;
        }
        // RFC 9112 section 3.2: a request without Host, with two, or with an invalid one gets a 400.
        if !wishes.has_host && !http_1_0 {
            return Err(Fault::MissingHost);
        }
        // RFC 9110 section 10.1.1: HTTP/1.0 does not know expectations.
        if wishes.something_else && !http_1_0 {
            return Err(Fault::Expectation);
        }
        Ok(Self {
            method: Span::of(raw, method.as_bytes()),
            target: Span::of(raw, target.as_bytes()),
            path: Span::of(raw, path.as_bytes()),
            query: Span::of(raw, query.as_bytes()),
            // RFC 9112 section 6.3: a request that gives no length has no body.
            body: framing.body(http_1_0)?.unwrap_or(BodyLength::Sized(0)),
            http_1_0,
            keep_alive: framing.keep_alive(http_1_0),
            expects_continue: wishes.to_continue && !http_1_0,
            is_upgrade: wishes.websocket && framing.upgrade,
            fields: Fields::new(raw, request.headers),
        })
    }

    /// The method. Methods are case-sensitive.
    pub fn method(&self) -> &str {
        self.fields.text(self.method)
    }

    /// Returns the request target as received. It is visible ASCII, in origin form, absolute form
    /// or `*` (RFC 9112 section 3.2).
    pub fn target(&self) -> &str {
        self.fields.text(self.target)
    }

    /// Returns the path of the target, not decoded. It starts with `/`, or is `*` for OPTIONS.
    pub fn path(&self) -> &str {
        // RFC 9110 section 4.2.3: an empty path is equivalent to "/".
        if self.path.is_empty() { "/" } else { self.fields.text(self.path) }
    }

    /// Returns the query of the target, not decoded and without its `?`. Empty if there is none.
    pub fn query(&self) -> &str {
        self.fields.text(self.query)
    }

    /// All header fields in order, values without the white space around them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// The value of the first field of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_values(name).next()
    }

    /// The values of all fields of that name, in whatever case, in order.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields.get_all(name)
    }

    /// Returns whether `token` is a member of the lists in the fields `name`. The lists are
    /// comma-separated, and the case of `token` does not matter.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.fields.has_token(name, token)
    }

    /// Whether this is HTTP/1.0 and not 1.1.
    pub const fn is_http_1_0(&self) -> bool {
        self.http_1_0
    }

    /// Whether the client wants to use the connection again (RFC 9112 section 9.3).
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// How long the body is that follows.
    pub const fn body_length(&self) -> BodyLength {
        self.body
    }
}

impl HttpRequest for RequestHead {
    fn method(&self) -> &str {
        self.method()
    }

    fn path(&self) -> &str {
        self.path()
    }

    fn query(&self) -> &str {
        self.query()
    }

    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        self.header_values(name).nth(nth)
    }

    fn for_each_value<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        self.header_values(name).for_each(visit);
    }

    /// In one pass: a head can have thousands of fields of one name.
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.has_token(name, token)
    }

    fn is_upgrade(&self) -> bool {
        self.is_upgrade
    }
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("headers", &self.fields.len())
            .finish_non_exhaustive()
    }
}

/// Wishes in the fields of a request, besides the content of [`Framing`].
#[derive(Default)]
struct Wishes {
    has_host: bool,
    to_continue: bool,
    something_else: bool,
    websocket: bool,
}

impl Wishes {
    fn field(&mut self, name: &str, value: &[u8]) -> Result<(), Fault> {
        match name.len() {
            4 if is_named(name, "host") => {
                if core::mem::replace(&mut self.has_host, true) {
                    return Err(Fault::RepeatedHost);
                }
                if !value.iter().copied().all(is_authority) {
                    return Err(Fault::InvalidHost);
                }
            }
            6 if is_named(name, "expect") => {
                let to_continue = value.eq_ignore_ascii_case(b"100-continue");
                self.to_continue |= to_continue;
                self.something_else |= !to_continue;
            }
            7 if is_named(name, "upgrade") => {
                self.websocket |= list(value).any(|to| to.eq_ignore_ascii_case(b"websocket"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Path and query of a target (RFC 9112 section 3.2).
fn split_target<'a>(method: &str, target: &'a str) -> Result<(&'a str, &'a str), Fault> {
    // The parser has refused white space and control characters. A fragment is never sent, and
    // bytes above ASCII are percent-encoded (RFC 3986 section 2).
    if method == "CONNECT" {
        return Err(Fault::Connect);
    }
    if !target.is_ascii() || memchr::memchr(b'#', target.as_bytes()).is_some() {
        return Err(Fault::Target);
    }
    if target.starts_with('/') {
        return Ok(split_query(target));
    }
    if target == "*" && method == "OPTIONS" {
        return Ok((target, &target[1..]));
    }
    // Section 3.2.2: "a server MUST accept the absolute-form in requests".
    let (scheme, rest) = target.split_once("://").ok_or(Fault::Target)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Fault::Target);
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() || !authority.bytes().all(is_authority) {
        return Err(Fault::Target);
    }
    Ok(split_query(rest))
}

/// Whether a line feed of a head follows anything but a carriage return. None is its first byte.
fn has_bare_line_feed(raw: &[u8]) -> bool {
    // Without a branch for each byte.
    let pairs = raw.iter().zip(&raw[1..]);
    pairs.fold(false, |bare, (&before, &byte)| bare | ((byte == b'\n') & (before != b'\r')))
}

/// Path and query of a target in ASCII. A query that is missing is empty.
fn split_query(target: &str) -> (&str, &str) {
    let path = memchr::memchr(b'?', target.as_bytes()).unwrap_or(target.len());
    (&target[..path], &target[target.len().min(path + 1)..])
}

/// Returns whether host and port may contain `byte` (RFC 3986 section 3.2). User information is not
/// allowed, because RFC 9110 section 4.2.4 wants it treated as an error.
const fn is_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'['
                | b']'
        )
}

/// Returns the fault of a request line that the parser has refused.
#[cold]
fn request_line_fault(line: &[u8], error: httparse::Error) -> Fault {
    match error {
        httparse::Error::Version if has_other_version(line) => Fault::Version,
        _ => Fault::RequestLine,
    }
}

/// Whether a request line is right but for the number of its version.
fn has_other_version(line: &[u8]) -> bool {
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    words.next().is_some_and(is_version) && words.next().is_none()
}

#[cfg(test)]
mod tests;
