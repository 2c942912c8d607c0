//! A Socket.IO client without a runtime or an event loop of the system: blocking sockets of the standard library, a
//! thread to read each of them, and one loop that drives the `ClientHub`.
//!
//! `cargo run -p enginewire-socketio --example blocking_chat -- http://127.0.0.1:3000/namespace` emits each line of the
//! input as an event `message`, also while there is no connection, and prints the events that come. It comes back when the
//! connection is lost, and closes at the end of the input. Meant to be copied.

#![expect(clippy::disallowed_methods, reason = "an example has a clock, the protocol has not")]

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, BufRead, Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use enginewire::{Time, Url};
use enginewire_socketio::{
    Auth, Event, Slot, Update,
    client_hub::{ClientHub, ClientHubConfig, ClientOutput, ConnectionId},
};

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:3000".into());
    Loop::run(&Url::parse(&url)?)
}

/// An input of the client, from any thread.
enum Input {
    Connected(ConnectionId, io::Result<TcpStream>),
    /// Empty at the end of the stream.
    Read(ConnectionId, Vec<u8>),
    Failed(ConnectionId),
    Line(String),
    LinesEnded,
}

struct Loop {
    hub: ClientHub,
    socket: Slot,
    /// The connections that are there, to be written to.
    streams: BTreeMap<ConnectionId, TcpStream>,
    /// Given to each thread.
    inputs: Sender<Input>,
    start: Instant,
}

impl Loop {
    fn run(url: &Url) -> Result<(), Box<dyn Error>> {
        let (inputs, receiver) = mpsc::channel();
        let mut hub = ClientHub::new(ClientHubConfig::new(url), random);
        // The path of the URL is the namespace.
        let socket = hub.open(url.path(), Auth::None).ok_or("a namespace that is taken")?;
        hub.connect(Time::ZERO, socket);
        let lines = inputs.clone();
        thread::spawn(move || read_lines(&lines));
        let (streams, start) = (BTreeMap::new(), Instant::now());
        let mut this = Self { hub, socket, streams, inputs, start };
        loop {
            this.act();
            if this.hub.is_finished() {
                return Ok(());
            }
            let patience = this.hub.poll_timeout().map_or(Duration::MAX, |at| at.since(this.now()));
            match receiver.recv_timeout(patience) {
                Ok(input) => {
                    this.handle(input);
                    // All that has come, before the clock: a server that seems silent may be in it.
                    receiver.try_iter().take(AT_A_TIME).for_each(|input| this.handle(input));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
            this.hub.handle_timeout(this.now());
        }
    }

    fn now(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// Tells the client what has happened.
    fn handle(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Connected(on, Ok(stream)) => {
                // Without it small messages would wait for others.
                let _ = stream.set_nodelay(true);
                if self.hub.handle_connected(now, on) {
                    self.read(on, stream.try_clone());
                    self.streams.insert(on, stream);
                }
            }
            Input::Connected(on, Err(error)) => {
                eprintln!("cannot connect: {error}");
                self.hub.handle_refused(now, on);
            }
            Input::Read(on, bytes) if bytes.is_empty() => self.hub.handle_eof(now, on),
            Input::Read(on, mut bytes) => self.hub.handle_bytes(now, on, &mut bytes),
            Input::Failed(on) => self.lose(on),
            Input::Line(line) => {
                // Without a connection it waits, until a megabyte does.
                if let Err(error) = self.hub.emit(self.socket, "message", &line) {
                    eprintln!("not sent: {error}");
                }
            }
            Input::LinesEnded => self.hub.close(now),
        }
    }

    /// Does what the client asks for, and shows what it has to tell.
    fn act(&mut self) {
        while let Some(output) = self.hub.poll() {
            match output {
                ClientOutput::Connect(on) => self.connect(on),
                ClientOutput::Write(on) => self.write(on),
                ClientOutput::Close(on) => {
                    // Its reader ends with it.
                    if let Some(stream) = self.streams.remove(&on) {
                        let _ = stream.shutdown(Shutdown::Both);
                    }
                }
                ClientOutput::Update(_, update) => self.show(update),
                ClientOutput::Closed { unsent } if unsent > 0 => eprintln!("{unsent} not sent"),
                _ => {}
            }
        }
        // The server has refused the socket, or disconnected it for good.
        if self.hub.end_reason(self.socket).is_some() && !self.hub.is_closing() {
            self.hub.close(self.now());
        }
    }

    fn show(&mut self, update: Update) {
        match update {
            Update::Connected { .. } => println!("connected"),
            Update::Event { event, connection } => {
                println!("{}", shown(&event));
                if let Some(ack) = event.ack() {
                    // The connection may be lost by now, and then nobody waits for it.
                    let _ = self.hub.acknowledge(self.socket, connection, ack, &"seen", vec![]);
                }
            }
            Update::Disconnected { reason, .. } => println!("lost: {reason}"),
            Update::Refused(error) => println!("refused: {}", error.message()),
            Update::Failed(reason) => eprintln!("failed: {reason}"),
            Update::Waiting { attempt, delay } => eprintln!("attempt {attempt} in {delay:?}"),
            _ => {}
        }
    }

    /// A blocking write: a server that does not read makes us wait, which a client may.
    fn write(&mut self, on: ConnectionId) {
        let now = self.now();
        let Some(stream) = self.streams.get_mut(&on) else { return };
        let mut result = Ok(());
        self.hub.transmit(now, on, |bytes| {
            result = stream.write_all(bytes);
            // What could not be written is lost with the connection.
            bytes.len()
        });
        if result.is_err() {
            self.lose(on);
        }
    }

    fn lose(&mut self, on: ConnectionId) {
        self.streams.remove(&on);
        self.hub.handle_lost(self.now(), on);
    }

    fn connect(&self, on: ConnectionId) {
        // Not always the server's own: it may have sent the client elsewhere.
        let Some(url) = self.hub.address(on).cloned() else { return };
        let inputs = self.inputs.clone();
        thread::spawn(move || {
            let connected = if url.is_secure() {
                Err(io::Error::new(io::ErrorKind::Unsupported, "this example has no TLS"))
            } else {
                TcpStream::connect((url.host(), url.port()))
            };
            let _ = inputs.send(Input::Connected(on, connected));
        });
    }

    fn read(&self, on: ConnectionId, stream: io::Result<TcpStream>) {
        let inputs = self.inputs.clone();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            loop {
                let read =
                    stream.as_ref().map_or(Err(()), |mut it| it.read(&mut buffer).or(Err(())));
                let input = read.map_or(Input::Failed(on), |n| Input::Read(on, buffer[..n].into()));
                if inputs.send(input).is_err() || !matches!(read, Ok(1..)) {
                    return;
                }
            }
        });
    }
}

fn read_lines(inputs: &Sender<Input>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if inputs.send(Input::Line(line)).is_err() {
            return;
        }
    }
    let _ = inputs.send(Input::LinesEnded);
}

/// The name of an event and its arguments.
fn shown(event: &Event) -> String {
    let payload = event.args().payload();
    match (payload.as_json(), payload.attachments().len()) {
        (Some(json), 0) => json.into(),
        (_, n) => format!("{} with {n} attachments", event.name()),
    }
}

/// Inputs at most before the clock is looked at: a server may talk without end.
const AT_A_TIME: usize = 256;

/// Masks what goes over a WebSocket.
#[expect(clippy::expect_used, reason = "nothing secure can be done without it")]
fn random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}
