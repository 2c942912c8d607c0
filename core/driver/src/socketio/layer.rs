//! A Socket.IO connection on top of a session, and the tasks that wait for it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use enginewire::{CloseReason, Event, Layer, LayerContext, Time};
use enginewire_socketio::{
    AckError, Args, ConnectRequest, Connection, ConnectionEvent, DisconnectReason, Slot,
};

use super::{
    acks::Answer,
    observer::{Tally, Wire},
    stats::Counters,
};
use crate::{
    cell::Sessions,
    wakers::{WakerKey, WakerSet},
    wakes::register,
};

/// The connection of a client, which the lock of its session guards.
///
/// News of one socket wakes the task of that socket. The rest is [`News`] for the future of the session.
pub(super) struct SocketIoLayer {
    pub(super) connection: Connection<Answer>,
    sockets: Vec<Waiting>,
    news: VecDeque<News>,
    has_news: Arc<AtomicBool>,
    sessions: Arc<Sessions>,
    tally: Tally,
}

/// Something for the future of a session.
#[derive(Debug)]
pub(super) enum News {
    Connect(Slot, ConnectRequest),
    Cancelled(Slot),
    Disconnected(Slot, DisconnectReason),
    /// The session has moved to a WebSocket, and something observes it.
    Upgraded,
    /// The session has ended.
    Closed,
}

/// The tasks that wait for one socket.
struct Waiting {
    slot: Slot,
    receiver: Option<Waker>,
    /// Tasks that wait for the end.
    closed: WakerSet,
    reason: Arc<OnceLock<DisconnectReason>>,
    counters: Arc<Counters>,
}

impl SocketIoLayer {
    pub(super) fn new(
        connection: Connection<Answer>,
        has_news: Arc<AtomicBool>,
        sessions: Arc<Sessions>,
        tally: Tally,
    ) -> Self {
        Self { connection, sockets: Vec::new(), news: VecDeque::new(), has_news, sessions, tally }
    }

    /// Returns the connection, and the session that it sends on.
    #[inline]
    pub(super) const fn split<'a>(
        &'a mut self,
        cx: &'a mut LayerContext<'_>,
    ) -> (&'a mut Connection<Answer>, Wire<'a>) {
        (&mut self.connection, Wire::new(cx.session, &self.tally))
    }

    pub(super) fn take_news(&mut self) -> VecDeque<News> {
        self.has_news.store(false, Ordering::Release);
        std::mem::take(&mut self.news)
    }

    /// Passes on what the connection has, after any change of it.
    #[inline]
    pub(super) fn settle(&mut self, cx: &mut LayerContext<'_>) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                ConnectionEvent::Readable(slot) => {
                    let socket = self.socket(slot);
                    if let Some(waker) = socket.and_then(|socket| socket.receiver.take()) {
                        cx.wake(waker);
                    }
                }
                ConnectionEvent::Acknowledged(slot, answer, result) => {
                    if let (Err(AckError::Timeout), Some(socket)) = (&result, self.socket(slot)) {
                        socket.counters.ack_timeouts.add(1);
                    }
                    if let Some(waker) = answer.complete(result) {
                        cx.wake(waker);
                    }
                }
                ConnectionEvent::Connect(slot, request) => {
                    self.tell(News::Connect(slot, request), cx)
                }
                ConnectionEvent::Cancelled(slot) => {
                    // A client that asks and cancels again and again makes no news.
                    let is_it = |news: &News| matches!(news, News::Connect(of, _) if *of == slot);
                    match self.news.iter().position(is_it) {
                        Some(index) => drop(self.news.remove(index)),
                        None => self.tell(News::Cancelled(slot), cx),
                    }
                }
                ConnectionEvent::Disconnected(slot, reason) => {
                    if let Some(socket) = self.socket(slot) {
                        let _ = socket.reason.set(reason);
                        if let Some(waker) = socket.receiver.take() {
                            cx.wake(waker);
                        }
                        socket.closed.drain().for_each(|waker| cx.wake(waker));
                    }
                    self.tell(News::Disconnected(slot, reason), cx);
                }
                _ => {}
            }
        }
    }

    fn tell(&mut self, news: News, cx: &mut LayerContext<'_>) {
        self.news.push_back(news);
        self.has_news.store(true, Ordering::Release);
        cx.notify();
    }

    /// Begins to wake the tasks of a socket, and to tell them the reason of its end.
    pub(super) fn insert(
        &mut self,
        slot: Slot,
        reason: Arc<OnceLock<DisconnectReason>>,
        counters: Arc<Counters>,
    ) {
        // Nearly all clients have one.
        self.sockets.reserve_exact(1);
        let closed = WakerSet::default();
        self.sockets.push(Waiting { slot, receiver: None, closed, reason, counters });
    }

    /// The application has let go of a socket.
    pub(super) fn release(&mut self, slot: Slot, cx: &mut LayerContext<'_>) {
        let (connection, mut wire) = self.split(cx);
        connection.release(slot, &mut wire);
        self.settle(cx);
        self.sockets.retain(|socket| socket.slot != slot);
    }

    fn socket(&mut self, slot: Slot) -> Option<&mut Waiting> {
        self.sockets.iter_mut().find(|socket| socket.slot == slot)
    }

    /// Has the task that polls woken when an event of the socket comes, or its end.
    pub(super) fn wait_for_event(&mut self, slot: Slot, cx: &Context<'_>) {
        if let Some(socket) = self.socket(slot) {
            register(&mut socket.receiver, cx.waker());
        }
    }

    /// Has the task that polls woken at the end of the socket.
    pub(super) fn wait_for_end(&mut self, slot: Slot, key: &mut WakerKey, cx: &Context<'_>) {
        if let Some(socket) = self.socket(slot) {
            socket.closed.register(key, cx.waker());
        }
    }

    /// Forgets a task that waits for the end of the socket.
    pub(super) fn forget_end(&mut self, slot: Slot, key: WakerKey) {
        if let Some(socket) = self.socket(slot) {
            socket.closed.remove(key);
        }
    }
}

impl Layer for SocketIoLayer {
    #[inline]
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, event: Event) {
        match event {
            Event::Message(message) => {
                self.tally.received(&message);
                let (now, (connection, mut wire)) = (cx.now, self.split(cx));
                connection.handle_message(now, message, &mut wire);
            }
            Event::Upgraded if self.tally.is_on() => self.tell(News::Upgraded, cx),
            Event::Writable => {
                let (connection, mut wire) = self.split(cx);
                connection.handle_writable(&mut wire);
            }
            Event::Closed(mut reason) => {
                // The server closes sessions for no reason of its own.
                if reason == CloseReason::ForcedClose && self.sessions.is_closing() {
                    reason = DisconnectReason::ServerClosing.close_reason();
                }
                self.connection.handle_closed(&reason);
                self.tell(News::Closed, cx);
            }
            _ => {}
        }
        self.settle(cx);
    }

    fn handle_timeout(&mut self, cx: &mut LayerContext<'_>) {
        let (now, (connection, mut wire)) = (cx.now, self.split(cx));
        connection.handle_timeout(now, &mut wire);
        self.settle(cx);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.connection.poll_timeout()
    }
}

/// Result of an event that is to be acknowledged.
pub(super) type AckResult = Result<Args, AckError>;
