//! Streams that are read by one command, on one connection.

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use enginewire::Time;
use enginewire_driver::Runtime;
use enginewire_socketio::adapter::EntryId;

use super::{
    super::{
        dial::Destination,
        error::RedisFault,
        options::Shared,
        resp::ServerError,
        slots::Redirect,
        transport::{Event, Transport},
    },
    Read,
    positions::{Entry, Positions},
};

/// Streams that are read together.
pub(super) struct Group<R: Runtime> {
    shared: Arc<Shared<R>>,
    /// In a Redis Cluster, the slot of all of them.
    slot: Option<u16>,
    transport: Transport<R, Asked>,
    positions: Positions,
    /// Entries that were read.
    entries: VecDeque<Entry>,
    /// Entries that were trimmed before, to be told.
    missed: u64,
    is_reading: bool,
    /// When the last read was asked for.
    asked_at: Time,
    /// A read of this connection has had its response.
    is_admitted: bool,
    /// Streams may have been trimmed beyond their positions.
    checks: bool,
    /// The slot is being moved to the server of the connection.
    asks: bool,
    /// Redirections since the last read.
    redirects: u8,
}

/// Command that a response is to.
enum Asked {
    Read,
    /// The state of a stream.
    Info(Arc<str>),
}

impl<R: Runtime> Group<R> {
    pub(super) fn new(shared: &Arc<Shared<R>>, slot: Option<u16>) -> Self {
        let destination = slot.map_or(Destination::Any, Destination::Slot);
        Self {
            shared: Arc::clone(shared),
            slot,
            transport: Transport::new(shared, destination),
            positions: Positions::default(),
            entries: VecDeque::new(),
            missed: 0,
            is_reading: false,
            asked_at: Time::ZERO,
            is_admitted: false,
            checks: true,
            asks: false,
            redirects: 0,
        }
    }

    pub(super) const fn slot(&self) -> Option<u16> {
        self.slot
    }

    pub(super) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub(super) const fn is_ready(&self) -> bool {
        self.is_admitted
    }

    pub(super) fn start(
        &mut self,
        stream: &Arc<str>,
        last: EntryId,
        is_new_connection: bool,
    ) -> EntryId {
        // Of one that is new, it is to be known how many entries it has had.
        self.checks = true;
        self.positions.start(stream, last, is_new_connection)
    }

    pub(super) fn stop(&mut self, stream: &str) {
        self.positions.stop(stream);
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, waits: bool) -> Poll<Read> {
        loop {
            if let missed @ 1.. = mem::take(&mut self.missed) {
                return Poll::Ready(Read::Missed(missed));
            }
            if let Some(entry) = self.entries.pop_front() {
                return Poll::Ready(Read::Entry(entry));
            }
            if !self.is_reading && self.transport.is_open() {
                self.is_reading = true;
                let now = self.shared.runtime.clock().now();
                let asked_at = mem::replace(&mut self.asked_at, now);
                // The node may have stood still since.
                if mem::take(&mut self.checks) || now.since(asked_at) > STALL {
                    self.check();
                }
                // Of the first of a connection a refusal is to be known at once.
                self.read(if waits && self.is_admitted { BLOCK } else { Duration::ZERO });
            }
            match ready!(self.transport.poll(cx)) {
                Event::Lost(error, _) => {
                    self.begin_anew(false);
                    self.redirects = 0;
                    return Poll::Ready(Read::Lost(error));
                }
                Event::Response(Asked::Read, Ok(response)) => {
                    self.is_reading = false;
                    self.redirects = 0;
                    self.transport.settle();
                    self.entries = self.positions.take(&response);
                    // Then there is more, of which something may be trimmed meanwhile.
                    self.checks = self.entries.len() >= COUNT;
                    if !mem::replace(&mut self.is_admitted, true) {
                        return Poll::Ready(Read::Admitted);
                    }
                }
                Event::Response(Asked::Read, Err(error)) => self.handle_refusal(&error),
                Event::Response(Asked::Info(stream), Ok(response)) => {
                    self.missed += self.positions.check(&stream, &response);
                }
                // Or the user may not ask, and is not told.
                Event::Response(Asked::Info(stream), Err(_)) => {
                    self.positions.note_absence(&stream);
                }
                Event::Opened | Event::Message(..) | Event::Unsubscribed { .. } => {}
            }
        }
    }

    /// Follows a redirection. Another error is tried again with a growing wait.
    fn handle_refusal(&mut self, error: &ServerError) {
        let via = self.transport.address().filter(|_| self.redirects < MAX_REDIRECTS);
        let redirect = via.and_then(|via| self.shared.redirect(error, &via));
        let (Some(slot), Some(redirect)) = (self.slot, redirect) else {
            return self.transport.fail(RedisFault::of_command("XREAD", error));
        };
        self.redirects += 1;
        let (server, asks) = match redirect {
            Redirect::Moved(owner) => {
                self.shared.set_owner(slot, owner.clone());
                (owner, false)
            }
            Redirect::Ask(other) => (other, true),
        };
        self.begin_anew(asks);
        self.transport.redirect(Destination::Server(server));
    }

    /// Notes that the connection is another one.
    const fn begin_anew(&mut self, asks: bool) {
        (self.is_reading, self.is_admitted) = (false, false);
        (self.checks, self.asks) = (true, asks);
    }

    /// Asks for the state of the streams, ahead of a read.
    fn check(&mut self) {
        for stream in self.positions.streams() {
            if self.asks {
                self.transport.push_asking();
            }
            let arguments: [&[u8]; 3] = [b"XINFO", b"STREAM", stream.as_bytes()];
            let asked = Asked::Info(Arc::clone(stream));
            self.transport.push_patient(asked, Duration::ZERO, &arguments);
        }
    }

    fn read(&mut self, wait: Duration) {
        let (count, block) = (COUNT.to_string(), wait.as_millis().to_string());
        let (names, ids): (Vec<_>, Vec<_>) =
            self.positions.iter().map(|(stream, id)| (stream.as_bytes(), id.to_string())).unzip();
        let mut arguments: Vec<&[u8]> = vec![b"XREAD", b"COUNT", count.as_bytes()];
        if !wait.is_zero() {
            // Without end if it is 0.
            arguments.extend([b"BLOCK", block.as_bytes()]);
        }
        arguments.push(b"STREAMS");
        arguments.extend(names);
        arguments.extend(ids.iter().map(String::as_bytes));
        if self.asks {
            self.transport.push_asking();
        }
        self.transport.push_patient(Asked::Read, wait, &arguments);
    }
}

/// Entries that are read at a time, as by the reference.
const COUNT: usize = 100;

/// Time that a read waits for entries, as by the reference.
const BLOCK: Duration = Duration::from_secs(5);

/// Time since the last read behind which streams are checked. A busy one is trimmed as a whole in seconds.
const STALL: Duration = Duration::from_secs(1);

/// Redirections that a read follows, before it is an error.
const MAX_REDIRECTS: u8 = 5;
