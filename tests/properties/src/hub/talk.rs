//! What the two sides of a session say to each other, and that it is what they hear.

use std::collections::VecDeque;

use enginewire::{Message, Packet, Revision, Sid, codec::PayloadForm};

use crate::oracle;

/// A session, as both of its sides know it.
pub(super) struct Talk {
    pub(super) revision: Revision,
    pub(super) sid: Sid,
    /// From the peer to the application.
    pub(super) up: Lane,
    /// From the application to the peer.
    pub(super) down: Lane,
}

impl Talk {
    pub(super) fn new(revision: Revision, sid: Sid) -> Self {
        Self { revision, sid, up: Lane::default(), down: Lane::default() }
    }

    /// Somebody may have spoken for either side whom we do not know.
    pub(super) fn forget(&mut self) {
        self.up.forget();
        self.down.forget();
    }

    /// A request was lost that may have brought messages, or its answer.
    pub(super) fn loosen(&mut self) {
        self.up.loosen();
        self.down.loosen();
    }
}

/// What was said in one direction and not heard yet.
#[derive(Default)]
pub(super) struct Lane {
    said: VecDeque<Said>,
    order: Order,
    /// How many messages were heard that had been said.
    pub(super) heard: usize,
}

struct Said {
    message: Message,
    /// What brought it.
    by: u64,
    /// It was taken, and so must be heard.
    taken: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Order {
    /// All that is said is heard, one behind the other.
    #[default]
    Whole,
    /// In order, but some may have been lost.
    Gaps,
    /// Nobody knows all that was said.
    Unknown,
}

impl Lane {
    pub(super) fn say(&mut self, message: Message, by: u64, taken: bool) {
        if self.order != Order::Unknown {
            self.said.push_back(Said { message, by, taken });
        }
    }

    /// What `by` has brought was taken.
    pub(super) fn take(&mut self, by: u64) {
        for said in self.said.iter_mut().filter(|said| said.by == by) {
            said.taken = true;
        }
    }

    pub(super) fn hear(&mut self, message: &Message) {
        let at = match self.order {
            Order::Whole => self.said.front().filter(|said| said.message == *message).map(|_| 0),
            Order::Gaps => self.said.iter().position(|said| said.message == *message),
            Order::Unknown => return,
        };
        let at = at.unwrap_or_else(|| panic!("{message:?} was not said, or not next"));
        let skips = self.said.drain(..=at).take(at).any(|said| said.taken);
        assert!(!skips, "{message:?} is heard before what was taken earlier");
        self.heard += 1;
    }

    pub(super) const fn loosen(&mut self) {
        if matches!(self.order, Order::Whole) {
            self.order = Order::Gaps;
        }
    }

    pub(super) fn forget(&mut self) {
        self.order = Order::Unknown;
        self.said = VecDeque::new();
    }

    /// Nothing more is to be heard.
    pub(super) fn end(&mut self) {
        let lost = self.said.iter().find(|said| said.taken);
        assert!(lost.is_none(), "{:?} was taken and is lost", lost.map(|said| &said.message));
        self.forget();
    }

    /// Whether all that was said has been heard, as far as we know.
    pub(super) fn is_over(&self) -> bool {
        self.said.is_empty() || self.order != Order::Whole
    }
}

/// The packets of an answer, which are all in order.
pub(super) fn answer(revision: Revision, binary: bool, body: &[u8]) -> Vec<Packet> {
    let form = match (revision, binary) {
        (Revision::V4, _) => PayloadForm::V4,
        (Revision::V3, false) => PayloadForm::V3Text,
        (Revision::V3, true) => PayloadForm::V3Binary,
    };
    let (packets, faulty) = oracle::payload(form, body, usize::MAX);
    assert!(!faulty && !packets.is_empty(), "{}", body.escape_ascii());
    packets
}

/// The session's id in what it opens with.
pub(super) fn sid(handshake: &str) -> String {
    let handshake: serde_json::Value = serde_json::from_str(handshake).expect("JSON");
    handshake["sid"].as_str().expect("a text").to_owned()
}

/// What a session is told by the body of a POST.
pub(super) fn posted(revision: Revision, body: &[u8], max_packets: usize) -> Vec<Message> {
    let form = match revision {
        Revision::V4 => PayloadForm::V4,
        Revision::V3 => PayloadForm::V3Text,
    };
    let packets = oracle::payload(form, body, max_packets).0.into_iter();
    packets.take_while(|packet| *packet != Packet::Close).filter_map(message).collect()
}

/// The packet in a frame; `None` if there is none.
pub(super) fn frame(revision: Revision, first: u8, payload: &[u8]) -> Option<Packet> {
    match first {
        0x81 => oracle::text_packet(revision, std::str::from_utf8(payload).ok()?),
        0x82 => oracle::binary_packet(revision, payload),
        _ => None,
    }
}

pub(super) fn message(packet: Packet) -> Option<Message> {
    match packet {
        Packet::Message(message) => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(said: &[&str]) -> Lane {
        let mut lane = Lane::default();
        for (by, &message) in (0..).zip(said) {
            lane.say(message.into(), by, false);
        }
        lane
    }

    #[test]
    fn what_was_said_is_heard_in_order() {
        let mut lane = lane(&["a", "b"]);
        lane.hear(&"a".into());
        assert!(!lane.is_over());
        lane.hear(&"b".into());
        assert!(lane.is_over());
        assert_eq!(lane.heard, 2);
    }

    #[test]
    #[should_panic = "was not said"]
    fn nothing_is_heard_twice() {
        let mut lane = lane(&["a", "b"]);
        lane.hear(&"a".into());
        lane.hear(&"a".into());
    }

    #[test]
    #[should_panic = "was not said"]
    fn nothing_is_passed_over() {
        lane(&["a", "b"]).hear(&"b".into());
    }

    #[test]
    fn what_may_be_lost_is_passed_over() {
        let mut lane = lane(&["a", "b", "c"]);
        lane.loosen();
        lane.hear(&"b".into());
        lane.end();
    }

    #[test]
    #[should_panic = "before what was taken earlier"]
    fn what_was_taken_is_not_passed_over() {
        let mut lane = lane(&["a", "b", "c"]);
        lane.loosen();
        lane.take(1);
        lane.hear(&"c".into());
    }

    #[test]
    #[should_panic = "is lost"]
    fn what_was_taken_is_heard_before_the_end() {
        let mut lane = lane(&["a", "b"]);
        lane.take(1);
        lane.end();
    }

    #[test]
    fn nothing_is_known_of_what_others_said() {
        let mut lane = lane(&["a"]);
        lane.forget();
        lane.loosen();
        lane.hear(&"b".into());
        assert!(lane.is_over());
        assert_eq!(lane.heard, 0);
    }
}
