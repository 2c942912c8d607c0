//! What must hold whatever the network does, kept by a bystander who sees only the outside.

use std::time::Duration;

use enginewire::{CloseReason, Limits, Time, TransportFault, hub::ServerHubConfig};

use crate::{observer::Content, path::Side};

/// The books about all lives.
pub(crate) struct Ledger {
    lives: Vec<Life>,
    /// From the last sign of life of a peer to the end of the session, at the latest.
    silence: Duration,
    max_queued: usize,
    max_unread: usize,
    /// The server was told to end.
    pub(crate) server_over: bool,
}

/// What is known about one life and its sessions.
#[derive(Default)]
struct Life {
    /// Until when what was done to its connections can still end a session.
    disturbed: Option<Time>,
    /// Somebody else has spoken in its name, or may have.
    intruded: bool,
    /// The clock has jumped.
    jumped: bool,
    repeats: Repeats,
    /// Which side the application has closed.
    closed: [bool; 2],
    /// Which side is over, whatever the reason.
    over: [bool; 2],
    /// When the youngest session opened on each side, and how many the server has opened, and still has.
    opened: [Option<Time>; 2],
    sessions: u32,
    living: u32,
    /// When each side was last brought bytes.
    heard: [Time; 2],
    /// When each side has last read a ping or a pong.
    beat: [Option<Time>; 2],
    /// Bytes of packets that each side has read and its application was not told of, or fewer, and how
    /// many may be of messages.
    unread: [u64; 2],
    max_unread: [usize; 2],
    /// When an application was last slow.
    slow: Option<Time>,
    /// The second that is being counted, and requests and messages in it and the one before.
    second: u64,
    requests: [u64; 2],
    messages: [u64; 2],
    /// Requests and answers that were written, on all connections there were.
    exchanges: (u64, u64),
    told: bool,
}

/// What was sent a second time of a life, by a proxy ([`Fault::Repeat`](crate::Fault::Repeat)) or by the
/// client after a kept connection has failed, and what may come of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// GETs: as many answers have gone, or will go, to the proxy, and what was in them is lost.
    pub gets: u32,
    /// POSTs: the messages of as many may come twice.
    pub posts: u32,
}

impl Ledger {
    pub(crate) fn new(config: &ServerHubConfig) -> Self {
        let (interval, timeout) = (config.protocol.ping_interval, config.protocol.ping_timeout);
        // Whoever waits for a ping waits for both. Whoever waits for a pong may give it its time again,
        // but only once, and from when something else has come: so never for longer than for both.
        let silence = interval + timeout;
        let Limits { max_queued, max_unread, .. } = config.protocol.limits;
        Self { lives: Vec::new(), silence, max_queued, max_unread, server_over: false }
    }

    /// A life begins, with a client that has these limits, and this is its number.
    pub(crate) fn begin(&mut self, client: &Limits) -> u64 {
        let max_unread = [client.max_unread, self.max_unread];
        self.lives.push(Life { max_unread, ..Life::default() });
        self.lives.len() as u64
    }

    pub(crate) const fn lives(&self) -> u64 {
        self.lives.len() as u64
    }

    /// Requests and answers of a life.
    pub(crate) fn exchanges(&self, life: u64) -> (u64, u64) {
        self.look(life).exchanges
    }

    pub(crate) fn repeats(&self, life: u64) -> Repeats {
        self.look(life).repeats
    }

    fn look(&self, life: u64) -> &Life {
        usize::try_from(life)
            .ok()
            .and_then(|life| self.lives.get(life.wrapping_sub(1)))
            .unwrap_or_else(|| panic!("there is no life {life}"))
    }

    fn life(&mut self, life: u64) -> &mut Life {
        usize::try_from(life)
            .ok()
            .and_then(|life| self.lives.get_mut(life.wrapping_sub(1)))
            .unwrap_or_else(|| panic!("there is no life {life}"))
    }

    /// Something has happened to a connection of this life that is itself over, or noticed by both ends,
    /// by then.
    pub(crate) fn note_fault(&mut self, life: u64, until: Time) {
        let disturbed = &mut self.life(life).disturbed;
        *disturbed = (*disturbed).max(Some(until));
    }

    /// The same of something that nobody is told of and that has to be found out, once it is over.
    pub(crate) fn note_hidden_fault(&mut self, life: u64, until: Time) {
        self.note_fault(life, until + 2 * self.silence + FOUND_OUT);
    }

    /// Somebody else speaks in the name of this life: to the server no rule holds any more.
    pub(crate) fn note_intruder(&mut self, life: u64) {
        let life = self.life(life);
        life.intruded = true;
        life.disturbed = Some(Time::MAX);
    }

    /// A request of this life comes a second time.
    pub(crate) fn note_repeat(&mut self, life: u64, is_post: bool) {
        let repeats = &mut self.life(life).repeats;
        let count = if is_post { &mut repeats.posts } else { &mut repeats.gets };
        *count += 1;
    }

    /// A side has a session.
    pub(crate) fn note_opened(&mut self, now: Time, life: u64, side: Side) {
        let life = self.life(life);
        life.opened[side as usize] = Some(now);
        if side == Side::Server {
            life.sessions += 1;
            life.living += 1;
        }
    }

    /// A side reads, and with that comes the last of some packets.
    pub(crate) fn note_bytes(&mut self, now: Time, number: u64, to: Side, content: Content) {
        self.check_silence(now, number, to);
        if content.bytes > 0 && !self.server_over {
            self.check_unread(number, to);
        }
        let life = self.life(number);
        life.heard[to as usize] = now;
        life.unread[to as usize] += content.bytes;
        if content.beat {
            life.beat[to as usize] = Some(now);
        }
    }

    pub(crate) fn note_close(&mut self, life: u64, side: Side) {
        self.life(life).closed[side as usize] = true;
    }

    /// An application has more to catch up with than it may: because it is slow, or because one read
    /// brought so much. The peer was not read for that while, which excuses its silence.
    pub(crate) fn note_slow(&mut self, now: Time, life: u64) {
        self.life(life).slow = Some(now);
    }

    /// An application is told a message of so many bytes. It may have been in base64, in which each three
    /// are four.
    pub(crate) fn note_taken(&mut self, life: u64, side: Side, bytes: usize) {
        let unread = &mut self.life(life).unread[side as usize];
        *unread = unread.saturating_sub(bytes as u64 / 3 * 4 + 8);
    }

    /// The application of a side knows all that has come.
    pub(crate) fn note_caught_up(&mut self, life: u64, side: Side) {
        self.life(life).unread[side as usize] = 0;
    }

    /// Nobody could do anything in this while.
    pub(crate) fn note_jump(&mut self, now: Time) {
        for number in 1..=self.lives() {
            self.note_hidden_fault(number, now);
            self.life(number).heard = [now; 2];
            self.life(number).jumped = true;
        }
    }

    /// Messages were sent by either side or came to it.
    pub(crate) fn note_messages(&mut self, now: Time, life: u64, messages: u64) {
        let life = self.life(life);
        life.turn(now);
        life.messages[0] += messages;
    }

    pub(crate) fn note_answers(&mut self, life: u64, answers: u64) {
        self.life(life).exchanges.1 += answers;
    }

    /// A client asks for something: more often than it has reason to it must not.
    pub(crate) fn note_requests(&mut self, now: Time, life: u64, requests: u64) {
        let number = life;
        let life = self.life(life);
        life.turn(now);
        life.requests[0] += requests;
        life.exchanges.0 += requests;
        let messages: u64 = life.messages.iter().sum();
        let allowed = MAX_REQUESTS + 2 * messages;
        assert!(
            life.requests[0] <= allowed,
            "life {number}: {} requests in a second with {messages} messages",
            life.requests[0],
        );
    }

    /// A side that says it is over has a reason, which can be explained, and says it once. Its session
    /// has `opened` then, if it has at all.
    pub(crate) fn note_over(
        &mut self,
        now: Time,
        number: u64,
        side: Side,
        opened: Option<Time>,
        reason: &CloseReason,
    ) {
        self.check_silence(now, number, side);
        if *reason == CloseReason::PingTimeout {
            self.check_patience(now, number, side, opened);
        }
        let (server_over, silence) = (self.server_over, self.silence);
        let life = self.life(number);
        let explained = life.explains(now, side, reason, silence, server_over);
        assert!(explained, "life {number}: the {side:?} is over for no reason: {reason:?}");
        if side == Side::Client {
            assert!(
                !std::mem::replace(&mut life.told, true),
                "life {number}: the client is over twice"
            );
        } else {
            life.living -= 1;
        }
        life.over[side as usize] = true;
    }

    /// When an application of this life was last slow.
    pub(crate) fn slow(&self, life: u64) -> Option<Time> {
        self.look(life).slow
    }

    /// A client is finished.
    pub(crate) fn check_told(&self, number: u64) {
        assert!(self.look(number).told, "life {number}: the client has not said that it is over");
    }

    /// A session that is still there must have heard of its peer.
    pub(crate) fn check_silence(&self, now: Time, number: u64, side: Side) {
        let life = self.look(number);
        let is_there = match side {
            Side::Client => !life.over[side as usize],
            Side::Server => life.living > 0,
        };
        let Some(opened) = life.opened[side as usize].filter(|_| is_there) else { return };
        let silent = now.since(life.heard[side as usize].max(opened));
        assert!(
            silent <= self.silence || life.was_slow(now, self.silence),
            "life {number}: the {side:?} has lived on for {silent:?} of silence",
        );
    }

    /// A session that has given its peer up must have waited for as long as it has promised: since it
    /// opened, and since the last ping or pong.
    fn check_patience(&self, now: Time, number: u64, side: Side, opened: Option<Time>) {
        let life = self.look(number);
        // After a close nobody listens; and what was said twice, in another session, or to a WebSocket that
        // was given up in a jump, may not count.
        let is_known =
            !life.closed[side as usize] && !life.intruded && !life.jumped && !life.repeats.any();
        let beat = life.beat[side as usize].filter(|_| is_known && life.sessions <= 1);
        let silent = opened.max(beat).map(|last| now.since(last));
        assert!(
            silent.is_some_and(|silent| silent >= self.silence),
            "life {number}: the {side:?} has given up after {silent:?}"
        );
    }

    /// What has come and nobody has taken is bounded: nothing more is read then, but what one read or POST
    /// has brought that reached the limit. Once an application has closed, nothing waits for it.
    fn check_unread(&self, number: u64, side: Side) {
        let life = self.look(number);
        let (unread, max) = (life.unread[side as usize], life.max_unread[side as usize]);
        // In base64 each three bytes are four.
        let most = max as u64 / 3 * 4 + OTHER_PACKETS;
        assert!(
            unread <= most || life.closed[side as usize],
            "life {number}: the {side:?} reads on with {unread} bytes that nobody has taken"
        );
    }

    /// What waits is bounded.
    pub(crate) fn check_queue(&self, queued: usize, largest: usize) {
        let most = self.max_queued + largest + Limits::MESSAGE_OVERHEAD;
        assert!(queued <= most, "{queued} bytes are queued");
    }
}

impl Life {
    /// Whether this end can be understood.
    fn explains(
        &self,
        now: Time,
        side: Side,
        reason: &CloseReason,
        silence: Duration,
        server_over: bool,
    ) -> bool {
        if self.intruded && side == Side::Server {
            return true;
        }
        let other = side.other() as usize;
        let weather = self.disturbed.is_some_and(|until| now <= until)
            || self.over[other]
            || self.closed[other]
            || server_over;
        match reason {
            CloseReason::ForcedClose => {
                self.closed[side as usize] || (side == Side::Server && server_over)
            }
            CloseReason::TransportClose => weather,
            // A session that the client has never heard of is given up in silence, and so is one whose
            // pings the proxy got.
            CloseReason::PingTimeout => {
                let orphaned = side == Side::Server && self.sessions > 1;
                let robbed = self.repeats.gets > 0;
                weather || orphaned || robbed || self.was_slow(now, silence)
            }
            // Said by a server that knows nothing of a session (any more), or that was made to believe
            // that the client breaks a rule.
            CloseReason::TransportError(TransportFault::Status(400)) => {
                self.over[Side::Server as usize] || self.intruded
            }
            CloseReason::TransportError(TransportFault::PollOverlap) => self.repeats.gets > 0,
            CloseReason::TransportError(TransportFault::PostOverlap) => self.repeats.posts > 0,
            CloseReason::TransportError(
                TransportFault::ConnectionLost
                | TransportFault::PollLost
                | TransportFault::PostLost
                | TransportFault::Unreachable
                | TransportFault::Timeout
                | TransportFault::Status(_),
            ) => weather,
            _ => false,
        }
    }

    fn was_slow(&self, now: Time, silence: Duration) -> bool {
        self.slow.is_some_and(|slow| now.since(slow) <= 2 * silence)
    }

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

impl Repeats {
    /// Whether there was anything.
    pub const fn any(self) -> bool {
        self.gets > 0 || self.posts > 0
    }
}

/// Requests that a client may send in a second without a message to carry: ten polls that bring
/// nothing, before that as many as it takes to notice, and those of opening and upgrading.
const MAX_REQUESTS: u64 = 24;

/// What is found out by something else than silence: that a session does not open (20 s), that an upgrade
/// does not come to its end (10 s), that a connection is of no use that was kept (4 s).
const FOUND_OUT: Duration = Duration::from_secs(30);

/// Bytes of pings, pongs and the like that may come before a message does: they are counted, but nobody
/// is told of them.
const OTHER_PACKETS: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// The books of one life, both of whose sides are open.
    fn ledger() -> (Ledger, u64) {
        let mut ledger = Ledger::new(&ServerHubConfig::default());
        let life = ledger.begin(&Limits::default());
        for side in [Side::Client, Side::Server] {
            ledger.note_opened(Time::ZERO, life, side);
        }
        (ledger, life)
    }

    fn over(ledger: &mut Ledger, at: u64, life: u64, side: Side, reason: &CloseReason) {
        let opened = Some(Time::ZERO);
        ledger.note_over(Time::from_millis(at), life, side, opened, reason);
    }

    const fn error(fault: TransportFault) -> CloseReason {
        CloseReason::TransportError(fault)
    }

    const LOST: CloseReason = error(TransportFault::ConnectionLost);
    const REFUSED: CloseReason = error(TransportFault::Status(400));
    const OVERLAP: CloseReason = error(TransportFault::PollOverlap);
    const BEAT: Content = Content { bytes: 1, beat: true };
    const OTHER: Content = Content { bytes: 1, beat: false };

    #[test]
    #[should_panic = "is over for no reason"]
    fn an_end_without_a_fault_is_a_failure() {
        let (mut ledger, life) = ledger();
        over(&mut ledger, 0, life, Side::Client, &LOST);
    }

    #[test]
    #[should_panic = "is over for no reason"]
    fn no_weather_explains_a_broken_rule() {
        let (mut ledger, life) = ledger();
        ledger.note_hidden_fault(life, Time::ZERO);
        over(&mut ledger, 0, life, Side::Server, &OVERLAP);
    }

    #[test]
    fn whoever_speaks_in_another_s_name_may_break_a_rule_but_not_make_the_client_say_so() {
        let (mut ledger, life) = ledger();
        ledger.note_intruder(life);
        over(&mut ledger, 0, life, Side::Server, &OVERLAP);
        over(&mut ledger, 0, life, Side::Client, &LOST);
    }

    #[test]
    #[should_panic = "is over twice"]
    fn an_end_that_is_told_twice_is_a_failure() {
        let (mut ledger, life) = ledger();
        ledger.note_fault(life, Time::ZERO);
        over(&mut ledger, 0, life, Side::Client, &LOST);
        over(&mut ledger, 0, life, Side::Client, &LOST);
    }

    #[test]
    #[should_panic = "has not said that it is over"]
    fn a_client_that_is_finished_without_a_word_is_a_failure() {
        let (ledger, life) = ledger();
        ledger.check_told(life);
    }

    #[test]
    fn a_fault_or_the_other_side_s_end_explains_an_end() {
        let (mut ledger, life) = ledger();
        ledger.note_close(life, Side::Client);
        over(&mut ledger, 0, life, Side::Client, &CloseReason::ForcedClose);
        over(&mut ledger, 0, life, Side::Server, &CloseReason::TransportClose);
        ledger.check_told(life);
    }

    #[test]
    #[should_panic = "is over for no reason"]
    fn a_fault_explains_nothing_once_it_has_been_noticed() {
        let (mut ledger, life) = ledger();
        ledger.note_fault(life, Time::from_millis(10));
        over(&mut ledger, 11, life, Side::Client, &LOST);
    }

    #[test]
    #[should_panic = "is over for no reason"]
    fn no_weather_makes_a_server_forget_a_session() {
        let (mut ledger, life) = ledger();
        ledger.note_hidden_fault(life, Time::ZERO);
        over(&mut ledger, 0, life, Side::Client, &REFUSED);
    }

    #[test]
    fn a_get_that_comes_twice_explains_that_it_overlaps_and_what_follows_from_it() {
        let (mut ledger, life) = ledger();
        ledger.note_repeat(life, false);
        over(&mut ledger, 0, life, Side::Server, &OVERLAP);
        over(&mut ledger, 0, life, Side::Client, &REFUSED);
    }

    #[test]
    #[should_panic = "is over for no reason"]
    fn a_post_that_comes_twice_does_not_explain_that_gets_overlap() {
        let (mut ledger, life) = ledger();
        ledger.note_repeat(life, true);
        over(&mut ledger, 0, life, Side::Server, &OVERLAP);
    }

    #[test]
    #[should_panic = "of silence"]
    fn a_session_that_outlives_its_peer_is_a_failure() {
        let (ledger, life) = ledger();
        let deadline = Time::from_millis(45_000);
        ledger.check_silence(deadline, life, Side::Server);
        ledger.check_silence(deadline + Duration::from_nanos(1), life, Side::Server);
    }

    #[test]
    #[should_panic = "of silence"]
    fn a_peer_that_is_heard_too_late_is_a_failure() {
        let (mut ledger, life) = ledger();
        ledger.note_bytes(Time::from_millis(1), life, Side::Server, OTHER);
        ledger.note_bytes(Time::from_millis(45_002), life, Side::Server, OTHER);
    }

    #[test]
    fn a_peer_is_given_up_when_its_time_is_over() {
        let (mut ledger, life) = ledger();
        ledger.note_hidden_fault(life, Time::ZERO);
        ledger.note_bytes(Time::from_millis(10), life, Side::Client, BEAT);
        ledger.note_bytes(Time::from_millis(20), life, Side::Client, OTHER);
        over(&mut ledger, 45_010, life, Side::Client, &CloseReason::PingTimeout);
    }

    #[test]
    #[should_panic = "has given up after"]
    fn a_peer_that_is_given_up_too_early_is_a_failure() {
        let (mut ledger, life) = ledger();
        ledger.note_hidden_fault(life, Time::ZERO);
        ledger.note_bytes(Time::from_millis(10), life, Side::Client, BEAT);
        over(&mut ledger, 45_009, life, Side::Client, &CloseReason::PingTimeout);
    }

    #[test]
    #[should_panic = "that nobody has taken"]
    fn whoever_reads_on_although_nobody_takes_anything_is_a_failure() {
        let (mut ledger, life) = ledger();
        let bytes = Limits::default().max_unread as u64 / 3 * 4 + OTHER_PACKETS + 1;
        ledger.note_bytes(Time::ZERO, life, Side::Client, Content { bytes, beat: false });
        ledger.note_bytes(Time::ZERO, life, Side::Client, OTHER);
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
