//! Tables of handlers.

use std::{any::Any, fmt, future::Future, sync::Arc};

use enginewire_socketio::parser::is_reserved;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::Serialize;

use super::{
    answer::{Answer, IntoAnswer, Reply},
    handler::{Entry, Handler},
    parts::{ConnectParts, DisconnectParts, EventParts, Rejection},
    worker,
};
use crate::socketio::{Ack, Io, Namespace};

/// Table of handlers for the sockets of a namespace. `S` is their state, `D` the data of a socket.
///
/// It is complete before the first socket comes, so no event is lost. See the [module](super).
#[must_use = "routes do nothing until they are mounted"]
pub struct Routes<S = (), D = ()> {
    pub(super) events: HashMap<Box<str>, Entry<EventParts<D>, S>, FixedState>,
    pub(super) before: Vec<Entry<EventParts<D>, S>>,
    pub(super) fallback: Option<Entry<EventParts<D>, S>>,
    pub(super) connect: Vec<Entry<ConnectParts<D>, S>>,
    pub(super) disconnect: Vec<Entry<DisconnectParts<D>, S>>,
    pub(super) rejection: Option<RejectionHook<D>>,
}

/// Answers an event that no handler takes.
type RejectionHook<D> =
    Arc<dyn Fn(&EventParts<D>, &Rejection, Ack) -> Option<Answer> + Send + Sync>;

impl<S: 'static, D: 'static> Routes<S, D> {
    /// Creates an empty table.
    pub fn new() -> Self {
        Self {
            events: HashMap::default(),
            before: Vec::new(),
            fallback: None,
            connect: Vec::new(),
            disconnect: Vec::new(),
            rejection: None,
        }
    }

    /// Adds a handler for the events of this name.
    ///
    /// The name is a string, a [`Named`] or an [`Asking`]. What the event carries is said by the extractors alone.
    ///
    /// Events of one socket are handled in order, one after the other. With [`concurrent`](super::concurrent) the next
    /// need not wait.
    ///
    /// # Panics
    ///
    /// The name has a handler, or is reserved.
    ///
    /// [`Named`]: crate::socketio::Named
    /// [`Asking`]: crate::socketio::Asking
    pub fn on<M: 'static, H>(mut self, name: impl AsRef<str>, handler: H) -> Self
    where
        H: Handler<EventParts<D>, S, M, Future: Future<Output: IntoAnswer> + Send>,
    {
        self.insert(name.as_ref(), Entry::new(handler));
        self
    }

    /// Adds a handler that runs when a socket has connected.
    ///
    /// It is complete before the first event is handled. Several run in the order in which they were added. One whose
    /// extractor fails disconnects the socket, without [`on_disconnect`](Self::on_disconnect).
    pub fn on_connect<M: 'static, H>(mut self, handler: H) -> Self
    where
        H: Handler<ConnectParts<D>, S, M, Future: Future<Output: IntoAnswer> + Send>,
    {
        self.connect.push(Entry::new(handler));
        self
    }

    /// Adds a handler that runs when a socket is disconnected, after its last event.
    ///
    /// The rooms that the socket was in are still there to be read. Several run in the order in which they were added.
    /// It runs whatever the reason, also when another handler has panicked.
    pub fn on_disconnect<M: 'static, H>(mut self, handler: H) -> Self
    where
        H: Handler<DisconnectParts<D>, S, M, Future: Future<Output: IntoAnswer> + Send>,
    {
        self.disconnect.push(Entry::new(handler));
        self
    }

    /// Adds a handler that sees each event first, also one that has no handler.
    ///
    /// `Ok` and `()` let it pass. `Err` and [`Reply`] stop it; a reply is its acknowledgement. Several see it in the
    /// order in which they were added. An [`Ack`] that is extracted here does nothing.
    pub fn before<M: 'static, H>(mut self, handler: H) -> Self
    where
        H: Handler<EventParts<D>, S, M, Future: Future<Output: IntoAnswer> + Send>,
    {
        self.before.push(Entry::new(handler));
        self
    }

    /// Sets the handler for events that have none. Default: they are not acknowledged.
    ///
    /// # Panics
    ///
    /// If there is one.
    #[doc(alias = "on_fallback")]
    #[doc(alias = "on_any")]
    pub fn fallback<M: 'static, H>(mut self, handler: H) -> Self
    where
        H: Handler<EventParts<D>, S, M, Future: Future<Output: IntoAnswer> + Send>,
    {
        assert!(self.fallback.is_none(), "there is a fallback already");
        self.fallback = Some(Entry::new(handler));
        self
    }

    /// Sets the reply to an event that an extractor rejects.
    ///
    /// That is an event whose payload does not fit. The function returns its acknowledgement. Default: there is none,
    /// and a warning is traced. Either way the event is counted in [`Namespace::rejections`].
    ///
    /// # Panics
    ///
    /// If it was set before.
    pub fn on_rejection<T: Serialize>(
        mut self,
        reply: impl Fn(&EventParts<D>, &Rejection) -> Option<Reply<T>> + Send + Sync + 'static,
    ) -> Self {
        assert!(self.rejection.is_none(), "`on_rejection` was called twice");
        self.rejection = Some(Arc::new(move |parts, rejection, ack| {
            let Reply(payload) = reply(parts, rejection)?;
            Some(Answer::reply(Some(ack), &payload))
        }));
        self
    }

    /// Adds all handlers of another table.
    ///
    /// Handlers of all events and sockets, such as [`before`](Self::before), are then for those of both tables.
    ///
    /// # Panics
    ///
    /// Both have a handler for the same name, or both a fallback, or both an `on_rejection`.
    pub fn merge(mut self, other: Self) -> Self {
        for (name, entry) in other.events {
            self.insert(&name, entry);
        }
        self.before.extend(other.before);
        self.connect.extend(other.connect);
        self.disconnect.extend(other.disconnect);
        assert!(self.fallback.is_none() || other.fallback.is_none(), "both tables have a fallback");
        self.fallback = self.fallback.or(other.fallback);
        assert!(
            self.rejection.is_none() || other.rejection.is_none(),
            "both tables have an `on_rejection`"
        );
        self.rejection = self.rejection.or(other.rejection);
        self
    }

    /// Gives the handlers their state. The result may be of any type of state, for [`merge`](Self::merge).
    ///
    /// Only a `Routes<(), D>` can be mounted, so a state that is missing does not compile:
    ///
    /// ```compile_fail,E0308
    /// use enginewire_driver::socketio::{Io, handlers::{Routes, State}};
    ///
    /// async fn count(State(users): State<usize>) {}
    ///
    /// let routes = Routes::<usize>::new().on("count", count);
    /// let mounted = Io::new().mount("/", routes);
    /// ```
    pub fn with_state<S2: 'static>(self, state: S) -> Routes<S2, D>
    where
        S: Send + Sync,
    {
        let state = Arc::new(state);
        let events = self.events.into_iter().map(|(name, entry)| (name, entry.bind(&state)));
        Routes {
            events: events.collect(),
            before: self.before.into_iter().map(|entry| entry.bind(&state)).collect(),
            fallback: self.fallback.map(|entry| entry.bind(&state)),
            connect: self.connect.into_iter().map(|entry| entry.bind(&state)).collect(),
            disconnect: self.disconnect.into_iter().map(|entry| entry.bind(&state)).collect(),
            rejection: self.rejection,
        }
    }

    fn insert(&mut self, name: &str, entry: Entry<EventParts<D>, S>) {
        assert!(
            !is_reserved(name),
            "the name `{name}` is reserved; for sockets there are `on_connect` and `on_disconnect`"
        );
        let old = self.events.insert(name.into(), entry);
        assert!(old.is_none(), "the event `{name}` has a handler already");
    }
}

impl<D: Any + Send + Sync> Namespace<D> {
    /// Handles the events of all sockets, until the server closes.
    ///
    /// It is [`serve`](Self::serve) with a table of handlers. The future has to be polled: spawn it, or wait for it.
    pub fn mount(&self, routes: Routes<(), D>) -> impl Future<Output = ()> + Send + use<D> {
        let (namespace, routes) = (self.clone(), Arc::new(routes));
        async move {
            let shared = Arc::clone(&namespace.shared);
            let run = move |socket| worker::run(Arc::clone(&routes), Arc::clone(&shared), socket);
            namespace.serve(run).await;
        }
    }
}

impl Io {
    /// Handles the events of all sockets of a namespace. See [`Namespace::mount`].
    pub fn mount(&self, name: &str, routes: Routes) -> impl Future<Output = ()> + Send + use<> {
        self.namespace(name).mount(routes)
    }
}

impl<S: 'static, D: 'static> Default for Routes<S, D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, D> Clone for Routes<S, D> {
    fn clone(&self) -> Self {
        Self {
            events: self.events.clone(),
            before: self.before.clone(),
            fallback: self.fallback.clone(),
            connect: self.connect.clone(),
            disconnect: self.disconnect.clone(),
            rejection: self.rejection.clone(),
        }
    }
}

impl<S, D> fmt::Debug for Routes<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.events.keys().collect();
        names.sort();
        f.debug_struct("Routes").field("events", &names).finish_non_exhaustive()
    }
}
