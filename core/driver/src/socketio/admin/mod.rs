//! The server side of the [admin UI](https://socket.io/docs/v4/admin-ui/): sockets, rooms and events in a page.
//!
//! The page is that of npm `@socket.io/admin-ui`, whose folder `ui/dist` any web server can serve. It connects to a
//! namespace of this server, by default `/admin`, and is told there what the server does:
//!
//! ```no_run
//! use enginewire_driver::{Runtime, ServerBuilder, socketio::{Io, admin::Admin}};
//!
//! async fn run<R: Runtime>(builder: ServerBuilder<R>) -> Result<(), Box<dyn std::error::Error>> {
//!     // Of the password, by `htpasswd -nBC 10 ""` or any other tool.
//!     let hash = std::env::var("ADMIN_HASH")?;
//!     let admin = Admin::basic_auth("anna", &hash)?;
//!     let io = Io::builder().admin(admin).build();
//!     let clients = io.namespace("/");
//!     let _server = builder.socketio(&io).bind("127.0.0.1:3000").await?;
//!     clients
//!         .serve(|mut socket| async move { while socket.recv().await.is_some() {} })
//!         .await;
//!     Ok(())
//! }
//! ```
//!
//! A page of another origin needs [CORS with credentials](crate::ServerBuilder::cors).
//!
//! # What a page is told
//!
//! In any [mode](Mode): every two seconds the numbers of clients, sockets, packets and bytes. In
//! [`Mode::Development`] also every socket, room and event as it comes. Header fields that carry secrets, `Cookie` and
//! `Authorization`, are left out. The id of a client is made for the page, and is no part of its session id. The id
//! of a socket of a 2.x client has its session id in it. Data of sockets is shown if
//! [`Namespace::share_data`](super::Namespace::share_data) was called.
//!
//! # What a page may do
//!
//! Unless it is [read-only](Admin::read_only): have sockets join and leave rooms, disconnect them, and send them events, on
//! all nodes. Commands also reach namespaces that other nodes have and this one does not. No command makes a namespace.
//!
//! # What it costs
//!
//! The server counts packets and bytes of all sessions. Changes and events are noted while a page is connected to this
//! node. In a [cluster](super::IoBuilder::cluster) they are noted while there are other nodes, as these may have pages.
//! They wait for a task of the server, at most 16 384 of them and 8 MiB. Further ones are dropped, and counted in
//! [`Stats::admin_dropped`](super::Stats::admin_dropped). In earnest [`Mode::Production`] is the right one: nothing is
//! noted then, and numbers alone are told every two seconds.
//!
//! A page that does not read costs [`Limits::max_queued`](crate::Limits::max_queued). It is then disconnected, and told all
//! anew when it comes back. Other nodes are told nothing while more than half of
//! [`max_cluster_queue`](super::IoBuilder::max_cluster_queue) is taken: that counts as dropped, too.
//!
//! # Several nodes
//!
//! Each node needs an admin UI of the same [namespace](Admin::namespace). A page then shows all nodes, whichever it is
//! connected to. Sessions of pages are kept in memory: at another node the page asks for the password again.
//!
//! Nodes of Node.js with `instrument()` are among them. As theirs, a page begins with the sockets in the namespaces of its
//! own node. It is told of those in others as they connect.
//!
//! A node of Node.js that lists sockets for a page ends if a node does not respond that it has counted. So let namespaces of
//! patterns stay, by [`keep_empty_namespaces`](super::IoBuilder::keep_empty_namespaces).

pub(super) mod auth;
mod page;
pub(super) mod record;
mod shared;
mod task;
mod traffic;
pub(super) mod view;

use std::{fmt, str::FromStr};

use self::auth::Account;
pub(super) use self::shared::AdminShared;
use super::{IoBuilder, SocketRef, observer::Observer};

/// Options of the admin UI, for [`IoBuilder::admin`].
#[derive(Clone)]
#[must_use = "options do nothing by themselves"]
pub struct Admin {
    account: Option<Account>,
    namespace: String,
    server_id: Option<String>,
    mode: Mode,
    read_only: bool,
}

/// Amount of detail that pages are told. Default [`Development`](Self::Development), as the reference's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Every socket, room and event.
    ///
    /// Pages have the arguments of all events, and the header fields of all clients but those with secrets.
    #[default]
    Development,
    /// Numbers alone, every two seconds.
    Production,
}

/// Error of a hash that is not one of bcrypt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a hash of bcrypt, such as `$2b$10$` and 53 further characters")]
#[non_exhaustive]
pub struct InvalidHash;

impl Admin {
    /// Lets in a user whose password has this hash of bcrypt.
    ///
    /// The hash may begin with `$2a$`, `$2b$`, `$2x$` or `$2y$`. Each login costs as much time as its cost factor says, on a thread
    /// of its own: 10 is about a tenth of a second. One password is verified at a time, and 64 wait.
    ///
    /// An address may fail five times at once, and then once in ten seconds. A password that is being verified counts as
    /// a failure until it turns out right. Behind a proxy the address of a client is known by
    /// [`ServerBuilder::trusted_proxies`](crate::ServerBuilder::trusted_proxies).
    ///
    /// A page that is let in gets the id of a session, with which it comes back within 24 hours.
    ///
    /// # Errors
    ///
    /// `hash` is no hash of bcrypt.
    pub fn basic_auth(username: &str, hash: &str) -> Result<Self, InvalidHash> {
        bcrypt::HashParts::from_str(hash).map_err(|_| InvalidHash)?;
        Ok(Self { account: Some(Account::new(username, hash)), ..Self::without_auth() })
    }

    /// Lets in every client that reaches the namespace.
    ///
    /// It is for servers that only operators reach.
    pub fn without_auth() -> Self {
        Self {
            account: None,
            namespace: "/admin".to_owned(),
            server_id: None,
            mode: Mode::default(),
            read_only: false,
        }
    }

    /// Sets the namespace of the pages. Default `/admin`.
    ///
    /// A missing slash at the start is added. It belongs to the admin UI: calling
    /// [`authorize`](super::Namespace::authorize) for it panics.
    ///
    /// # Panics
    ///
    /// If it is `/`, whose clients would be told everything.
    pub fn namespace(mut self, name: &str) -> Self {
        let name = name.trim_start_matches('/');
        assert!(!name.is_empty(), "`/` cannot be the namespace of the admin UI");
        self.namespace = format!("/{name}");
        self
    }

    /// Sets the name of this server, which must be unlike that of any other. Default: the host's name and the process id.
    pub fn server_id(mut self, id: impl Into<String>) -> Self {
        self.server_id = Some(id.into());
        self
    }

    /// Sets the amount of detail. Default [`Mode::Development`].
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether pages may only look. Default false.
    pub const fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Returns the features that pages are told of.
    fn features(&self) -> impl Iterator<Item = &'static str> {
        let commands = if self.read_only { &[][..] } else { &COMMANDS };
        let all_events = (self.mode == Mode::Development).then_some("ALL_EVENTS");
        commands.iter().copied().chain(["AGGREGATED_EVENTS"]).chain(all_events)
    }
}

impl IoBuilder {
    /// Adds the server side of the admin UI. Default: there is none.
    ///
    /// See [`admin`](super::admin).
    pub fn admin(mut self, admin: Admin) -> Self {
        self.observer = Observer::new(admin);
        self
    }
}

impl<D> SocketRef<D> {
    /// Tells the pages of the admin UI that the data of the socket have changed.
    ///
    /// A change behind a lock of the application is not noticed otherwise. The data are serialized later, if a page is there
    /// and [`Namespace::share_data`](super::Namespace::share_data) was called.
    pub fn data_changed(&self) {
        self.shared.namespace.watch.recorder().data_changed(&self.shared);
    }
}

/// Without the user and the hash.
impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("has_auth", &self.account.is_some())
            .field("namespace", &self.namespace)
            .field("server_id", &self.server_id)
            .field("mode", &self.mode)
            .field("read_only", &self.read_only)
            .finish()
    }
}

/// Names by which pages know what they may ask for. Those with an `M` are for all sockets of a room.
const COMMANDS: [&str; 7] =
    ["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT"];

/// Hash of `correctPassword`, of the least cost, made by npm `bcryptjs`.
#[cfg(test)]
const HASH: &str = "$2b$04$b2cxG2NvAFwoh.BYxbc./O/YDD/XzL6NfzHPI7Ffs/kE/IMPDoG2y";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_hash_is_refused() {
        let long = format!("{HASH}a");
        for hash in ["", "secret", "$2b$04$short", &HASH[1..], &long, "$5b$04$"] {
            assert_eq!(Admin::basic_auth("anna", hash).err(), Some(InvalidHash), "{hash}");
        }
        for version in ["2a", "2b", "2x", "2y"] {
            assert!(Admin::basic_auth("anna", &HASH.replacen("2b", version, 1)).is_ok());
        }
    }

    #[test]
    fn debug_output_has_neither_user_nor_hash() {
        let shown = format!("{:?}", Admin::basic_auth("anna", HASH).unwrap().server_id("a"));
        assert!(!shown.contains("anna") && !shown.contains("$2b$"), "{shown}");
        assert!(shown.contains("\"/admin\""), "{shown}");
    }

    #[test]
    fn features_are_those_of_mode_and_access() {
        let all = Admin::without_auth();
        assert!(all.features().eq(COMMANDS.into_iter().chain(["AGGREGATED_EVENTS", "ALL_EVENTS"])));
        let least = Admin::without_auth().read_only(true).mode(Mode::Production);
        assert!(least.features().eq(["AGGREGATED_EVENTS"]));
    }

    #[test]
    #[should_panic(expected = "cannot be the namespace of the admin UI")]
    fn namespace_of_all_clients_is_refused() {
        let _ = Admin::without_auth().namespace("/");
    }

    #[test]
    fn name_of_a_namespace_has_one_slash() {
        for name in ["ops", "/ops"] {
            assert_eq!(Admin::without_auth().namespace(name).namespace, "/ops");
        }
    }
}
