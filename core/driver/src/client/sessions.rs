//! One session after the other.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use enginewire::Backoff;
use futures_core::Stream;

use super::{Client, ClientCell, ConnectError, Connecting, cell::Over};
use crate::{
    runtime::Runtime,
    socket::{Cell, Socket},
};

/// The sessions of a client: a first one, and another whenever one was lost, at the times that
/// [`ClientBuilder::reconnect`](super::ClientBuilder::reconnect) says. Also a [`Stream`].
///
/// A session that this side has closed, or whose [`Socket`] it has dropped, is not followed by
/// another. Messages are not carried over from one session to the next: Engine.IO has no means for it,
/// Socket.IO does.
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
pub struct Sessions<R: Runtime> {
    client: Client<R>,
    backoff: Backoff,
    stage: Stage<R>,
}

enum Stage<R: Runtime> {
    /// The next session is being opened.
    Opening(Connecting<R>),
    /// The application has this one.
    Live(Arc<ClientCell<R>>),
    /// The next attempt has to wait.
    Waiting(Pin<Box<R::Sleep>>),
    Ended,
}

impl<R: Runtime> Sessions<R> {
    pub(super) fn new(client: Client<R>) -> Self {
        let backoff = Backoff::new(client.shared.reconnect.clone());
        let stage = Stage::Opening(client.open());
        Self { client, backoff, stage }
    }

    /// The next session, or why an attempt to open it has failed. Waits until the session before is over,
    /// then as long as the policy says. `None` after a session that this side has closed, and after as
    /// many failures as the policy allows.
    ///
    /// Cancel safe: the attempt that is under way, or the wait, goes on with the next call.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Session`]. The next call goes on: stop if the failure is not worth another try.
    pub async fn next(&mut self) -> Option<Result<Socket<R>, ConnectError>> {
        poll_fn(|cx| self.poll_next_session(cx)).await
    }

    fn poll_next_session(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Socket<R>, ConnectError>>> {
        loop {
            match &mut self.stage {
                Stage::Opening(opening) => match ready!(Pin::new(opening).poll(cx)) {
                    Ok(socket) => {
                        self.backoff.reset();
                        if let Cell::Client(cell) = socket.cell() {
                            self.stage = Stage::Live(Arc::clone(cell));
                        }
                        return Poll::Ready(Some(Ok(socket)));
                    }
                    Err(error) => {
                        self.wait();
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                Stage::Live(cell) => match ready!(cell.poll_over(cx)) {
                    Over::Closed => self.stage = Stage::Ended,
                    Over::Lost => self.wait(),
                },
                Stage::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.stage = Stage::Opening(self.client.open());
                }
                Stage::Ended => return Poll::Ready(None),
            }
        }
    }

    /// Waits for the next attempt, if there is to be one.
    fn wait(&mut self) {
        let runtime = &self.client.shared.runtime;
        let wait = self.backoff.next(&mut |buffer: &mut [u8]| runtime.fill_random(buffer));
        self.stage = match wait {
            Some(wait) => Stage::Waiting(Box::pin(runtime.sleep_until(runtime.now() + wait))),
            None => Stage::Ended,
        };
    }
}

impl<R: Runtime> Stream for Sessions<R> {
    type Item = Result<Socket<R>, ConnectError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_session(cx)
    }
}

impl<R: Runtime> fmt::Debug for Sessions<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("client", &self.client)
            .field("attempts", &self.backoff.attempts())
            .finish_non_exhaustive()
    }
}
