//! The compressed form of a message for many peers.

use alloc::{boxed::Box, sync::Arc};

use bytes::Bytes;
use once_cell::race::OnceBox;

/// The compressed form of one message, made by the first WebSocket that needs it.
///
/// Others take it if they need the same [`Form`], as nearly all do.
#[derive(Clone)]
pub(crate) struct SharedForm(Arc<OnceBox<(Form, Option<Bytes>)>>);

/// Parameters of a compressed form: the same message goes to clients of other revisions with another prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) bits: u8,
    pub(super) prefix: Option<u8>,
    pub(super) len: usize,
}

impl SharedForm {
    /// Makes one, unless compression was left out.
    #[expect(clippy::unnecessary_wraps, reason = "there is none without the feature `deflate`")]
    pub(crate) fn new() -> Option<Self> {
        Some(Self(Arc::new(OnceBox::new())))
    }

    /// Returns the form. Inside is `None` if it is not worth it, outside if there is another form.
    pub(super) fn form(
        &self,
        form: Form,
        make: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Option<Bytes>> {
        let (made, bytes) = self.0.get_or_init(|| Box::new((form, make())));
        (*made == form).then(|| bytes.clone())
    }
}
