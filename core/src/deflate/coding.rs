//! Content codings of HTTP (RFC 9110 section 8.4.1).

use alloc::vec::Vec;

use bytes::Bytes;
use zlib_rs::{Inflate, InflateFlush, Status, adler32::adler32, crc32::crc32};

use super::{
    Codecs, DecodeFailure, HttpCompression, UnknownCoding,
    codecs::{End, Setting},
    options::MAX_BITS,
};

/// A coding that bodies may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950. Some peers send it without its head and checksum (RFC 9110 section 8.4.1.2).
    Deflate,
}

impl Coding {
    /// Chooses the coding of a response by the `Accept-Encoding` fields of a request (RFC 9110 section 12.5.3).
    ///
    /// `None` for the body as it is, which is the choice unless a coding is at least as welcome.
    pub(crate) fn accepted<'a>(
        options: Option<&HttpCompression>,
        fields: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        options?;
        let (mut gzip, mut deflate, mut identity, mut others) = (None, None, None, None);
        for (coding, quality) in fields.flat_map(members).filter_map(weighted) {
            let place = match coding {
                coding if is_gzip(coding) => &mut gzip,
                coding if coding.eq_ignore_ascii_case(b"deflate") => &mut deflate,
                coding if coding.eq_ignore_ascii_case(b"identity") => &mut identity,
                b"*" => &mut others,
                _ => continue,
            };
            place.get_or_insert(quality);
        }
        let quality = |named: Option<u16>| named.or(others).unwrap_or(0);
        let (gzip, deflate) = (quality(gzip), quality(deflate));
        let (best, coding) =
            if gzip >= deflate { (gzip, Self::Gzip) } else { (deflate, Self::Deflate) };
        // What is not named is acceptable, but nothing prefers it.
        (best > 0 && best >= identity.unwrap_or(0)).then_some(coding)
    }

    /// Returns the coding of a body by its `Content-Encoding` fields. `None` if it is in none.
    ///
    /// # Errors
    ///
    /// It is in another, or in several, or none is to be decoded.
    pub(crate) fn of_body<'a>(
        options: Option<&HttpCompression>,
        fields: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, UnknownCoding> {
        let is_coding = |coding: &&[u8]| !coding.eq_ignore_ascii_case(b"identity");
        let mut codings = fields.flat_map(members).filter(is_coding);
        let coding = match codings.next() {
            None => return Ok(None),
            Some(coding) if is_gzip(coding) => Self::Gzip,
            Some(coding) if coding.eq_ignore_ascii_case(b"deflate") => Self::Deflate,
            Some(_) => return Err(UnknownCoding),
        };
        // Each coding of several may expand a thousandfold.
        match codings.next() {
            None if options.is_some() => Ok(Some(coding)),
            _ => Err(UnknownCoding),
        }
    }

    /// The name in header fields.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Compresses a body. `None` if it would not become shorter.
    pub(crate) fn encode(
        self,
        body: &[u8],
        options: &HttpCompression,
        codecs: &mut Codecs,
    ) -> Option<Bytes> {
        let setting = Setting { bits: MAX_BITS, level: options.level };
        let deflated = codecs.deflate(setting, [&[], body], End::Stream);
        let mut encoded = Vec::with_capacity(GZIP_HEAD.len() + deflated.len() + 8);
        match self {
            Self::Gzip => {
                encoded.extend_from_slice(GZIP_HEAD);
                encoded.extend_from_slice(deflated);
                encoded.extend_from_slice(&crc32(0, body).to_le_bytes());
                #[expect(clippy::cast_possible_truncation, reason = "the length modulo 2^32")]
                encoded.extend_from_slice(&(body.len() as u32).to_le_bytes());
            }
            Self::Deflate => {
                encoded.extend_from_slice(ZLIB_HEAD);
                encoded.extend_from_slice(deflated);
                encoded.extend_from_slice(&adler32(1, body).to_be_bytes());
            }
        }
        (encoded.len() < body.len()).then(|| encoded.into())
    }

    /// Inflates a whole body to at most `max` bytes.
    ///
    /// Storage grows with what has been inflated. In gzip the body may be of several members (RFC 1952 section 2.2).
    pub(crate) fn decode(self, mut body: &[u8], max: usize) -> Result<Bytes, DecodeFailure> {
        let mut inflate = match self {
            Self::Gzip => Inflate::new(true, GZIP + MAX_BITS),
            Self::Deflate => Inflate::new(has_zlib_head(body), MAX_BITS),
        };
        let mut decoded = Vec::new();
        let (mut len, mut members) = (0, 1);
        loop {
            if decoded.len() == len {
                // One more than allowed, to see whether it goes on.
                let more = len.max(FIRST).min(max.saturating_add(1) - len);
                decoded.reserve_exact(more);
                decoded.resize(len + more, 0);
            }
            let (taken, given) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(body, &mut decoded[len..], InflateFlush::NoFlush);
            // Differences that are no longer than the slices.
            let taken = usize::try_from(inflate.total_in() - taken).unwrap_or_default();
            let given = usize::try_from(inflate.total_out() - given).unwrap_or_default();
            body = &body[taken..];
            len += given;
            if len > max {
                return Err(DecodeFailure::TooLarge);
            }
            match status {
                Ok(Status::StreamEnd) if body.is_empty() => break,
                Ok(Status::StreamEnd) if self == Self::Gzip && members < MAX_MEMBERS => {
                    members += 1;
                    inflate = Inflate::new(true, GZIP + MAX_BITS);
                }
                Ok(Status::Ok | Status::BufError) if taken + given > 0 || decoded.len() == len => {}
                _ => return Err(DecodeFailure::Invalid),
            }
        }
        decoded.truncate(len);
        Ok(decoded.into_boxed_slice().into())
    }
}

/// The members of a list, without white space.
fn members(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let members = field.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    members.filter(|member| !member.is_empty())
}

/// A coding with its quality in thousandths (RFC 9110 section 12.4.2). `None` if that is not one.
fn weighted(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let coding = parts.next()?;
    let Some(weight) = parts.next() else { return Some((coding, 1000)) };
    let (b"q=" | b"Q=", value) = weight.split_at_checked(2)? else { return None };
    let quality = match value {
        [b'0'] | [b'0', b'.'] => 0,
        [b'1'] | [b'1', b'.'] => 1000,
        [b'1', b'.', zeros @ ..] if zeros.len() <= 3 && zeros.iter().all(|&b| b == b'0') => 1000,
        [b'0', b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => {
            let digits = digits.iter().chain(&[b'0'; 3]).take(3);
            digits.fold(0, |sum, digit| 10 * sum + u16::from(digit - b'0'))
        }
        _ => return None,
    };
    Some((coding, quality))
}

/// `x-gzip` is the same (RFC 9110 section 8.4.1.3).
fn is_gzip(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")
}

/// Whether `body` begins as RFC 1950 section 2.2 says.
fn has_zlib_head(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31)
        }
        _ => true,
    }
}

/// Adds to the window bits that the library is to read the form of gzip.
const GZIP: u8 = 16;

/// Deflate, no fields, no time, unknown system (RFC 1952 section 2.3).
const GZIP_HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Deflate with a window of 32 KiB and the default effort (RFC 1950 section 2.2).
const ZLIB_HEAD: &[u8] = &[0x78, 0x9c];

/// Members of a body in gzip: each needs an inflater of its own, and may be of 20 bytes. Senders make one, and some
/// one for each 64 KiB.
const MAX_MEMBERS: usize = 64;

/// Bytes that are inflated first.
const FIRST: usize = 4096;

#[cfg(test)]
mod tests;
