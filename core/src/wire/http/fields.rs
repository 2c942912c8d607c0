//! Header fields of either role.

use alloc::boxed::Box;
use core::ops::Range;

use bytes::Bytes;

use crate::text::Text;

/// The bytes of one head and where its fields are in them.
#[derive(Clone)]
pub(super) struct Fields {
    raw: Raw,
    fields: Box<[Field]>,
}

/// The bytes of one head. Nearly all are text, which is validated once and not at each look.
#[derive(Clone)]
enum Raw {
    Text(Text),
    /// A value is in another encoding.
    Bytes(Bytes),
}

/// Eight bytes per field; this is why a head is at most 64 KiB long.
#[derive(Clone, Copy)]
struct Field {
    name: Span,
    value: Span,
}

/// A part of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    len: u16,
}

impl Fields {
    /// The longest head.
    pub(super) const MAX_LEN: usize = u16::MAX as usize;

    /// Copies `raw`, of which `headers` are parts. The caller has checked its length.
    pub(super) fn new(raw: &[u8], headers: &[httparse::Header<'_>]) -> Self {
        let field = |header: &httparse::Header<'_>| Field {
            name: Span::of(raw, header.name.as_bytes()),
            value: Span::of(raw, header.value),
        };
        let raw = Text::from_utf8(Bytes::copy_from_slice(raw)).map_or_else(Raw::Bytes, Raw::Text);
        Self { raw, fields: headers.iter().map(field).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A part of the head that the parser found to be ASCII.
    pub(super) fn text(&self, span: Span) -> &str {
        match &self.raw {
            Raw::Text(text) => text.get(span.range()).unwrap_or_default(),
            Raw::Bytes(_) => core::str::from_utf8(self.bytes(span)).unwrap_or_default(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (self.text(field.name), self.bytes(field.value)))
    }

    /// The values of all fields of that name, in order.
    pub(super) fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        // Most names are of another length.
        let is_it = move |field: &&Field| {
            usize::from(field.name.len) == name.len()
                && self.bytes(field.name).eq_ignore_ascii_case(name.as_bytes())
        };
        self.fields.iter().filter(is_it).map(|field| self.bytes(field.value))
    }

    /// Whether the comma-separated lists of that name have `token` as a member.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        let is_it = |member: &[u8]| member.eq_ignore_ascii_case(token.as_bytes());
        self.get_all(name).any(|value| list(value).any(is_it))
    }

    fn bytes(&self, span: Span) -> &[u8] {
        let raw = match &self.raw {
            Raw::Text(text) => text.as_bytes(),
            Raw::Bytes(bytes) => bytes,
        };
        &raw[span.range()]
    }
}

/// Whether a field has the name `lower`, which is of lower-case letters and hyphens, in whatever case.
///
/// Without a branch for each byte. A name is a token, so a bit more tells letters alone apart.
#[inline]
pub(super) fn is_named(name: &str, lower: &str) -> bool {
    let pairs = name.bytes().zip(lower.bytes());
    name.len() == lower.len()
        && pairs.fold(0, |difference, (byte, lower)| difference | ((byte | 0x20) ^ lower)) == 0
}

impl Span {
    /// Where `part`, a slice of `raw`, is in it. Both are no longer than [`Fields::MAX_LEN`].
    pub(super) fn of(raw: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(raw.as_ptr().addr());
        debug_assert!(start + part.len() <= raw.len() && raw.len() <= Fields::MAX_LEN);
        Self {
            start: u16::try_from(start).unwrap_or_default(),
            len: u16::try_from(part.len()).unwrap_or_default(),
        }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.len == 0
    }

    fn range(self) -> Range<usize> {
        let start = usize::from(self.start);
        start..start + usize::from(self.len)
    }
}

/// The fields of a head for which there is room on the stack while it is parsed: a browser sends about
/// 20, and proxies add some. For more there is an allocation, so a head is parsed twice at most.
pub(super) const FEW_HEADERS: usize = 64;

/// The most fields that a head can have: one a line.
pub(super) fn most_headers(raw: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', raw).count()
}

/// The members of a comma-separated list without the white space around them (RFC 9110 section
/// 5.6.1; empty members count for nothing).
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|member| !member.is_empty())
}

/// `bytes` without optional white space at either end (RFC 9110 section 5.6.3).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::*;
    use crate::exchange::is_token;

    #[test]
    fn a_name_has_any_case_and_no_other_token_is_it() {
        for name in ["connection", "Connection", "CONNECTION", "cOnNeCtIoN"] {
            assert!(is_named(name, "connection"), "{name}");
        }
        for name in ["", "connectio", "connections", "connectiom"] {
            assert!(!is_named(name, "connection"), "{name}");
        }
        let tokens = (0..=u8::MAX).filter(|&byte| is_token(byte)).map(char::from);
        for (token, lower) in
            tokens.flat_map(|token| ('a'..='z').chain(['-']).map(move |lower| (token, lower)))
        {
            let (token, lower) = (String::from(token), String::from(lower));
            assert_eq!(
                is_named(&token, &lower),
                token.eq_ignore_ascii_case(&lower),
                "{token} {lower}"
            );
        }
    }

    #[test]
    fn a_list_has_members_without_white_space_and_none_that_are_empty() {
        let members: Vec<&[u8]> = list(b" a ,\t,b\t c,, ").collect();
        assert_eq!(members, [&b"a"[..], b"b\t c"]);
        assert_eq!(list(b"").count(), 0);
        assert_eq!(list(b" \t ").count(), 0);
    }

    #[test]
    fn a_span_at_the_very_end_of_the_longest_head_fits() {
        let raw = [b'x'; Fields::MAX_LEN];
        let fields = Fields::new(&raw, &[]);
        assert_eq!(fields.text(Span::of(&raw, &raw[Fields::MAX_LEN - 2..])), "xx");
        assert_eq!(fields.text(Span::of(&raw, &raw)).len(), Fields::MAX_LEN);
        assert!(Span::of(&raw, &raw[Fields::MAX_LEN..]).is_empty());
    }
}
