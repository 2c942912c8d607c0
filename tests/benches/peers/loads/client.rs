//! A client that waits: for handshakes, and to bring connections where the busy loads want them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::events;
use crate::patience::SILENCE;
use crate::servers::Speaks;
use crate::{Result, frame};

/// A blocking connection with what was read too far.
pub(super) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self { stream, unread: Vec::new() })
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// The body of a response whose status has to be 200.
    pub(super) fn body(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(response) = Response::parse(&self.unread)? {
                let body = response.body.to_vec();
                self.unread.drain(..response.length);
                return Ok(body);
            }
            self.read_more()?;
        }
    }

    /// The end of the opening handshake that [`web_socket`] has asked for.
    pub(super) fn switched(&mut self) -> Result<()> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.unread, b"\r\n\r\n") {
                let head = str::from_utf8(&self.unread[..end])?;
                if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
                    return Err(format!("no WebSocket: {head}").into());
                }
                self.unread.drain(..end + 4);
                return Ok(());
            }
            self.read_more()?;
        }
    }

    /// The text of the next frame. A ping on the way is answered: engineioxide sends one right
    /// after its open packet.
    pub(super) fn text(&mut self) -> Result<Vec<u8>> {
        loop {
            let Some(frame) = frame::parse(&self.unread) else {
                self.read_more()?;
                continue;
            };
            if frame.opcode != frame::TEXT || frame.key.is_some() {
                return Err(format!("a frame of opcode {} for a text", frame.opcode).into());
            }
            let text = self.unread[frame.payload.clone()].to_vec();
            self.unread.drain(..frame.payload.end);
            if text != b"2" {
                return Ok(text);
            }
            self.send(&frame::from_client(frame::TEXT, b"3"))?;
        }
    }

    /// Says that nothing more will come.
    pub(super) fn shutdown(&mut self) -> Result<()> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// Waits until the server has closed its side too. What it still says is of no interest.
    pub(super) fn closed(mut self) -> Result<()> {
        loop {
            match self.stream.read(&mut [0; 1024]) {
                Ok(1..) => {}
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(format!("not closed by the server: {error}").into()),
            }
        }
    }

    /// The socket for an event loop, and what has already been read from it.
    pub(super) fn into_parts(self) -> Result<(mio::net::TcpStream, Vec<u8>)> {
        self.stream.set_nonblocking(true)?;
        Ok((mio::net::TcpStream::from_std(self.stream), self.unread))
    }

    fn read_more(&mut self) -> Result<()> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes)? {
            0 => {
                let unread = self.unread.escape_ascii();
                Err(format!("closed by the server after: {unread}").into())
            }
            read => {
                self.unread.extend_from_slice(&bytes[..read]);
                Ok(())
            }
        }
    }
}

/// A WebSocket with all that comes before the first message done: over Engine.IO also the open
/// packet, over Socket.IO the namespace.
pub(super) fn open(address: SocketAddr, speaks: Speaks) -> Result<Client> {
    let mut client = Client::connect(address)?;
    client.send(web_socket(None).as_bytes())?;
    client.switched()?;
    if speaks.has_sessions() {
        sid(&client.text()?)?;
    }
    if speaks == Speaks::SocketIo {
        client.send(&frame::from_client(frame::TEXT, events::CONNECT.as_bytes()))?;
        events::connected(&client.text()?)?;
    }
    Ok(client)
}

/// The request that opens a WebSocket, or upgrades the session `sid`: the headers of npm `ws`.
pub(super) fn web_socket(sid: Option<&str>) -> String {
    let (and, sid) = if let Some(sid) = sid { ("&sid=", sid) } else { ("", "") };
    format!(
        "GET /engine.io/?EIO=4&transport=websocket{and}{sid} HTTP/1.1\r\n\
         Host: localhost:3000\r\n\
         Connection: Upgrade\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    )
}

/// The answer to the key above: RFC 6455 section 1.3 has this pair as its example.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A polling GET as engine.io-client sends it from Node.
pub(super) fn get(sid: Option<&str>) -> String {
    let (and, sid) = if let Some(sid) = sid { ("&sid=", sid) } else { ("", "") };
    format!(
        "GET /engine.io/?EIO=4&transport=polling{and}{sid}&t=pqvj9vzt HTTP/1.1\r\n\
         User-Agent: node-XMLHttpRequest\r\n\
         Accept: */*\r\n\
         Host: localhost:3000\r\n\
         Connection: keep-alive\r\n\r\n"
    )
}

/// A polling POST as engine.io-client sends it from Node.
pub(super) fn post(sid: &str, body: &str) -> String {
    format!(
        "POST /engine.io/?EIO=4&transport=polling&sid={sid}&t=pqvj9vzu HTTP/1.1\r\n\
         User-Agent: node-XMLHttpRequest\r\n\
         Accept: */*\r\n\
         Content-type: text/plain;charset=UTF-8\r\n\
         Host: localhost:3000\r\n\
         Content-Length: {}\r\n\
         Connection: keep-alive\r\n\r\n{body}",
        body.len()
    )
}

/// The session id in an open packet.
pub(super) fn sid(open: &[u8]) -> Result<String> {
    let open = str::from_utf8(open)?;
    let sid = open.starts_with("0{").then(|| open.split_once(r#""sid":""#)).flatten();
    let sid = sid.and_then(|(_, sid)| sid.split_once('"'));
    Ok(sid.ok_or_else(|| format!("not an open packet: {open}"))?.0.to_owned())
}

/// A 200 with `Content-Length`, the only kind of answer that a poll should get here.
pub(super) struct Response<'a> {
    pub(super) body: &'a [u8],
    /// Head and body.
    pub(super) length: usize,
}

impl<'a> Response<'a> {
    /// The response that `bytes` begin with, or `None` until all of it is there.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(start) = head.parse(bytes)? else { return Ok(None) };
        if head.code != Some(200) {
            return Err(format!("not a 200: {}", bytes.escape_ascii()).into());
        }
        let length = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"))
            .ok_or("a response without Content-Length")?;
        let length = start + str::from_utf8(length.value)?.parse::<usize>()?;
        Ok(bytes.get(start..length).map(|body| Self { body, length }))
    }
}
