//! The field `Forwarded` (RFC 7239 section 4).

use super::{Element, node};

/// The elements of a field, from the last to the first.
///
/// Read from the end, because what a client has sent stands at the beginning: a quote that it opens there must not
/// swallow what proxies have appended.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    rsplit(value, b',')
}

/// The address in the parameter `for` of an element.
pub(super) fn address(element: &[u8]) -> Element {
    if element.trim_ascii().is_empty() {
        return Element::Empty;
    }
    let mut found = None;
    for pair in rsplit(element, b';') {
        let Some(at) = memchr::memchr(b'=', pair) else { continue };
        let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        // It must not occur twice, so that no two readers can take different ones.
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return Element::Unknown;
        }
    }
    let node = found.map(unquoted).and_then(|value| core::str::from_utf8(value).ok());
    node.and_then(self::node).map_or(Element::Unknown, Element::Address)
}

/// The value without quotes around it. No address needs an escaped character within.
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// The parts between separators outside of quotes, from the last to the first.
fn rsplit(mut text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut is_done = false;
    core::iter::from_fn(move || {
        if is_done {
            return None;
        }
        let mut is_quoted = false;
        let found = (0..text.len()).rev().find(|&at| {
            let is_escaped = is_quoted && at > 0 && text[at - 1] == b'\\';
            if text[at] == b'"' && !is_escaped {
                is_quoted = !is_quoted;
            }
            text[at] == separator && !is_quoted
        });
        let Some(at) = found else {
            is_done = true;
            return Some(text);
        };
        let part = &text[at + 1..];
        text = &text[..at];
        Some(part)
    })
}
