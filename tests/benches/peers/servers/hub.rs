//! The hub of Enginewire in the event loops of its examples `mio_echo` and `uring_echo`.

use enginewire::{
    Event, Message, ServerHub as Hub,
    hub::{Output, ServerHubConfig, SessionId},
};

use super::{LOOPBACK, Ready};
use crate::Result;

#[path = "../../../../core/examples/mio_echo/event_loop.rs"]
mod mio;
#[cfg(target_os = "linux")]
#[path = "../../../../core/examples/uring_echo/event_loop.rs"]
mod uring;

/// Serves in the event loop of an example. A macro, because both have the same methods but no common trait.
macro_rules! serve {
    ($event_loop:ident, $ready:ident, $handle:expr) => {{
        let mut handle = $handle;
        let hub = Hub::new(ServerHubConfig::default(), $event_loop::entropy);
        let mut events = $event_loop::EventLoop::new(hub, LOOPBACK)?;
        $ready.send(events.local_addr()?)?;
        loop {
            events.drain(|hub, _, output| {
                if let Output::Event(session, Event::Message(message)) = output {
                    handle(hub, session, message);
                }
            });
            events.wait(None)?;
        }
    }};
}

pub(super) fn epoll(ready: Ready) -> Result<()> {
    serve!(mio, ready, echo())
}

pub(super) fn epoll_broadcast(ready: Ready) -> Result<()> {
    serve!(mio, ready, broadcast())
}

#[cfg(target_os = "linux")]
pub(super) fn io_uring(ready: Ready) -> Result<()> {
    serve!(uring, ready, echo())
}

#[cfg(target_os = "linux")]
pub(super) fn io_uring_broadcast(ready: Ready) -> Result<()> {
    serve!(uring, ready, broadcast())
}

fn echo() -> impl FnMut(&mut Hub, SessionId, Message) {
    |hub, from, message| {
        // No load is so slow to read that there is no room.
        let _ = hub.send(from, message);
    }
}

fn broadcast() -> impl FnMut(&mut Hub, SessionId, Message) {
    let mut all = Vec::new();
    move |hub, _, message| {
        all.clear();
        all.extend(hub.session_ids());
        hub.broadcast(all.iter().copied(), message);
    }
}
