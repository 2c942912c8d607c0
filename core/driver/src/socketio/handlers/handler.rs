//! Handlers: functions of extractors, and their erasure.

use std::{
    future::Future,
    marker::PhantomData,
    num::NonZeroUsize,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    answer::{Answer, IntoAnswer, Sealed},
    parts::{FromParts, Rejection},
};
use crate::{
    socketio::{Ack, EmitError, emit::Emit},
    trace::trace,
};

/// Function that handles events, or the beginning or the end of a socket.
///
/// It is an `async fn` of at most 8 extractors, see [`FromParts`], or an async closure that captures nothing. Its
/// future is `Send`, and returns what [`IntoAnswer`] lists. `M` is only there for the compiler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not a handler of `{P}`",
    note = "a handler is an `async fn`, or an async closure that captures nothing, of at most 8 extractors",
    note = "extractors are `SocketRef<D>`, `Data<T>`, `TryData<T>`, `State<T>` and `Io`, of events also `Ack`, \
            `AckOf<A>`, `Event` and `EventName`, of disconnections also `DisconnectReason`",
    note = "`Data<T>` needs `T: DeserializeOwned`, `State<T>` needs `T: FromRef<S>`; `S` and `D` are those of \
            `Routes<S, D>`"
)]
pub trait Handler<P, S, M>: Send + Sync + 'static {
    /// Future of one call.
    type Future: Future + 'static;

    /// Extracts the arguments and calls the function.
    ///
    /// # Errors
    ///
    /// An extractor failed.
    fn call(&self, parts: &mut P, state: &S) -> Result<Self::Future, Rejection>;

    /// Returns how many calls of one socket may run at the same time. `None` is one after the other.
    #[doc(hidden)]
    fn at_most(&self) -> Option<NonZeroUsize> {
        None
    }
}

macro_rules! functions {
    ($($extractor:ident)*) => {
        impl<P, S, F, R, $($extractor),*> Handler<P, S, ($($extractor,)*)> for F
        where
            F: Fn($($extractor),*) -> R + Send + Sync + 'static,
            R: Future + 'static,
            $($extractor: FromParts<P, S>,)*
        {
            type Future = R;

            #[allow(unused_variables, reason = "a handler of no extractors uses neither")]
            fn call(&self, parts: &mut P, state: &S) -> Result<R, Rejection> {
                Ok(self($($extractor::from_parts(parts, state)?),*))
            }
        }
    };
}

functions!();
functions!(A);
functions!(A B);
functions!(A B C);
functions!(A B C E);
functions!(A B C E G);
functions!(A B C E G H);
functions!(A B C E G H I);
functions!(A B C E G H I J);

/// Handler of which several calls of one socket run at the same time. Made by [`concurrent`].
#[derive(Clone, Copy, Debug)]
pub struct Concurrent<H> {
    handler: H,
    at_most: NonZeroUsize,
}

/// Lets at most `at_most` calls of a handler run together for each socket.
///
/// Further events of the socket are handled meanwhile. It waits when one comes for this handler, and as many run.
/// [`on_disconnect`](super::Routes::on_disconnect) comes after all of them.
///
/// The calls of a socket share one task: none may block. Each time that it is woken it polls all that run.
/// Handlers of [`before`](super::Routes::before), connecting and disconnecting run one after the other all the same.
///
/// # Panics
///
/// If `at_most` is zero.
pub fn concurrent<H>(at_most: usize, handler: H) -> Concurrent<H> {
    match NonZeroUsize::new(at_most) {
        Some(at_most) => Concurrent { handler, at_most },
        None => panic!("at most 0 calls of a handler at a time are none"),
    }
}

impl<P, S, M, H: Handler<P, S, M>> Handler<P, S, M> for Concurrent<H> {
    type Future = H::Future;

    fn call(&self, parts: &mut P, state: &S) -> Result<H::Future, Rejection> {
        self.handler.call(parts, state)
    }

    fn at_most(&self) -> Option<NonZeroUsize> {
        Some(self.at_most)
    }
}

/// A handler in a table.
pub(super) struct Entry<P, S> {
    handler: Arc<dyn Erased<P, S>>,
    /// Whether the return value may acknowledge.
    pub(super) acknowledges: bool,
    pub(super) at_most: Option<NonZeroUsize>,
}

/// A handler, whatever its type.
trait Erased<P, S>: Send + Sync {
    fn call(&self, parts: &mut P, state: &S) -> Result<Pin<Box<dyn Answering>>, Rejection>;
}

/// The future of a handler, whatever its type.
trait Answering: Send {
    fn poll_answer(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        ack: &mut Option<Ack>,
    ) -> Poll<Answer>;
}

impl<F: Future<Output: IntoAnswer> + Send> Answering for F {
    fn poll_answer(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        ack: &mut Option<Ack>,
    ) -> Poll<Answer> {
        self.poll(cx).map(|output| output.into_answer(ack.take()))
    }
}

struct Erase<H, M> {
    handler: H,
    arguments: PhantomData<fn() -> M>,
}

impl<P, S, M, H> Erased<P, S> for Erase<H, M>
where
    H: Handler<P, S, M, Future: Future<Output: IntoAnswer> + Send>,
{
    fn call(&self, parts: &mut P, state: &S) -> Result<Pin<Box<dyn Answering>>, Rejection> {
        Ok(Box::pin(self.handler.call(parts, state)?))
    }
}

/// A handler that has its state.
struct Bound<P, S> {
    handler: Arc<dyn Erased<P, S>>,
    state: Arc<S>,
}

impl<P, S: Send + Sync, S2> Erased<P, S2> for Bound<P, S> {
    fn call(&self, parts: &mut P, _: &S2) -> Result<Pin<Box<dyn Answering>>, Rejection> {
        self.handler.call(parts, &self.state)
    }
}

impl<P: 'static, S: 'static> Entry<P, S> {
    pub(super) fn new<M: 'static, H>(handler: H) -> Self
    where
        H: Handler<P, S, M, Future: Future<Output: IntoAnswer> + Send>,
    {
        Self {
            acknowledges: <<H::Future as Future>::Output as Sealed>::ACKNOWLEDGES,
            at_most: handler.at_most(),
            handler: Arc::new(Erase { handler, arguments: PhantomData }),
        }
    }

    /// Gives the handler its state.
    pub(super) fn bind<S2>(self, state: &Arc<S>) -> Entry<P, S2>
    where
        S: Send + Sync,
    {
        let Self { handler, acknowledges, at_most } = self;
        let handler = Arc::new(Bound { handler, state: Arc::clone(state) });
        Entry { handler, acknowledges, at_most }
    }

    /// Calls the handler. Its return value acknowledges with `ack`.
    pub(super) fn call(
        &self,
        parts: &mut P,
        state: &S,
        ack: Option<Ack>,
    ) -> Result<Call, Rejection> {
        let future = self.handler.call(parts, state)?;
        Ok(Call { state: CallState::Running(future, ack) })
    }
}

impl<P, S> Clone for Entry<P, S> {
    fn clone(&self) -> Self {
        let Self { ref handler, acknowledges, at_most } = *self;
        Self { handler: Arc::clone(handler), acknowledges, at_most }
    }
}

/// Future of a handler that was called, until its acknowledgement is sent.
///
/// Its output tells whether the event goes no further, if the handler is one of `before`.
pub(super) struct Call {
    state: CallState,
}

enum CallState {
    Running(Pin<Box<dyn Answering>>, Option<Ack>),
    /// In a box, because there is nearly always room at once.
    Sending(Box<Emit>, bool),
    Done(bool),
}

impl Call {
    /// A call that has failed, whose event goes no further.
    pub(super) fn failed(answer: Answer) -> Self {
        let state = match answer.emit {
            Some(emit) => CallState::Sending(Box::new(emit), true),
            None => CallState::Done(true),
        };
        Self { state }
    }
}

impl Future for Call {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        if let CallState::Running(future, ack) = &mut self.state {
            let Answer { emit, stops } = ready!(future.as_mut().poll_answer(cx, ack));
            self.state = CallState::Done(stops);
            if let Some(mut emit) = emit {
                match Pin::new(&mut emit).poll(cx) {
                    Poll::Ready(sent) => trace_sent(sent),
                    Poll::Pending => self.state = CallState::Sending(Box::new(emit), stops),
                }
            }
        } else if let CallState::Sending(emit, stops) = &mut self.state {
            let stops = *stops;
            trace_sent(ready!(Pin::new(emit).poll(cx)));
            self.state = CallState::Done(stops);
        }
        match self.state {
            CallState::Done(stops) => Poll::Ready(stops),
            _ => Poll::Pending,
        }
    }
}

/// That the client is gone is told by `on_disconnect`.
fn trace_sent(sent: Result<(), EmitError>) {
    if let Err(error @ EmitError::Encode(_)) = sent {
        trace!(WARN, error = %error, "an acknowledgement cannot be encoded");
    }
}
