//! The hub of Enginewire in the event loop of its example `mio_echo`.

use enginewire::{
    Event, Message, ServerHub,
    hub::{Output, ServerHubConfig, SessionId},
};

use self::event_loop::EventLoop;
use super::{LOOPBACK, Ready};
use crate::Result;

#[path = "../../../../core/examples/mio_echo/event_loop.rs"]
mod event_loop;

pub(super) fn serve(ready: Ready) -> Result<()> {
    run(ready, |hub, from, message| {
        // No load is so slow to read that there is no room.
        let _ = hub.send(from, message);
    })
}

pub(super) fn broadcast(ready: Ready) -> Result<()> {
    let mut all = Vec::new();
    run(ready, move |hub, _, message| {
        all.clear();
        all.extend(hub.session_ids());
        hub.broadcast(all.iter().copied(), message);
    })
}

fn run(ready: Ready, mut handle: impl FnMut(&mut ServerHub, SessionId, Message)) -> Result<()> {
    let hub = ServerHub::new(ServerHubConfig::default(), event_loop::entropy);
    let mut events = EventLoop::new(hub, LOOPBACK)?;
    ready.send(events.local_addr()?)?;
    loop {
        events.drain(|hub, _, output| {
            if let Output::Event(session, Event::Message(message)) = output {
                handle(hub, session, message);
            }
        });
        events.wait(None)?;
    }
}
