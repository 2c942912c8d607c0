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
    /// There are other nodes, which may have pages. Looked at with each report of the numbers.
    has_nodes: AtomicBool,
    /// A page may be there, on this node or another.
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
            has_nodes: AtomicBool::new(false),
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

    /// Sets whether there are other nodes, and looks whether a page may be there.
    pub(super) fn set_nodes(&self, has_nodes: bool) {
        self.has_nodes.store(has_nodes, Ordering::SeqCst);
        self.look();
    }

    /// Returns whether a page may be there.
    pub(super) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::SeqCst)
    }

    fn look(&self) {
        let is_there =
            || self.has_nodes.load(Ordering::SeqCst) || self.pages.load(Ordering::SeqCst) > 0;
        let was_there = is_there();
        self.is_watched.store(was_there, Ordering::SeqCst);
        // A page that connects at this moment is not overlooked.
        if !was_there && is_there() {
            self.is_watched.store(true, Ordering::SeqCst);
        }
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
        self.0.look();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(config: Admin) -> Arc<AdminShared> {
        let admin = AdminShared::new(config);
        assert!(admin.begin() && !admin.begin());
        admin
    }

    #[test]
    fn changes_are_queued_while_a_page_of_this_node_is_there() {
        let admin = running(Admin::without_auth());
        assert!(!admin.records());
        let pages = [admin.connect(), admin.connect()];
        assert!(admin.records());
        let [first, second] = pages;
        drop(first);
        assert!(admin.records());
        drop(second);
        assert!(!admin.records());
    }

    #[test]
    fn changes_are_queued_while_there_are_other_nodes() {
        let admin = running(Admin::without_auth());
        admin.set_nodes(true);
        drop(admin.connect());
        assert!(admin.records());
        admin.set_nodes(false);
        assert!(!admin.records());
        // It has asked for sockets before it was known.
        admin.watch();
        assert!(admin.records());
    }

    #[test]
    fn nothing_is_queued_in_production_or_without_a_task() {
        let admin = running(Admin::without_auth().mode(Mode::Production));
        let _page = admin.connect();
        assert!(admin.is_watched() && !admin.records());
        let admin = running(Admin::without_auth());
        let _page = admin.connect();
        admin.end();
        admin.watch();
        assert!(!admin.records());
    }
}
