//! An Engine.IO server that echoes every message, on one thread and the system's own event queue by
//! way of `mio`: no runtime, no tasks, no locks.
//!
//! `cargo run -p enginewire --example mio_echo -- 3000`; prints its port, without an argument one that
//! the system picks.

mod event_loop;

use std::{collections::BTreeMap, env, error::Error, net::Ipv4Addr};

use enginewire::{
    Encoded, Event, SendError, ServerHub,
    hub::{Output, ServerHubConfig, SessionId},
};

use self::event_loop::EventLoop;

fn main() -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let hub = ServerHub::new(ServerHubConfig::default(), event_loop::entropy);
    let mut events = EventLoop::new(hub, (Ipv4Addr::LOCALHOST, port).into())?;
    println!("{}", events.local_addr()?.port());
    let mut echo = Echo::default();
    loop {
        events.drain(|hub, _, output| echo.handle(hub, output));
        events.wait(None)?;
    }
}

/// The application.
#[derive(Default)]
struct Echo {
    /// Answers for which there was no room. No more than one per session, as it is paused then.
    waiting: BTreeMap<SessionId, Encoded>,
}

impl Echo {
    fn handle(&mut self, hub: &mut ServerHub, output: Output) {
        match output {
            Output::Event(session, Event::Message(message)) => {
                self.send(hub, session, message.into());
            }
            Output::Event(session, Event::Writable) => {
                if let Some(message) = self.waiting.remove(&session) {
                    hub.resume(session);
                    self.send(hub, session, message);
                }
            }
            Output::Event(session, Event::Closed(_)) => {
                self.waiting.remove(&session);
            }
            _ => {}
        }
    }

    /// Sends, or takes no more messages until there is room: then the peer, which does not read our
    /// answers, is not read either.
    fn send(&mut self, hub: &mut ServerHub, to: SessionId, message: Encoded) {
        if let Err(error) = hub.send(to, message)
            && let SendError::Full { .. } = error.reason
        {
            hub.pause(to);
            self.waiting.insert(to, error.message);
        }
    }
}
