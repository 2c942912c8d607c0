//! One session after the other.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use enginewire::{Reconnect, Reconnector, Time};
use futures_core::Stream;

use super::Connecting;
use crate::{
    client_cell::{ClientCell, Over},
    clock::Clock,
    connect_error::ConnectError,
    runtime::fill_random,
    socket::{Cell, Socket},
    waiters::Ticket,
};

/// The sessions of a client, opened one after another: the next whenever one was lost. The times
/// are those that [`ClientBuilder::reconnect`](super::ClientBuilder::reconnect) says. Also a
/// [`Stream`].
///
/// No session follows one that this side has closed, or whose [`Socket`] it has dropped. Messages
/// are not carried over from one session to the next: Engine.IO has no means for it, Socket.IO
/// does.
///
/// ```no_run
/// # use enginewire_driver::{Client, Runtime};
/// # async fn example<R: Runtime + Default>() -> Result<(), enginewire_driver::ConnectError> {
/// let mut sessions = Client::<R>::builder("http://localhost:3000").build()?.sessions();
/// while let Some(session) = sessions.next().await {
///     match session {
///         Ok(mut socket) => {
///             while let Some(message) = socket.recv().await {
///                 println!("{message:?}");
///             }
///             // Lost: the next one comes after a while.
///             println!("{:?}", socket.close_reason());
///         }
///         Err(error) => println!("{error}, and another try"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// [`Stream`]: https://docs.rs/futures-core/0.3/futures_core/stream/trait.Stream.html
pub struct Sessions {
    connector: Box<dyn Connector>,
    reconnector: Reconnector,
    clock: Clock,
    stage: Stage,
}

/// Opens sessions and sleeps: a client, whatever its runtime.
pub(super) trait Connector: Send + Sync {
    fn open(&self) -> Connecting;
    fn sleep_until(&self, deadline: Time) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

enum Stage {
    /// The reconnector decides.
    Idle,
    /// The next session is being opened.
    Opening(Connecting),
    /// The application has this one.
    Open(Open),
    /// The next attempt has to wait.
    Waiting(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// A session that the application has, and the wait for its end.
struct Open {
    cell: Arc<ClientCell>,
    ticket: Ticket,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.cell.leave(&mut self.ticket);
    }
}

impl Sessions {
    pub(super) fn new(connector: Box<dyn Connector>, policy: Reconnect, clock: Clock) -> Self {
        let mut reconnector = Reconnector::new(policy);
        reconnector.poll_open();
        let stage = Stage::Opening(connector.open());
        Self { connector, reconnector, clock, stage }
    }

    /// Returns the next session, or why an attempt to open it has failed. Waits until the session before is closed,
    /// then as long as the policy says. Returns `None` after a session that this side has closed, after a
    /// [permanent](ConnectError::is_permanent) failure, and after as many failures as the policy allows.
    ///
    /// Cancel safe: the attempt in progress, or the wait, goes on with the next call.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Session`]. The next call goes on, unless the failure is permanent.
    pub async fn next(&mut self) -> Option<Result<Socket, ConnectError>> {
        poll_fn(|cx| self.poll_next_session(cx)).await
    }

    fn poll_next_session(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Socket, ConnectError>>> {
        loop {
            match &mut self.stage {
                Stage::Idle => {
                    if self.reconnector.is_ended() {
                        return Poll::Ready(None);
                    }
                    self.reconnector.handle_timeout(self.clock.now());
                    self.stage = match self.reconnector.poll_timeout() {
                        Some(due) => Stage::Waiting(self.connector.sleep_until(due)),
                        None if self.reconnector.poll_open() => {
                            Stage::Opening(self.connector.open())
                        }
                        None => return Poll::Ready(None),
                    };
                }
                Stage::Opening(opening) => match ready!(Pin::new(opening).poll(cx)) {
                    Ok(socket) => {
                        self.reconnector.handle_opened();
                        if let Cell::Client(cell) = socket.cell() {
                            let cell = Arc::clone(cell);
                            self.stage = Stage::Open(Open { cell, ticket: Ticket::default() });
                        }
                        return Poll::Ready(Some(Ok(socket)));
                    }
                    Err(error) => {
                        if error.is_permanent() {
                            self.reconnector.stop();
                        } else {
                            self.reconnector.handle_lost(self.clock.now(), &mut fill_random);
                        }
                        self.stage = Stage::Idle;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                Stage::Open(Open { cell, ticket }) => {
                    match ready!(cell.poll_over(cx, ticket)) {
                        Over::Closed => self.reconnector.stop(),
                        Over::Lost => {
                            self.reconnector.handle_lost(self.clock.now(), &mut fill_random);
                        }
                    }
                    self.stage = Stage::Idle;
                }
                Stage::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.stage = Stage::Idle;
                }
            }
        }
    }
}

impl Stream for Sessions {
    type Item = Result<Socket, ConnectError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_session(cx)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("attempts", &self.reconnector.attempts())
            .finish_non_exhaustive()
    }
}
