//! Several servers of Redis: a Redis Cluster, and a master with its replica that a sentinel watches.

use std::net::SocketAddr;

use enginewire_tests::client::until;

use crate::server::{RawClient, RedisServer, SECOND_PORT};

/// A Redis Cluster of three masters, and a replica of one of them if there is one.
pub(crate) struct RedisCluster {
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) clients: Vec<RawClient>,
    /// Their ids.
    ids: Vec<String>,
}

/// Number of the masters.
const MASTERS: usize = 3;

const SLOTS: usize = 16_384;

impl RedisCluster {
    pub(crate) fn start() -> Self {
        Self::with_replica_of(None)
    }

    /// Starts servers, the last of which is a replica of the owner of a key.
    pub(crate) fn with_replica_of(key: Option<&str>) -> Self {
        let options = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            SECOND_PORT,
            "--cluster-node-timeout",
            // A loaded machine is no fault, unless there is to be one.
            if key.is_some() { "1500" } else { "15000" },
            "--cluster-replica-validity-factor",
            "0",
        ];
        let count = MASTERS + usize::from(key.is_some());
        let servers: Vec<_> = (0..count).map(|_| RedisServer::with(&options)).collect();
        let clients: Vec<_> = servers.iter().map(RedisServer::client).collect();
        let mut cluster = Self { servers, clients, ids: Vec::new() };
        cluster.form(key);
        cluster
    }

    fn form(&mut self, key: Option<&str>) {
        for server in 0..self.servers.len() {
            let id = self.command(server, &["CLUSTER", "MYID"]);
            self.ids.extend(id);
            let epoch = (server + 1).to_string();
            assert_eq!(self.command(server, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]), ["OK"]);
        }
        for master in 0..MASTERS {
            let first = (master * SLOTS / MASTERS).to_string();
            let last = ((master + 1) * SLOTS / MASTERS - 1).to_string();
            self.command(master, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        for server in &self.servers[1..] {
            let (port, bus) =
                (server.address().port().to_string(), server.argument("--cluster-port"));
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, bus];
            let meet = meet.map(str::as_bytes);
            assert_eq!(self.clients[0].command(&meet), ["OK"]);
        }
        let count = self.servers.len();
        for client in &mut self.clients {
            // What is published goes only to those that it is connected with.
            until("connections with all others", || {
                let nodes = client.command(&[b"CLUSTER", b"NODES"]).concat();
                let others = nodes.lines().filter(|line| !line.contains("myself"));
                let is_whole =
                    |line: &&str| line.contains(" connected") && !line.contains("handshake");
                others.filter(is_whole).count() == count - 1
            });
        }
        if let Some(key) = key {
            let owner = self.owner(key);
            let master = self.ids[owner].clone();
            until("a master that is known to its replica", || {
                self.command(MASTERS, &["CLUSTER", "REPLICATE", &master]) == ["OK"]
            });
            until("a replica", || {
                self.command(MASTERS, &["INFO", "replication"])[0].contains("master_link_status:up")
            });
        }
        self.until_everywhere("cluster_state:ok");
    }

    fn until_everywhere(&mut self, state: &str) {
        for client in &mut self.clients {
            until(state, || client.command(&[b"CLUSTER", b"INFO"])[0].contains(state));
        }
    }

    /// Returns the URLs of so many nodes, each of which begins with another server.
    pub(crate) fn urls(&self, count: usize) -> Vec<String> {
        self.servers.iter().cycle().take(count).map(RedisServer::url).collect()
    }

    pub(crate) fn command(&mut self, server: usize, arguments: &[&str]) -> Vec<String> {
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_bytes()).collect();
        self.clients[server].command(&arguments)
    }

    /// Returns the number of the master that owned the slot of a key at first.
    pub(crate) fn owner(&mut self, key: &str) -> usize {
        let slot = self.slot(key).parse::<usize>().unwrap();
        (0..MASTERS).rfind(|master| master * SLOTS / MASTERS <= slot).unwrap()
    }

    /// Gives the slot of a key, with its keys, from one server to another.
    pub(crate) fn move_slot(&mut self, key: &str, from: usize, to: usize) {
        let slot = self.slot(key);
        let ids = [&self.ids[from], &self.ids[to]].map(String::clone);
        let port = self.servers[to].address().port().to_string();
        self.command(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]);
        self.command(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]);
        for key in self.command(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "100"]) {
            let moved = self.command(from, &["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]);
            assert_eq!(moved, ["OK"]);
        }
        for server in [to, from] {
            let set = self.command(server, &["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]]);
            assert_eq!(set, ["OK"]);
        }
        let port = format!(":{port}@");
        for client in &mut self.clients {
            until("servers that agree", || {
                let nodes = client.command(&[b"CLUSTER", b"NODES"]).concat();
                let line = nodes.lines().find(|line| line.contains(&port)).unwrap();
                line.split(' ').skip(8).any(|range| owns(range, &slot))
            });
        }
    }

    fn slot(&mut self, key: &str) -> String {
        self.command(0, &["CLUSTER", "KEYSLOT", key]).remove(0)
    }
}

/// A master with a replica, and a sentinel that watches them.
pub(crate) struct Watched {
    pub(crate) master: RedisServer,
    pub(crate) replica: RedisServer,
    pub(crate) sentinel: RedisServer,
}

impl Watched {
    /// Name by which the sentinel knows the master.
    pub(crate) const NAME: &str = "main";

    pub(crate) fn start() -> Self {
        let master = RedisServer::start();
        let port = master.address().port().to_string();
        let replica = RedisServer::with(&[
            "--replicaof",
            &format!("127.0.0.1 {port}"),
            "--repl-diskless-sync-delay",
            "0",
        ]);
        let mut client = replica.client();
        until("a replica", || {
            client.command(&[b"INFO", b"replication"])[0].contains("master_link_status:up")
        });
        let sentinel = RedisServer::with(&["--sentinel"]);
        let watched = Self { master, replica, sentinel };
        watched.ask(&["MONITOR", Self::NAME, "127.0.0.1", &port, "1"]);
        for (option, value) in [("down-after-milliseconds", "60000"), ("failover-timeout", "5000")]
        {
            watched.ask(&["SET", Self::NAME, option, value]);
        }
        until("a sentinel that knows the replica", || {
            watched.ask(&["REPLICAS", Self::NAME]).len() > 1
        });
        watched
    }

    /// Kills the master, which the sentinel notices soon. Before, a master that is late is not taken for one that is down.
    pub(crate) fn kill_master(&mut self) {
        self.master.kill();
        self.ask(&["SET", Self::NAME, "down-after-milliseconds", "500"]);
    }

    /// Returns the address of the master, as the sentinel knows it.
    pub(crate) fn named(&self) -> SocketAddr {
        let named = self.ask(&["GET-MASTER-ADDR-BY-NAME", Self::NAME]);
        named.join(":").parse().unwrap()
    }

    fn ask(&self, arguments: &[&str]) -> Vec<String> {
        let arguments: Vec<_> =
            ["SENTINEL"].iter().chain(arguments).map(|argument| argument.as_bytes()).collect();
        self.sentinel.client().command(&arguments)
    }
}

/// Returns whether a range of slots has one.
fn owns(range: &str, slot: &str) -> bool {
    let number = |text: &str| text.parse::<usize>().ok();
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last, slot) = (number(first), number(last), number(slot));
    first.is_some() && first <= slot && slot <= last
}
