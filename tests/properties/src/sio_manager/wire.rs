//! The session below a manager, which keeps what is sent until it is looked at.

use std::collections::{BTreeMap, VecDeque};

use enginewire::{CloseReason, Encoded, Message, SendError, Time, TrySendError};
use enginewire_socketio::Session;

/// One session, from when it is to be opened.
pub(super) struct Wire {
    pub(super) sent: VecDeque<String>,
    /// Messages sent on it so far.
    pub(super) count: usize,
    pub(super) room: Option<usize>,
    pub(super) is_idle: bool,
    pub(super) is_receiving: bool,
    pub(super) is_open: bool,
    pub(super) is_closed: bool,
    pub(super) is_aborted: bool,
    /// What messages count for: of earlier sessions, of this one, and what was given back.
    pub(super) held: usize,
    pub(super) received: usize,
    pub(super) released: usize,
    pub(super) views: BTreeMap<String, View>,
    /// Numbers of the events to be acknowledged that the server has got, by namespace.
    pub(super) asked: BTreeMap<(String, u128), u64>,
}

/// A namespace as the server sees it.
#[derive(Default)]
pub(super) struct View {
    pub(super) state: ViewState,
    /// The payload of the last request.
    pub(super) auth: Option<String>,
    /// The client has left, and the server has not responded to another request since.
    pub(super) is_stale: bool,
    /// Requests that were granted.
    pub(super) granted: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ViewState {
    #[default]
    Apart,
    Requested,
    Connected,
    Disconnected,
}

impl Wire {
    pub(super) const fn new() -> Self {
        Self {
            sent: VecDeque::new(),
            count: 0,
            room: None,
            is_idle: true,
            is_receiving: true,
            is_open: false,
            is_closed: false,
            is_aborted: false,
            held: 0,
            received: 0,
            released: 0,
            views: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_closed || self.is_aborted
    }

    pub(super) fn state(&self, namespace: &str) -> ViewState {
        self.views.get(namespace).map_or(ViewState::Apart, |view| view.state)
    }

    pub(super) fn view(&mut self, namespace: &str) -> &mut View {
        self.views.entry(namespace.to_owned()).or_default()
    }
}

impl Session for Wire {
    fn send(&mut self, message: Encoded) -> Result<(), TrySendError> {
        assert!(self.is_open, "something is sent before the session is open");
        if self.is_over() {
            return Err(TrySendError { message, reason: SendError::Closed });
        }
        match &mut self.room {
            Some(0) => {
                let reason = SendError::Full { queued: 9, max: 9 };
                return Err(TrySendError { message, reason });
            }
            Some(room) => *room -= 1,
            None => {}
        }
        self.count += 1;
        self.sent.push_back(text(&message));
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.is_idle
    }

    fn queued(&self) -> (usize, usize) {
        (if self.room == Some(0) { 9 } else { 0 }, 9)
    }

    fn is_receiving(&self) -> bool {
        self.is_receiving
    }

    fn release(&mut self, cost: usize) {
        self.released += cost;
    }

    fn close(&mut self, _now: Time) {
        self.is_closed = true;
    }

    fn abort(&mut self, _reason: CloseReason) {
        self.is_aborted = true;
    }
}

fn text(message: &Encoded) -> String {
    assert_eq!(message.parts(), 1);
    match message.part(0).unwrap().message() {
        Message::Text(text) => text.to_string(),
        Message::Binary(_) => panic!("nothing binary is sent"),
    }
}
