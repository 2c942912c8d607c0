//! A server whose responses are those of a test.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
};

pub(crate) struct ScriptedServer(TcpListener);

pub(crate) struct ScriptedConnection(BufReader<TcpStream>);

impl ScriptedServer {
    pub(crate) fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.0.local_addr().unwrap())
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Accepts the next connection, and lets it in.
    pub(crate) fn accept(&self) -> ScriptedConnection {
        self.accept_with("+OK\r\n")
    }

    /// Accepts the next connection, and lets it in as a master of a Redis Cluster.
    pub(crate) fn accept_of_cluster(&self) -> ScriptedConnection {
        self.accept_with("%2\r\n+mode\r\n+cluster\r\n+role\r\n+master\r\n")
    }

    fn accept_with(&self, hello: &str) -> ScriptedConnection {
        let (stream, _) = self.0.accept().unwrap();
        let mut connection = ScriptedConnection(BufReader::new(stream));
        assert_eq!(connection.command()[0], "HELLO");
        connection.write(hello);
        connection
    }
}

impl ScriptedConnection {
    /// Reads the next command, with its arguments.
    pub(crate) fn command(&mut self) -> Vec<String> {
        (0..self.length('*'))
            .map(|_| {
                let length = self.length('$');
                let mut argument = vec![0; length + 2];
                self.0.read_exact(&mut argument).unwrap();
                String::from_utf8_lossy(&argument[..length]).into_owned()
            })
            .collect()
    }

    /// Reads the next command. `None` if the client has closed the connection.
    pub(crate) fn next_command(&mut self) -> Option<Vec<String>> {
        let is_closed = self.0.fill_buf().map_or(true, <[u8]>::is_empty);
        (!is_closed).then(|| self.command())
    }

    /// Returns whether nothing has come that was not read.
    pub(crate) fn is_quiet(&self) -> bool {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true).unwrap();
        let next = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        let is_empty = next.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.0.buffer().is_empty() && is_empty
    }

    /// Writes what is in order for a command: no subscription fails, and nothing is there.
    pub(crate) fn respond(&mut self, command: &[String]) {
        self.write(match &*command[0] {
            "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" => ">3\r\n+subscribe\r\n+name\r\n:1\r\n",
            "PUBSUB" => "*2\r\n+name\r\n:1\r\n",
            "XREVRANGE" => "*0\r\n",
            "XREAD" => "_\r\n",
            "XINFO" => "-ERR no such key\r\n",
            other => panic!("{other} is not expected"),
        });
    }

    pub(crate) fn write(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    fn length(&mut self, kind: char) -> usize {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().strip_prefix(kind).unwrap().parse().unwrap()
    }
}
