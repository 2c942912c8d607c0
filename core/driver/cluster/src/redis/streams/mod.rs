//! Reading of streams, on a connection of its own.
//!
//! A read that waits blocks all commands behind it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use enginewire_driver::Runtime;
use enginewire_socketio::adapter;

use super::{
    error::RedisFault,
    link::Responds,
    options::Shared,
    resp::Value,
    transport::{Event, Transport},
};

/// Reader of streams, each from a position on that it remembers.
pub(super) struct Reader<R: Runtime> {
    transport: Transport<R, ()>,
    positions: Positions,
    /// Entries that were read.
    entries: VecDeque<Entry>,
    is_reading: bool,
    /// A read of this connection has had its response.
    is_admitted: bool,
}

/// Entry of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) stream: Arc<str>,
    pub(super) id: EntryId,
    /// Names and values in turn. `None` if it is larger than the limit.
    pub(super) fields: Option<Vec<(Bytes, Bytes)>>,
}

/// Entry of a log, with names and values in turn.
type LoggedEntry = (EntryId, Vec<(Bytes, Bytes)>);

/// Id of an entry, in the order of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId {
    milliseconds: u64,
    number: u64,
}

/// Event of a [`Reader`].
pub(super) enum Read {
    Entry(Entry),
    /// The server lets it read, on a connection that is new.
    Admitted,
    /// The connection was lost, or an attempt has failed. It goes on where it was.
    Lost(RedisFault),
}

/// The last entry of each stream that was read.
#[derive(Default)]
pub(super) struct Positions(BTreeMap<Arc<str>, EntryId>);

impl<R: Runtime> Reader<R> {
    pub(super) fn new(shared: &Arc<Shared<R>>) -> Self {
        Self {
            transport: Transport::new(shared),
            positions: Positions::default(),
            entries: VecDeque::new(),
            is_reading: false,
            is_admitted: false,
        }
    }

    /// Returns whether entries arrive. Without streams there are none to arrive.
    pub(super) fn is_ready(&self) -> bool {
        self.is_admitted || self.positions.0.is_empty()
    }

    /// Reads a stream from behind its last entry on, or goes on with it.
    ///
    /// A stream that ends before the position on a new connection comes from a server that is older, or was made anew. It
    /// is read on from its end, because the entries up to there were read. Returns the position.
    pub(super) fn start(
        &mut self,
        stream: &Arc<str>,
        last: EntryId,
        is_new_connection: bool,
    ) -> EntryId {
        self.positions.start(stream, last, is_new_connection)
    }

    pub(super) fn stop(&mut self, stream: &str) {
        self.positions.0.remove(stream);
    }

    /// Completes with the next entry. Reads more when all that were read have been taken.
    ///
    /// A read has all streams that are known by then. It waits for entries only if `waits`: not while a stream is about
    /// to be added.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, waits: bool) -> Poll<Read> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Poll::Ready(Read::Entry(entry));
            }
            if self.positions.0.is_empty() {
                // Nothing is read yet, so there is no connection to be kept alive.
                return Poll::Pending;
            }
            if !self.is_reading && self.transport.is_open() {
                self.is_reading = true;
                // Of the first of a connection a refusal is to be known at once.
                self.read(if waits && self.is_admitted { BLOCK } else { Duration::ZERO });
            }
            let Poll::Ready(event) = self.transport.poll(cx) else { return Poll::Pending };
            match event {
                // A read that waits for entries is no command that is lost: it goes on from where it was.
                Event::Lost(fault, _) => {
                    self.is_reading = false;
                    self.is_admitted = false;
                    return Poll::Ready(Read::Lost(fault));
                }
                Event::Response((), Ok(response)) => {
                    self.is_reading = false;
                    self.transport.settle();
                    self.entries = self.positions.take(&response);
                    if !mem::replace(&mut self.is_admitted, true) {
                        return Poll::Ready(Read::Admitted);
                    }
                }
                // Tried again with a growing wait.
                Event::Response((), Err(error)) => {
                    self.transport.fail(RedisFault::of_command("XREAD", &error));
                }
                Event::Opened | Event::Message(..) => {}
            }
        }
    }

    fn read(&mut self, wait: Duration) {
        let (count, block) = (COUNT.to_string(), wait.as_millis().to_string());
        let positions = self.positions.0.iter();
        let (names, ids): (Vec<_>, Vec<_>) =
            positions.map(|(stream, id)| (stream.as_bytes(), id.to_string())).unzip();
        let mut arguments: Vec<&[u8]> = vec![b"XREAD", b"COUNT", count.as_bytes()];
        if !wait.is_zero() {
            // Without end if it is 0.
            arguments.extend([b"BLOCK", block.as_bytes()]);
        }
        arguments.push(b"STREAMS");
        arguments.extend(names);
        arguments.extend(ids.iter().map(String::as_bytes));
        self.transport.push((), Responds::InTurn, wait, &arguments);
    }
}

impl Positions {
    fn start(&mut self, stream: &Arc<str>, last: EntryId, is_new_connection: bool) -> EntryId {
        let position = self.0.entry(Arc::clone(stream)).or_insert(last);
        // On the same one it was read further since the server was asked.
        if is_new_connection && last < *position {
            *position = last;
        }
        *position
    }

    /// Takes the entries out of the response to XREAD, and moves behind them.
    ///
    /// One that was left out because the response has become too large is read again, as the first of the next.
    fn take(&mut self, response: &Value) -> VecDeque<Entry> {
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
                let Some([id, fields]) = entry.as_array() else { break };
                let Some(id) = id.as_str().and_then(EntryId::parse) else { break };
                let fields = fields_of(fields);
                if fields.is_none() && at > 0 {
                    break;
                }
                *position = id;
                taken.push_back(Entry { stream: Arc::clone(name), id, fields });
            }
        }
        taken
    }
}

impl EntryId {
    fn parse(text: &str) -> Option<Self> {
        let (milliseconds, number) = text.split_once('-')?;
        Some(Self { milliseconds: milliseconds.parse().ok()?, number: number.parse().ok()? })
    }

    /// Returns the id of the last entry, in the response to XREVRANGE.
    pub(super) fn last(response: &Value) -> Option<Self> {
        match response.as_array()? {
            [] => Some(Self::default()),
            [entry, ..] => Self::parse(entry.as_array()?.first()?.as_str()?),
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.number)
    }
}

impl From<EntryId> for adapter::EntryId {
    fn from(EntryId { milliseconds, number }: EntryId) -> Self {
        Self { time: milliseconds, sequence: number }
    }
}

/// The entries in the response to XRANGE, and whether these are all.
///
/// They are not if the response was cut behind them for its size, or is none.
pub(super) fn entries(response: &Value) -> (Vec<LoggedEntry>, bool) {
    let Some(all) = response.as_array() else { return (Vec::new(), false) };
    let entries = all.iter().map_while(|entry| {
        let [id, fields] = entry.as_array()? else { return None };
        Some((EntryId::parse(id.as_str()?)?, fields_of(fields)?))
    });
    let entries: Vec<_> = entries.collect();
    let is_complete = entries.len() == all.len();
    (entries, is_complete)
}

/// Fields whose names are text.
pub(super) fn texts(fields: &[(Bytes, Bytes)]) -> Vec<(&str, &[u8])> {
    fields
        .iter()
        .filter_map(|(name, value)| Some((str::from_utf8(name).ok()?, &value[..])))
        .collect()
}

/// The fields of an entry. `None` if not all of them are there.
fn fields_of(fields: &Value) -> Option<Vec<(Bytes, Bytes)>> {
    let pairs = fields.as_array()?.chunks(2).map(|pair| match pair {
        [Value::Text(name), Value::Text(value)] => Some((name.clone(), value.clone())),
        _ => None,
    });
    pairs.collect()
}

/// Entries that are read at a time, as by the reference.
const COUNT: usize = 100;

/// Time that a read waits for entries, as by the reference.
const BLOCK: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn entry(id: &str, fields: Vec<Value>) -> Value {
        Value::Array(vec![text(id), Value::Array(fields)])
    }

    fn id(milliseconds: u64, number: u64) -> EntryId {
        EntryId { milliseconds, number }
    }

    fn response(entries: Vec<Value>) -> Value {
        Value::Array(vec![text("s"), Value::Array(entries)])
    }

    /// The ids that are taken, and whether the entries are there.
    fn take(positions: &mut Positions, response: &Value) -> Vec<(EntryId, bool)> {
        let taken = positions.take(response);
        taken.into_iter().map(|entry| (entry.id, entry.fields.is_some())).collect()
    }

    #[test]
    fn position_moves_behind_the_entries_that_are_taken() {
        let mut positions = Positions::default();
        positions.start(&"s".into(), id(5, 0), false);
        let fields = || vec![text("a"), text("b")];
        let all = response(vec![entry("5-1", fields()), entry("6-0", fields())]);
        assert_eq!(take(&mut positions, &all), [(id(5, 1), true), (id(6, 0), true)]);
        assert_eq!(positions.0["s"], id(6, 0));
        assert_eq!(take(&mut positions, &Value::Null), [], "nothing came in time");
    }

    #[test]
    fn entry_that_is_too_large_is_skipped_and_those_behind_it_are_read_again() {
        let mut positions = Positions::default();
        positions.start(&"s".into(), id(0, 0), false);
        let (fields, cut) = (vec![text("a"), text("b")], vec![text("a"), Value::Oversized]);
        let entries = vec![entry("1-0", fields), entry("2-0", cut.clone()), Value::Oversized];
        assert_eq!(take(&mut positions, &response(entries)), [(id(1, 0), true)]);
        assert_eq!(positions.0["s"], id(1, 0), "the second is the first of the next response");
        let entries = vec![entry("2-0", cut), Value::Array(vec![Value::Oversized])];
        assert_eq!(take(&mut positions, &response(entries)), [(id(2, 0), false)]);
        assert_eq!(positions.0["s"], id(2, 0), "it is not read for ever");
    }

    #[test]
    fn stream_goes_on_where_it_was_and_one_that_has_become_shorter_at_its_end() {
        let mut positions = Positions::default();
        let stream: Arc<str> = "s".into();
        positions.start(&stream, id(7, 1), true);
        positions.start(&stream, id(9, 0), true);
        assert_eq!(positions.0["s"], id(7, 1), "those in between are read");
        positions.start(&stream, id(7, 0), false);
        assert_eq!(positions.0["s"], id(7, 1), "it was asked for before it was read");
        positions.start(&stream, id(6, 9), true);
        assert_eq!(positions.0["s"], id(6, 9), "those before were read");
        positions.start(&stream, id(0, 0), true);
        assert_eq!(positions.0["s"], id(0, 0), "of one that was made anew, all are new");
    }

    #[test]
    fn response_that_is_cut_or_none_has_not_all_entries() {
        let fields = || vec![text("a"), text("b")];
        let ids = |response: &[Value]| {
            let (entries, is_complete) = entries(&Value::Array(response.to_vec()));
            (entries.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), is_complete)
        };
        let one = entry("1-0", fields());
        assert_eq!(ids(&[]), (vec![], true));
        assert_eq!(ids(&[one.clone(), entry("2-0", fields())]), (vec![id(1, 0), id(2, 0)], true));
        let in_fields = entry("2-0", vec![text("a"), Value::Oversized]);
        let between_fields = entry("2-0", vec![text("a"), text("b"), Value::Oversized]);
        let behind_id = Value::Array(vec![text("2-0"), Value::Oversized]);
        for cut in [in_fields, between_fields, behind_id, Value::Oversized] {
            assert_eq!(ids(&[one.clone(), cut.clone()]), (vec![id(1, 0)], false), "{cut:?}");
            assert_eq!(ids(&[cut]), (vec![], false));
        }
        // That to a command that is refused.
        assert_eq!(entries(&Value::Null), (vec![], false));
    }

    #[test]
    fn last_entry_is_that_of_the_stream_or_none() {
        assert_eq!(EntryId::last(&Value::Array(vec![])), Some(id(0, 0)));
        let last = Value::Array(vec![entry("12-3", vec![])]);
        assert_eq!(EntryId::last(&last), Some(id(12, 3)));
        assert_eq!(EntryId::last(&Value::Null), None);
        assert_eq!(EntryId::parse("12"), None);
    }
}
