//! Everything that was done, so that two runs can be compared.

use std::{
    collections::VecDeque,
    fmt,
    hash::{Hash, Hasher},
};

use enginewire::{ClientConnectionId, ClientHubAction, Time, hub::ConnectionId};

use crate::{
    application::EndId,
    network::{Happening, WireId},
    path::Side,
};

/// A log of which the digest covers everything, and of which the last lines are kept.
///
/// Everything is: what happens on the network and each timer that comes up, with its moment; what
/// either state machine asks for and tells, and of whom; and each byte that is written, read or told,
/// with the side and the connection or end, and how many there are. Two logs that are equal are of runs
/// that did the same, byte for byte, as far as 128 bits can tell.
#[derive(Clone, PartialEq, Eq)]
pub struct Log {
    lines: u64,
    bytes: u64,
    digest: Digest,
    last: VecDeque<(Time, Line)>,
}

/// What is kept of the last things that were done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Line {
    Deed(Deed),
    Said(String),
}

/// Something that was done. Words are for what is rare: these are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Deed {
    /// On the network.
    Happens(Happening),
    /// The timer of the server comes up.
    ServerTimer,
    /// The timer of the client of this life comes up.
    ClientTimer(u64),
    /// An end is woken that has asked for it.
    Wakes(EndId),
    /// The server asks for this.
    Server(Wish, ConnectionId),
    /// The client of this life asks for this.
    Client(u64, Wish, ClientConnectionId),
    /// A side writes so many bytes, or reads them.
    Writes(WireId, Side, usize),
    Reads(WireId, Side, usize),
    /// So many bytes come to the node of this life from a broker.
    Carries(u64, usize),
    /// A side finds the end of what the other one sends.
    ReadsEnd(WireId, Side),
    /// An end is told this, with so many bytes.
    Told(EndId, News, usize),
    /// What an application does when it is lent an end.
    Acts {
        at: EndId,
        sends: u64,
        closes: bool,
        pauses: Option<bool>,
    },
}

/// What a state machine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wish {
    Connect,
    Write,
    Read,
    Shutdown,
    Close,
    Ask,
}

/// What an application is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum News {
    Opened,
    Text,
    Binary,
    Upgraded,
    Writable,
}

impl Deed {
    pub(crate) fn of_link(life: u64, action: ClientHubAction) -> Self {
        match action {
            ClientHubAction::Connect(link) => Self::Client(life, Wish::Connect, link),
            ClientHubAction::Encrypt(link) => panic!("{link:?} is no tunnel"),
            ClientHubAction::Write(link) => Self::Client(life, Wish::Write, link),
            ClientHubAction::Close(link) => Self::Client(life, Wish::Close, link),
        }
    }
}

impl Log {
    pub(crate) const fn new() -> Self {
        Self { lines: 0, bytes: 0, digest: Digest::NEW, last: VecDeque::new() }
    }

    /// Something was done.
    pub(crate) fn note(&mut self, now: Time, deed: Deed) {
        self.push(now, Line::Deed(deed));
    }

    /// The same, with bytes of which the deed says how many there are. They count, but nobody wants to
    /// read them.
    pub(crate) fn note_data(&mut self, now: Time, deed: Deed, data: &[u8]) {
        self.note(now, deed);
        self.digest.write(data);
        self.bytes += data.len() as u64;
    }

    /// Something was done that needs words.
    pub(crate) fn say(&mut self, now: Time, line: String) {
        self.push(now, Line::Said(line));
    }

    fn push(&mut self, now: Time, line: Line) {
        (now, &line).hash(&mut self.digest);
        self.lines += 1;
        if self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back((now, line));
    }

    /// Bytes that were written, read or told: each byte of a message several times.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last lines, the newest one last.
    pub fn last(&self) -> impl Iterator<Item = String> {
        self.last.iter().map(|(now, line)| match line {
            Line::Deed(deed) => format!("{now} {deed:?}"),
            Line::Said(line) => format!("{now} {line}"),
        })
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.digest.0;
        write!(f, "{} lines and {} bytes, {first:016x}{second:016x}", self.lines, self.bytes)
    }
}

/// With `LOG` in the environment a failure shows what led to it.
impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("LOG").is_some() {
            self.last().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Two sums of 64 bits each over all that is written, eight bytes at a time. The order counts, and where
/// one write ends and the next begins does to eight bytes; no secret is safe with it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Digest([u64; 2]);

impl Digest {
    const NEW: Self = Self([0xcbf2_9ce4_8422_2325, 0]);

    const fn word(&mut self, word: u64) {
        let [mixed, sum] = self.0;
        let wide = (mixed ^ word) as u128 * 0x9e37_79b9_7f4a_7c15_u128;
        let halves = (wide & u64::MAX as u128, wide >> 64);
        let sum = sum.rotate_left(7).wrapping_add(mixed ^ word);
        #[expect(clippy::cast_possible_truncation, reason = "they are halves")]
        let mixed = (halves.0 ^ halves.1) as u64;
        self.0 = [mixed, sum];
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|&word| self.word(u64::from_le_bytes(word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            // In the place that is always free.
            self.word(u64::from_le_bytes(last) | (rest.len() as u64) << 56);
        }
    }

    fn finish(&self) -> u64 {
        self.0[0] ^ self.0[1]
    }
}

/// Lines that are kept: enough to see what led to a failure.
const KEPT: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(lines: &[&str]) -> Log {
        let mut log = Log::new();
        lines.iter().for_each(|line| log.say(Time::ZERO, (*line).into()));
        log
    }

    #[test]
    fn every_line_counts_and_the_last_ones_are_kept() {
        assert_eq!(logged(&["a", "b"]), logged(&["a", "b"]));
        assert_ne!(logged(&["a", "b"]), logged(&["b", "a"]));
        assert_ne!(logged(&["a", "b"]).digest, logged(&["ab", ""]).digest);
        let (many, more) = (logged(&["x"; KEPT + 1]), logged(&["x"; KEPT + 2]));
        assert_eq!((many.last().count(), &many.last), (KEPT, &more.last));
        assert_ne!(many, more);
    }

    #[test]
    fn data_counts_with_its_connection_its_side_its_length_and_its_moment() {
        let data = |at, wire, side, pieces: &[&[u8]]| {
            let mut log = Log::new();
            for data in pieces {
                log.note_data(
                    Time::from_millis(at),
                    Deed::Writes(WireId(wire), side, data.len()),
                    data,
                );
            }
            log.digest.0
        };
        let digests = [
            data(1, 1, Side::Client, &[b"aaaaaaaabbbbbbbbc"]),
            data(2, 1, Side::Client, &[b"aaaaaaaabbbbbbbbc"]),
            data(1, 2, Side::Client, &[b"aaaaaaaabbbbbbbbc"]),
            data(1, 1, Side::Server, &[b"aaaaaaaabbbbbbbbc"]),
            data(1, 1, Side::Client, &[b"aaaaaaaa", b"bbbbbbbbc"]),
            data(1, 1, Side::Client, &[b"bbbbbbbbaaaaaaaac"]),
            data(1, 1, Side::Client, &[b"aaaaaaaabbbbbbbbc\0"]),
        ];
        for (index, digest) in digests.iter().enumerate() {
            assert!(digests[index + 1..].iter().all(|other| other != digest), "{index}");
        }
    }
}
