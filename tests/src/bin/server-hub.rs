//! The test server on a [`Hub`] and the event loop of the example `mio_echo`: one thread, no runtime.

use std::{
    collections::{BTreeMap, VecDeque},
    process::ExitCode,
    time::Duration,
};

use enginewire::{
    Deadlines, Encoded, Event, IntoEncoded, Message, SendError, ServerHub as Hub, Time,
    hub::{AskId, Output, ServerHubConfig, SessionId},
};
use enginewire_tests::{
    profile::{self, DENIED_LATER, Filter, Profile, UNKNOWN_PROFILE},
    script::{Command, counting_bytes},
};

use self::event_loop::EventLoop;

#[path = "../../../core/examples/mio_echo/event_loop.rs"]
mod event_loop;

fn main() -> std::io::Result<ExitCode> {
    let Some(profile) = Profile::from_environment() else {
        return Ok(ExitCode::from(UNKNOWN_PROFILE));
    };
    let mut config = ServerHubConfig::default();
    config.protocol = profile.config;
    config.ask = profile.filters;
    let hub = Hub::new(config, event_loop::entropy);
    let address = profile::address();
    let mut events = EventLoop::new(hub, address)?;
    println!("{}", events.local_addr()?.port());
    let mut application = Application { broadcasts: profile.broadcasts, ..Default::default() };
    loop {
        events.drain(|hub, now, output| application.handle(hub, now, output));
        events.wait(application.timers.first())?;
        let now = events.now();
        application.handle_timeout(&mut events.hub, now);
    }
}

/// Echoes every message, except for commands, which it obeys.
#[derive(Default)]
struct Application {
    clients: BTreeMap<SessionId, Client>,
    timers: Deadlines<Timer>,
    broadcasts: bool,
}

/// One session.
#[derive(Default)]
struct Client {
    /// What there was no room for. While there is any the session is paused.
    backlog: VecDeque<Encoded>,
    /// Close once the backlog is out.
    closes: bool,
}

/// What is to be done at some time.
enum Timer {
    Refuse(AskId, String),
    Send(SessionId, String),
    /// Tick `next` of `n`, one every so often.
    Tick {
        session: SessionId,
        next: u64,
        n: u64,
        every: Duration,
    },
}

impl Application {
    fn handle(&mut self, hub: &mut Hub, now: Time, output: Output) {
        match output {
            Output::Ask(ask, _, head) => match Filter::of(head.query()) {
                Filter::Allow => drop(hub.allow(ask)),
                Filter::Deny(message) => drop(hub.refuse(ask, message)),
                Filter::DenyLater(message) => {
                    self.timers.arm(now + DENIED_LATER, Timer::Refuse(ask, message));
                }
            },
            Output::Opened(session, ..) => {
                self.clients.insert(session, Client::default());
            }
            Output::Event(session, Event::Message(message)) => {
                self.handle_message(hub, now, session, message);
            }
            Output::Event(session, Event::Writable) => self.send_backlog(hub, now, session),
            Output::Event(session, Event::Closed(_)) => {
                self.clients.remove(&session);
            }
            _ => {}
        }
    }

    fn handle_message(&mut self, hub: &mut Hub, now: Time, session: SessionId, message: Message) {
        let text = message.as_text();
        if self.broadcasts && text.is_some_and(|text| text.starts_with('B')) {
            let message = Encoded::shared(message);
            for &session in self.clients.keys() {
                let _ = hub.send(session, message.clone());
            }
            return;
        }
        match text.and_then(Command::parse) {
            None => self.send(hub, session, message),
            Some(command) => self.obey(hub, now, session, command),
        }
    }

    fn obey(&mut self, hub: &mut Hub, now: Time, session: SessionId, command: Command) {
        match command {
            Command::Close => self.close(hub, now, session),
            Command::Bye(n) => {
                self.send_numbered(hub, session, "bye", n);
                self.close(hub, now, session);
            }
            Command::Burst(n) => self.send_numbered(hub, session, "burst", n),
            Command::Binary(n) => self.send(hub, session, counting_bytes(n)),
            Command::Later(millis, text) => {
                let at = now + Duration::from_millis(millis);
                self.timers.arm(at, Timer::Send(session, text));
            }
            Command::Ticks(n, millis) => {
                let every = Duration::from_millis(millis);
                self.timers.arm(now + every, Timer::Tick { session, next: 0, n, every });
            }
        }
    }

    fn handle_timeout(&mut self, hub: &mut Hub, now: Time) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Refuse(ask, message) => drop(hub.refuse(ask, message)),
                Timer::Send(session, text) => self.send(hub, session, text),
                Timer::Tick { session, next, n, every } => {
                    if next < n && self.clients.contains_key(&session) {
                        self.send(hub, session, format!("tick-{next}"));
                        let timer = Timer::Tick { session, next: next + 1, n, every };
                        self.timers.arm(now + every, timer);
                    }
                }
            }
        }
    }

    fn send_numbered(&mut self, hub: &mut Hub, session: SessionId, name: &str, n: u64) {
        for i in 0..n {
            self.send(hub, session, format!("{name}-{i}"));
        }
    }

    /// Sends behind what waits already.
    fn send(&mut self, hub: &mut Hub, session: SessionId, message: impl IntoEncoded) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        if !client.backlog.is_empty() {
            return client.backlog.push_back(message.into_encoded());
        }
        if let Err(error) = hub.send(session, message)
            && let SendError::Full { .. } = error.reason
        {
            hub.pause(session);
            client.backlog.push_back(error.message);
        }
    }

    /// There is room again.
    fn send_backlog(&mut self, hub: &mut Hub, now: Time, session: SessionId) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        while let Some(message) = client.backlog.pop_front() {
            if let Err(error) = hub.send(session, message)
                && let SendError::Full { .. } = error.reason
            {
                return client.backlog.push_front(error.message);
            }
        }
        hub.resume(session);
        if client.closes {
            hub.close_session(now, session);
        }
    }

    fn close(&mut self, hub: &mut Hub, now: Time, session: SessionId) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        if client.backlog.is_empty() {
            hub.close_session(now, session);
        } else {
            client.closes = true;
        }
    }
}
