//! The event loop around a hub, whose sockets are buffers.

use alloc::{collections::BTreeMap, vec::Vec};

use enginewire::{Time, hub::ConnectionId};

use crate::hub::{Hub, Output};

/// The connections of a hub.
#[derive(Debug, Default)]
pub(crate) struct Wires(pub(crate) BTreeMap<ConnectionId, Wire>);

/// One connection, as its event loop has it.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) written: Vec<u8>,
    /// How much more can be written, if there is a limit.
    pub(crate) room: Option<usize>,
    /// The hub has shut down its sending side.
    pub(crate) is_shut: bool,
    /// The hub has closed it.
    pub(crate) is_closed: bool,
}

impl Wires {
    /// Accepts a connection.
    pub(crate) fn accept(&mut self, hub: &mut Hub, now: Time) -> ConnectionId {
        let on = hub.handle_accepted(now);
        self.0.insert(on, Wire::default());
        on
    }

    pub(crate) fn lose(&mut self, hub: &mut Hub, now: Time, on: ConnectionId) {
        hub.handle_lost(now, on);
        self.0.remove(&on);
    }

    /// Limits what a connection takes, or lets it take everything.
    pub(crate) fn set_room(
        &mut self,
        hub: &mut Hub,
        now: Time,
        on: ConnectionId,
        room: Option<usize>,
    ) {
        if let Some(wire) = self.0.get_mut(&on) {
            wire.room = room;
            if room.is_none() {
                hub.handle_writable(now, on);
            }
        }
    }

    /// Does what the hub asks its event loop for. Returns the next output for the application.
    pub(crate) fn poll(&mut self, hub: &mut Hub, now: Time) -> Option<Output> {
        loop {
            match hub.poll()? {
                Output::Write(on) => {
                    let Some(wire) = self.0.get_mut(&on) else { continue };
                    hub.transmit(now, on, |bytes| {
                        let n = bytes.len().min(wire.room.unwrap_or(usize::MAX));
                        wire.written.extend_from_slice(&bytes[..n]);
                        wire.room = wire.room.map(|room| room - n);
                        n
                    });
                }
                Output::Close(on) => {
                    if let Some(wire) = self.0.get_mut(&on) {
                        wire.is_closed = true;
                    }
                }
                Output::Shutdown(on) => {
                    if let Some(wire) = self.0.get_mut(&on) {
                        wire.is_shut = true;
                    }
                }
                Output::Read(_) => {}
                output => return Some(output),
            }
        }
    }
}

/// Makes entropy of a counter: all ids differ, and are the same in each run.
pub(crate) fn counting(first: u64) -> impl FnMut(&mut [u8]) + Send + 'static {
    let mut count = first;
    move |buffer: &mut [u8]| {
        buffer.fill(0);
        buffer.iter_mut().zip(count.to_le_bytes()).for_each(|(byte, digit)| *byte = digit);
        count = count.wrapping_add(1);
    }
}
