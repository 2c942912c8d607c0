//! What holds after each step, and how a script ends.

use super::{model::Model, wire::ViewState};
use crate::Reached;

impl Model {
    /// What holds after each step.
    pub(super) fn holds(&self) {
        let unread: usize =
            self.sockets.iter().flat_map(|socket| &socket.events).map(|heard| heard.cost).sum();
        assert_eq!(self.manager.unread(), unread, "unread");
        if let Some(wire) = self.session.as_ref().filter(|wire| wire.is_open) {
            let counted = wire.held + wire.received - wire.released;
            assert_eq!(counted, unread + self.partial, "what was not given back");
        }
        assert!(self.sockets.iter().all(|socket| self.holds_of(socket)));
        if self.told_closed {
            assert!(!self.manager.wants_open() && self.session.is_none());
            assert_eq!(self.manager.poll_timeout(), None);
        }
    }

    fn holds_of(&self, socket: &super::model::Socket) -> bool {
        let slot = socket.slot.unwrap();
        if socket.is_released {
            assert!(!self.manager.is_active(slot) && !self.manager.is_readable(slot));
            return true;
        }
        let config = self.manager.config();
        let most = config.max_offline.max(MOST_OF_ONE);
        assert!(self.manager.queued(slot) <= most);
        assert!(socket.acks.len() <= config.max_pending_acks);
        assert_eq!(
            self.manager.queued(slot) > 0,
            !socket.pending.is_empty() || !socket.retries.is_empty()
        );
        let is_connected = self.manager.is_connected(slot);
        assert_eq!(self.manager.id(slot).is_some(), is_connected);
        if !is_connected && self.manager.is_active(slot) && !self.manager.is_asking(slot) {
            let is_full = self.session.as_ref().is_some_and(|wire| wire.room == Some(0));
            let goes_on = self.manager.wants_open()
                || self.session.as_ref().is_some_and(|wire| !wire.is_open || wire.is_over())
                || self.manager.poll_timeout().is_some()
                || is_full;
            assert!(goes_on, "{} waits for ever", socket.namespace);
            let wire = self.session.as_ref().filter(|wire| wire.is_open && wire.room.is_none());
            let is_sure = !self.is_wild && !self.is_over() && config.refused_attempts == 0;
            if let Some(wire) = wire.filter(|_| is_sure) {
                let state = wire.state(&socket.namespace);
                assert_eq!(state, ViewState::Requested, "nobody asks for {}", socket.namespace);
            }
        }
        true
    }

    /// A server that does all that is asked of it; then the manager is closed, and nothing is left.
    pub(super) fn finish(mut self) -> Reached {
        self.heals();
        for at in 0..self.sockets.len() {
            let socket = &self.sockets[at];
            let slot = socket.slot.unwrap();
            if !self.manager.is_active(slot) {
                continue;
            }
            assert!(self.manager.is_connected(slot), "{} is not connected", socket.namespace);
            assert!(!socket.is_waiting(), "events of {} wait", socket.namespace);
            assert!(!socket.wants_room, "{} is not told that there is room", socket.namespace);
        }
        self.close();
        for _ in 0..MAX_STEPS {
            self.check();
            if self.told_closed {
                break;
            }
            self.wait();
        }
        assert!(self.told_closed, "it is not told that it has closed");
        for number in 0..self.sockets.len() {
            while self.take_update(number) {}
            assert!(!self.sockets[number].is_waiting());
            assert!(!self.sockets[number].wants_room, "it waits for room");
            self.connect(number);
            self.emit(number);
        }
        self.check();
        self.reached
    }

    fn heals(&mut self) {
        if self.is_wild {
            self.ended(0);
        }
        // Those with retries leave one after the other.
        let waiting = |socket: &super::model::Socket| socket.retries.len();
        let waiting: usize = self.sockets.iter().map(waiting).sum();
        for _ in 0..MAX_STEPS + waiting {
            self.poll_open();
            if self.is_over() {
                self.ended(0);
            }
            self.opened();
            self.set_room(None);
            if let Some(wire) = &mut self.session {
                wire.is_receiving = true;
            }
            self.check();
            for number in 0..self.sockets.len() {
                self.authorize(number);
                while self.take_update(number) {}
            }
            self.check();
            for namespace in 0..super::model::NAMESPACES.len() {
                self.server_connects(namespace, false);
                self.server_acknowledges_all(namespace);
                self.check();
            }
            let is_well = |socket: &super::model::Socket| {
                let slot = socket.slot.unwrap();
                !self.manager.is_active(slot)
                    || (self.manager.is_connected(slot)
                        && !socket.is_waiting()
                        && !socket.wants_room)
            };
            if self.sockets.iter().all(is_well) {
                return;
            }
            if self.session.is_none() || self.requests() == 0 {
                self.wait();
                self.check();
            }
        }
    }

    /// Requests that the server has not responded to.
    fn requests(&self) -> usize {
        let views = self.session.iter().flat_map(|wire| wire.views.values());
        views.filter(|view| view.state == ViewState::Requested).count()
    }
}

/// What an event of a script counts for, at most.
const MOST_OF_ONE: usize = 120;

/// Steps in which all is done that can be.
const MAX_STEPS: usize = 300;
