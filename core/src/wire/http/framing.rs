//! Length of a body and persistence of the connection. The rules are those that both roles share.

use super::{
    fault::Fault,
    fields::{is_named, list},
};

/// How the length of a body is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// `Content-Length`, in bytes; zero for a request that says nothing.
    Sized(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Content of the fields of one head about body and connection, gathered in one pass.
///
/// Stricter than RFC 9112 section 6.3 where that leaves a choice: a repeated `Content-Length` is
/// refused even if the values agree, and so is one beside a `Transfer-Encoding`.
#[derive(Debug, Default)]
pub(super) struct Framing {
    length: Option<u64>,
    has_coding: bool,
    /// `chunked` is the last coding so far.
    chunked: bool,
    unknown_coding: bool,
    close: bool,
    keep_alive: bool,
    /// The connection goes on in another protocol, if the other side agrees.
    pub(super) upgrade: bool,
}

impl Framing {
    /// Takes note of one field.
    pub(super) fn field(&mut self, name: &str, value: &[u8]) -> Result<(), Fault> {
        // Few fields have these lengths, so most are passed over without a comparison.
        match name.len() {
            10 if is_named(name, "connection") => self.connection(value),
            14 if is_named(name, "content-length") => self.content_length(value)?,
            17 if is_named(name, "transfer-encoding") => self.coding(value)?,
            _ => {}
        }
        Ok(())
    }

    /// The length of the body; `None` if no field gives it.
    pub(super) fn body(&self, is_http_1_0: bool) -> Result<Option<BodyLength>, Fault> {
        if !self.has_coding {
            return Ok(self.length.map(BodyLength::Sized));
        }
        // Section 6.1: such messages "ought to be handled as an error", or as an attempt to smuggle.
        if self.length.is_some() {
            return Err(Fault::LengthAndCoding);
        }
        if is_http_1_0 {
            return Err(Fault::CodingInHttp10);
        }
        // Section 6.3: without `chunked` at the end the length of a request cannot be known, and
        // that of an answer only from the end of the connection.
        if !self.chunked {
            return Err(Fault::ChunkedNotLast);
        }
        if self.unknown_coding {
            return Err(Fault::UnknownCoding);
        }
        Ok(Some(BodyLength::Chunked))
    }

    /// Whether the connection persists after this message (RFC 9112 section 9.3).
    pub(super) fn keep_alive(&self, is_http_1_0: bool) -> bool {
        !self.close && (!is_http_1_0 || self.keep_alive)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.length.is_some() || value.contains(&b',') {
            return Err(Fault::RepeatedContentLength);
        }
        self.length = Some(decimal(value).ok_or(Fault::ContentLength)?);
        Ok(())
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.has_coding = true;
        for coding in list(value) {
            // Section 6.1: `chunked` may not be applied twice, and must come last.
            if self.chunked {
                return Err(Fault::ChunkedNotLast);
            }
            self.chunked = coding.eq_ignore_ascii_case(b"chunked");
            self.unknown_coding |= !self.chunked;
        }
        Ok(())
    }
}

/// One or more digits and nothing else, not even a sign, as a number below 2^64.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(fields: &[(&str, &str)]) -> Result<Framing, Fault> {
        let mut framing = Framing::default();
        for (name, value) in fields {
            framing.field(name, value.as_bytes())?;
        }
        Ok(framing)
    }

    fn body(fields: &[(&str, &str)]) -> Result<Option<BodyLength>, Fault> {
        framing(fields)?.body(false)
    }

    #[test]
    fn a_length_is_one_plain_decimal_number() {
        for (value, length) in [("0", 0), ("5", 5), ("0005", 5), ("18446744073709551615", u64::MAX)]
        {
            assert_eq!(body(&[("Content-Length", value)]), Ok(Some(BodyLength::Sized(length))));
        }
        for value in ["", "+5", "-1", "0x5", "5 5", "1_0", "5.0", "18446744073709551616", "٥"] {
            assert_eq!(body(&[("content-length", value)]), Err(Fault::ContentLength), "{value}");
        }
    }

    #[test]
    fn a_second_length_is_refused_even_if_it_agrees() {
        for fields in [
            &[("Content-Length", "5"), ("content-length", "5")][..],
            &[("Content-Length", "5"), ("Content-Length", "6")],
            &[("Content-Length", "5, 5")],
            &[("Content-Length", "5,")],
        ] {
            assert_eq!(body(fields), Err(Fault::RepeatedContentLength), "{fields:?}");
        }
    }

    #[test]
    fn chunked_must_be_the_last_coding_and_the_only_one() {
        let te = "Transfer-Encoding";
        assert_eq!(body(&[(te, "chunked")]), Ok(Some(BodyLength::Chunked)));
        assert_eq!(body(&[(te, " , ChunKed,")]), Ok(Some(BodyLength::Chunked)));
        for (fields, fault) in [
            (&[(te, "gzip, chunked")][..], Fault::UnknownCoding),
            (&[(te, "gzip"), (te, "chunked")], Fault::UnknownCoding),
            (&[(te, "chunked, gzip")], Fault::ChunkedNotLast),
            (&[(te, "chunked"), (te, "identity")], Fault::ChunkedNotLast),
            (&[(te, "chunked, chunked")], Fault::ChunkedNotLast),
            (&[(te, "chunked"), (te, "chunked")], Fault::ChunkedNotLast),
            (&[(te, "identity")], Fault::ChunkedNotLast),
            (&[(te, "xchunked")], Fault::ChunkedNotLast),
            (&[(te, "chunked;q=1")], Fault::ChunkedNotLast),
            (&[(te, "\"chunked\"")], Fault::ChunkedNotLast),
            (&[(te, "")], Fault::ChunkedNotLast),
            (&[(te, "chunked"), ("Content-Length", "0")], Fault::LengthAndCoding),
            (&[("Content-Length", "5"), (te, "")], Fault::LengthAndCoding),
        ] {
            assert_eq!(body(fields), Err(fault), "{fields:?}");
        }
        let old = framing(&[(te, "chunked")]).unwrap();
        assert_eq!(old.body(true), Err(Fault::CodingInHttp10));
    }

    #[test]
    fn no_field_gives_no_length() {
        assert_eq!(body(&[("Content-Lengths", "5"), ("Host", "a")]), Ok(None));
    }

    #[test]
    fn http_1_1_persists_unless_told_and_http_1_0_only_if_told() {
        for (value, in_1_1, in_1_0) in [
            ("", true, false),
            ("Keep-Alive", true, true),
            ("close", false, false),
            ("upgrade, CLOSE", false, false),
            ("keep-alive, close", false, false),
            ("closed", true, false),
        ] {
            let framing = framing(&[("Connection", value)]).unwrap();
            assert_eq!(framing.keep_alive(false), in_1_1, "{value}");
            assert_eq!(framing.keep_alive(true), in_1_0, "{value}");
        }
        let two = framing(&[("Connection", "keep-alive"), ("Connection", "close")]).unwrap();
        assert!(!two.keep_alive(true));
    }
}
