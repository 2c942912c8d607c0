//! Timestamps of requests, against caches that do not heed `Cache-Control`.

use alloc::{format, string::String};

use crate::entropy::Entropy;

/// Makes timestamps for requests: never the same twice, in this session or, very likely, another.
#[derive(Clone, Hash)]
pub(super) struct Stamp {
    session: u32,
    count: u32,
}

impl Stamp {
    pub(super) fn new(entropy: &mut dyn Entropy) -> Self {
        let mut session = [0; 4];
        entropy.fill(&mut session);
        Self { session: u32::from_be_bytes(session), count: 0 }
    }

    pub(super) fn next(&mut self) -> String {
        self.count = self.count.wrapping_add(1);
        let number = u64::from(self.session) << 32 | u64::from(self.count);
        format!("{number:x}")
    }
}
