//! The payload of a Close frame (RFC 6455 sections 5.5.1 and 7.4).

use super::{Closed, Violation, header::MAX_CONTROL};
use crate::text::Text;

/// Whether a Close frame may carry `code` (section 7.4 and the registry of section 11.7).
///
/// 1004 is reserved; 1005, 1006 and 1015 only name what was seen locally; 1012 to 1014 were
/// registered later; the rest below 3000 is for future revisions. From 3000 on codes belong to
/// libraries, from 4000 on to applications.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the payload of the peer's Close.
pub(super) fn parse(payload: &[u8]) -> Result<Closed, Violation> {
    // The body may be empty; if it is not, it begins with a code.
    let (code, reason) = match payload {
        [] => return Ok(Closed::Peer { code: None, reason: Text::EMPTY }),
        [_] => return Err(Violation::CloseTooShort),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !may_be_sent(code) {
        return Err(Violation::CloseCode { code });
    }
    match core::str::from_utf8(reason) {
        Ok(reason) => Ok(Closed::Peer { code: Some(code), reason: reason.into() }),
        Err(error) => Err(Violation::CloseReason { at: error.valid_up_to() }),
    }
}

/// Writes our own into `payload` and gives the part that is used: nothing without a code that may be
/// sent, and of the reason the characters that fit.
pub(super) fn encode<'a>(
    code: Option<u16>,
    reason: &str,
    payload: &'a mut [u8; MAX_CONTROL],
) -> &'a [u8] {
    let Some(code) = code.filter(|&code| may_be_sent(code)) else { return &[] };
    let mut end = reason.len().min(MAX_CONTROL - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + end].copy_from_slice(&reason.as_bytes()[..end]);
    &payload[..2 + end]
}
