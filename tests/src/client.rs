//! A raw client: bytes on a TCP connection, and just enough HTTP and WebSocket to read the answers.
//! It panics where a test has to fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What nothing takes as long as, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// The output of `work`, which must not hang.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: nothing within {DEADLINE:?}"),
    }
}

/// One TCP connection.
pub struct Client {
    stream: TcpStream,
    /// What came and was not looked at yet.
    buffer: Vec<u8>,
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
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Writes all of `bytes`.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        soon("a write", self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Writes as much as the server takes without being read from, up to `max` bytes.
    pub async fn write_until_blocked(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            // The kernel's buffers grow while they are being filled: a pause is what tells.
            let patience = Duration::from_millis(300);
            match tokio::time::timeout(patience, self.stream.write(&bytes[written..])).await {
                Ok(n) => written += n.unwrap(),
                Err(_) => break,
            }
        }
        written
    }

    /// Writes a request.
    pub async fn request(&mut self, method: &str, target: &str, body: &str) {
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n");
        self.write(format!("{head}\r\n{body}")).await;
    }

    /// Asks, and waits for the answer.
    pub async fn get(&mut self, target: &str) -> Answer {
        self.request("GET", target, "").await;
        self.answer().await
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Answer {
        let end = loop {
            let end = self.buffer.windows(4).position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => assert!(self.fill().await, "closed instead of an answer"),
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let field = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = field.map_or(0, |length| length.parse().unwrap());
        let body = String::from_utf8(self.take(length).await).unwrap();
        Answer { status: head[9..12].parse().unwrap(), head, body }
    }

    /// Opens a session over polling; gives its id.
    pub async fn open_polling(&mut self) -> String {
        let answer = self.get("/engine.io/?EIO=4&transport=polling").await;
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
    pub async fn open_websocket(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        client.write(Self::upgrade("")).await;
        assert_eq!(client.answer().await.status, 101);
        assert!(client.text().await.starts_with("0{"));
        client
    }

    /// A masked text frame. A mask of zeros leaves the payload as it is.
    pub fn frame(text: &str) -> Vec<u8> {
        let mut frame = vec![0x81];
        match text.len() {
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
        frame.extend(text.as_bytes());
        frame
    }

    /// Writes a text frame.
    pub async fn send(&mut self, text: &str) {
        self.write(Self::frame(text)).await;
    }

    /// The payload of the next frame: its opcode, and what it holds.
    pub async fn next_frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.take(2).await;
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(self.take(2).await.try_into().unwrap())),
            127 => {
                let length = u64::from_be_bytes(self.take(8).await.try_into().unwrap());
                usize::try_from(length).unwrap()
            }
            n => usize::from(n),
        };
        (head[0] & 0x0f, self.take(length).await)
    }

    /// The next text frame, past pings of Engine.IO, which are answered.
    pub async fn text(&mut self) -> String {
        loop {
            let (opcode, payload) = self.next_frame().await;
            assert_eq!(opcode, 1, "not a text frame: {payload:?}");
            let text = String::from_utf8(payload).unwrap();
            if text != "2" {
                return text;
            }
            self.send("3").await;
        }
    }

    /// Reads until the server closes; what came.
    pub async fn rest(mut self) -> Vec<u8> {
        while self.fill().await {}
        self.buffer
    }

    async fn take(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n {
            assert!(self.fill().await, "closed in the middle of something");
        }
        self.buffer.drain(..n).collect()
    }

    /// Reads once. False at the end.
    async fn fill(&mut self) -> bool {
        let mut chunk = vec![0; 64 * 1024];
        let n = soon("something to read", self.stream.read(&mut chunk)).await.unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..n]);
        n > 0
    }
}
