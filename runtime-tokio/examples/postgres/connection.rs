//! The task with the connection to the database, which is made anew when it is lost.

use std::{error, future::poll_fn, sync::Arc, time::Duration};

use enginewire_socketio::cluster::wire::{Command, Subscription};
use tokio::{
    sync::mpsc::{Receiver, Sender},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_postgres::{AsyncMessage, Client, Connection, Error, NoTls, Socket, tls::NoTlsStream};

/// News of the task for the bus.
pub(crate) enum Delivery {
    /// A message of a channel.
    Published { channel: String, message: String },
    /// The connection is lost.
    Down(Box<dyn error::Error + Send + Sync>),
    /// There is another, and this client for queries.
    Up(Arc<Client>),
}

/// Connects, and starts the task. Returns a client for queries.
pub(crate) async fn spawn(
    database: &str,
    commands: Receiver<Command>,
    deliveries: Sender<Delivery>,
) -> Result<Arc<Client>, Error> {
    let session = Session::open(database, &deliveries).await?;
    let client = Arc::clone(&session.client);
    let task = Task { database: database.into(), commands, deliveries };
    tokio::spawn(task.run(session));
    Ok(client)
}

/// Fetches a message that is stored apart. It is empty, which no message is, if it is not there any more.
pub(crate) async fn fetch(client: Arc<Client>, attachment: u64) -> Vec<u8> {
    let id = i64::try_from(attachment).unwrap_or_default();
    let row = client.query_opt(SELECT, &[&id]).await;
    let payload = row.and_then(|row| row.map(|row| row.try_get(0)).transpose());
    payload
        .inspect_err(|error| eprintln!("a message is lost: {error}"))
        .ok()
        .flatten()
        .unwrap_or_default()
}

struct Task {
    database: String,
    commands: Receiver<Command>,
    deliveries: Sender<Delivery>,
}

impl Task {
    /// Carries commands until the bus is closed.
    async fn run(mut self, mut session: Session) {
        while !self.serve(&mut session).await {
            drop(session);
            let error = "the connection to the database is lost".into();
            if self.deliveries.send(Delivery::Down(error)).await.is_err() {
                return;
            }
            let Some(opened) = self.reopen().await else { return };
            session = opened;
            // Behind this the wire asks for all its channels again, and introduces itself.
            let up = Delivery::Up(Arc::clone(&session.client));
            if self.deliveries.send(up).await.is_err() {
                return;
            }
        }
    }

    /// Carries commands until the bus is closed. Returns false if the connection is lost before.
    async fn serve(&mut self, session: &mut Session) -> bool {
        let mut cleanup = interval(CLEANUP);
        cleanup.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let result = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => session.carry_out(command).await,
                    None => return true,
                },
                _ = cleanup.tick() => session.client.execute(DELETE_OLD, &[]).await.map(drop),
                _ = session.drivers.join_next() => return false,
            };
            if let Err(error) = result {
                // If it is not the connection, it is this command alone. Its message is lost, as others may be.
                let reason = error.as_db_error().map(|error| error.message());
                eprintln!("the database does not carry out a command: {error}: {reason:?}");
            }
        }
    }

    /// Connects again, at longer and longer intervals. Returns `None` when the bus is closed.
    async fn reopen(&mut self) -> Option<Session> {
        let mut wait = FIRST_WAIT;
        loop {
            tokio::select! {
                () = sleep(wait) => {}
                () = self.deliveries.closed() => return None,
            }
            match Session::open(&self.database, &self.deliveries).await {
                Ok(session) => return Some(session),
                Err(error) => eprintln!("no connection to the database: {error}"),
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// A connection that listens, and one for everything else, whose answers nothing holds up.
struct Session {
    listener: Client,
    client: Arc<Client>,
    /// The tasks that have the two. They end with them.
    drivers: JoinSet<()>,
}

impl Session {
    async fn open(database: &str, deliveries: &Sender<Delivery>) -> Result<Self, Error> {
        let (listener, listening) = tokio_postgres::connect(database, NoTls).await?;
        let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
        let mut drivers = JoinSet::new();
        drivers.spawn(read(listening, deliveries.clone()));
        drivers.spawn(async { drop(connection.await) });
        Ok(Self { listener, client: Arc::new(client), drivers })
    }

    async fn carry_out(&self, command: Command) -> Result<(), Error> {
        match command {
            Command::Subscribe(Subscription::Channel(channel)) => {
                self.listener.batch_execute(&format!("LISTEN {}", quoted(&channel))).await
            }
            Command::Unsubscribe(Subscription::Channel(channel)) => {
                self.listener.batch_execute(&format!("UNLISTEN {}", quoted(&channel))).await
            }
            Command::Publish { channel, message, attachment: None, .. } => {
                self.notify(&channel, &String::from_utf8_lossy(&message)).await
            }
            Command::Publish { channel, message, attachment: Some(head), .. } => {
                let row = self.client.query_one(INSERT, &[&&message[..]]).await?;
                // The numbers of the table begin at 1.
                let id = u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default();
                self.notify(&channel, &head.message(id)).await
            }
            // Those are of other formats.
            other => {
                eprintln!("Postgres has no {other:?}");
                Ok(())
            }
        }
    }

    async fn notify(&self, channel: &str, message: &str) -> Result<(), Error> {
        self.client.execute(NOTIFY, &[&channel, &message]).await.map(drop)
    }
}

/// Gives notifications to the bus, which may be busy: then the database has to wait.
async fn read(mut connection: Connection<Socket, NoTlsStream>, deliveries: Sender<Delivery>) {
    while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => {
                let channel = notification.channel().to_owned();
                let message = notification.payload().to_owned();
                if deliveries.send(Delivery::Published { channel, message }).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// An identifier in a statement. The name of a namespace may be a client's.
fn quoted(channel: &str) -> String {
    format!("\"{}\"", channel.replace('"', "\"\""))
}

const NOTIFY: &str = "SELECT pg_notify($1, $2)";
const INSERT: &str = "INSERT INTO socket_io_attachments (payload) VALUES ($1) RETURNING id";
const SELECT: &str = "SELECT payload FROM socket_io_attachments WHERE id = $1";
const DELETE_OLD: &str =
    "DELETE FROM socket_io_attachments WHERE created_at < now() - interval '30 seconds'";

/// Time between two removals of old attachments.
const CLEANUP: Duration = Duration::from_secs(30);

/// The first and the longest wait before a connection is made anew.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
