//! Messages there and back.

use std::io::{self, Read, Write};
use std::ops::Range;

use mio::net::TcpStream;

use super::client::{self, Client};
use super::disorder::Disorder;
use super::events::{Exchange, Message};
use super::{Drive, Figure, cost_of};
use crate::args::Scale;
use crate::patience::SILENCE;
use crate::process::Server;
use crate::servers::{Peer, Speaks};
use crate::{Result, frame};

pub(super) struct Shape {
    pub(super) connections: usize,
    /// Kind of a message, and the bytes of its text or data.
    pub(super) message: Message,
    pub(super) size: usize,
    /// Messages sent and not yet back, per connection.
    pub(super) in_flight: usize,
    /// In total, in a full run.
    pub(super) messages: usize,
}

pub(super) fn run(server: &mut Server, scale: Scale, shape: Shape) -> Result<Figure> {
    let mut drive = Drive::new(SILENCE)?;
    let mut connections = Vec::new();
    for name in 0..shape.connections {
        let stream = match server.peer.speaks {
            Speaks::Bytes => Client::connect(server.address)?,
            speaks => client::open(server.address, speaks)?,
        };
        let mut connection = Connection::new(stream, server.peer, name, &shape)?;
        drive.add(&mut connection.stream, name)?;
        connections.push(connection);
    }
    let mut buffer = vec![0; 64 * 1024];
    let figure = cost_of(server, scale.of(shape.messages), |messages| {
        let each = messages.div_ceil(shape.connections);
        for connection in &mut connections {
            connection.start(each, shape.in_flight)?;
        }
        drive.until(each * shape.connections, |name| connections[name].ready(&mut buffer))
    })?;
    let (mut early, mut answers) = (0, 0);
    for connection in &mut connections {
        connection.is_quiet()?;
        if let Some(disorder) = &connection.disorder {
            let (here, of) = disorder.early();
            early += here;
            answers += of;
        }
    }
    Ok(Figure { early: early as f64 / answers.max(1) as f64, ..figure })
}

/// A connection that sends the same few messages in turn, so that both what it sends and what it
/// has to receive are laid out beforehand and a lost, doubled or moved message shows.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// The frames of all messages twice over: any number of them from any one is one slice.
    frames: Vec<u8>,
    /// Bytes of the frames of one message.
    frame: usize,
    /// The echoes of all messages once.
    echoes: Vec<u8>,
    /// Bytes of the frames of one echo.
    echo: usize,
    /// The number of different messages.
    turn: usize,
    /// The message to be sent next.
    next: usize,
    /// The part of `frames` that is being sent.
    sending: Range<usize>,
    /// Messages that may be sent behind that one.
    due: usize,
    /// Messages of this run that must wait for an echo.
    held: usize,
    /// Where in `echoes` the next byte to come is.
    at: usize,
    heartbeat: Heartbeat,
    /// There if answers may come in any order. They are of one frame then.
    disorder: Option<Disorder>,
}

/// The first byte of a whole text from the server.
const TEXT: u8 = 0x80 | frame::TEXT;

/// How far a ping of the server, which may come between any two echoes, has been dealt with.
#[derive(PartialEq, Eq)]
enum Heartbeat {
    Idle,
    /// The opcode of a text between binary echoes has come.
    Told,
    /// The head of a frame of one byte has come.
    Begun,
    Pinged,
}

impl Connection {
    pub(super) fn new(client: Client, peer: &Peer, name: usize, shape: &Shape) -> Result<Self> {
        let speaks = peer.speaks;
        let turn = shape.in_flight.max(4);
        let (mut frames, mut echoes) = (Vec::new(), Vec::new());
        for message in 0..turn {
            // Not padded by a format, whose widths end at 65535.
            let mut text = format!("connection {name} message {message} ");
            text.push_str(&"-".repeat(shape.size.saturating_sub(text.len())));
            let Exchange { message, answer } =
                shape.message.exchange(text, speaks == Speaks::EngineIo);
            for (opcode, payload) in message {
                let frame = frame::from_client(opcode, payload.as_bytes());
                if speaks == Speaks::Bytes {
                    echoes.extend_from_slice(&frame);
                }
                frames.extend(frame);
            }
            if speaks != Speaks::Bytes {
                for (opcode, payload) in answer {
                    echoes.extend(frame::from_server(opcode, payload.as_bytes()));
                }
            }
        }
        let (stream, early) = client.into_parts()?;
        let mut connection = Self {
            stream,
            frame: frames.len() / turn,
            frames: frames.repeat(2),
            echo: echoes.len() / turn,
            echoes,
            turn,
            next: 0,
            sending: 0..0,
            due: 0,
            held: 0,
            at: 0,
            heartbeat: Heartbeat::Idle,
            disorder: (peer.disorders && shape.in_flight > 1).then(Disorder::default),
        };
        connection.compare(&early)?;
        Ok(connection)
    }

    pub(super) fn start(&mut self, messages: usize, in_flight: usize) -> Result<()> {
        self.due = messages.min(in_flight);
        self.held = messages - self.due;
        self.write()
    }

    /// Takes the echoes that have come, sends as many messages, and returns their number.
    pub(super) fn ready(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut complete = 0;
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err("closed by the server".into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                read => read?,
            };
            complete += self.compare(&buffer[..read])?;
            if read < buffer.len() {
                break;
            }
        }
        let released = complete.min(self.held);
        self.held -= released;
        self.due += released;
        self.write()?;
        Ok(complete)
    }

    /// Returns how many echoes end in `bytes`.
    fn compare(&mut self, mut bytes: &[u8]) -> Result<usize> {
        if let Some(disorder) = &mut self.disorder {
            let answer = |message| &self.echoes[message * self.echo..][..self.echo];
            let found = disorder.take(bytes, answer)?;
            if found.pinged {
                self.heartbeat = Heartbeat::Pinged;
            }
            return Ok(found.answers);
        }
        let mut complete = 0;
        while !bytes.is_empty() {
            if self.heartbeat == Heartbeat::Begun {
                if bytes[0] != b'2' {
                    return Err(format!(
                        "a frame of one byte that is not a ping: {:#04x}",
                        bytes[0]
                    )
                    .into());
                }
                self.heartbeat = Heartbeat::Pinged;
                bytes = &bytes[1..];
                continue;
            }
            if self.heartbeat == Heartbeat::Told {
                if bytes[0] != 1 {
                    return Err(format!("a text of {} bytes that is not a ping", bytes[0]).into());
                }
                self.heartbeat = Heartbeat::Begun;
                bytes = &bytes[1..];
                continue;
            }
            if self.at.is_multiple_of(self.echo) && self.echoes[0] != TEXT && bytes[0] == TEXT {
                self.heartbeat = Heartbeat::Told;
                bytes = &bytes[1..];
                continue;
            }
            let expected = &self.echoes[self.at..];
            let length = bytes.len().min(expected.len());
            let same = if bytes[..length] == expected[..length] {
                length
            } else {
                bytes.iter().zip(expected).take_while(|(a, b)| a == b).count()
            };
            complete += (self.at % self.echo + same) / self.echo;
            self.at = (self.at + same) % self.echoes.len();
            bytes = &bytes[same..];
            if same == length {
                continue;
            }
            // Only a ping may come between echoes. Its head differs from theirs in the length.
            if self.at % self.echo != 1 || bytes[0] != 1 {
                let show = |bytes: &[u8]| bytes[..bytes.len().min(32)].escape_ascii().to_string();
                let (bytes, expected) = (show(bytes), show(&self.echoes[self.at..]));
                return Err(format!("not our message: {bytes} for {expected}").into());
            }
            self.at -= 1;
            self.heartbeat = Heartbeat::Begun;
            bytes = &bytes[1..];
        }
        Ok(complete)
    }

    fn write(&mut self) -> Result<()> {
        loop {
            if self.sending.is_empty() {
                if self.heartbeat == Heartbeat::Pinged {
                    let pong = frame::from_client(frame::TEXT, b"3");
                    if self.stream.write(&pong)? < pong.len() {
                        return Err("no room for a pong".into());
                    }
                    self.heartbeat = Heartbeat::Idle;
                }
                if self.due == 0 {
                    return Ok(());
                }
                let messages = self.due.min(self.turn);
                if let Some(disorder) = &mut self.disorder {
                    let sent = self.next..self.next + messages;
                    sent.for_each(|message| disorder.sent(message % self.turn));
                }
                let start = self.next * self.frame;
                self.sending = start..start + messages * self.frame;
                self.next = (self.next + messages) % self.turn;
                self.due -= messages;
            }
            match self.stream.write(&self.frames[self.sending.clone()]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                written => self.sending.start += written?,
            }
        }
    }

    pub(super) fn is_quiet(&mut self) -> Result<()> {
        match self.stream.read(&mut [0; 1]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Ok(1..) => Err("more came back than was sent".into()),
            Ok(0) => Err("closed by the server".into()),
            Err(error) => Err(error.into()),
        }
    }
}
