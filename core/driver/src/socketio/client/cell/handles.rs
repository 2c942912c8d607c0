//! A client as its handles use it.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll},
};

use enginewire::{CloseReason, Encoded, Time, TransportKind};
use enginewire_socketio::{
    AckError, AckId, Auth, EmitError, EndReason, Slot, SocketId, TryEmitError,
    client_hub::{ClientAskId, ClientEngine, ClientHub},
};

use super::{ClientCell, Guard, Inner, SocketState};
use crate::{
    socketio::{
        acks::{Answer, Pending},
        client::{
            error::ClientError,
            interface::{AuthHook, Cell, Mode, Options, Taken},
        },
    },
    sync::lock,
    waiters::Ticket,
    wakers::WakerKey,
};

impl<E: ClientEngine + Send> Cell for ClientCell<E> {
    fn options(&self) -> &Options {
        &self.options
    }

    fn now(&self) -> Time {
        self.now()
    }

    fn open(
        &self,
        namespace: &str,
        auth: Auth,
        hook: Option<AuthHook>,
    ) -> Result<(Slot, String), ClientError> {
        let now = self.now();
        let mut guard = self.lock();
        let Inner { hub, sockets, is_done, unsent, .. } = &mut *guard.inner;
        if *is_done || unsent.is_some() {
            return Err(ClientError::Closed);
        }
        let Some(slot) = hub.open(namespace, auth) else {
            return Err(match hub.is_closing() {
                true => ClientError::Closed,
                false => ClientError::NamespaceTaken { namespace: namespace.to_owned() },
            });
        };
        let failures_before = hub.failures();
        let state = SocketState { auth: hook, failures_before, ..SocketState::default() };
        sockets.insert(slot, Box::new(state));
        hub.connect(now, slot);
        let namespace = hub.namespace(slot).unwrap_or_default().to_owned();
        Ok((slot, namespace))
    }

    fn connect(&self, slot: Slot) {
        let now = self.now();
        self.lock().inner.hub.connect(now, slot);
    }

    fn disconnect(&self, slot: Slot) -> usize {
        let now = self.now();
        self.lock().inner.hub.disconnect(now, slot)
    }

    fn release(&self, slot: Slot) {
        let now = self.now();
        let mut guard = self.lock();
        let Guard { inner, wakes, .. } = &mut guard;
        inner.hub.release(now, slot);
        // Tasks of other handles may wait for it still. Its hook is the application's, to be dropped behind the lock.
        let mut state = inner.sockets.remove(&slot);
        if let Some(state) = &mut state {
            state.changes.wake_all(wakes);
            state.waiters.wake_receiver(wakes);
            state.waiters.wake_all_for_room(wakes);
        }
        drop(guard);
        drop(state);
    }

    fn forget_offline(&self, slot: Slot) -> usize {
        self.lock().inner.hub.forget_offline(slot)
    }

    fn forget_ack(&self, slot: Slot, id: AckId) {
        let ask = ClientAskId::new(slot, id);
        let mut guard = self.lock();
        guard.inner.hub.forget(ask);
        let pending = guard.inner.acks.remove(&ask);
        drop(guard);
        drop(pending);
    }

    fn is_connected(&self, slot: Slot) -> bool {
        lock(&self.inner).hub.is_connected(slot)
    }

    fn is_active(&self, slot: Slot) -> bool {
        lock(&self.inner).hub.is_active(slot)
    }

    fn end_reason(&self, slot: Slot) -> Option<ClientError> {
        let inner = lock(&self.inner);
        Some(ClientError::of(inner.hub.end_reason(slot)?, &self.to))
    }

    fn id(&self, slot: Slot) -> Option<SocketId> {
        lock(&self.inner).hub.id(slot).cloned()
    }

    fn queued(&self, slot: Slot) -> usize {
        lock(&self.inner).hub.queued(slot)
    }

    fn transport(&self) -> Option<TransportKind> {
        Some(lock(&self.inner).hub.engine()?.session().transport())
    }

    fn close(&self) {
        let now = self.now();
        self.lock().inner.hub.close(now);
    }

    fn poll_closed(&self, cx: &Context<'_>, key: &mut WakerKey) -> Poll<usize> {
        let mut guard = self.lock();
        let Inner { hub, unsent, is_done, closing, .. } = &mut *guard.inner;
        if *is_done || hub.is_finished() {
            return Poll::Ready(unsent.unwrap_or_default());
        }
        closing.register(key, cx.waker());
        Poll::Pending
    }

    fn stop_waiting_for_close(&self, key: WakerKey) {
        lock(&self.inner).closing.remove(key);
    }

    fn poll_update(&self, cx: &Context<'_>, slot: Slot) -> Poll<Option<Taken>> {
        let mut guard = self.lock();
        let Guard { inner, settled, .. } = &mut guard;
        let inner = &mut **inner;
        // What is taken has the server read again only if it was not.
        *settled = inner.hub.is_receiving();
        if let Some(update) = inner.hub.take_update(slot) {
            return Poll::Ready(Some(inner.tell(update, &self.to)));
        }
        let is_over = inner.is_done || inner.hub.end_reason(slot).is_some();
        match inner.sockets.get_mut(&slot) {
            Some(state) if !is_over => {
                state.waiters.receive(cx);
                Poll::Pending
            }
            _ => Poll::Ready(None),
        }
    }

    fn poll_connected(
        &self,
        cx: &Context<'_>,
        slot: Slot,
        key: &mut WakerKey,
        first: bool,
    ) -> Poll<Result<(), ClientError>> {
        let mut guard = self.lock();
        let inner = &mut *guard.inner;
        if inner.hub.is_connected(slot) {
            return Poll::Ready(Ok(()));
        }
        if let Some(reason) = inner.hub.end_reason(slot) {
            return Poll::Ready(Err(match reason {
                EndReason::Failed(reason) => inner.connect_error(reason.clone(), &self.to).into(),
                reason => ClientError::of(reason, &self.to),
            }));
        }
        if inner.is_done {
            return Poll::Ready(Err(ClientError::Closed));
        }
        let failures = inner.hub.failures();
        let Some(state) = inner.sockets.get_mut(&slot) else {
            return Poll::Ready(Err(ClientError::Closed));
        };
        if first && failures > state.failures_before {
            let reason = inner.hub.last_failure().cloned().unwrap_or(CloseReason::ForcedClose);
            return Poll::Ready(Err(inner.connect_error(reason, &self.to).into()));
        }
        state.changes.register(key, cx.waker());
        Poll::Pending
    }

    fn stop_waiting_for_change(&self, slot: Slot, key: WakerKey) {
        if let Some(state) = lock(&self.inner).sockets.get_mut(&slot) {
            state.changes.remove(key);
        }
    }

    fn poll_emit(
        &self,
        cx: &Context<'_>,
        slot: Slot,
        ticket: &mut Ticket,
        place: &mut Option<Encoded>,
        mode: &Mode,
    ) -> Poll<Result<(), EmitError>> {
        let Some(message) = place.take() else { return Poll::Ready(Ok(())) };
        let now = self.now();
        let mut guard = self.lock();
        let Guard { inner, wakes, .. } = &mut guard;
        let inner = &mut **inner;
        if inner.is_done {
            return Poll::Ready(Err(EmitError::Disconnected));
        }
        let Some(state) = inner.sockets.get_mut(&slot) else {
            return Poll::Ready(Err(EmitError::Disconnected));
        };
        let waits = !matches!(mode, Mode::Volatile);
        let ask = match mode {
            Mode::Ack { id, deadline, pending } => {
                let key = (*deadline, ClientAskId::new(slot, *id));
                inner.asking.remove(&key);
                if *deadline <= now {
                    state.waiters.leave(ticket);
                    state.waiters.wake_first_for_room(wakes);
                    let answer = Answer::One(Arc::clone(pending));
                    wakes.extend(answer.complete(Err(AckError::Timeout)));
                    return Poll::Ready(Ok(()));
                }
                Some(key).filter(|_| *deadline < Time::MAX)
            }
            _ => None,
        };
        let is_behind =
            waits && !state.waiters.is_first(ticket) && inner.hub.end_reason(slot).is_none();
        let message = if is_behind {
            message
        } else {
            match send(&mut inner.hub, &mut inner.acks, now, slot, message, mode) {
                Err(TryEmitError { message, reason: EmitError::Full { .. } }) if waits => message,
                result => {
                    state.waiters.leave(ticket);
                    // There may be room for the next in line, too.
                    state.waiters.wake_first_for_room(wakes);
                    return Poll::Ready(result.map_err(|error| error.reason));
                }
            }
        };
        *place = Some(message);
        state.waiters.wait_for_room(ticket, cx);
        inner.asking.extend(ask.map(|key| (key, cx.waker().clone())));
        Poll::Pending
    }

    fn try_emit(&self, slot: Slot, message: Encoded, mode: &Mode) -> Result<(), EmitError> {
        let now = self.now();
        let mut guard = self.lock();
        let Inner { hub, sockets, acks, is_done, .. } = &mut *guard.inner;
        let Some(state) = sockets.get(&slot).filter(|_| !*is_done) else {
            return Err(EmitError::Disconnected);
        };
        if state.waiters.is_awaited() && hub.end_reason(slot).is_none() {
            let (queued, max) = (hub.queued(slot), hub.parts().0.config().max_offline);
            return Err(EmitError::Full { queued, max });
        }
        send(hub, acks, now, slot, message, mode).map_err(|error| error.reason)
    }

    fn leave_room(&self, slot: Slot, ticket: &mut Ticket, mode: &Mode) {
        let mut guard = self.lock();
        let Guard { inner, wakes, .. } = &mut guard;
        if let Mode::Ack { id, deadline, .. } = mode {
            inner.asking.remove(&(*deadline, ClientAskId::new(slot, *id)));
        }
        if let Some(state) = inner.sockets.get_mut(&slot) {
            state.waiters.leave(ticket);
            // It may have been its turn.
            state.waiters.wake_first_for_room(wakes);
        }
    }
}

fn send<E: ClientEngine>(
    hub: &mut ClientHub<E>,
    acks: &mut HashMap<ClientAskId, Arc<Pending>>,
    now: Time,
    slot: Slot,
    message: Encoded,
    mode: &Mode,
) -> Result<(), TryEmitError> {
    let (manager, session) = hub.parts();
    match mode {
        Mode::Event => manager.emit(slot, message, session),
        Mode::Volatile => manager.emit_volatile(slot, message, session),
        Mode::Acknowledgement(connection) => {
            manager.acknowledge(slot, *connection, message, session)
        }
        Mode::Ack { id, deadline, pending } => {
            let ask = ClientAskId::new(slot, *id);
            manager.emit_with_ack(slot, message, *id, *deadline, ask, session)?;
            acks.insert(ask, Arc::clone(pending));
            Ok(())
        }
        Mode::Retries { id, retries, timeout, pending } => {
            let ask = ClientAskId::new(slot, *id);
            manager.emit_with_retries(now, slot, message, *id, *retries, *timeout, ask, session)?;
            acks.insert(ask, Arc::clone(pending));
            Ok(())
        }
    }
}
