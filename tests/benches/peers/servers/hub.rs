//! The hub of Enginewire in the event loop of its example `mio_echo`.

use enginewire::{
    Event, ServerHub,
    hub::{Output, ServerHubConfig},
};

use self::event_loop::EventLoop;
use super::{LOOPBACK, Ready};
use crate::Result;

#[path = "../../../../core/examples/mio_echo/event_loop.rs"]
mod event_loop;

pub(super) fn serve(ready: Ready) -> Result<()> {
    let hub = ServerHub::new(ServerHubConfig::default(), event_loop::entropy);
    let mut events = EventLoop::new(hub, LOOPBACK)?;
    ready.send(events.local_addr()?)?;
    loop {
        events.drain(|hub, _, output| {
            if let Output::Event(session, Event::Message(message)) = output {
                // No load is so slow to read that there is no room.
                let _ = hub.send(session, message);
            }
        });
        events.wait(None)?;
    }
}
