//! Events of the client and their acknowledgements, and what its sockets are told.

use std::time::Duration;

use enginewire::{Encoded, Time};
use enginewire_socketio::{
    AckError, AckId, DisconnectReason, EmitError, ManagerEvent, Offline, Slot, TryEmitError,
    Update,
    parser::{Encoder, NamedEvent, Parser},
};

use super::model::{Ack, Model, RETRY_TIMEOUT, Retry};

/// Events of the client.
impl Model {
    /// Encodes the next event of a socket.
    fn event(&mut self, at: usize, ack: Option<AckId>) -> (u64, Encoded) {
        let number = self.owners.len() as u64;
        self.owners.push(at);
        let namespace = &self.sockets[at].namespace;
        let event = NamedEvent::new("e", &number);
        (number, Encoder::new().event(&Parser::Json, namespace, ack, &event).unwrap())
    }

    /// Whether a session takes what a socket sends, or says that it is full.
    fn has_session(&self, at: usize) -> bool {
        let is_alive = self.session.as_ref().is_some_and(|wire| wire.is_open && !wire.is_over());
        self.is_connected(at) && is_alive
    }

    pub(super) fn emit(&mut self, number: usize) {
        let Some((at, slot)) = self.at(number) else { return };
        let (number, event) = self.event(at, None);
        let (is_direct, cost) = (self.has_session(at), cost(&event));
        let result = self.manager.emit(slot, event, &mut self.session);
        self.emitted(at, number, is_direct, cost, &result);
    }

    pub(super) fn emit_volatile(&mut self, number: usize) {
        let Some((at, slot)) = self.at(number) else { return };
        let (number, event) = self.event(at, None);
        let is_direct = self.has_session(at);
        let result = self.manager.emit_volatile(slot, event, &mut self.session);
        if result.is_ok() {
            let is_idle = self.session.as_ref().is_some_and(|wire| wire.is_idle);
            assert!(self.is_connected(at) && is_idle, "a volatile event waits");
            assert!(is_direct, "a volatile event waits for another connection");
            self.sockets[at].pending.push_back(number);
            self.look();
            assert!(self.sockets[at].pending.is_empty(), "{number} was not sent");
        } else if matches!(result, Err(TryEmitError { reason: EmitError::Full { .. }, .. })) {
            self.sockets[at].wants_room = true;
        }
        self.look();
    }

    pub(super) fn ask(&mut self, number: usize, millis: u8) {
        let Some((at, slot)) = self.at(number) else { return };
        let deadline = match millis {
            u8::MAX => Time::MAX,
            millis => self.now + Duration::from_millis(millis.into()),
        };
        let id = self.manager.next_ack(slot);
        let (number, event) = self.event(at, Some(id));
        let (is_direct, cost) = (self.has_session(at), cost(&event));
        let session = &mut self.session;
        let result = self.manager.emit_with_ack(slot, event, id, deadline, number, session);
        if result.is_ok() {
            self.sockets[at].acks.insert(number, Ack { id, deadline });
        }
        self.emitted(at, number, is_direct, cost, &result);
    }

    /// An event was given to the manager.
    fn emitted(
        &mut self,
        at: usize,
        number: u64,
        is_direct: bool,
        cost: usize,
        result: &Result<(), TryEmitError>,
    ) {
        let (offline, max_acks) =
            (self.manager.config().offline, self.manager.config().max_pending_acks);
        match result {
            Ok(()) if is_direct => {
                self.sockets[at].pending.push_back(number);
                self.look();
                assert!(!self.sockets[at].pending.contains(&number), "{number} was not sent");
            }
            Ok(()) => {
                assert_ne!(offline, Offline::Refuse);
                let is_kept = offline == Offline::Buffer;
                self.sockets[at].pending.extend(is_kept.then_some(number));
            }
            Err(error) => self.refused(at, cost, max_acks, error.reason.clone()),
        }
        self.drain();
        self.look();
    }

    fn refused(&mut self, at: usize, cost: usize, max_acks: usize, reason: EmitError) {
        let is_connected = self.is_connected(at);
        let socket = &mut self.sockets[at];
        let slot = socket.slot.unwrap();
        match reason {
            EmitError::Full { .. } => {
                socket.wants_room = true;
                let queued = self.manager.queued(slot);
                let max = self.manager.config().max_offline;
                assert!(is_connected || queued + cost > max, "{queued} + {cost} of {max}");
            }
            EmitError::TooManyAcks { .. } => assert!(socket.acks.len() >= max_acks),
            EmitError::Disconnected => {
                let refuses = self.manager.config().offline == Offline::Refuse;
                let is_over = socket.is_released || self.manager.end_reason(slot).is_some();
                assert!(is_over || refuses, "there may be a connection yet");
            }
            other => panic!("an event is refused: {other}"),
        }
    }

    pub(super) fn retry(&mut self, number: usize, retries: usize) {
        let Some((at, slot)) = self.at(number) else { return };
        let id = self.manager.next_ack(slot);
        let (number, event) = self.event(at, Some(id));
        let (retries, cost) = (u32::try_from(retries).unwrap(), cost(&event));
        if self.manager.namespace(slot).is_some() {
            self.sockets[at].retries.push_back(Retry {
                number,
                times: 0,
                most: retries + 1,
                until: None,
            });
        }
        let (now, session) = (self.now, &mut self.session);
        let result = self.manager.emit_with_retries(
            now,
            slot,
            event,
            id,
            retries,
            RETRY_TIMEOUT,
            number,
            session,
        );
        if let Err(error) = result {
            if let Some(last) = self.sockets[at].retries.back()
                && last.number == number
            {
                self.sockets[at].retries.pop_back();
            }
            let queued = self.manager.queued(slot);
            if let EmitError::Full { max, .. } = error.reason {
                self.sockets[at].wants_room = true;
                assert!(queued + cost > max, "{queued} + {cost} of {max}");
            } else {
                self.refused(at, cost, usize::MAX, error.reason);
            }
        }
        self.drain();
        self.look();
    }

    pub(super) fn forget_ack(&mut self, number: usize) {
        let Some((at, slot)) = self.at(number) else { return };
        let Some((&number, &Ack { id, .. })) = self.sockets[at].acks.last_key_value() else {
            return;
        };
        assert_eq!(self.manager.forget_ack(slot, id), Some(number));
        assert_eq!(self.manager.forget_ack(slot, id), None);
        self.sockets[at].acks.remove(&number);
    }

    pub(super) fn acknowledge(&mut self, number: usize) {
        let Some((at, slot)) = self.at(number) else { return };
        let Some((connection, id, serial, granted)) = self.sockets[at].owed.pop_front() else {
            return;
        };
        let namespace = self.sockets[at].namespace.clone();
        let message = Encoder::new().ack(&Parser::Json, &namespace, id, &(), Vec::new()).unwrap();
        let result = self.manager.acknowledge(slot, connection, message, &mut self.session);
        if result.is_ok() && !self.is_wild {
            assert_eq!(serial, self.serial, "the acknowledgement goes to another session");
            let now = self.session.as_mut().map(|wire| wire.view(&namespace).granted);
            assert_eq!(Some(granted), now, "the acknowledgement goes to another socket");
        }
        if matches!(result, Err(TryEmitError { reason: EmitError::Full { .. }, .. })) {
            self.sockets[at].wants_room = true;
        }
        self.drain();
        self.look();
    }
}

/// What the application is told.
impl Model {
    /// Takes one update. Returns false if there is none.
    pub(super) fn take_update(&mut self, number: usize) -> bool {
        let Some((at, slot)) = self.at(number) else { return false };
        let is_readable = self.manager.is_readable(slot);
        let update = self.manager.take_update(slot, &mut self.session);
        assert_eq!(update.is_some(), is_readable);
        let socket = &mut self.sockets[at];
        let Some(update) = update else {
            socket.untaken = 0;
            assert!(socket.events.is_empty(), "something that the server has said was lost");
            return false;
        };
        let is_lossy = socket.untaken > MAX_UNTAKEN;
        match update {
            Update::Event { event, connection } => {
                let heard = socket.events.pop_front().expect("the server has sent it");
                assert!(!heard.is_refusal, "an event, and no refusal before it");
                assert_eq!(event.args().decode(1).ok(), heard.number, "out of order");
                if let Some(id) = event.ack() {
                    socket.owed.push_back((connection, id, heard.serial, heard.granted));
                }
                self.reached.received += 1;
                return true;
            }
            Update::Connected { .. } => {
                assert!(is_lossy || !socket.is_told, "connected twice");
                socket.is_told = true;
            }
            Update::Disconnected { reason, unsent } => {
                assert!(is_lossy || socket.is_told, "disconnected twice");
                socket.is_told = false;
                use DisconnectReason::{ClientLeft, ServerLeft};
                if matches!(reason, ClientLeft | ServerLeft) {
                    assert_eq!(unsent, 0);
                } else if is_lossy {
                    socket.losses.clear();
                } else {
                    assert_eq!(Some(unsent), socket.losses.pop_front(), "{reason}");
                }
            }
            Update::Refused(_) | Update::Failed(_) | Update::Waiting { .. } => {
                assert!(is_lossy || !socket.is_told, "a socket is connected, and {update:?}");
                if let Update::Refused(_) = update {
                    let heard = socket.events.pop_front().expect("the server has refused it");
                    assert!(heard.is_refusal, "a refusal, and no event before it");
                }
            }
            other => panic!("a socket is told {other:?}"),
        }
        true
    }

    /// Takes all that the manager has to tell, but for updates.
    pub(super) fn drain(&mut self) {
        while let Some(event) = self.manager.poll_event() {
            assert!(!self.told_closed, "{event:?} behind the end");
            match event {
                ManagerEvent::Auth(_) | ManagerEvent::Readable(_) => {}
                ManagerEvent::Writable(slot) => {
                    let mut sockets = self.sockets.iter_mut();
                    if let Some(socket) = sockets.find(|socket| socket.slot == Some(slot)) {
                        socket.wants_room = false;
                    }
                }
                ManagerEvent::Acknowledged(slot, number, result) => {
                    self.acknowledged(slot, number, result.map(|args| args.decode(0)));
                }
                ManagerEvent::Closed { unsent } => {
                    assert!(self.is_closed && self.session.is_none(), "it is not closed");
                    assert_eq!(unsent, self.unsent, "events that were not sent");
                    self.told_closed = true;
                }
                other => panic!("the application is told {other:?}"),
            }
        }
    }

    fn acknowledged<E: std::fmt::Debug>(
        &mut self,
        slot: Slot,
        number: u64,
        result: Result<Result<u64, E>, AckError>,
    ) {
        let at = self.owners[usize::try_from(number).unwrap()];
        assert_eq!(self.sockets[at].slot, Some(slot), "{number} is of another socket");
        let is_connected = self.manager.is_connected(slot);
        let (is_wild, now) = (self.is_wild, self.now);
        let socket = &mut self.sockets[at];
        let ack = socket.acks.remove(&number);
        let retry = socket.retries.iter().position(|retry| retry.number == number);
        assert!(ack.is_some() || retry.is_some(), "{number} is ended twice");
        match &result {
            Ok(args) => {
                assert!(is_connected, "{number} is acknowledged without a connection");
                assert!(is_wild || args.as_ref().is_ok_and(|&of| of == number), "{args:?}");
            }
            Err(AckError::Timeout) => {
                let is_forgotten =
                    self.is_forgetting && retry.is_some_and(|at| socket.retries[at].times > 0);
                let is_due = is_forgotten
                    || match (&ack, retry) {
                        (Some(ack), _) => ack.deadline <= now,
                        (None, Some(at)) => at == 0 && socket.retries[0].is_spent(),
                        _ => false,
                    };
                assert!(is_due, "{number} expires before its time");
                // One that has not left by its deadline does not leave any more.
                socket.pending.retain(|&pending| pending != number);
            }
            Err(AckError::Disconnected(_)) => {
                assert!(!is_connected, "{number} fails, and the connection is there");
                assert!(!socket.pending.contains(&number), "{number} was not sent");
                let is_over = self.manager.end_reason(slot).is_some()
                    || self.manager.namespace(slot).is_none();
                let is_spent = |at: usize| at == 0 && socket.retries[0].is_spent();
                assert!(retry.is_none_or(|at| is_over || is_spent(at)), "{number} has times left");
            }
            Err(AckError::NotSent) => {
                let is_first = |at: usize| socket.retries[at].times == 0;
                assert!(retry.is_none_or(is_first), "{number} was sent");
                socket.pending.retain(|&pending| pending != number);
            }
            Err(other) => panic!("{number} fails: {other}"),
        }
        if let Some(at) = retry {
            assert_eq!(at, 0, "{number} ends before those before it");
            socket.retries.pop_front();
        }
    }
}

/// What an event counts for that waits.
fn cost(event: &Encoded) -> usize {
    event.len() + event.parts() * enginewire::Limits::MESSAGE_OVERHEAD
}

/// A socket keeps as many changes that were not taken, or more.
const MAX_UNTAKEN: usize = 15;
