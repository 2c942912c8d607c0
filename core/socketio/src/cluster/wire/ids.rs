//! Ids of nodes and requests.

use alloc::{format, sync::Arc};

use super::{
    super::{NodeId, RequestId},
    event::WireFault,
};

/// The uid of programs that send without being a node.
pub(super) const EMITTER: &str = "emitter";

/// Makes ids of one node, all of its seed.
#[derive(Clone, Copy)]
pub(super) struct Ids {
    seed: u64,
    /// The number from which the ids of requests count.
    base: u64,
    /// The number of the last request.
    last: u64,
    /// Responses so far of which the node is not known.
    anonymous: u64,
}

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, base: mix(seed ^ REQUESTS), last: 0, anonymous: 0 }
    }

    /// The uid of a namespace: 16 hexadecimal digits, as the reference has them. Each attempt has another one.
    pub(super) fn uid(&self, namespace: &str, attempt: u64) -> Arc<str> {
        format!("{:016x}", mix(self.seed ^ hash(namespace) ^ attempt.rotate_right(8))).into()
    }

    /// The text of a request of this node.
    pub(super) fn request(&mut self, RequestId(number): RequestId) -> Arc<str> {
        self.last = self.last.max(number);
        format!("{:016x}", self.base.wrapping_add(number)).into()
    }

    /// A node of a response that does not tell it, different each time.
    pub(super) fn anonymous(&mut self) -> NodeId {
        self.anonymous += 1;
        NodeId(mix(self.base ^ mix(self.anonymous)))
    }

    /// The request of this node that a text stands for. `None` for those of other nodes.
    pub(super) fn own_request(&self, text: &str) -> Option<RequestId> {
        let number = hexadecimal(text)?.wrapping_sub(self.base);
        (1..=self.last).contains(&number).then_some(RequestId(number))
    }
}

/// The number of a node, by its uid.
pub(super) fn node(uid: &str) -> NodeId {
    NodeId(hexadecimal(uid).unwrap_or_else(|| mix(hash(uid))))
}

/// The id of a node, if it is not longer than any.
pub(super) fn checked(uid: &str) -> Result<Arc<str>, WireFault> {
    match uid.len() {
        ..=MAX_ID => Ok(uid.into()),
        size => Err(WireFault::LongId { size, max: MAX_ID }),
    }
}

/// The number of 16 hexadecimal digits in lower case.
fn hexadecimal(text: &str) -> Option<u64> {
    let is_lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == 16 && is_lower).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// FNV-1a. Of names that clients choose, two may have the same.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The permutation of SplitMix64, in which each bit of the input changes half of the output.
fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Limit on the ids of nodes and requests, in bytes. The reference's have 6 and 16.
const MAX_ID: usize = 128;

/// Tells the numbers of requests from those of namespaces.
const REQUESTS: u64 = 0x7265_7175_6573_7473;
