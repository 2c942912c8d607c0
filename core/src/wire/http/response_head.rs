//! The head of one answer.

use alloc::vec::Vec;
use core::{fmt, mem::MaybeUninit};

use httparse::Status;

use super::{
    diagnose::{diagnose, is_version},
    fault::{Fault, ResponseFault},
    fields::{FEW_HEADERS, Fields, Span, most_headers},
    framing::{BodyLength, Framing},
    scan::Scan,
};
use crate::exchange::HttpResponse;

/// The head of one answer, checked and owned.
///
/// Values are not decoded; a header value may hold any bytes above ASCII. `Debug` shows no value,
/// because a cookie may hold the secret session id.
#[derive(Clone)]
pub struct ResponseHead {
    fields: Fields,
    reason: Span,
    status: u16,
    http_1_0: bool,
    keep_alive: bool,
    body: Option<BodyLength>,
}

impl ResponseHead {
    /// The longest head in bytes, whatever the configuration says: positions are kept in 16 bits.
    pub const MAX_LEN: usize = Fields::MAX_LEN;

    /// Parses exactly one head with at most `max_headers` fields. It extends from the status line
    /// to the empty line.
    ///
    /// # Errors
    ///
    /// The first fault found, or [`Fault::NotOneHead`] if `raw` stops before the empty line or goes
    /// on behind it.
    pub fn parse(raw: &[u8], max_headers: usize) -> Result<Self, ResponseFault> {
        match Scan::answer().find(raw, Self::MAX_LEN)? {
            Some(found) if found == (0..raw.len()) => Self::parse_found(raw, max_headers),
            _ => Err(Fault::NotOneHead.into()),
        }
    }

    /// The same for a head that [`Scan`] has found: it is no longer than `MAX_LEN`, and every line
    /// feed in it follows a carriage return.
    pub(super) fn parse_found(raw: &[u8], max_headers: usize) -> Result<Self, ResponseFault> {
        Self::parse_any(raw, max_headers, false)
    }

    /// The same for a response to CONNECT, without a look at fields that frame a body. In one that succeeds they mean
    /// nothing (RFC 9110 section 9.3.6), and the body of any other is not read.
    pub(super) fn parse_tunnel(raw: &[u8], max_headers: usize) -> Result<Self, ResponseFault> {
        Self::parse_any(raw, max_headers, true)
    }

    fn parse_any(raw: &[u8], max_headers: usize, connects: bool) -> Result<Self, ResponseFault> {
        let mut few = [const { MaybeUninit::uninit() }; FEW_HEADERS];
        let mut many = Vec::new();
        let mut response = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let slots = &mut few[..max_headers.min(FEW_HEADERS)];
        let mut parsed = parser.parse_response_with_uninit_headers(&mut response, raw, slots);
        if parsed == Err(httparse::Error::TooManyHeaders) && max_headers > FEW_HEADERS {
            many.resize_with(max_headers.min(most_headers(raw)), MaybeUninit::uninit);
            response = httparse::Response::new(&mut []);
            parsed = parser.parse_response_with_uninit_headers(&mut response, raw, &mut many);
        }
        match parsed {
            Ok(Status::Complete(n)) if n == raw.len() => {}
            Ok(_) => return Err(Fault::NotOneHead.into()),
            Err(error) => {
                let fault = diagnose(raw, error, max_headers).map(ResponseFault::Message);
                return Err(fault.unwrap_or_else(|line| status_line_fault(line, error)));
            }
        }
        let (Some(status), Some(reason), Some(version)) =
            (response.code, response.reason, response.version)
        else {
            return Err(ResponseFault::StatusLine);
        };
        let http_1_0 = version == 0;
        let mut framing = Framing::default();
        if !connects {
            for header in &*response.headers {
                framing.field(header.name, header.value)?;
            }
        }
        Ok(Self {
            // An empty one need not be a part of the head.
            reason: if reason.is_empty() {
                Span::default()
            } else {
                Span::of(raw, reason.as_bytes())
            },
            status,
            http_1_0,
            keep_alive: framing.keep_alive(http_1_0),
            body: match framing.body(http_1_0)? {
                // RFC 9112 section 6.3, rule 1: whatever their fields say.
                _ if matches!(status, 100..=199 | 204 | 304) => Some(BodyLength::Sized(0)),
                length => length,
            },
            fields: Fields::new(raw, response.headers),
        })
    }

    /// The status code, three digits.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, often empty; means nothing (RFC 9112 section 4).
    pub fn reason(&self) -> &str {
        self.fields.text(self.reason)
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

    /// Returns whether the server takes another request on the connection (RFC 9112 section 9.3). A
    /// body without a length makes that impossible.
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive && self.body.is_some()
    }

    /// Returns the length of the body that follows. A response to HEAD has no body, whatever the
    /// length. `None` if the end of the connection ends the body (RFC 9112 section 6.3, rule 8).
    pub const fn body_length(&self) -> Option<BodyLength> {
        self.body
    }
}

impl HttpResponse for ResponseHead {
    fn status(&self) -> u16 {
        self.status
    }

    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        self.header_values(name).nth(nth)
    }
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("headers", &self.fields.len())
            .finish_non_exhaustive()
    }
}

/// Returns the fault of a status line that the parser has refused.
#[cold]
fn status_line_fault(line: &[u8], error: httparse::Error) -> ResponseFault {
    let mut words = line.split(|&byte| byte == b' ');
    let has_version = words.next().is_some_and(is_version) && words.next().is_some();
    match error {
        httparse::Error::Version if has_version => Fault::Version.into(),
        _ => ResponseFault::StatusLine,
    }
}

#[cfg(test)]
mod tests;
