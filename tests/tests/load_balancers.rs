//! The example `behind_proxy` behind nginx, HAProxy and Caddy, with the configurations beside it, and official clients
//! that connect to the proxy. Needs Debian's packages `nginx-light`, `haproxy` and `caddy`, and Linux, where all of
//! 127.0.0.0/8 is this machine.
//!
//! `cargo test -p enginewire-tests --features interop --test load_balancers`

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use enginewire::{
    ServerConfig,
    wire::{http, proxy_protocol},
};
use enginewire_tests::{
    client::until,
    process::{Running, example, script, succeed},
};
use rustix::process::{Signal, getuid};

#[test]
fn nginx_keeps_clients_on_their_server_by_cookie_and_by_hash() {
    let mut balanced = Balanced::start(&NGINX);
    balanced.checks(8080, "cookie");
    balanced.checks(8081, "query");
    balanced.survives(8080, "cookie");
}

#[test]
fn haproxy_keeps_clients_on_their_server_by_cookie_session_id_and_address() {
    let mut balanced = Balanced::start(&HAPROXY);
    balanced.checks(8080, "cookie");
    balanced.checks(8081, "none");
    balanced.checks(8082, "none");
    balanced.survives(8081, "none");
}

#[test]
fn caddy_keeps_clients_on_their_server_by_cookie() {
    let mut balanced = Balanced::start(&CADDY);
    balanced.checks(8080, "cookie");
    balanced.survives(8080, "cookie");
}

#[test]
fn nginx_sends_each_request_to_the_next_of_servers_that_are_nodes() {
    let mut balanced = Balanced::start(&ROUND_ROBIN);
    balanced.checks(8080, "none");
    balanced.survives(8080, "none");
}

#[test]
fn nginx_sends_each_request_to_the_next_of_servers_behind_axum_that_are_nodes() {
    let mut balanced = Balanced::start(&ROUND_ROBIN_OF_AXUM);
    balanced.checks(8080, "none");
    balanced.survives(8080, "none");
}

#[test]
fn each_connection_goes_to_the_next_of_servers_that_are_nodes() {
    let servers = nodes("behind_proxy", &["proxy-protocol"]);
    let backends = servers.iter().map(|(_, _, address)| *address).collect();
    let url = format!("http://{}", next_of(backends));
    succeed(script("balanced.mjs").args(["checks", &url, "none"]));
    let mut client = Running::start(script("balanced.mjs").args(["survives", &url, "none"]));
    let first = client.line().unwrap_or_default();
    let name = first.strip_prefix("on ").unwrap_or_else(|| panic!("no server: {first}"));
    let (of_client, others): (Vec<_>, Vec<_>) =
        servers.into_iter().partition(|(node, ..)| *node == name);
    // Without a word, unlike servers that drain.
    of_client.into_iter().for_each(|(_, mut server, _)| server.kill());
    client.write("the server is gone");
    let other = format!("on {}", others[0].0);
    assert_eq!(client.line(), Some(other));
    client.write("there is no proxy to start anew");
    assert_eq!(client.line().as_deref(), Some("done"));
    assert!(client.end().success());
}

#[test]
fn timeouts_of_the_proxies_are_longer_than_a_heartbeat_and_shorter_than_those_of_servers() {
    let server = ServerConfig::default();
    // In this time a poll gets its response, and a WebSocket a ping.
    let heartbeat = server.ping_interval.as_secs();
    let ends = heartbeat + server.ping_timeout.as_secs();
    let kept = http::Config::default().idle_timeout.as_secs();
    for (file, option, range) in [
        ("nginx.conf", "proxy_read_timeout ", ends..u64::MAX),
        ("nginx.conf", "proxy_send_timeout ", ends..u64::MAX),
        ("nginx.conf", "keepalive_timeout ", 1..kept),
        ("nginx-round-robin.conf", "proxy_read_timeout ", ends..u64::MAX),
        ("nginx-round-robin.conf", "proxy_send_timeout ", ends..u64::MAX),
        ("nginx-round-robin.conf", "keepalive_timeout ", 1..kept),
        ("haproxy.cfg", "timeout client ", ends..u64::MAX),
        ("haproxy.cfg", "timeout server ", ends..u64::MAX),
        ("haproxy.cfg", "timeout tunnel ", ends..u64::MAX),
        ("Caddyfile", "keepalive ", 1..kept),
    ] {
        let text = fs::read_to_string(example_folder().join(file)).unwrap();
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(option));
        let seconds = lines.filter_map(|value| value.split('s').next()?.parse::<u64>().ok());
        let seconds: Vec<_> = seconds.collect();
        let is_within = seconds.iter().all(|seconds| range.contains(seconds));
        assert!(!seconds.is_empty() && is_within, "{file}: {option}{seconds:?} in {range:?}");
    }
    // Application Load Balancers keep connections for 60 s by default, and Cloudflare waits 100 s for a response.
    assert!(heartbeat < 60 && kept > 60);
}

/// A proxy, and how it is started with its configuration.
struct Proxy {
    /// The file of the example.
    file: &'static str,
    /// Ports in the file on which it listens.
    fronts: &'static [u16],
    /// Makes what else is needed in the folder of the file, and the command.
    command: fn(&Path) -> Command,
    /// Whether it loads its configuration anew without ending connections. Otherwise it is killed and started again.
    reloads: bool,
    /// The example that is served if the proxy does not keep clients on their server: its servers are nodes.
    nodes: Option<&'static str>,
}

const NGINX: Proxy =
    Proxy { file: "nginx.conf", fronts: &[8080, 8081], command: nginx, reloads: true, nodes: None };

const ROUND_ROBIN: Proxy = Proxy {
    file: "nginx-round-robin.conf",
    fronts: &[8080],
    command: nginx,
    reloads: true,
    nodes: Some("behind_proxy"),
};

const ROUND_ROBIN_OF_AXUM: Proxy = Proxy { nodes: Some("axum_nodes"), ..ROUND_ROBIN };

fn nginx(folder: &Path) -> Command {
    let main = "error_log stderr crit; pid nginx.pid; daemon off; worker_processes 1;
            events { worker_connections 512; }
            http {
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                include FILE; include added*.conf;
            }";
    // Otherwise workers are of a user that may not enter the folder.
    let user = if getuid().is_root() { "user root; " } else { "" };
    let file = folder.file_name().unwrap().to_str().unwrap();
    let main = main.replace("FILE", file);
    fs::write(folder.join("main.conf"), format!("{user}{main}")).unwrap();
    let mut nginx = Command::new(installed("nginx"));
    nginx.arg("-p").arg(folder).args(["-c", "main.conf"]);
    nginx
}

const HAPROXY: Proxy = Proxy {
    file: "haproxy.cfg",
    fronts: &[8080, 8081, 8082],
    command: |folder| {
        let mut haproxy = Command::new(installed("haproxy"));
        haproxy.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
        haproxy
    },
    reloads: false,
    nodes: None,
};

const CADDY: Proxy = Proxy {
    file: "Caddyfile",
    fronts: &[8080],
    command: |folder| {
        let file = folder.join("Caddyfile");
        let options = "{\n\tadmin off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n";
        let text = fs::read_to_string(&file).unwrap();
        if !text.starts_with('{') {
            fs::write(&file, format!("{options}{text}")).unwrap();
        }
        let mut caddy = Command::new(installed("caddy"));
        caddy.arg("run").arg("--config").arg(file);
        // Whatever it keeps, it keeps here.
        caddy.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
        caddy
    },
    reloads: false,
    nodes: None,
};

/// A proxy and the servers behind it.
struct Balanced {
    kind: &'static Proxy,
    folder: PathBuf,
    proxy: Running,
    /// Addresses in the place of the ports in the file.
    fronts: HashMap<u16, SocketAddr>,
    /// By name, each that listens and perhaps its twin that expects the PROXY protocol.
    servers: HashMap<&'static str, Vec<Running>>,
}

impl Balanced {
    fn start(kind: &'static Proxy) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.join(kind.nodes.unwrap_or("sticky")).join(kind.file);
        // What an earlier run has left must not be in the way.
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        let mut servers = HashMap::new();
        let mut places = Vec::new();
        if let Some(example) = kind.nodes {
            for ((name, server, address), port) in nodes(example, &[]).into_iter().zip([3001, 3002])
            {
                places.push((port, address));
                servers.insert(name, vec![server]);
            }
        } else {
            for (name, ports) in [("a", [3001, 3003]), ("b", [3002, 3004])] {
                let [(plain, address), (twin, twin_address)] =
                    ["", "proxy-protocol"].map(|protocol| serve(name, protocol));
                places.extend(ports.into_iter().zip([address, twin_address]));
                servers.insert(name, vec![plain, twin]);
            }
        }
        // Ports that are free now may be taken by others before the proxy listens on them.
        for _ in 0..ATTEMPTS {
            let fronts: HashMap<_, _> =
                kind.fronts.iter().map(|&port| (port, free_address())).collect();
            let all = places.iter().copied().chain(fronts.iter().map(|(&port, &at)| (port, at)));
            fs::write(folder.join(kind.file), placed(kind.file, all)).unwrap();
            let proxy = Running::start(&mut (kind.command)(&folder));
            let (folder, taken) = (folder.clone(), std::mem::take(&mut servers));
            let mut balanced = Self { kind, folder, proxy, fronts, servers: taken };
            if balanced.listens() {
                return balanced;
            }
            servers = std::mem::take(&mut balanced.servers);
        }
        panic!("{} has not started in {ATTEMPTS} attempts", kind.file);
    }

    /// Waits until the proxy listens. Returns false if it ends.
    fn listens(&mut self) -> bool {
        let mut has_ended = false;
        until("the proxy", || {
            has_ended = self.proxy.has_ended();
            has_ended || self.fronts.values().all(|at| TcpStream::connect(at).is_ok())
        });
        !has_ended
    }

    /// Has clients of all transports on both servers.
    fn checks(&self, front: u16, key: &str) {
        succeed(script("balanced.mjs").args(["checks", &self.url(front), key]));
    }

    /// Ends the server of a client, and then the proxy. All its events are acknowledged once and in order.
    fn survives(&mut self, front: u16, key: &str) {
        let mut client =
            Running::start(script("balanced.mjs").args(["survives", &self.url(front), key]));
        let line = client.line().unwrap_or_default();
        let first = line.strip_prefix("on ").and_then(|name| self.servers.remove(name));
        let mut first = first.unwrap_or_else(|| panic!("the client is on no server: {line}"));
        let server = first.remove(0);
        server.signal(Signal::TERM);
        client.write("the server ends");
        let line = client.line().unwrap_or_default();
        let other = line.strip_prefix("on ").filter(|name| self.servers.contains_key(name));
        assert!(other.is_some(), "the client is on the other server: {line}");
        assert!(server.end().success());
        if self.kind.reloads {
            // Done once it listens where it has not listened before.
            let added = free_address();
            let server = format!("server {{ listen {added}; return 204; }}");
            fs::write(self.folder.join("added.conf"), server).unwrap();
            self.proxy.signal(Signal::HUP);
            until("the reload", || TcpStream::connect(added).is_ok());
        } else {
            self.proxy.kill();
            self.proxy = Running::start(&mut (self.kind.command)(&self.folder));
            assert!(self.listens(), "the proxy starts again");
        }
        client.write("the proxy is back");
        assert_eq!(client.line().as_deref(), Some("done"));
        assert!(client.end().success());
    }

    fn url(&self, front: u16) -> String {
        format!("http://{}", self.fronts[&front])
    }
}

impl Drop for Balanced {
    fn drop(&mut self) {
        // Killed, nginx would leave its workers behind.
        if !self.proxy.has_ended() {
            self.proxy.signal(Signal::TERM);
            until("the end of the proxy", || self.proxy.has_ended());
        }
    }
}

/// A server, and its address.
fn serve(name: &str, protocol: &str) -> (Running, SocketAddr) {
    let mut server = example("enginewire-tokio", "behind_proxy");
    let mut server = Running::start(server.args(["127.0.0.1:0", name, protocol]));
    let line = server.line().unwrap_or_default();
    let address = line.strip_prefix("listening on ").and_then(|address| address.parse().ok());
    (server, address.unwrap_or_else(|| panic!("the example prints its address: {line}")))
}

/// Two servers of an example that hand requests over to each other, and their addresses.
fn nodes(program: &str, options: &[&str]) -> Vec<(&'static str, Running, SocketAddr)> {
    // As with the proxies: ports that are free now may be taken.
    for _ in 0..ATTEMPTS {
        let places = ["a", "b"].map(|name| (name, free_address()));
        let mut servers = Vec::new();
        for (name, address) in places {
            let mut server = example("enginewire-tokio", program);
            server.args([&address.to_string(), name]).args(options);
            let others = places.iter().filter(|(other, _)| *other != name);
            server.args(others.map(|(name, address)| format!("{name}={address}")));
            let mut server = Running::start(&mut server);
            if server.line().is_some_and(|line| line.starts_with("listening on ")) {
                servers.push((name, server, address));
            }
        }
        if servers.len() == places.len() {
            return servers;
        }
    }
    panic!("no nodes have started in {ATTEMPTS} attempts");
}

/// A load balancer that passes each connection to the next server that takes it, behind a header of the PROXY protocol.
fn next_of(servers: Vec<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut next = servers.clone().into_iter().cycle();
    // Ends with the process.
    thread::spawn(move || {
        while let Ok((client, from)) = listener.accept() {
            let mut tries = next.by_ref().take(servers.len());
            let Some(mut server) = tries.find_map(|server| TcpStream::connect(server).ok()) else {
                continue;
            };
            let line = proxy_protocol::line(Some((from, address)));
            if server.write_all(line.as_bytes()).is_ok() {
                pass(client.try_clone().unwrap(), server.try_clone().unwrap());
                pass(server, client);
            }
        }
    });
    address
}

/// Copies in one direction, and passes on the end.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// The configuration of the example with other ports.
fn placed(file: &str, places: impl Iterator<Item = (u16, SocketAddr)>) -> String {
    let text = fs::read_to_string(example_folder().join(file)).unwrap();
    places.fold(text, |text, (port, address)| {
        text.replace(&format!("127.0.0.1:{port}"), &address.to_string())
    })
}

fn example_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-tokio/examples/behind_proxy")
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The path of a program, which may be in none of the folders that a user has in `PATH`.
fn installed(program: &str) -> PathBuf {
    let found =
        ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(program));
    let found = found.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{program} is not installed"))
}

/// How often a proxy is started.
const ATTEMPTS: usize = 5;
