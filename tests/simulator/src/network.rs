//! TCP connections made of queues: what is written at one end comes out at the other some time later,
//! in pieces that nobody chose, or not at all.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use enginewire::Time;

use crate::{
    observer::{Content, Observer},
    path::{Fault, Path, Side, When},
    random::Random,
    repeater::{Again, Repeater},
    schedule::Schedule,
};

/// One connection, also before it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WireId(pub(crate) u64);

/// What the network has in store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Happening {
    Connected(WireId),
    Refused(WireId),
    /// What this side has sent is about to arrive.
    Arrive(WireId, Side),
    /// This side may have something to read.
    Readable(WireId, Side),
    /// This side may write again.
    Writable(WireId, Side),
    /// This side is told that the connection has failed.
    Lost(WireId, Side),
    /// The fault of this number.
    Fault(WireId, usize),
    /// A proxy sends a request once more: the one of this number.
    Repeat(u64),
}

/// Something has gone wrong with a connection of a life.
pub(crate) struct Trouble {
    pub(crate) life: u64,
    /// When it is over, or both ends know.
    pub(crate) until: Time,
    /// Nobody is told, and what follows from it comes later.
    pub(crate) hidden: bool,
}

/// What one read brings.
pub(crate) struct Read {
    pub(crate) bytes: Vec<u8>,
    /// What is in the bodies and frames that have now been read whole.
    pub(crate) content: Content,
}

/// All connections.
pub(crate) struct Network {
    wires: BTreeMap<WireId, Wire>,
    last: u64,
    random: Random,
    troubles: Vec<Trouble>,
    /// Requests that a proxy is about to send once more, and whose.
    repeats: BTreeMap<u64, (u64, Again)>,
}

/// One connection.
pub(crate) struct Wire {
    /// The client that has opened it.
    pub(crate) life: u64,
    path: Path,
    pub(crate) observer: Observer,
    /// What each side sends.
    pipes: [Pipe; 2],
    /// Which sides have it open.
    open: [bool; 2],
    /// It was reset: nothing passes, and both sides are being told.
    reset: bool,
    /// Something has gone wrong with it.
    pub(crate) faulty: bool,
    /// And goes on to be wrong for as long as it is there.
    pub(crate) ailing: bool,
    /// When the client has last sent something on it.
    pub(crate) sent: Time,
    repeater: Option<Repeater>,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    /// What is on its way, and when it arrives.
    flying: VecDeque<(Time, Segment)>,
    received: VecDeque<u8>,
    /// Bytes on their way or unread.
    held: usize,
    arrived: u64,
    read: u64,
    /// When what has been sent so far has left.
    departed: Time,
    frozen_until: Time,
    swallowed: bool,
    /// A proxy has ended it.
    cut_off: bool,
    /// What is sent is collected, and passed on at multiples of this.
    collected: Duration,
    delay: Duration,
    /// A write was not taken whole.
    blocked: bool,
    /// The end has arrived.
    ended: bool,
    /// The reader knows.
    end_told: bool,
}

enum Segment {
    Bytes(Vec<u8>),
    End,
    Reset,
}

type Agenda = Schedule<crate::world::Next>;

impl Network {
    pub(crate) const fn new(random: Random) -> Self {
        Self {
            wires: BTreeMap::new(),
            last: 0,
            random,
            troubles: Vec::new(),
            repeats: BTreeMap::new(),
        }
    }

    /// What has gone wrong since this was last asked for.
    pub(crate) fn take_troubles(&mut self) -> Vec<Trouble> {
        std::mem::take(&mut self.troubles)
    }

    /// The request of this number, and whose it is.
    pub(crate) fn take_repeat(&mut self, number: u64) -> Option<(u64, Again)> {
        self.repeats.remove(&number)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wires.is_empty()
    }

    pub(crate) fn wires(&self) -> impl Iterator<Item = (WireId, &Wire)> {
        self.wires.iter().map(|(&id, wire)| (id, wire))
    }

    pub(crate) fn wire(&self, id: WireId) -> Option<&Wire> {
        self.wires.get(&id)
    }

    pub(crate) fn wire_mut(&mut self, id: WireId) -> Option<&mut Wire> {
        self.wires.get_mut(&id)
    }

    /// A client begins to connect.
    pub(crate) fn connect(
        &mut self,
        agenda: &mut Agenda,
        now: Time,
        life: u64,
        path: Path,
    ) -> WireId {
        self.last += 1;
        let id = WireId(self.last);
        let next = if path.refused { Happening::Refused(id) } else { Happening::Connected(id) };
        push(agenda, now + path.connect, next);
        let ailing = path.latency + path.jitter + path.connect > Duration::from_secs(1)
            || path.bandwidth < 100_000;
        if path.refused || ailing {
            self.troubles.push(Trouble { life, until: now + path.connect, hidden: ailing });
        }
        let repeats = path.faults.iter().any(|(_, fault)| matches!(fault, Fault::Repeat(_)));
        self.wires.insert(
            id,
            Wire {
                life,
                faulty: path.refused || ailing,
                ailing,
                sent: now,
                repeater: repeats.then(Repeater::default),
                path,
                observer: Observer::default(),
                pipes: [Pipe::default(), Pipe::default()],
                open: [true, false],
                reset: false,
            },
        );
        id
    }

    /// The connection is there, if the client still wants it.
    pub(crate) fn establish(&mut self, agenda: &mut Agenda, now: Time, id: WireId) -> bool {
        let Some(wire) = self.wires.get_mut(&id) else { return false };
        wire.open[Side::Server as usize] = true;
        for (index, (when, _)) in wire.path.faults.iter().enumerate() {
            if let When::After(wait) = when {
                push(agenda, now + *wait, Happening::Fault(id, index));
            }
        }
        true
    }

    /// Takes as much as there is room for.
    pub(crate) fn write(
        &mut self,
        agenda: &mut Agenda,
        now: Time,
        id: WireId,
        side: Side,
        bytes: &[u8],
    ) -> usize {
        let Some(wire) = self.wires.get_mut(&id) else { return bytes.len() };
        let room = wire.path.buffer.saturating_sub(wire.pipes[side as usize].held);
        let taken = room.min(bytes.len());
        let pipe = &mut wire.pipes[side as usize];
        pipe.blocked |= taken < bytes.len();
        pipe.held += taken;
        if side == Side::Client && taken > 0 {
            wire.sent = now;
        }
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let most = if self.random.chance(30) { SMALL_SEGMENT } else { wire.path.segment };
            let size = if self.random.chance(100) { self.random.size(most) } else { most };
            let (segment, behind) = rest.split_at(size.min(rest.len()));
            let nanos = segment.len() as u64 * 1_000_000_000 / wire.path.bandwidth.max(1);
            let departed = pipe.departed.max(now) + Duration::from_nanos(nanos);
            pipe.departed = departed;
            let late = self.random.shorter(wire.path.jitter);
            pipe.send(agenda, (id, side), departed + wire.path.latency + late, segment.to_vec());
            rest = behind;
        }
        taken
    }

    /// This side sends no more.
    pub(crate) fn shut_down(&mut self, agenda: &mut Agenda, now: Time, id: WireId, side: Side) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let at = wire.pipes[side as usize].departed.max(now) + wire.path.latency;
        wire.pipes[side as usize].fly(agenda, (id, side), at, Segment::End);
    }

    /// This side has closed its socket.
    pub(crate) fn close(&mut self, agenda: &mut Agenda, now: Time, id: WireId, side: Side) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.open[side as usize] = false;
        if !wire.open[side.other() as usize] {
            self.wires.remove(&id);
            return;
        }
        let unread = !wire.pipes[side.other() as usize].received.is_empty();
        let last = if unread { Segment::Reset } else { Segment::End };
        let at = wire.pipes[side as usize].departed.max(now) + wire.path.latency;
        wire.pipes[side as usize].fly(agenda, (id, side), at, last);
    }

    /// This side knows that the connection has failed.
    pub(crate) fn forget(&mut self, id: WireId, side: Side) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.open[side as usize] = false;
            if !wire.open[side.other() as usize] {
                self.wires.remove(&id);
            }
        }
    }

    /// What `from` has sent arrives, as far as it is time.
    pub(crate) fn arrive(&mut self, agenda: &mut Agenda, now: Time, id: WireId, from: Side) {
        while let Some(wire) = self.wires.get_mut(&id) {
            let pipe = &mut wire.pipes[from as usize];
            if wire.reset || pipe.flying.front().is_none_or(|&(at, _)| at > now) {
                return;
            }
            if pipe.frozen_until > now {
                if pipe.frozen_until < Time::MAX {
                    push(agenda, pipe.frozen_until, Happening::Arrive(id, from));
                }
                return;
            }
            let Some((at, segment)) = pipe.flying.pop_front() else { return };
            match segment {
                Segment::Bytes(bytes) => {
                    let upgraded = wire.observer.upgraded;
                    let (due, rest) = pipe.cut(&wire.path.faults, upgraded, from, bytes);
                    if let Some((_, rest)) = &rest
                        && !rest.is_empty()
                    {
                        pipe.flying.push_front((at, Segment::Bytes(rest.clone())));
                    }
                    let life = wire.life;
                    if let Some(again) = wire.receive(agenda, now, id, from, due) {
                        self.last += 1;
                        push(agenda, now + again.after, Happening::Repeat(self.last));
                        self.repeats.insert(self.last, (life, again));
                    }
                    if let Some((index, _)) = rest {
                        self.fail(agenda, now, id, index);
                    }
                }
                Segment::End | Segment::Reset if pipe.cut_off => {}
                Segment::End => {
                    pipe.ended = true;
                    push(agenda, now, Happening::Readable(id, from.other()));
                }
                Segment::Reset => {
                    pipe.received.clear();
                    push(agenda, now, Happening::Lost(id, from.other()));
                }
            }
        }
    }

    /// The fault of this number happens.
    pub(crate) fn fail(&mut self, agenda: &mut Agenda, now: Time, id: WireId, index: usize) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        // It does not happen again.
        let (when, fault) = wire.path.faults[index];
        wire.path.faults[index].0 = When::After(Duration::MAX);
        if when == When::After(Duration::MAX) {
            return;
        }
        let (mut until, mut hidden) = (now, true);
        match fault {
            Fault::Reset => {
                (until, hidden) = (now + wire.path.latency, false);
                wire.reset = true;
                for side in [Side::Client, Side::Server] {
                    push(agenda, now + wire.path.latency, Happening::Lost(id, side));
                }
            }
            Fault::Vanish => wire.freeze(Time::MAX),
            Fault::Stall(wait) => {
                until = now + wait;
                wire.freeze(until);
                for side in [Side::Client, Side::Server] {
                    push(agenda, now + wait, Happening::Arrive(id, side));
                }
            }
            Fault::End(side) => {
                let pipe = &mut wire.pipes[side as usize];
                (pipe.cut_off, pipe.ended) = (true, true);
                push(agenda, now, Happening::Readable(id, side.other()));
            }
            Fault::Swallow(side) => wire.pipes[side as usize].swallowed = true,
            Fault::Collect(side, every) => {
                wire.pipes[side as usize].collected = every;
                wire.ailing = true;
            }
            Fault::Slow(more) => {
                for pipe in &mut wire.pipes {
                    pipe.delay += more;
                }
                wire.ailing = true;
            }
            Fault::Repeat(after) => {
                // Nothing is wrong with the connection.
                return wire.repeater.iter_mut().for_each(|repeater| repeater.arm(after));
            }
        }
        wire.faulty = true;
        self.troubles.push(Trouble { life: wire.life, until, hidden });
    }

    /// Something to read for this side.
    pub(crate) fn read(
        &mut self,
        agenda: &mut Agenda,
        now: Time,
        id: WireId,
        side: Side,
    ) -> Option<Read> {
        let wire = self.wires.get_mut(&id)?;
        let latency = wire.path.latency;
        let pipe = &mut wire.pipes[side.other() as usize];
        let all = pipe.received.len();
        if all == 0 {
            return None;
        }
        let size = if self.random.chance(60) { self.random.size(all) } else { all };
        let bytes = pipe.received.drain(..size).collect();
        pipe.read += size as u64;
        let content = wire.observer.read(side == Side::Server, pipe.read);
        pipe.free(agenda, now + latency, (id, side.other()), size);
        Some(Read { bytes, content })
    }

    /// Whether this side finds the end of what the other one sends. Says so once.
    pub(crate) fn read_end(&mut self, id: WireId, side: Side) -> bool {
        let Some(wire) = self.wires.get_mut(&id) else { return false };
        let pipe = &mut wire.pipes[side.other() as usize];
        pipe.received.is_empty() && pipe.ended && !std::mem::replace(&mut pipe.end_told, true)
    }
}

impl Wire {
    /// Whether there is something that this side has not read.
    pub(crate) fn has_unread(&self, side: Side) -> bool {
        let pipe = &self.pipes[side.other() as usize];
        !pipe.received.is_empty() || (pipe.ended && !pipe.end_told)
    }

    /// How long it takes at most that all is there that may be on its way, and that an answer comes back.
    pub(crate) fn round_trip(&self) -> Duration {
        let path = &self.path;
        let nanos = (path.buffer as u64).saturating_mul(1_000_000_000) / path.bandwidth.max(1);
        2 * (path.latency + path.jitter + Duration::from_nanos(nanos))
    }

    /// Bytes that are on their way or unread.
    pub(crate) fn in_flight(&self) -> usize {
        self.pipes.iter().map(|pipe| pipe.held).sum()
    }

    fn freeze(&mut self, until: Time) {
        for pipe in &mut self.pipes {
            pipe.frozen_until = pipe.frozen_until.max(until);
        }
    }

    /// What `from` has sent arrives. Gives back the request that ends with it if it is to come again.
    fn receive(
        &mut self,
        agenda: &mut Agenda,
        now: Time,
        id: WireId,
        from: Side,
        bytes: Vec<u8>,
    ) -> Option<Again> {
        let to = from.other();
        let pipe = &mut self.pipes[from as usize];
        pipe.arrived += bytes.len() as u64;
        if bytes.is_empty() {
            return None;
        }
        if pipe.swallowed {
            pipe.free(agenda, now + self.path.latency, (id, from), bytes.len());
            return None;
        }
        if self.open[to as usize] && !pipe.cut_off {
            let repeater = self.repeater.as_mut().filter(|_| from == Side::Client);
            let again = repeater.and_then(|repeater| repeater.pass(&bytes));
            pipe.received.extend(bytes);
            push(agenda, now, Happening::Readable(id, to));
            return again;
        }
        // Nobody is there any more, as the sender learns.
        let back = &mut self.pipes[to as usize];
        back.fly(agenda, (id, to), back.departed.max(now) + self.path.latency, Segment::Reset);
        None
    }
}

impl Pipe {
    fn send(&mut self, agenda: &mut Agenda, me: (WireId, Side), at: Time, bytes: Vec<u8>) {
        let at = next_multiple(at + self.delay, self.collected);
        self.fly(agenda, me, at, Segment::Bytes(bytes));
    }

    /// Nothing overtakes what is on its way.
    fn fly(&mut self, agenda: &mut Agenda, me: (WireId, Side), at: Time, segment: Segment) {
        let last = self.flying.back().map(|&(last, _)| last);
        let at = last.map_or(at, |last| last.max(at));
        if last != Some(at) {
            push(agenda, at, Happening::Arrive(me.0, me.1));
        }
        self.flying.push_back((at, segment));
    }

    /// Bytes have left the pipe: there is room.
    fn free(&mut self, agenda: &mut Agenda, at: Time, me: (WireId, Side), bytes: usize) {
        self.held -= bytes;
        if std::mem::take(&mut self.blocked) {
            push(agenda, at, Happening::Writable(me.0, me.1));
        }
    }

    /// Cuts what arrives where the first fault is due.
    fn cut(
        &self,
        faults: &[(When, Fault)],
        upgraded: Option<[u64; 2]>,
        from: Side,
        mut bytes: Vec<u8>,
    ) -> (Vec<u8>, Option<(usize, Vec<u8>)>) {
        let end = self.arrived + bytes.len() as u64;
        let due = |(index, &(when, _)): (usize, &(When, Fault))| {
            let at = match when {
                When::Bytes(side, at) if side == from => at,
                When::Upgraded(side, at) if side == from => upgraded?[side as usize] + at,
                _ => return None,
            };
            // What is due from the beginning is due with the first byte.
            (at <= end).then_some((at.max(self.arrived), index))
        };
        let first = faults.iter().enumerate().filter_map(due).min();
        match first {
            Some((at, index)) => {
                let keep = usize::try_from(at - self.arrived).unwrap_or(0);
                let rest = bytes.split_off(keep);
                (bytes, Some((index, rest)))
            }
            None => (bytes, None),
        }
    }
}

/// The first multiple of `every`, counted from the beginning of time, that is not before `at`.
fn next_multiple(at: Time, every: Duration) -> Time {
    let every = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
    if every == 0 {
        return at;
    }
    Time::ZERO + Duration::from_nanos(at.as_nanos().div_ceil(every).saturating_mul(every))
}

fn push(agenda: &mut Agenda, at: Time, happening: Happening) {
    agenda.push(at, crate::world::NETWORK_CLASS, crate::world::Next::Network(happening));
}

/// Bytes of the segments that show whether a parser can wait.
const SMALL_SEGMENT: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Next;

    /// A connection that is there, and what happens to it.
    struct Cable {
        network: Network,
        agenda: Agenda,
        id: WireId,
        now: Time,
        happened: Vec<String>,
        read: Vec<u8>,
    }

    impl Cable {
        fn new(seed: u64, path: Path) -> Self {
            let (mut network, mut agenda) = (Network::new(Random::new(seed)), Schedule::new());
            let id = network.connect(&mut agenda, Time::ZERO, 1, path);
            assert!(network.establish(&mut agenda, Time::ZERO, id));
            let (happened, read) = (Vec::new(), Vec::new());
            Self { network, agenda, id, now: Time::ZERO, happened, read }
        }

        fn write(&mut self, bytes: &[u8]) -> usize {
            self.network.write(&mut self.agenda, self.now, self.id, Side::Client, bytes)
        }

        /// Until nothing is due; the server reads what it can.
        fn run(&mut self) {
            while let Some((at, Next::Network(happening))) = self.agenda.pop() {
                self.now = at;
                match happening {
                    Happening::Arrive(id, side) => {
                        self.network.arrive(&mut self.agenda, at, id, side);
                    }
                    Happening::Fault(id, index) => {
                        self.network.fail(&mut self.agenda, at, id, index);
                    }
                    Happening::Readable(id, side) => {
                        while let Some(read) = self.network.read(&mut self.agenda, at, id, side) {
                            self.read.extend(read.bytes);
                        }
                        if self.network.read_end(id, side) {
                            self.happened.push(format!("{side:?} reads the end"));
                        }
                    }
                    Happening::Writable(_, side) => {
                        self.happened.push(format!("{side:?} writes again"));
                    }
                    Happening::Lost(_, side) => self.happened.push(format!("{side:?} loses it")),
                    Happening::Repeat(number) => {
                        let (_, again) = self.network.take_repeat(number).unwrap();
                        self.happened.push(format!("{} bytes again", again.request.len()));
                    }
                    Happening::Connected(_) | Happening::Refused(_) => {}
                }
            }
        }
    }

    fn bytes(count: usize) -> Vec<u8> {
        (0..=u8::MAX).cycle().take(count).collect()
    }

    #[test]
    fn bytes_come_in_order_however_they_are_cut() {
        for seed in 0..50 {
            let jitter = Duration::from_millis(50);
            let mut cable = Cable::new(seed, Path { segment: 10, jitter, ..Path::default() });
            assert_eq!(cable.write(&bytes(1000)), 1000);
            cable.network.close(&mut cable.agenda, Time::ZERO, cable.id, Side::Client);
            cable.run();
            assert_eq!(cable.read, bytes(1000));
            assert_eq!(cable.happened, ["Server reads the end"]);
        }
    }

    #[test]
    fn a_write_blocks_when_the_buffer_is_full_and_goes_on_when_it_is_read() {
        let mut cable = Cable::new(1, Path { buffer: 100, ..Path::default() });
        assert_eq!((cable.write(&bytes(150)), cable.write(&bytes(1))), (100, 0));
        cable.run();
        assert_eq!(cable.happened, ["Client writes again"]);
        assert_eq!(cable.write(&bytes(150)), 100);
    }

    #[test]
    fn a_reset_comes_after_exactly_so_many_bytes() {
        for at in 0..100 {
            let when = When::Bytes(Side::Client, at);
            let mut cable = Cable::new(at, Path::default().with(when, Fault::Reset));
            cable.write(&bytes(100));
            cable.run();
            assert_eq!(cable.read, bytes(usize::try_from(at).unwrap()));
            assert_eq!(cable.happened, ["Client loses it", "Server loses it"]);
        }
    }

    #[test]
    fn an_end_comes_after_exactly_so_many_bytes_and_is_told_to_who_sends_more() {
        for at in 1..100 {
            let when = When::Bytes(Side::Client, at);
            let end = Fault::End(Side::Client);
            let mut cable = Cable::new(at, Path::exact(Duration::ZERO).with(when, end));
            cable.write(&bytes(100));
            cable.run();
            assert_eq!(cable.read, bytes(usize::try_from(at).unwrap()));
            assert_eq!(cable.happened, ["Server reads the end", "Client loses it"]);
            cable.network.close(&mut cable.agenda, Time::ZERO, cable.id, Side::Server);
            cable.network.forget(cable.id, Side::Client);
            cable.run();
            assert!(cable.network.is_empty());
        }
    }

    #[test]
    fn a_request_that_comes_again_is_no_fault_of_its_connection() {
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let when = When::Bytes(Side::Client, 30);
        let repeat = Fault::Repeat(Duration::from_secs(1));
        let mut cable = Cable::new(1, Path::default().with(when, repeat));
        (0..3).for_each(|_| assert_eq!(cable.write(request), request.len()));
        cable.run();
        assert_eq!((&*cable.read, cable.happened.len()), (&*request.repeat(3), 1));
        assert_eq!(cable.happened, ["18 bytes again"]);
        assert!(cable.network.take_troubles().is_empty() && cable.now >= Time::from_millis(1000));
    }

    #[test]
    fn what_vanishes_is_told_to_nobody_and_a_stall_ends() {
        let when = When::Bytes(Side::Client, 10);
        let mut cable = Cable::new(1, Path::default().with(when, Fault::Vanish));
        cable.write(&bytes(100));
        cable.network.close(&mut cable.agenda, Time::ZERO, cable.id, Side::Client);
        cable.run();
        assert_eq!((cable.read.len(), cable.happened.len()), (10, 0));
        let stall = Fault::Stall(Duration::from_secs(10));
        let mut cable = Cable::new(1, Path::default().with(when, stall));
        cable.write(&bytes(100));
        cable.run();
        assert_eq!(cable.read, bytes(100));
        assert!(cable.now >= Time::from_millis(10_000));
    }

    #[test]
    fn what_a_proxy_collects_comes_together() {
        let second = Duration::from_secs(1);
        let when = When::Bytes(Side::Client, 0);
        let path = Path { segment: 10, ..Path::default() };
        let collect = Fault::Collect(Side::Client, second);
        let mut cable = Cable::new(1, path.with(when, collect));
        // With the first byte it begins.
        cable.write(&bytes(1));
        cable.run();
        assert!(cable.now < Time::ZERO + second);
        for written in [2, 50] {
            cable.write(&bytes(written));
        }
        cable.run();
        assert_eq!((cable.now, cable.read.len()), (Time::ZERO + second, 53));
    }

    #[test]
    fn who_writes_to_an_end_that_is_closed_learns_of_it() {
        let mut cable = Cable::new(1, Path::default());
        cable.network.close(&mut cable.agenda, Time::ZERO, cable.id, Side::Server);
        cable.write(&bytes(10));
        cable.run();
        assert_eq!(cable.happened, ["Client reads the end", "Client loses it"]);
        cable.network.forget(cable.id, Side::Client);
        assert!(cable.network.is_empty());
    }

    #[test]
    fn what_a_proxy_swallows_is_taken_and_does_not_come() {
        let when = When::Bytes(Side::Client, 40);
        let path = Path { buffer: 50, ..Path::default() };
        let mut cable = Cable::new(1, path.with(when, Fault::Swallow(Side::Client)));
        for _ in 0..4 {
            assert_eq!(cable.write(&bytes(25)), 25);
            cable.run();
        }
        assert_eq!(cable.read.len(), 40);
    }
}
