//! What a script is worth.

/// How far a script has got: one that only ever fails at the beginning shows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// A session has opened.
    pub opened: bool,
    /// Messages that the application was given.
    pub received: usize,
    /// Messages of the application that came out, or that a hub took.
    pub sent: usize,
    /// A session has moved to a WebSocket.
    pub upgraded: bool,
}
