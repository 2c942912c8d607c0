//! A client without an event loop, a runtime or a thread pool: blocking sockets of the standard
//! library, a thread to read each of them, and one loop that drives the `ClientSession` through the hub
//! that turns its requests into bytes.
//!
//! `cargo run -p enginewire --example blocking_client -- http://127.0.0.1:3000` sends what is typed, a
//! line a message, prints what comes, and closes at the end of the input. Meant to be copied.

#![expect(clippy::disallowed_methods, reason = "an example has a clock, the core has not")]

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, BufRead, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use enginewire::{ClientConfig, ClientConnectionId, ClientHub, ClientHubAction, Event, Time, Url};

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:3000".into());
    Loop::run(&Url::parse(&url)?)
}

/// What happens, whichever thread notices it.
enum Happening {
    Connected(ClientConnectionId, io::Result<TcpStream>),
    /// Nothing means the end of the stream.
    Read(ClientConnectionId, Vec<u8>),
    Failed(ClientConnectionId),
    Typed(String),
    InputEnded,
}

struct Loop {
    hub: ClientHub,
    /// The connections that are there, to be written to.
    streams: BTreeMap<ClientConnectionId, TcpStream>,
    /// Given to each thread that watches something.
    happenings: Sender<Happening>,
    start: Instant,
}

impl Loop {
    fn run(url: &Url) -> Result<(), Box<dyn Error>> {
        let (happenings, receiver) = mpsc::channel();
        let config = Arc::new(ClientConfig::new(url));
        let hub = ClientHub::new(Time::ZERO, url, config, false, &mut random);
        let mut this = Self { hub, streams: BTreeMap::new(), happenings, start: Instant::now() };
        let input = this.happenings.clone();
        thread::spawn(move || watch_input(&input));
        loop {
            this.act();
            if this.hub.is_finished() {
                return Ok(());
            }
            let patience = this.hub.poll_timeout().map_or(Duration::MAX, |at| at.since(this.now()));
            match receiver.recv_timeout(patience) {
                Ok(happening) => {
                    this.handle(happening);
                    // What else has come, before the clock: a server that seems silent may be in it.
                    receiver
                        .try_iter()
                        .take(AT_A_TIME)
                        .for_each(|happening| this.handle(happening));
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

    /// Tells the session what has happened.
    fn handle(&mut self, happening: Happening) {
        let now = self.now();
        match happening {
            Happening::Connected(id, Ok(stream)) => {
                // Without it small messages would wait for others.
                let _ = stream.set_nodelay(true);
                if self.hub.handle_connected(now, id) {
                    self.watch(id, stream.try_clone());
                    self.streams.insert(id, stream);
                }
            }
            Happening::Connected(id, Err(error)) => {
                eprintln!("cannot connect: {error}");
                self.hub.handle_refused(now, id);
            }
            Happening::Read(id, bytes) if bytes.is_empty() => self.hub.handle_eof(now, id),
            Happening::Read(id, mut bytes) => self.hub.handle_bytes(now, id, &mut bytes),
            Happening::Failed(id) => self.lose(id),
            Happening::Typed(line) => {
                if let Err(error) = self.hub.send(line) {
                    eprintln!("not sent: {error}");
                }
            }
            Happening::InputEnded => self.hub.close(now),
        }
    }

    /// Does what the session asks for, and shows what it has to tell.
    fn act(&mut self) {
        while let Some(action) = self.hub.poll_action(self.now(), &mut random) {
            match action {
                ClientHubAction::Connect(id) => self.connect(id),
                ClientHubAction::Encrypt(id) => self.refuse(id),
                ClientHubAction::Write(id) => self.write(id),
                ClientHubAction::Close(id) => {
                    // Its reader ends with it.
                    if let Some(stream) = self.streams.remove(&id) {
                        let _ = stream.shutdown(Shutdown::Both);
                    }
                }
            }
        }
        while let Some(event) = self.hub.poll_event() {
            match event {
                Event::Opened => println!("connected over {}", self.hub.session().transport()),
                Event::Message(message) => match message.as_text() {
                    Some(text) => println!("{text}"),
                    None => println!("{} bytes", message.len()),
                },
                Event::Upgraded => println!("upgraded"),
                Event::Closed(reason) => println!("closed: {reason}"),
                _ => {}
            }
        }
    }

    /// A blocking write: a server that does not read makes us wait, which a client may.
    fn write(&mut self, id: ClientConnectionId) {
        let now = self.now();
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let mut result = Ok(());
        self.hub.transmit(now, id, |bytes| {
            result = stream.write_all(bytes);
            // What could not be written is lost with the connection.
            bytes.len()
        });
        if result.is_err() {
            self.lose(id);
        }
    }

    /// Refuses to encrypt what a proxy has led to a server with TLS: this example has none.
    fn refuse(&mut self, id: ClientConnectionId) {
        self.streams.remove(&id);
        self.hub.handle_refused(self.now(), id);
    }

    fn lose(&mut self, id: ClientConnectionId) {
        self.streams.remove(&id);
        self.hub.handle_lost(self.now(), id);
    }

    fn connect(&self, id: ClientConnectionId) {
        // Not always the server's own: it may have sent the client elsewhere.
        let Some(url) = self.hub.address(id).cloned() else { return };
        let happenings = self.happenings.clone();
        thread::spawn(move || {
            let connected = if url.is_secure() {
                Err(io::Error::new(io::ErrorKind::Unsupported, "this example has no TLS"))
            } else {
                TcpStream::connect((url.host(), url.port()))
            };
            let _ = happenings.send(Happening::Connected(id, connected));
        });
    }

    fn watch(&self, id: ClientConnectionId, stream: io::Result<TcpStream>) {
        let happenings = self.happenings.clone();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            let mut read =
                || stream.as_ref().ok()?.read(&mut buffer).ok().map(|n| buffer[..n].into());
            loop {
                let bytes: Option<Vec<u8>> = read();
                let more = bytes.as_ref().is_some_and(|bytes| !bytes.is_empty());
                let happening =
                    bytes.map_or(Happening::Failed(id), |bytes| Happening::Read(id, bytes));
                if happenings.send(happening).is_err() || !more {
                    return;
                }
            }
        });
    }
}

fn watch_input(happenings: &Sender<Happening>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if happenings.send(Happening::Typed(line)).is_err() {
            return;
        }
    }
    let _ = happenings.send(Happening::InputEnded);
}

/// What is heard at most before the clock is looked at: a server may talk without end.
const AT_A_TIME: usize = 256;

/// Masks what goes over a WebSocket.
#[expect(clippy::expect_used, reason = "nothing secure can be done without it")]
fn random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}
