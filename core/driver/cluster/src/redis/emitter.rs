//! Sending to a cluster from a program that is no node of it.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use enginewire_driver::{
    Runtime,
    socketio::{Args, Name, Operation, Rooms},
};
use enginewire_socketio::{
    Room,
    adapter::Target,
    cluster::{
        Broadcast,
        wire::{self, Command, EmitError, WireConfig},
    },
    parser::{Encoder, NamedEvent, Parser},
};
use futures_channel::{mpsc, oneshot};
use futures_core::Stream as _;
use serde::Serialize;

use super::{
    address::Address,
    commands::{self, Sent},
    error::{RedisError, RedisFault},
    options::Shared,
    servers::Servers,
    transport::Event,
};

/// Sender to a cluster for programs that are no nodes of it, such as workers. Cheap to clone.
///
/// From [`Redis::emitter`](super::Redis::emitter). It names a namespace and sockets, and ends with a verb. Nodes of
/// this crate and of Node.js take it for npm `@socket.io/redis-emitter`.
///
/// ```no_run
/// # use enginewire_cluster::redis::{Redis, RedisError};
/// # use enginewire_driver::Runtime;
/// # async fn example<R: Runtime + Default>() -> Result<(), RedisError> {
/// let emitter = Redis::<R>::emitter("redis://localhost").await?;
/// emitter.of("/orders").to("order 7").except("muted").emit("paid", &12.5).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Faults
///
/// A verb completes when Redis has the message, or with an error. Redis does not tell which nodes hear it. While the
/// connection is made anew, verbs fail at once. Messages leave in the order in which verbs are polled first.
///
/// Cancel safe: a message whose future is dropped is sent, or not.
#[derive(Clone)]
pub struct Emitter {
    wire: wire::Emitter,
    /// The first of the URL.
    address: Option<Address>,
    jobs: mpsc::Sender<Job>,
    namespace: Arc<str>,
    target: Target,
    volatile: bool,
    attachments: Vec<Bytes>,
}

/// A command, and who waits for its response.
struct Job {
    command: Command,
    done: Done,
}

type Done = oneshot::Sender<Result<(), RedisError>>;

impl Emitter {
    /// Creates a sender, and the task of its connection.
    pub(super) fn new<R: Runtime>(
        shared: &Arc<Shared<R>>,
        config: WireConfig,
        servers: Servers<R, (Sent, Done)>,
    ) -> (Self, impl Future<Output = ()> + Send + use<R>) {
        let (jobs, receiver) = mpsc::channel(QUEUED);
        let emitter = Self {
            wire: wire::Emitter::new(config),
            address: shared.url.addresses.first().cloned(),
            jobs,
            namespace: "/".into(),
            target: Target::all(),
            volatile: false,
            attachments: Vec::new(),
        };
        let shared = Arc::clone(shared);
        let mut courier = Courier { shared, servers, jobs: receiver, has_ended: false };
        (emitter, poll_fn(move |cx| courier.poll(cx)))
    }

    /// Selects the namespace. Default `/`. All sockets of it are selected.
    pub fn of(&self, namespace: &str) -> Self {
        let (namespace, target) = (namespace.into(), Target::all());
        Self { namespace, target, ..self.clone() }
    }

    /// Selects rooms. Default: all sockets. A socket that is in several of them gets an event once.
    pub fn to(&self, rooms: impl Rooms) -> Self {
        let mut emitter = self.clone();
        rooms.each(&mut |room| emitter.target.rooms.push(room.into()));
        emitter
    }

    /// Leaves out the sockets that are in any of these rooms.
    pub fn except(&self, rooms: impl Rooms) -> Self {
        let mut emitter = self.clone();
        rooms.each(&mut |room| emitter.target.except.push(room.into()));
        emitter
    }

    /// Passes by sockets that could not take the event at once.
    pub fn volatile(&self) -> Self {
        Self { volatile: true, ..self.clone() }
    }

    /// Adds binary data that an [`Attachment`](enginewire_driver::socketio::Attachment) of the payload stands for.
    pub fn attach(&self, data: impl Into<Bytes>) -> Self {
        let mut emitter = self.clone();
        emitter.attachments.push(data.into());
        emitter
    }

    /// Sends an event to the sockets.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or Redis does not get the message or refuses it.
    pub async fn emit<P: Serialize + ?Sized>(
        &self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), RedisError> {
        let broadcast = Broadcast {
            target: self.target.clone(),
            event: self.event(name, payload)?,
            volatile: self.volatile,
            request: None,
            timeout: None,
            offset: None,
        };
        self.send(Operation::Broadcast(broadcast)).await
    }

    /// Joins the sockets to rooms.
    ///
    /// # Errors
    ///
    /// Redis does not get the message, or refuses it.
    pub async fn join(&self, rooms: impl Rooms) -> Result<(), RedisError> {
        let target = self.target.clone();
        self.send(Operation::Join { target, rooms: list(rooms) }).await
    }

    /// Removes the sockets from rooms.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub async fn leave(&self, rooms: impl Rooms) -> Result<(), RedisError> {
        let target = self.target.clone();
        self.send(Operation::Leave { target, rooms: list(rooms) }).await
    }

    /// Disconnects the sockets, and with `close` their clients from all namespaces.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub async fn disconnect(&self, close: bool) -> Result<(), RedisError> {
        let target = self.target.clone();
        self.send(Operation::Disconnect { target, close }).await
    }

    /// Sends an event to the applications of all nodes. Nobody acknowledges it.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn server_side_emit<P: Serialize + ?Sized>(
        &self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<(), RedisError> {
        let event = self.event(name, payload)?;
        self.send(Operation::ServerSideEmit { event, request: None }).await
    }

    fn event<P: Serialize + ?Sized>(
        &self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<Args, RedisError> {
        let event = NamedEvent::new(name.name(), payload);
        let event = self.attachments.iter().fold(event, |event, data| event.attach(data.clone()));
        let args = Encoder::new().args(&Parser::Json, &event);
        args.map_err(|error| self.error(RedisFault::Message(error.into())))
    }

    async fn send(&self, operation: Operation) -> Result<(), RedisError> {
        let command = self.wire.emit(&self.namespace, &operation);
        let command = command.map_err(|error: EmitError| self.error(RedisFault::Message(error)))?;
        let (done, response) = oneshot::channel();
        // Each clone may queue one more, so that there are as many as callers.
        let mut jobs = self.jobs.clone();
        let gone = || self.error(RedisFault::Disconnected);
        poll_fn(|cx| jobs.poll_ready(cx)).await.map_err(|_| gone())?;
        jobs.start_send(Job { command, done }).map_err(|_| gone())?;
        response.await.unwrap_or_else(|_| Err(gone()))
    }

    fn error(&self, fault: RedisFault) -> RedisError {
        RedisError::new(self.address.as_ref(), fault)
    }
}

fn list(rooms: impl Rooms) -> Vec<Room> {
    let mut list = Vec::new();
    rooms.each(&mut |room| list.push(room.into()));
    list
}

/// The task that has the connection of an [`Emitter`] and its clones. It ends with the last of them.
struct Courier<R: Runtime> {
    shared: Arc<Shared<R>>,
    servers: Servers<R, (Sent, Done)>,
    jobs: mpsc::Receiver<Job>,
    has_ended: bool,
}

impl<R: Runtime> Courier<R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.take_jobs(cx);
            match self.servers.poll(cx) {
                Poll::Ready(event) => self.handle(event),
                Poll::Pending if self.has_ended && self.servers.in_flight().0 == 0 => {
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn take_jobs(&mut self, cx: &mut Context<'_>) {
        while !self.has_ended && (self.servers.has_room() || !self.servers.is_open()) {
            let Poll::Ready(job) = Pin::new(&mut self.jobs).poll_next(cx) else { return };
            let Some(Job { command, done }) = job else {
                self.has_ended = true;
                return;
            };
            if self.servers.is_open() {
                commands::encode(command, false, |sent, place, responds, arguments| {
                    self.servers.push((sent, done), place, responds, arguments);
                });
            } else {
                let address = self.shared.url.addresses.first();
                let _ = done.send(Err(RedisError::new(address, RedisFault::Disconnected)));
            }
        }
    }

    fn handle(&mut self, event: Event<(Sent, Done)>) {
        match event {
            Event::Lost(error, commands) => {
                let error = self.shared.lost(error, commands.len());
                for (_, done) in commands {
                    let _ = done.send(Err(error.clone()));
                }
            }
            Event::Response((_, done), Ok(_)) => {
                self.servers.settle();
                let _ = done.send(Ok(()));
            }
            Event::Response((sent, done), Err(error)) => {
                let fault = RedisFault::of_command(sent.name(), &error);
                let address = self.shared.url.addresses.first();
                let _ = done.send(Err(RedisError::new(address, fault.clone())));
                if commands::is_fatal(&sent, &error) {
                    self.servers.fail(fault);
                }
            }
            Event::Opened | Event::Message(..) | Event::Unsubscribed { .. } => {}
        }
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter")
            .field("address", &self.address.as_ref().map(Address::to_string))
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Messages that wait for the connection, besides one for each caller.
const QUEUED: usize = 64;
