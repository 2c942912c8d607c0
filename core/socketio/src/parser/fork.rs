//! Copies and fingerprints of decoders, for programs that walk through all states.

use core::hash::Hasher;

use enginewire::Fingerprint;

use super::{Decoder, State};

impl Decoder {
    /// Copies the decoder. `None` if it is an application's own.
    pub(crate) fn fork(&self) -> Option<Self> {
        let state = match &self.state {
            State::Json(decoder) => State::Json(decoder.clone()),
            State::MessagePack => State::MessagePack,
            State::Custom(_) => return None,
        };
        Some(Self { state, limits: self.limits })
    }

    /// Feeds what the future depends on into `into`, but for the limits.
    pub(crate) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        match &self.state {
            State::Json(decoder) => into.push(decoder),
            State::MessagePack => {}
            State::Custom(decoder) => into.push(&decoder.is_waiting()),
        }
    }
}
