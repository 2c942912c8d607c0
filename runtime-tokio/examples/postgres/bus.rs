//! A bus on Postgres: a wire of Socket.IO, and the connection that carries its commands.
//!
//! What nodes say to each other, and which of them there are, is the business of the [`Wire`], which has no I/O. The bus
//! lends it a clock, and carries its commands to a task with the connection (`connection.rs`) and what comes of the
//! channels back. Another broker needs another task, and hardly another bus.

use std::{
    collections::VecDeque,
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use enginewire::Time;
use enginewire_socketio::cluster::wire::{
    Command, Format, HeartbeatsConfig, Wire, WireConfig, WireEvent,
};
use enginewire_tokio::socketio::{Bus, BusEvent, Message};
use tokio::{
    sync::mpsc::{self, OwnedPermit, Receiver, Sender, error::SendError},
    time::{Instant, Sleep},
};
use tokio_postgres::{Client, Error};

use super::connection::{self, Delivery};

/// A node of a cluster on a database, for `IoBuilder::cluster`.
pub(crate) struct PostgresBus {
    wire: Wire,
    /// When the clock of the wire began.
    origin: Instant,
    sleep: Pin<Box<Sleep>>,
    /// Commands that wait for the connection. The wire makes no more while the server waits for room.
    queue: VecDeque<Command>,
    outlet: Outlet,
    deliveries: Receiver<Delivery>,
    /// For queries. No notification holds up their answers.
    client: Arc<Client>,
    /// A message that is stored apart, on its way. Those behind it wait, so that the order of a node is kept.
    fetching: Option<(Arc<str>, Fetching)>,
}

type Fetching = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;

impl PostgresBus {
    /// Connects to a database.
    ///
    /// Later the connection is made anew when it is lost. Meanwhile operations stay on this node.
    pub(crate) async fn connect(database: &str) -> Result<Self, Error> {
        let (commands, task_commands) = mpsc::channel(CAPACITY);
        let (task_deliveries, deliveries) = mpsc::channel(CAPACITY);
        let client = connection::spawn(database, task_commands, task_deliveries).await?;
        let config = WireConfig::new(Format::Heartbeats(HeartbeatsConfig::default()));
        // Ids of nodes are made of it, so it is another one in each process.
        let seed = RandomState::new().hash_one("a node");
        let mut wire = Wire::new(config, seed);
        wire.handle_connected(Time::ZERO, true);
        let origin = Instant::now();
        let sleep = Box::pin(tokio::time::sleep_until(origin));
        let (queue, outlet) = (VecDeque::new(), Outlet::new(commands));
        Ok(Self { wire, origin, sleep, queue, outlet, deliveries, client, fetching: None })
    }

    fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    /// Gives commands to the connection. Returns whether all have left, and there is room for another.
    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(command) = self.wire.poll_command() {
            match command {
                // At once, because nothing more is read until it is there.
                Command::Fetch { channel, attachment } => {
                    let client = Arc::clone(&self.client);
                    let fetching = Box::pin(connection::fetch(client, attachment));
                    self.fetching = Some((channel, fetching));
                }
                command => self.queue.push_back(command),
            }
        }
        while self.outlet.poll_ready(cx).is_ready() {
            let Some(command) = self.queue.pop_front() else { return true };
            self.outlet.send(command);
        }
        false
    }

    /// Hands the next message of the database to the wire, or tells that the connection is lost or is back.
    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<BusEvent>> {
        if let Some((channel, fetching)) = &mut self.fetching {
            let message = ready!(fetching.as_mut().poll(cx));
            let channel = Arc::clone(channel);
            self.fetching = None;
            let now = self.now();
            self.wire.handle_fetched(now, &channel, message.into());
            return Poll::Ready(None);
        }
        let Some(delivery) = ready!(self.deliveries.poll_recv(cx)) else { return Poll::Pending };
        let now = self.now();
        Poll::Ready(match delivery {
            Delivery::Published { channel, message } => {
                self.wire.handle_published(now, &channel, message.into());
                None
            }
            Delivery::Down(error) => {
                self.wire.handle_connected(now, false);
                Some(BusEvent::Down(error))
            }
            Delivery::Up(client) => {
                self.client = client;
                self.wire.handle_connected(now, true);
                Some(BusEvent::Up)
            }
        })
    }

    /// Completes when the wire has done what is due.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.wire.poll_timeout() else { return Poll::Pending };
        let due = self.origin + due.since(Time::ZERO);
        if self.sleep.deadline() != due {
            self.sleep.as_mut().reset(due);
        }
        self.sleep.as_mut().poll(cx).map(|()| {
            let now = self.now();
            self.wire.handle_timeout(now);
        })
    }
}

impl Bus for PostgresBus {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.flush(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn send(&mut self, message: Message) {
        let now = self.now();
        self.wire.send(now, message);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        self.flush(cx);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<BusEvent> {
        loop {
            self.flush(cx);
            match self.wire.poll_event() {
                Some(WireEvent::Message { from, namespace, operation }) => {
                    return Poll::Ready(BusEvent::Message { from, namespace, operation });
                }
                Some(WireEvent::Nodes(nodes)) => return Poll::Ready(BusEvent::Nodes(nodes)),
                Some(WireEvent::Asked { request, nodes }) => {
                    return Poll::Ready(BusEvent::Asked { request, nodes });
                }
                Some(WireEvent::Faulty(error)) => eprintln!("{error}"),
                // Each namespace of another node has a name of its own, so that nodes are counted.
                Some(_) => {}
                None => match self.poll_delivery(cx) {
                    Poll::Ready(Some(event)) => return Poll::Ready(event),
                    Poll::Ready(None) => {}
                    Poll::Pending => ready!(self.poll_timeout(cx)),
                },
            }
        }
    }

    fn counts_nodes(&self) -> bool {
        self.wire.counts_nodes()
    }

    fn handle_namespace(&mut self, namespace: &Arc<str>, exists: bool) {
        let now = self.now();
        self.wire.handle_namespace(now, namespace, exists);
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.now();
        // The goodbye of each namespace. A second call does nothing.
        self.wire.close(now);
        if self.flush(cx) {
            self.outlet.close();
        }
        // The task ends when it has carried all commands.
        while let Poll::Ready(delivery) = self.deliveries.poll_recv(cx) {
            if delivery.is_none() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

/// The sending half of a channel, by polling.
struct Outlet {
    /// `None` once it is closed.
    sender: Option<Sender<Command>>,
    permit: Option<OwnedPermit<Command>>,
    reserving: Option<Reserving>,
}

impl Outlet {
    fn new(sender: Sender<Command>) -> Self {
        Self { sender: Some(sender), permit: None, reserving: None }
    }

    /// Completes when there is room for a command.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.permit.is_some() {
            return Poll::Ready(());
        }
        let Some(sender) = &self.sender else { return Poll::Pending };
        let reserve = || -> Reserving { Box::pin(sender.clone().reserve_owned()) };
        let reserving = self.reserving.get_or_insert_with(reserve);
        let reserved = ready!(reserving.as_mut().poll(cx));
        self.reserving = None;
        match reserved {
            Ok(permit) => {
                self.permit = Some(permit);
                Poll::Ready(())
            }
            // The task is gone, with the runtime.
            Err(_) => Poll::Pending,
        }
    }

    /// Sends a command, behind `poll_ready`.
    fn send(&mut self, command: Command) {
        if let Some(permit) = self.permit.take() {
            permit.send(command);
        }
    }

    fn close(&mut self) {
        (self.sender, self.permit, self.reserving) = (None, None, None);
    }
}

type Reserving = Pin<Box<dyn Future<Output = Result<OwnedPermit<Command>, SendError<()>>> + Send>>;

/// Commands, and messages, that wait between the bus and its connection.
const CAPACITY: usize = 64;
