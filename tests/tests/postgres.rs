//! The example `postgres` beside a node of Node.js with npm `@socket.io/postgres-adapter`, on a server of Postgres that
//! the test starts. Needs Debian's package `postgresql`.
//!
//! `cargo test -p enginewire-tests --features interop --test postgres`

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
};

use enginewire_tests::{
    client::until,
    process::{Running, example, script, succeed, succeeds},
};
use rustix::process::geteuid;

#[test]
fn nodes_on_postgres_are_a_cluster_with_one_of_node_js() {
    let database = Database::start();
    database.run(TABLE);
    let start = || {
        let mut node = example("enginewire-tokio", "postgres");
        Running::start(node.args(["127.0.0.1:0", &database.settings()]))
    };
    let mut nodes = [start(), start()];
    let urls = nodes.each_mut().map(|node| {
        let line = node.line().unwrap();
        format!("http://{}", line.strip_prefix("listening on ").unwrap())
    });
    let first = nodes[0].id().to_string();
    succeed(script("postgres.mjs").args([&database.url(), &urls[0], &first, &urls[1]]));
}

/// The table of the official adapter, from its documentation.
const TABLE: &str = "CREATE TABLE socket_io_attachments (
    id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea
)";

/// A server with its files in a folder of its own. It ends with the value.
struct Database {
    server: Child,
    port: u16,
    folder: PathBuf,
    programs: PathBuf,
}

impl Database {
    fn start() -> Self {
        let folder = env::temp_dir().join(format!("enginewire-postgres-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        if geteuid().is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let programs = programs();
        let mut initdb = unprivileged(&programs.join("initdb"), &folder);
        initdb.args(["--auth=trust", "--username=test", "--encoding=UTF8", "--no-sync"]);
        succeed(initdb.args(["--locale=C", "-D"]).arg(folder.join("data")));
        // The port is free now, and may be taken before the server has it.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut server = unprivileged(&programs.join("postgres"), &folder);
            server.args(["-F", "-h", "127.0.0.1", "-k", "", "-p", &port.to_string(), "-D"]);
            server.arg(folder.join("data")).stdout(Stdio::null()).stderr(Stdio::null());
            let server = server.spawn().unwrap();
            let (folder, programs) = (folder.clone(), programs.clone());
            let mut database = Self { server, port, folder, programs };
            if database.is_ready() {
                return database;
            }
        }
        panic!("no server of Postgres starts");
    }

    /// Waits until it responds. Returns false if it ends before.
    fn is_ready(&mut self) -> bool {
        let mut is_ready = false;
        until("a server of Postgres", || {
            is_ready = succeeds(&mut self.psql("SELECT 1")).is_ok();
            is_ready || self.server.try_wait().unwrap().is_some()
        });
        // Another program may have the port.
        is_ready && self.server.try_wait().unwrap().is_none()
    }

    fn run(&self, statement: &str) {
        succeed(&mut self.psql(statement));
    }

    fn psql(&self, statement: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-q", "-d", &self.url(), "-c", statement]);
        psql
    }

    fn url(&self) -> String {
        format!("postgres://test@127.0.0.1:{}/postgres", self.port)
    }

    /// As the nodes know it, by a name that tells their connections from others.
    fn settings(&self) -> String {
        let port = self.port;
        format!("host=127.0.0.1 port={port} user=test dbname=postgres application_name=enginewire")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        // Its processes end without it, and may still write.
        until("the files are removed", || fs::remove_dir_all(&self.folder).is_ok());
    }
}

/// A command of a user that is not root, for whom Postgres does not start.
fn unprivileged(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The folder of the newest version. Most of them are in no path.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = versions.map(|version| version.unwrap().path().join("bin"));
    let newest = versions.filter(|folder| folder.join("initdb").exists()).max();
    newest.unwrap_or_else(|| panic!("Debian's package postgresql is not installed"))
}

/// The user `nobody` and its group, as Debian has them.
const NOBODY: u32 = 65534;
