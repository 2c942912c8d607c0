//! Model of a client: packets of Socket.IO in frames of a WebSocket.

use std::collections::VecDeque;

use enginewire::hub::ConnectionId;

/// A client with one namespace, `/`.
#[derive(Default)]
pub(super) struct Client {
    /// Its connection, while there is one.
    pub(super) on: Option<ConnectionId>,
    pub(super) state: State,
    /// It reads nothing of what is written to it.
    pub(super) is_stalled: bool,
    /// Bytes that make no whole frame yet.
    rest: Vec<u8>,
    /// Ids by which it can come back.
    pub(super) pid: Option<String>,
    pub(super) offset: Option<String>,
    /// The id of its socket.
    pub(super) sid: String,
    /// Numbers of the broadcasts that have come for this socket.
    pub(super) came: Vec<u64>,
    /// Questions of the server that it has not answered.
    pub(super) questions: VecDeque<u64>,
    /// Requests that have no acknowledgement yet, and the id of the next.
    pub(super) requests: VecDeque<u64>,
    pub(super) next_request: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Apart,
    Asking,
    Connected,
}

/// What a client does about the bytes that have come.
#[derive(Default)]
pub(super) struct Replies {
    pub(super) frames: Vec<u8>,
    /// The server closes the WebSocket.
    pub(super) closes: bool,
    pub(super) broken: Option<String>,
}

impl Client {
    /// A client that is gone, and may come back.
    pub(super) fn lose(&mut self) {
        self.on = None;
        self.is_stalled = false;
        self.rest.clear();
        self.forget();
    }

    /// Is in the namespace no longer, and cannot come back to it.
    pub(super) fn leave(&mut self) {
        self.forget();
        self.pid = None;
    }

    fn forget(&mut self) {
        self.state = State::Apart;
        // Nobody answers them any more.
        self.questions.clear();
        self.requests.clear();
    }

    /// Takes bytes from the server.
    pub(super) fn read(&mut self, bytes: &[u8], is_recovering: bool) -> Replies {
        self.rest.extend_from_slice(bytes);
        let mut replies = Replies::default();
        if let Some(end) = self.rest.windows(4).position(|end| end == b"\r\n\r\n")
            && self.rest.starts_with(b"HTTP/1.1 101")
        {
            self.rest.drain(..end + 4);
        }
        while let Some((kind, payload)) = self.next_frame() {
            match (kind, &*payload) {
                (0x81, "2") => replies.frames.extend(frame("3")),
                (0x81, packet) => {
                    if let Err(broken) = self.take(packet, is_recovering) {
                        replies.broken.get_or_insert(broken);
                    }
                }
                _ => replies.closes = true,
            }
        }
        replies
    }

    fn next_frame(&mut self) -> Option<(u8, String)> {
        let &[kind, length, ..] = &*self.rest else { return None };
        let (head, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes([*self.rest.get(2)?, *self.rest.get(3)?]))),
            length => (2, usize::from(length)),
        };
        let payload = self.rest.get(head..head + length)?;
        let payload = String::from_utf8_lossy(payload).into_owned();
        self.rest.drain(..head + length);
        Some((kind, payload))
    }

    fn take(&mut self, packet: &str, is_recovering: bool) -> Result<(), String> {
        let is_connected = self.state == State::Connected;
        match packet.as_bytes() {
            [b'0', ..] => Ok(()),
            [b'4', b'0', ..] if self.state == State::Asking => {
                let sid = text_of(packet, "sid").ok_or_else(|| format!("{packet} has no id"))?;
                if sid != self.sid {
                    self.came.clear();
                    self.offset = None;
                }
                (self.sid, self.pid) = (sid, text_of(packet, "pid"));
                self.state = State::Connected;
                Ok(())
            }
            [b'4', b'4', ..] if self.state == State::Asking => {
                self.state = State::Apart;
                Ok(())
            }
            [b'4', b'1', ..] if is_connected => {
                self.leave();
                Ok(())
            }
            // Events that were missed come before the packet that tells so.
            [b'4', b'2', rest @ ..] if is_connected || is_recovering => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let id = packet[2..2 + digits].parse().ok();
                match id {
                    Some(id) => self.questions.push_back(id),
                    None => self.note(packet)?,
                }
                Ok(())
            }
            [b'4', b'3', ..] if is_connected => match self.requests.pop_front() {
                Some(id) if packet == format!("43{id}[{id}]") => Ok(()),
                oldest => Err(format!("{packet} acknowledges, and {oldest:?} waited longest")),
            },
            _ => Err(format!("{packet} comes to a client that is {:?}", self.state)),
        }
    }

    /// Notes an event without an acknowledgement: `42["e",NUMBER]`, and an offset if it can be recovered.
    fn note(&mut self, packet: &str) -> Result<(), String> {
        let rest = packet.strip_prefix(r#"42["e","#).and_then(|rest| rest.strip_suffix(']'));
        let mut rest = rest.ok_or_else(|| format!("{packet} was never sent"))?.splitn(2, ',');
        let number = rest.next().and_then(|number| number.parse().ok());
        self.came.push(number.ok_or_else(|| format!("{packet} has no number"))?);
        if let Some(offset) = rest.next() {
            self.offset = Some(offset.trim_matches('"').to_owned());
        }
        Ok(())
    }
}

/// Returns the text of a field of a JSON object.
fn text_of(packet: &str, field: &str) -> Option<String> {
    let (_, rest) = packet.split_once(&format!(r#""{field}":""#))?;
    rest.split_once('"').map(|(text, _)| text.to_owned())
}

/// Returns a masked text frame.
pub(super) fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126);
    let mut frame = match length {
        Some(length) => vec![0x81, 0x80 | length],
        None => {
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes();
            vec![0x81, 0x80 | 126, length[0], length[1]]
        }
    };
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}
