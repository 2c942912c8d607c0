//! Diagnosis of a head that the parser has refused, in either role.

use super::fault::Fault;
use crate::exchange::{is_text, is_token};

/// Says precisely what the parser stumbled over, or gives the start line if it is that. Slow, but
/// the connection ends here.
#[cold]
pub(super) fn diagnose(
    raw: &[u8],
    error: httparse::Error,
    max_headers: usize,
) -> Result<Fault, &[u8]> {
    if matches!(error, httparse::Error::TooManyHeaders) {
        return Ok(Fault::TooManyHeaders { max: max_headers });
    }
    if let Some(at) = raw.iter().position(|&byte| byte == 0) {
        return Ok(Fault::Nul { at });
    }
    let is_bare = |at: &usize| raw[*at] == b'\r' && raw.get(at + 1) != Some(&b'\n');
    if let Some(at) = (0..raw.len()).find(is_bare) {
        return Ok(Fault::BareCarriageReturn { at });
    }
    let mut lines =
        raw.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let start_line = lines.next().unwrap_or_default();
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Ok((2..)
            .zip(lines)
            .find_map(|(line, text)| header_fault(line, text))
            .unwrap_or(Fault::NotOneHead)),
        _ => Err(start_line),
    }
}

/// Whether `word` is a version of HTTP, be it one that is spoken here or not.
pub(super) fn is_version(word: &[u8]) -> bool {
    let version = word.strip_prefix(b"HTTP/");
    matches!(version, Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Returns the fault of a header line, or `None` if there is none.
fn header_fault(line: usize, text: &[u8]) -> Option<Fault> {
    if let [b' ' | b'\t', ..] = text {
        return Some(Fault::Folded { line });
    }
    let colon = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
    let (name, value) = text.split_at(colon);
    let is_name = |name: &[u8]| !name.is_empty() && name.iter().copied().all(is_token);
    if is_name(name) && !value.is_empty() {
        return (!value.iter().copied().all(is_text)).then_some(Fault::Header { line });
    }
    if is_name(name.trim_ascii_end()) && !value.is_empty() {
        return Some(Fault::SpaceBeforeColon { line });
    }
    Some(Fault::Header { line })
}
