//! How far streams were read, and what was trimmed before.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
};

use bytes::Bytes;
use enginewire_socketio::adapter::EntryId;

use super::{
    super::resp::{Value, field},
    values::{fields_of, id},
};

/// Entry of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::redis) struct Entry {
    pub(in crate::redis) stream: Arc<str>,
    pub(in crate::redis) id: EntryId,
    /// Names and values in turn. `None` if it is larger than the limit.
    pub(in crate::redis) fields: Option<Vec<(Bytes, Bytes)>>,
}

/// The last entry of each stream that was read.
#[derive(Default)]
pub(super) struct Positions(BTreeMap<Arc<str>, Position>);

/// How far a stream was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    id: EntryId,
    passed: Passed,
}

/// How many entries a stream has had up to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    /// The server was not asked since reading has begun.
    Unasked,
    /// The server was asked, and does not tell: it is older than Redis 7, or the position is behind others.
    Unknown,
    Known(u64),
}

impl Positions {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, EntryId)> {
        self.0.iter().map(|(stream, position)| (stream, position.id))
    }

    pub(super) fn start(
        &mut self,
        stream: &Arc<str>,
        last: EntryId,
        is_new_connection: bool,
    ) -> EntryId {
        let new = Position { id: last, passed: Passed::Unasked };
        let position = self.0.entry(Arc::clone(stream)).or_insert(new);
        // On the same one it was read further since the server was asked.
        if is_new_connection && last < position.id {
            *position = new;
        }
        position.id
    }

    pub(super) fn stop(&mut self, stream: &str) {
        self.0.remove(stream);
    }

    /// Takes the entries out of the response to XREAD, and moves behind them.
    ///
    /// One that was left out because the response has become too large is read again, as the first of the next.
    pub(super) fn take(&mut self, response: &Value) -> VecDeque<Entry> {
        let mut taken = VecDeque::new();
        let streams = response.as_array().unwrap_or_default();
        for pair in streams.chunks_exact(2) {
            let [name, entries] = pair else { continue };
            let Some((name, position)) = name
                .as_str()
                .and_then(|name| self.0.iter_mut().find(|(known, _)| &***known == name))
            else {
                continue;
            };
            for (at, entry) in entries.as_array().unwrap_or_default().iter().enumerate() {
                let Some([entry, fields]) = entry.as_array() else { break };
                let Some(id) = id(entry) else { break };
                let fields = fields_of(fields);
                if fields.is_none() && at > 0 {
                    break;
                }
                position.id = id;
                if let Passed::Known(passed) = &mut position.passed {
                    *passed += 1;
                }
                taken.push_back(Entry { stream: Arc::clone(name), id, fields });
            }
        }
        taken
    }

    /// Notes that there is no stream yet.
    pub(super) fn note_absence(&mut self, stream: &str) {
        if let Some(position) = self.0.get_mut(stream)
            && position.id == NONE
        {
            position.passed = Passed::Known(0);
        }
    }

    /// Compares a position with the response to XINFO STREAM. Returns how many entries behind it were trimmed.
    ///
    /// Where the server does not tell how many, it is 1 if the position is trimmed: entries are trimmed by nodes of many, of
    /// which the position is hardly the last.
    pub(super) fn check(&mut self, stream: &str, info: &Value) -> u64 {
        let (Some(position), Some(info)) = (self.0.get_mut(stream), Info::parse(info)) else {
            return 0;
        };
        position.check(&info)
    }
}

impl Position {
    fn check(&mut self, info: &Info) -> u64 {
        let trimmed = info.added.map(|added| added.saturating_sub(info.length));
        if self.id == info.last {
            // Nothing is behind it. What was trimmed ahead of the last read is missing in the count.
            let passed =
                mem::replace(&mut self.passed, info.added.map_or(Passed::Unknown, Passed::Known));
            return match (passed, info.added) {
                (Passed::Known(passed), Some(added)) => added.saturating_sub(passed),
                _ => 0,
            };
        }
        let is_trimmed = info.first.is_none_or(|first| first > self.id);
        let missed = match (self.passed, trimmed) {
            _ if !is_trimmed => 0,
            (Passed::Unasked, _) => 0,
            (Passed::Known(passed), Some(trimmed)) => trimmed.saturating_sub(passed),
            (Passed::Unknown | Passed::Known(_), _) => 1,
        };
        if is_trimmed {
            // The next that is read is the first.
            self.passed = trimmed.map_or(Passed::Unknown, Passed::Known);
        } else if self.passed == Passed::Unasked {
            self.passed = match trimmed {
                Some(trimmed) if info.first == Some(self.id) => Passed::Known(trimmed + 1),
                _ => Passed::Unknown,
            };
        }
        missed
    }
}

/// State of a stream.
struct Info {
    first: Option<EntryId>,
    last: EntryId,
    length: u64,
    /// Entries that it has had in all. Redis tells it from version 7 on.
    added: Option<u64>,
}

impl Info {
    fn parse(response: &Value) -> Option<Self> {
        let number = |name| match field(response, name)? {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        let first = field(response, "first-entry").and_then(Value::as_array);
        Some(Self {
            first: first.and_then(|entry| id(entry.first()?)),
            last: field(response, "last-generated-id").and_then(id)?,
            length: number("length")?,
            added: number("entries-added"),
        })
    }
}

/// Position ahead of all entries.
pub(super) const NONE: EntryId = EntryId { time: 0, sequence: 0 };

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn text(text: &str) -> Value {
        Value::Text(Bytes::copy_from_slice(text.as_bytes()))
    }

    pub(in super::super) fn entry(id: &str, fields: Vec<Value>) -> Value {
        Value::Array(vec![text(id), Value::Array(fields)])
    }

    pub(in super::super) fn id(time: u64, sequence: u64) -> EntryId {
        EntryId { time, sequence }
    }

    fn response(entries: Vec<Value>) -> Value {
        Value::Array(vec![text("s"), Value::Array(entries)])
    }

    /// The ids that are taken, and whether the entries are there.
    fn take(positions: &mut Positions, response: &Value) -> Vec<(EntryId, bool)> {
        let taken = positions.take(response);
        taken.into_iter().map(|entry| (entry.id, entry.fields.is_some())).collect()
    }

    fn position(positions: &Positions) -> EntryId {
        positions.0["s"].id
    }

    /// The state of a stream that has had `added` entries, `1-0` and so on, of which `first` is the first that is left.
    fn info(first: u64, added: u64, is_counted: bool) -> Value {
        let last = format!("{added}-0");
        let length = i64::try_from((added + 1).saturating_sub(first)).unwrap();
        let first = match length {
            0 => Value::Null,
            _ => entry(&format!("{first}-0"), vec![]),
        };
        let mut fields = vec![
            text("length"),
            Value::Integer(length),
            text("last-generated-id"),
            text(&last),
            text("first-entry"),
            first,
        ];
        if is_counted {
            let added = Value::Integer(i64::try_from(added).unwrap());
            fields.extend([text("entries-added"), added]);
        }
        Value::Array(fields)
    }

    fn at(last: u64) -> Positions {
        let mut positions = Positions::default();
        positions.start(&"s".into(), id(last, 0), false);
        positions
    }

    #[test]
    fn position_moves_behind_the_entries_that_are_taken() {
        let mut positions = at(5);
        let fields = || vec![text("a"), text("b")];
        let all = response(vec![entry("5-1", fields()), entry("6-0", fields())]);
        assert_eq!(take(&mut positions, &all), [(id(5, 1), true), (id(6, 0), true)]);
        assert_eq!(position(&positions), id(6, 0));
        assert_eq!(take(&mut positions, &Value::Null), [], "nothing came in time");
    }

    #[test]
    fn entry_that_is_too_large_is_skipped_and_those_behind_it_are_read_again() {
        let mut positions = at(0);
        let (fields, cut) = (vec![text("a"), text("b")], vec![text("a"), Value::Oversized]);
        let entries = vec![entry("1-0", fields), entry("2-0", cut.clone()), Value::Oversized];
        assert_eq!(take(&mut positions, &response(entries)), [(id(1, 0), true)]);
        assert_eq!(position(&positions), id(1, 0), "the second is the first of the next response");
        let entries = vec![entry("2-0", cut), Value::Array(vec![Value::Oversized])];
        assert_eq!(take(&mut positions, &response(entries)), [(id(2, 0), false)]);
        assert_eq!(position(&positions), id(2, 0), "it is not read for ever");
    }

    #[test]
    fn stream_goes_on_where_it_was_and_one_that_has_become_shorter_at_its_end() {
        let mut positions = Positions::default();
        let stream: Arc<str> = "s".into();
        positions.start(&stream, id(7, 1), true);
        positions.start(&stream, id(9, 0), true);
        assert_eq!(position(&positions), id(7, 1), "those in between are read");
        positions.start(&stream, id(7, 0), false);
        assert_eq!(position(&positions), id(7, 1), "it was asked for before it was read");
        positions.start(&stream, id(6, 9), true);
        assert_eq!(position(&positions), id(6, 9), "those before were read");
        positions.start(&stream, id(0, 0), true);
        assert_eq!(position(&positions), id(0, 0), "of one that was made anew, all are new");
    }

    #[test]
    fn entries_that_were_trimmed_before_they_were_read_are_counted() {
        let mut positions = at(5);
        assert_eq!(positions.check("s", &info(3, 5, true)), 0);
        assert_eq!(positions.check("s", &info(5, 9, true)), 0, "the position is there");
        assert_eq!(positions.check("s", &info(6, 9, true)), 0, "those behind it are there");
        assert_eq!(positions.check("s", &info(8, 9, true)), 2, "6 and 7 are not");
        assert_eq!(positions.check("s", &info(8, 9, true)), 0, "that was told");
        take(&mut positions, &response(vec![entry("8-0", vec![]), entry("9-0", vec![])]));
        assert_eq!(positions.check("s", &info(11, 12, true)), 1, "10 is not");
        assert_eq!(positions.check("s", &info(15, 14, true)), 4, "none is left of 11 to 14");
        assert_eq!(positions.check("other", &info(9, 9, true)), 0);
    }

    #[test]
    fn entries_that_were_trimmed_are_counted_when_those_behind_them_were_read() {
        let mut positions = at(5);
        assert_eq!(positions.check("s", &info(3, 5, true)), 0);
        take(&mut positions, &response(vec![entry("8-0", vec![]), entry("9-0", vec![])]));
        assert_eq!(positions.check("s", &info(8, 9, true)), 2, "6 and 7 were not");
        assert_eq!(positions.check("s", &info(8, 9, true)), 0, "that was told");
    }

    #[test]
    fn trimming_is_told_by_a_server_that_does_not_count_entries() {
        let mut positions = at(5);
        assert_eq!(positions.check("s", &info(3, 7, false)), 0, "it begins here");
        assert_eq!(positions.check("s", &info(5, 9, false)), 0);
        assert_eq!(positions.check("s", &info(8, 9, false)), 1);
    }

    #[test]
    fn entries_of_the_time_before_a_node_has_begun_are_not_missed() {
        // The first entries came between the two questions, and some are trimmed already.
        let mut positions = at(0);
        assert_eq!(positions.check("s", &info(4, 6, true)), 0);
        take(&mut positions, &response(vec![entry("4-0", vec![])]));
        assert_eq!(positions.check("s", &info(6, 9, true)), 1, "5 was missed");
        let mut positions = at(0);
        positions.note_absence("s");
        assert_eq!(positions.check("s", &info(4, 6, true)), 3, "there was no stream");
        // Behind the first, it is not known how many there were.
        let mut positions = at(5);
        assert_eq!(positions.check("s", &info(3, 7, true)), 0);
        assert_eq!(positions.check("s", &info(7, 7, true)), 1);
    }

    #[test]
    fn stream_that_is_made_anew_has_lost_nothing() {
        let mut positions = at(5);
        assert_eq!(positions.check("s", &info(1, 5, true)), 0);
        positions.start(&"s".into(), id(0, 0), true);
        assert_eq!(positions.check("s", &info(1, 3, true)), 0);
        assert_eq!(positions.check("s", &Value::Null), 0);
    }
}
