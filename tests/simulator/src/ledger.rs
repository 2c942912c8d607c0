//! What must hold whatever the network does, kept by a bystander who sees only the outside.

use std::time::Duration;

use enginewire::{CloseReason, Limits, Time, TransportFault, hub::HubConfig};

use crate::path::{Path, Side};

/// The books about all lives.
pub(crate) struct Ledger {
    lives: Vec<Life>,
    /// From the last sign of life of a peer to the end of the session, at the latest.
    silence: [Duration; 2],
    max_queued: usize,
    /// The server was told to end.
    pub(crate) server_over: bool,
}

/// What is known about one life and its sessions.
#[derive(Default)]
struct Life {
    /// A connection of it was disturbed, or is such that timeouts may come up.
    disturbed: bool,
    /// Somebody else has spoken in its name, or may have.
    intruded: bool,
    /// Which side the application has closed.
    closed: [bool; 2],
    /// Which side is over, whatever the reason.
    over: [bool; 2],
    /// When each side was last brought bytes.
    heard: [Time; 2],
    /// When an application was last slow.
    slow: Option<Time>,
    /// The second that is being counted, and requests and messages in it and the one before.
    second: u64,
    requests: [u64; 2],
    messages: [u64; 2],
    told: bool,
}

impl Ledger {
    pub(crate) fn new(config: &HubConfig) -> Self {
        let (interval, timeout) = (config.protocol.ping_interval, config.protocol.ping_timeout);
        // The client wants a ping. The server gives a pong as long again if anything else comes.
        let silence = [interval + timeout, interval + 2 * timeout];
        let max_queued = config.protocol.limits.max_queued;
        Self { lives: Vec::new(), silence, max_queued, server_over: false }
    }

    /// A life begins, and this is its number.
    pub(crate) fn begin(&mut self, now: Time) -> u64 {
        self.lives.push(Life { heard: [now; 2], ..Life::default() });
        self.lives.len() as u64
    }

    pub(crate) const fn lives(&self) -> u64 {
        self.lives.len() as u64
    }

    fn life(&mut self, life: u64) -> &mut Life {
        usize::try_from(life)
            .ok()
            .and_then(|life| self.lives.get_mut(life.wrapping_sub(1)))
            .unwrap_or_else(|| panic!("there is no life {life}"))
    }

    pub(crate) fn note_path(&mut self, life: u64, path: &Path) {
        self.life(life).disturbed |= path.refused
            || path.latency + path.jitter + path.connect > Duration::from_secs(1)
            || path.bandwidth < 100_000;
    }

    pub(crate) fn note_fault(&mut self, life: u64) {
        self.life(life).disturbed = true;
    }

    /// Somebody else speaks in the name of this life: to the server no rule holds any more.
    pub(crate) fn note_intruder(&mut self, life: u64) {
        let life = self.life(life);
        life.intruded = true;
        life.disturbed = true;
    }

    pub(crate) fn note_bytes(&mut self, now: Time, life: u64, to: Side) {
        self.life(life).heard[to as usize] = now;
    }

    pub(crate) fn note_close(&mut self, life: u64, side: Side) {
        self.life(life).closed[side as usize] = true;
    }

    /// An application has more to catch up with than it may: because it is slow, or because one read
    /// brought so much. The peer was not read for that while, which excuses its silence.
    pub(crate) fn note_slow(&mut self, now: Time, life: u64) {
        self.life(life).slow = Some(now);
    }

    /// Nobody could do anything in this while.
    pub(crate) fn note_jump(&mut self, now: Time) {
        for life in &mut self.lives {
            life.heard = [now; 2];
            life.disturbed = true;
        }
    }

    /// Messages were sent by either side or came to it.
    pub(crate) fn note_messages(&mut self, now: Time, life: u64, messages: u64) {
        let life = self.life(life);
        life.turn(now);
        life.messages[0] += messages;
    }

    /// A client asks for something: more often than it has reason to it must not.
    pub(crate) fn note_requests(&mut self, now: Time, life: u64, requests: u64) {
        let number = life;
        let life = self.life(life);
        life.turn(now);
        life.requests[0] += requests;
        let messages: u64 = life.messages.iter().sum();
        let allowed = MAX_REQUESTS + 2 * messages;
        assert!(
            life.requests[0] <= allowed,
            "life {number}: {} requests in a second with {messages} messages",
            life.requests[0],
        );
    }

    /// A side that says it is over has a reason, which can be explained, and says it once.
    pub(crate) fn note_over(&mut self, number: u64, side: Side, reason: &CloseReason) {
        let server_over = self.server_over;
        let life = self.life(number);
        let other = life.over[side.other() as usize] || life.closed[side.other() as usize];
        let explained = match reason {
            CloseReason::ForcedClose => {
                life.closed[side as usize] || (side == Side::Server && server_over)
            }
            CloseReason::TransportClose => life.disturbed || other || server_over,
            CloseReason::PingTimeout => {
                life.disturbed || other || life.slow.is_some() || server_over
            }
            CloseReason::TransportError(fault) => {
                let possible = matches!(
                    fault,
                    TransportFault::ConnectionLost
                        | TransportFault::PollLost
                        | TransportFault::PostLost
                        | TransportFault::Unreachable
                        | TransportFault::Timeout
                        | TransportFault::Status(_)
                );
                possible && (life.disturbed || other || server_over)
            }
            _ => false,
        } || (life.intruded && side == Side::Server);
        assert!(explained, "life {number}: the {side:?} is over for no reason: {reason:?}");
        if side == Side::Client {
            assert!(
                !std::mem::replace(&mut life.told, true),
                "life {number}: the client is over twice"
            );
        }
        life.over[side as usize] = true;
    }

    /// A session that is still there must have heard of its peer.
    pub(crate) fn check_silence(&mut self, now: Time, number: u64, side: Side, opened: Time) {
        let silence = self.silence[side as usize];
        let life = self.life(number);
        let last = life.heard[side as usize].max(opened);
        let excused = life.slow.is_some_and(|slow| now.since(slow) <= 2 * silence);
        assert!(
            excused || now.since(last) <= silence,
            "life {number}: the {side:?} has lived on for {:?} of silence",
            now.since(last)
        );
    }

    /// What waits is bounded.
    pub(crate) fn check_queue(&self, queued: usize, largest: usize) {
        let most = self.max_queued + largest + Limits::MESSAGE_OVERHEAD;
        assert!(queued <= most, "{queued} bytes are queued");
    }
}

impl Life {
    fn turn(&mut self, now: Time) {
        let second = now.as_nanos() / 1_000_000_000;
        if second != self.second {
            let follows = second == self.second + 1;
            self.requests[1] = if follows { self.requests[0] } else { 0 };
            self.messages[1] = if follows { self.messages[0] } else { 0 };
            (self.requests[0], self.messages[0]) = (0, 0);
            self.second = second;
        }
    }
}

/// Requests that a client may send in a second without a message to carry: ten polls that bring
/// nothing, before that as many as it takes to notice, and those of opening and upgrading.
const MAX_REQUESTS: u64 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> (Ledger, u64) {
        let mut ledger = Ledger::new(&HubConfig::default());
        let life = ledger.begin(Time::ZERO);
        (ledger, life)
    }

    const LOST: CloseReason = CloseReason::TransportError(TransportFault::ConnectionLost);

    #[test]
    #[should_panic = "is over for no reason"]
    fn an_end_without_a_fault_is_a_failure() {
        let (mut ledger, life) = ledger();
        ledger.note_over(life, Side::Client, &LOST);
    }

    #[test]
    #[should_panic = "is over for no reason"]
    fn no_weather_explains_a_broken_rule() {
        let (mut ledger, life) = ledger();
        ledger.note_fault(life);
        let overlap = CloseReason::TransportError(TransportFault::PollOverlap);
        ledger.note_over(life, Side::Server, &overlap);
    }

    #[test]
    fn whoever_speaks_in_another_s_name_may_break_a_rule_but_not_make_the_client_say_so() {
        let (mut ledger, life) = ledger();
        ledger.note_intruder(life);
        let overlap = CloseReason::TransportError(TransportFault::PollOverlap);
        ledger.note_over(life, Side::Server, &overlap);
        ledger.note_over(life, Side::Client, &LOST);
    }

    #[test]
    #[should_panic = "is over twice"]
    fn an_end_that_is_told_twice_is_a_failure() {
        let (mut ledger, life) = ledger();
        ledger.note_fault(life);
        ledger.note_over(life, Side::Client, &LOST);
        ledger.note_over(life, Side::Client, &LOST);
    }

    #[test]
    fn a_fault_or_the_other_side_s_end_explains_an_end() {
        let (mut ledger, life) = ledger();
        ledger.note_close(life, Side::Client);
        ledger.note_over(life, Side::Client, &CloseReason::ForcedClose);
        ledger.note_over(life, Side::Server, &CloseReason::TransportClose);
    }

    #[test]
    #[should_panic = "of silence"]
    fn a_session_that_outlives_its_peer_is_a_failure() {
        let (mut ledger, life) = ledger();
        let deadline = Time::from_millis(45_000);
        ledger.check_silence(deadline, life, Side::Client, Time::ZERO);
        let late = deadline + Duration::from_nanos(1);
        ledger.check_silence(late, life, Side::Client, Time::ZERO);
    }

    #[test]
    #[should_panic = "requests in a second"]
    fn a_client_that_asks_too_often_is_a_failure() {
        let (mut ledger, life) = ledger();
        for _ in 0..=MAX_REQUESTS {
            ledger.note_requests(Time::ZERO, life, 1);
        }
    }
}
