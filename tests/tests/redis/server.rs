//! A server of Redis, and a raw client of it.

use std::{
    env, fs,
    hash::{BuildHasher as _, RandomState},
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use enginewire_tests::client::until;

/// Stands for a second free port in the arguments of a server.
pub(crate) const SECOND_PORT: &str = "{port}";

/// A server on a port of its own, without persistence, in a folder of its own. It ends with the value.
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with more arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("enginewire-redis-{}-{number}", process::id()));
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // The port is free now, and may be taken before the server has it.
        for _ in 0..20 {
            // An attempt that has failed has removed it.
            fs::create_dir_all(&folder).unwrap();
            let (port, second) = (free_port(), free_port().to_string());
            let arguments: Vec<_> =
                arguments.iter().map(|argument| argument.replace(SECOND_PORT, &second)).collect();
            let process = spawn(port, &folder, &arguments);
            let mut server = Self { process, port, folder: folder.clone(), arguments };
            if server.is_ready() {
                return server;
            }
        }
        panic!("no server of Redis starts: is Debian's package redis-server installed?");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the argument behind another.
    pub(crate) fn argument(&self, name: &str) -> &str {
        let at = self.arguments.iter().position(|argument| argument == name).unwrap();
        &self.arguments[at + 1]
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again on the same port, empty.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.arguments);
        assert!(self.is_ready(), "it starts again");
    }

    pub(crate) fn client(&self) -> RawClient {
        RawClient::connect(self.address()).unwrap()
    }

    /// Waits for the first response. Returns false if it ends before.
    fn is_ready(&mut self) -> bool {
        let own = format!("process_id:{}\r\n", self.process.id());
        let mut is_ready = false;
        until("a server of Redis", || {
            let mut client = RawClient::connect(self.address());
            let info = client.as_mut().ok().and_then(|client| {
                client.try_command(&[b"INFO", b"server"]).map(|response| response.concat())
            });
            // The server of another test may have the port. This one tells nothing without a password, if it has one.
            is_ready = info.is_some_and(|info| info.contains(&own) || info.starts_with("NOAUTH"));
            is_ready || self.process.try_wait().unwrap().is_some()
        });
        is_ready
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(port: u16, folder: &PathBuf, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    if arguments.iter().any(|argument| argument == "--sentinel") {
        // It writes there whatever it learns.
        let state = folder.join("sentinel.conf");
        fs::write(&state, "").unwrap();
        command.arg(state);
    }
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(folder);
    command.args(["--save", "", "--appendonly", "no", "--loglevel", "warning"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("redis-server: {error}"))
}

/// A client of RESP2 that waits for each response.
pub(crate) struct RawClient(BufReader<TcpStream>);

impl RawClient {
    fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a command. Returns the texts and numbers of its response, in order.
    pub(crate) fn command(&mut self, arguments: &[&[u8]]) -> Vec<String> {
        self.try_command(arguments).unwrap()
    }

    fn try_command(&mut self, arguments: &[&[u8]]) -> Option<Vec<String>> {
        let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments {
            bytes.extend(format!("${}\r\n", argument.len()).into_bytes());
            bytes.extend_from_slice(argument);
            bytes.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes).ok()?;
        let mut response = Vec::new();
        let mut left = 1;
        while left > 0 {
            left -= 1;
            let mut line = String::new();
            self.0.read_line(&mut line).ok().filter(|&bytes| bytes > 0)?;
            let (kind, rest) = line.trim_end().split_at(1);
            match kind {
                "*" => left += rest.parse::<usize>().unwrap_or(0),
                "$" => {
                    let Ok(length) = rest.parse::<usize>() else { continue };
                    let mut text = vec![0; length + 2];
                    self.0.read_exact(&mut text).ok()?;
                    response.push(String::from_utf8_lossy(&text[..length]).into_owned());
                }
                _ => response.push(rest.to_owned()),
            }
        }
        Some(response)
    }

    /// Returns the number of subscribers of a channel, sharded or not.
    pub(crate) fn subscribers(&mut self, channel: &str) -> u32 {
        let count = |how: &[u8], client: &mut Self| {
            let response = client.command(&[b"PUBSUB", how, channel.as_bytes()]);
            response.last().unwrap().parse::<u32>().unwrap()
        };
        count(b"NUMSUB", self) + count(b"SHARDNUMSUB", self)
    }
}

/// A port that nobody has, below those that the system gives away: clients that try to connect while the server is down
/// do not get it.
fn free_port() -> u16 {
    loop {
        let random = RandomState::new().hash_one(());
        let port = 12_000 + u16::try_from(random % 18_000).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
