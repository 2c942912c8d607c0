//! How an application refuses a handshake.

use alloc::{borrow::Cow, string::String};
use core::fmt;

use bytes::Bytes;

/// The response of an application that refuses a handshake.
///
/// Default: status 403 and the body of the protocol, `{"code":4,"message":..}`, which clients show.
///
/// ```
/// use enginewire::Refusal;
///
/// let refusal = Refusal::new("too many attempts").with_status(429);
/// assert_eq!((refusal.status(), refusal.message()), (429, "too many attempts"));
/// // A string is one with the defaults.
/// assert_eq!(Refusal::from("no token").status(), 403);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    message: Cow<'static, str>,
    body: Option<(&'static str, Bytes)>,
}

impl Refusal {
    /// Makes a refusal with status 403 and this message for the client.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: 403, message: message.into(), body: None }
    }

    /// Replaces the status.
    ///
    /// # Panics
    ///
    /// If `status` is not 400 to 499: nothing else refuses a client.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        assert!((400..500).contains(&status), "{status} is not a 4xx status");
        self.status = status;
        self
    }

    /// Replaces the body of the protocol.
    #[must_use]
    pub fn with_body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type, body.into()));
        self
    }

    /// Returns the status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) const fn body(&self) -> Option<&(&'static str, Bytes)> {
        self.body.as_ref()
    }
}

impl From<&'static str> for Refusal {
    fn from(message: &'static str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn refusal_has_its_message_and_status_in_every_form() {
        for refusal in [Refusal::new("no"), Refusal::from("no"), Refusal::from("no".to_string())] {
            assert_eq!((refusal.status(), refusal.message(), refusal.body()), (403, "no", None));
            assert_eq!(refusal.to_string(), "no");
            let refusal = refusal.with_status(429).with_body("text/plain", "body");
            assert_eq!((refusal.status(), refusal.message()), (429, "no"));
            assert_eq!(refusal.body(), Some(&("text/plain", Bytes::from("body"))));
        }
    }
}
