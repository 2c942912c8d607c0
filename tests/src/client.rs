//! A raw client: bytes on a TCP connection, and just enough HTTP and WebSocket to read the answers. It
//! blocks its thread, whatever the server runs on, and panics where a test has to fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    future::Future,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use enginewire_driver::{SendError, Socket};
use rustix::net::sockopt::set_socket_linger;

/// What nothing takes as long as, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// The output of `work`, which must not hang.
pub fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    within(DEADLINE, work).unwrap_or_else(|| panic!("{what}: nothing within {DEADLINE:?}"))
}

/// The output of `work`, unless it takes longer than `patience`. Needs no runtime.
pub fn within<T>(patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let end = Instant::now() + patience;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(output) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return None,
            rest => thread::park_timeout(rest),
        }
    }
}

/// Looks every millisecond whether something has come to be of which no event tells.
pub fn until(what: &str, reached: impl FnMut() -> bool) {
    until_within(DEADLINE, what, reached);
}

/// As [`until`], for what may take longer than others.
pub fn until_within(patience: Duration, what: &str, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + patience;
    while !reached() {
        assert!(Instant::now() < end, "{what}: not within {patience:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends a message until no more are taken: sockets, what is between them and the queue are full. Returns how often.
pub fn fill(socket: &Socket, message: &str) -> usize {
    let (mut sent, mut full) = (0, 0);
    while full < 200 {
        match socket.try_send(message) {
            Ok(()) => (sent, full) = (sent + 1, 0),
            Err(error) => {
                assert!(matches!(error.reason, SendError::Full { .. }));
                full += 1;
                thread::sleep(Duration::from_millis(1));
            }
        }
        assert!(sent * message.len() < 100_000_000, "100 MB are nowhere");
    }
    sent
}

/// One TCP connection.
pub struct Client {
    stream: TcpStream,
    /// What came and was not looked at yet.
    buffer: Vec<u8>,
    /// The connection has failed, and not only come to its end.
    failed: bool,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// The number.
    pub status: u16,
    /// Status line and header fields.
    pub head: String,
    /// What `Content-Length` covers.
    pub body: String,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, DEADLINE).unwrap())
    }

    /// Connects, if somebody listens there.
    pub fn try_connect(address: SocketAddr) -> Option<Self> {
        match TcpStream::connect_timeout(&address, DEADLINE) {
            Ok(stream) => Some(Self::over(stream)),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream, buffer: Vec::new(), failed: false }
    }

    /// The connection itself, for another thread.
    pub fn stream(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// Writes all of `bytes`.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Writes as much as the server takes without being read from.
    pub fn write_until_blocked(&mut self, bytes: &[u8]) -> usize {
        // The kernel's buffers grow while they are being filled: a pause is what tells.
        self.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut written = 0;
        while written < bytes.len() {
            match self.stream.write(&bytes[written..]) {
                Ok(n) => written += n,
                Err(error) if is_timeout(error.kind()) => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.stream.set_write_timeout(Some(DEADLINE)).unwrap();
        written
    }

    /// The next answer, unless nothing comes for `patience`.
    pub fn answer_within(&mut self, patience: Duration) -> Option<Answer> {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let silent = peeked.is_err_and(|error| is_timeout(error.kind()));
        if silent && self.buffer.is_empty() { None } else { Some(self.answer()) }
    }

    /// Writes a request.
    pub fn request(&mut self, method: &str, target: &str, body: &str) {
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n");
        self.write(format!("{head}\r\n{body}"));
    }

    /// Asks, and waits for the answer.
    pub fn get(&mut self, target: &str) -> Answer {
        self.request("GET", target, "");
        self.answer()
    }

    /// The next answer.
    pub fn answer(&mut self) -> Answer {
        self.answer_or_end().unwrap_or_else(|| panic!("closed instead of an answer"))
    }

    /// The next answer, or `None` if the server closes before it has begun.
    pub fn answer_or_end(&mut self) -> Option<Answer> {
        let end = loop {
            let end = self.buffer.windows(4).position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None if self.fill() => {}
                None if self.buffer.is_empty() => return None,
                None => panic!("closed in the middle of an answer"),
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.map_or(0, |(_, length)| length.parse().unwrap());
        let body = String::from_utf8(self.take(length)).unwrap();
        Some(Answer { status: head[9..12].parse().unwrap(), head, body })
    }

    /// Opens a session over polling; gives its id.
    pub fn open_polling(&mut self) -> String {
        self.request("GET", "/engine.io/?EIO=4&transport=polling", "");
        self.opened()
    }

    /// The id of the session that was asked for.
    pub fn opened(&mut self) -> String {
        let answer = self.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        let start = answer.body.find(r#""sid":""#).unwrap() + 7;
        answer.body[start..start + 20].to_owned()
    }

    /// The head of a request for a WebSocket.
    pub fn upgrade(query: &str) -> String {
        format!(
            "GET /engine.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: a\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    }

    /// Opens a session over WebSocket.
    pub fn open_websocket(address: SocketAddr) -> Self {
        let mut client = Self::connect(address);
        client.write(Self::upgrade(""));
        assert_eq!(client.answer().status, 101);
        assert!(client.text().starts_with("0{"));
        client
    }

    /// Moves a session from polling to a WebSocket.
    pub fn move_to_websocket(address: SocketAddr, sid: &str) -> Self {
        let mut client = Self::connect(address);
        client.write(Self::upgrade(&format!("&sid={sid}")));
        assert_eq!(client.answer().status, 101);
        client.send("2probe");
        assert_eq!(client.text(), "3probe");
        client.send("5");
        client
    }

    /// A masked text frame.
    pub fn frame(text: &str) -> Vec<u8> {
        Self::frame_of(1, text.as_bytes())
    }

    /// A masked frame. A mask of zeros leaves the payload as it is.
    pub fn frame_of(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            n @ ..126 => frame.push(0x80 | u8::try_from(n).unwrap()),
            n @ ..0x1_0000 => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(n).unwrap().to_be_bytes());
            }
            n => {
                frame.push(0x80 | 127);
                frame.extend(u64::try_from(n).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    }

    /// Writes a text frame.
    pub fn send(&mut self, text: &str) {
        self.write(Self::frame(text));
    }

    /// The payload of the next frame: its opcode, and what it holds.
    pub fn next_frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.take(2);
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(self.take(2).try_into().unwrap())),
            127 => {
                let length = u64::from_be_bytes(self.take(8).try_into().unwrap());
                usize::try_from(length).unwrap()
            }
            n => usize::from(n),
        };
        (head[0] & 0x0f, self.take(length))
    }

    /// The next text frame, past pings of Engine.IO, which are answered.
    pub fn text(&mut self) -> String {
        loop {
            let (opcode, payload) = self.next_frame();
            assert_eq!(opcode, 1, "not a text frame: {payload:?}");
            let text = String::from_utf8(payload).unwrap();
            if text != "2" {
                return text;
            }
            self.send("3");
        }
    }

    /// Reads until the server closes; what came.
    pub fn rest(mut self) -> Vec<u8> {
        self.end();
        self.buffer
    }

    /// Reads until the server closes. Whether it has done so, and the connection has not failed.
    pub fn end(&mut self) -> bool {
        while self.fill() {}
        !self.failed
    }

    /// Has the connection end as if the plug was pulled once this is dropped: what is under way is lost,
    /// and the server is told by a reset at most.
    pub fn pull_the_plug(&self) {
        set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n {
            assert!(self.fill(), "closed in the middle of something");
        }
        self.buffer.drain(..n).collect()
    }

    /// Reads once. False at the end.
    fn fill(&mut self) -> bool {
        let mut chunk = vec![0; 64 * 1024];
        let n = match self.stream.read(&mut chunk) {
            Ok(n) => n,
            Err(error) if is_timeout(error.kind()) => panic!("nothing to read within {DEADLINE:?}"),
            Err(_) => {
                self.failed = true;
                0
            }
        };
        self.buffer.extend_from_slice(&chunk[..n]);
        n > 0
    }
}

/// What the end of a socket's timeout is called depends on the system.
fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
