//! The application of the examples with an event loop: every message goes back.

use std::collections::BTreeMap;

use enginewire::{
    Encoded, Event, SendError, ServerHub,
    hub::{Output, SessionId},
};

/// The application.
#[derive(Default)]
pub(crate) struct Echo {
    /// Answers for which there was no room. No more than one per session, as it is paused then.
    waiting: BTreeMap<SessionId, Encoded>,
}

impl Echo {
    pub(crate) fn handle(&mut self, hub: &mut ServerHub, output: Output) {
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
