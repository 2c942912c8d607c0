//! The floor: one thread on epoll (by way of mio), no runtime, no timers, no checks, and only as much of HTTP,
//! WebSocket and Engine.IO as our own load generator asks for. What a real server costs more than
//! this is what it does for its users, or waste.

use std::io::{self, Read, Write};

use ::tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use memchr::memmem;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::{LOOPBACK, Ready};
use crate::{Result, frame};

pub(super) fn serve(ready: Ready) -> Result<()> {
    run(ready, Server::default())
}

/// Each message goes to all WebSockets.
pub(super) fn broadcast(ready: Ready) -> Result<()> {
    run(ready, Server { broadcasts: true, ..Server::default() })
}

fn run(ready: Ready, mut server: Server) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(LOOPBACK)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    ready.send(listener.local_addr()?)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                server.accept(&listener, &poll)?;
            } else {
                server.handle(event, &mut buffer);
            }
        }
    }
}

const LISTENER: Token = Token(usize::MAX);

const SETTINGS: &str =
    r#""upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000"#;

#[derive(Default)]
struct Server {
    /// Frames go to all, and not back.
    broadcasts: bool,
    connections: Slab<Connection>,
    sessions: Slab<ServerSession>,
    /// Answers to the connection whose bytes are being looked at.
    answer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    web_socket: bool,
    /// The beginning of a request or frame whose end has not come.
    unread: Vec<u8>,
    /// What did not fit into the socket.
    unsent: Vec<u8>,
}

/// A session on polling.
#[derive(Default)]
struct ServerSession {
    payload: Vec<u8>,
    /// The connection whose GET waits for the payload.
    waiting: Option<usize>,
}

impl Server {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let entry = self.connections.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(entry.key()), interest)?;
            let (unread, unsent) = (Vec::new(), Vec::new());
            entry.insert(Connection { stream, web_socket: false, unread, unsent });
        }
    }

    /// Serves one connection until it has nothing more to read; drops it at its end.
    fn handle(&mut self, event: &Event, buffer: &mut [u8]) {
        let Token(at) = event.token();
        // Gone, by an earlier event of the same batch.
        let Some(connection) = self.connections.get_mut(at) else { return };
        if event.is_writable() && !connection.unsent.is_empty() {
            let unsent = std::mem::take(&mut connection.unsent);
            connection.write(&unsent);
        }
        loop {
            let Some(connection) = self.connections.get_mut(at) else { return };
            let read = match connection.stream.read(buffer) {
                Ok(read @ 1..) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => {
                    self.connections.remove(at);
                    return;
                }
            };
            let was_web_socket = connection.web_socket;
            if connection.unread.is_empty() {
                let used = self.take(at, &buffer[..read]);
                if used < read {
                    self.connections[at].unread.extend_from_slice(&buffer[used..read]);
                }
            } else {
                let mut bytes = std::mem::take(&mut connection.unread);
                bytes.extend_from_slice(&buffer[..read]);
                let used = self.take(at, &bytes);
                bytes.drain(..used);
                self.connections[at].unread = bytes;
            }
            if !self.answer.is_empty() {
                if self.broadcasts && was_web_socket {
                    let all = self.connections.iter_mut();
                    for (_, socket) in all.filter(|(_, socket)| socket.web_socket) {
                        socket.write(&self.answer);
                    }
                } else {
                    self.connections[at].write(&self.answer);
                }
                self.answer.clear();
            }
            // A short read has emptied the socket, and the next bytes bring an event of their own;
            // but an end that this event has told of will not be told again.
            if read < buffer.len() && !event.is_read_closed() {
                return;
            }
        }
    }

    /// Handles all that is whole in `bytes` and returns how many bytes that was.
    fn take(&mut self, at: usize, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let taken = if self.connections[at].web_socket {
                self.frame(rest)
            } else {
                self.request(at, rest)
            };
            match taken {
                Some(taken) => used += taken,
                None => return used,
            }
        }
    }

    fn frame(&mut self, bytes: &[u8]) -> Option<usize> {
        let frame = frame::parse(bytes)?;
        let start = self.answer.len();
        frame::head(frame.opcode, frame.payload.len(), &mut self.answer);
        let payload = self.answer.len();
        let end = frame.payload.end;
        frame::unmask(&bytes[frame.payload], frame.key.unwrap_or_default(), &mut self.answer);
        match &mut self.answer[payload..] {
            [first, b'p', b'r', b'o', b'b', b'e'] => *first = b'3',
            [b'5'] => self.answer.truncate(start),
            _ => {}
        }
        Some(end)
    }

    fn request(&mut self, at: usize, bytes: &[u8]) -> Option<usize> {
        let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
        let (head, rest) = bytes.split_at(head);
        let length = field(head, b"Content-Length: ").map_or(0, number);
        let body = rest.get(..length)?;
        let session = field(head, b"sid=").map(number);
        if let Some(key) = field(head, b"Sec-WebSocket-Key: ") {
            self.connections[at].web_socket = true;
            let accept = derive_accept_key(key);
            self.answer.extend_from_slice(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            );
            self.answer.extend_from_slice(b"Sec-WebSocket-Accept: ");
            self.answer.extend_from_slice(accept.as_bytes());
            self.answer.extend_from_slice(b"\r\n\r\n");
            if session.is_none() {
                let open = format!(r#"0{{"sid":"{at:020}",{SETTINGS}}}"#);
                self.answer.extend_from_slice(&frame::from_server(frame::TEXT, open.as_bytes()));
            }
        } else if head.starts_with(b"POST") {
            let session = &mut self.sessions[session?];
            if let Some(waiting) = session.waiting.take() {
                let mut answer = Vec::with_capacity(256);
                respond(body, &mut answer);
                self.connections[waiting].write(&answer);
            } else {
                session.payload.extend_from_slice(body);
            }
            respond(b"ok", &mut self.answer);
        } else if let Some(session) = session {
            let session = &mut self.sessions[session];
            if session.payload.is_empty() {
                session.waiting = Some(at);
            } else {
                respond(&std::mem::take(&mut session.payload), &mut self.answer);
            }
        } else {
            let session = self.sessions.insert(ServerSession::default());
            let open = format!(r#"0{{"sid":"{session:020}",{SETTINGS}}}"#);
            respond(open.as_bytes(), &mut self.answer);
        }
        Some(head.len() + length)
    }
}

impl Connection {
    fn write(&mut self, bytes: &[u8]) {
        // A failed write shows itself again at the next read.
        let written =
            if self.unsent.is_empty() { self.stream.write(bytes).unwrap_or(0) } else { 0 };
        self.unsent.extend_from_slice(&bytes[written..]);
    }
}

fn respond(body: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: ",
    );
    to.extend_from_slice(body.len().to_string().as_bytes());
    to.extend_from_slice(b"\r\n\r\n");
    to.extend_from_slice(body);
}

/// What stands behind `name`, up to the end of that word.
fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = &head[memmem::find(head, name)? + name.len()..];
    value.split(|&byte| matches!(byte, b' ' | b'&' | b'\r')).next()
}

fn number(digits: &[u8]) -> usize {
    digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}
