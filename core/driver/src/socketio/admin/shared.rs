//! The admin UI of one server, as its sockets and its task share it.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use enginewire::TransportKind;

use super::{Admin, Mode, auth::Gate, record::Queue, task, traffic::Traffic, view::Client};
use crate::{
    runtime::Runtime,
    socketio::{Io, Overflow, io::Options, socket::SocketShared},
    waiters::Shareable,
};

/// The admin UI of one server.
pub(crate) struct AdminShared {
    pub(super) config: Admin,
    pub(super) gate: Gate,
    pub(crate) queue: Queue,
    pub(crate) traffic: Traffic,
    pub(super) hostname: String,
    /// When the server was made, from which its uptime counts.
    pub(super) since: Instant,
    /// Pages that are connected to this node.
    pages: AtomicUsize,
    /// Somebody may see what is told, on this node or another.
    is_watched: AtomicBool,
    /// The task of a server shows what waits.
    is_running: AtomicBool,
    /// Makes ids of clients, from which nothing of their sessions can be learned.
    hasher: RandomState,
}

impl AdminShared {
    pub(crate) fn new(mut config: Admin) -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::new(config.account.take()),
            config,
            queue: Queue::default(),
            traffic: Traffic::new(),
            hostname: gethostname::gethostname().to_string_lossy().into_owned(),
            since: Instant::now(),
            pages: AtomicUsize::new(0),
            is_watched: AtomicBool::new(false),
            is_running: AtomicBool::new(false),
            hasher: RandomState::new(),
        })
    }

    /// Returns whether a namespace is that of the pages.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        self.config.namespace == name
    }

    /// Returns the options of the namespace of the pages.
    ///
    /// A page that has missed something must connect anew, to be told of all sockets again. So none is passed by or
    /// recovered.
    pub(crate) fn options(options: &Options) -> Options {
        Options { overflow: Overflow::Disconnect, recovery: None, ..options.clone() }
    }

    /// Makes the namespace of the pages.
    pub(crate) fn install(self: &Arc<Self>, io: &Io) {
        let admin = Arc::clone(self);
        io.namespace(&self.config.namespace).authorize(move |request| {
            let admin = Arc::clone(&admin);
            async move { admin.gate.admit(&request).await }
        });
    }

    /// Starts the task, unless that of another server of this `io` is there.
    pub(crate) fn start<R: Runtime>(self: &Arc<Self>, runtime: &R, io: &Io) {
        if self.begin() {
            runtime.spawn(task::run(runtime.clone(), Arc::clone(self), io.clone()));
        }
    }

    /// Claims the place of the task. Returns false if another has it.
    pub(super) fn begin(&self) -> bool {
        !self.is_running.swap(true, Ordering::SeqCst)
    }

    /// The task has ended.
    pub(super) fn end(&self) {
        self.is_watched.store(false, Ordering::SeqCst);
        self.is_running.store(false, Ordering::SeqCst);
        self.queue.clear();
    }

    /// Returns whether changes and events are to be queued.
    #[inline]
    pub(crate) fn records(&self) -> bool {
        self.shows_sockets() && self.is_watched.load(Ordering::Relaxed)
    }

    /// Returns whether pages are told of single sockets.
    pub(crate) fn shows_sockets(&self) -> bool {
        self.config.mode == Mode::Development
    }

    /// Notes that a page may be there.
    pub(crate) fn watch(&self) {
        if self.is_running.load(Ordering::SeqCst) {
            self.is_watched.store(true, Ordering::SeqCst);
        }
    }

    /// Looks whether a page may be there. `has_nodes` says that there are other nodes.
    pub(super) fn look(&self, has_nodes: bool) -> bool {
        let is_there = || has_nodes || self.pages.load(Ordering::SeqCst) > 0;
        let mut is_watched = is_there();
        self.is_watched.store(is_watched, Ordering::SeqCst);
        // A page that connects at this moment is not overlooked.
        if !is_watched && is_there() {
            is_watched = true;
            self.is_watched.store(true, Ordering::SeqCst);
        }
        is_watched
    }

    /// Counts a page of this node for as long as the value lives.
    pub(super) fn connect(self: &Arc<Self>) -> Connected {
        self.pages.fetch_add(1, Ordering::SeqCst);
        self.watch();
        Connected(Arc::clone(self))
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Describes the client of a socket.
    pub(crate) fn client(&self, socket: &SocketShared) -> Client {
        // 48 bits, as long as the reference's. The hasher has a secret key.
        let id = self.hasher.hash_one(socket.cell.sid()) >> 16;
        let transport = match socket.cell.inspect(|session| session.transport()) {
            TransportKind::Polling => "polling",
            _ => "websocket",
        };
        Client { client_id: format!("{id:012x}"), transport: transport.to_owned() }
    }
}

/// A page that is connected to this node.
pub(super) struct Connected(Arc<AdminShared>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.pages.fetch_sub(1, Ordering::SeqCst);
    }
}
