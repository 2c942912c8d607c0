//! What an application sends, as the sessions' scripts say it and as their models keep it.

use std::collections::VecDeque;

use enginewire::{Encoded, Limits, Message};

/// A message, or a group of them, that was sent.
pub(crate) struct Sent {
    /// What has not come out yet.
    pub(crate) parts: VecDeque<Message>,
    /// As [`Limits::max_queued`] counts.
    pub(crate) cost: usize,
}

impl Sent {
    pub(crate) fn new(message: &Encoded) -> Self {
        let parts = (0..message.parts()).filter_map(|index| message.part(index));
        Self {
            parts: parts.map(|part| part.message().clone()).collect(),
            cost: message.len() + message.parts() * Limits::MESSAGE_OVERHEAD,
        }
    }
}

/// Without the separator of revision 4, which has no escape for it.
pub(crate) fn text(bytes: &[u8]) -> Message {
    String::from_utf8_lossy(bytes).replace('\x1e', "").into()
}

/// Texts, cut at each comma; none of an empty line.
pub(crate) fn group(line: &[u8]) -> Encoded {
    let parts = line.split(|&byte| byte == b',').filter(|_| !line.is_empty());
    Encoded::group(parts.map(text))
}
