//! An Engine.IO server that echoes every message, on plain threads and blocking sockets: one thread
//! reads each connection, and one owns the hub and writes. They meet in a channel.
//!
//! `cargo run -p enginewire --example threads_echo -- 3000`; prints its port, without an argument one
//! that the system picks.
#![expect(clippy::disallowed_methods, reason = "this is who has the clock, sockets and threads")]

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    thread,
    time::{Duration, Instant},
};

use enginewire::{
    Event, ServerHub, Time,
    hub::{ConnectionId, Output, ServerHubConfig},
};

fn main() -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!("{}", listener.local_addr()?.port());
    // Bounded, so that readers wait for the hub.
    let (news, inbox) = sync_channel(1024);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // No descriptors, most likely: it would fail again at once.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            if news.send(News::Accepted(stream, news.clone())).is_err() {
                return;
            }
        }
    });
    Owner::new().run(&inbox);
    Ok(())
}

/// What the owner of the hub is told.
enum News {
    Accepted(TcpStream, SyncSender<News>),
    /// Bytes, the end of the stream if there are none.
    Read(ConnectionId, Vec<u8>),
    Lost(ConnectionId),
}

/// The thread that owns the hub.
struct Owner {
    hub: ServerHub,
    started: Instant,
    sockets: BTreeMap<ConnectionId, Socket>,
}

struct Socket {
    stream: TcpStream,
    /// The leave that its reader waits for before each read.
    leave: Sender<()>,
    /// Leave was given, and nothing has been read since.
    is_reading: bool,
}

impl Owner {
    fn new() -> Self {
        let hub = ServerHub::new(ServerHubConfig::default(), entropy);
        Self { hub, started: Instant::now(), sockets: BTreeMap::new() }
    }

    fn run(mut self, inbox: &Receiver<News>) {
        loop {
            self.drain();
            let deadline = self.hub.poll_timeout().unwrap_or(Time::MAX);
            let news = inbox.recv_timeout(deadline.since(self.now()).min(Duration::from_secs(60)));
            match news {
                Ok(news) => {
                    self.hear(news);
                    // What else has come, before the clock: peers that seem silent may be in it.
                    inbox.try_iter().take(AT_A_TIME).for_each(|news| self.hear(news));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.hub.handle_timeout(self.now());
        }
    }

    fn hear(&mut self, news: News) {
        let now = self.now();
        match news {
            News::Accepted(stream, news) => self.accept(now, stream, news),
            News::Read(on, mut bytes) => {
                self.sockets.entry(on).and_modify(|socket| socket.is_reading = false);
                match bytes.len() {
                    0 => self.hub.handle_eof(now, on),
                    _ => self.hub.handle_bytes(now, on, &mut bytes),
                }
                // Not before what came has been seen to: that may be too much already.
                self.drain();
                self.let_read(on);
            }
            News::Lost(on) => self.lose(now, on),
        }
    }

    fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    fn accept(&mut self, now: Time, stream: TcpStream, news: SyncSender<News>) {
        // A peer that does not take a write in so long is lost: the thread has others to write to.
        let prepared = stream.set_nodelay(true);
        let prepared = prepared.and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        let Ok(reader) = prepared.and_then(|()| stream.try_clone()) else { return };
        let on = self.hub.handle_accepted(now);
        let (leave, wait) = channel();
        thread::spawn(move || read(reader, on, &wait, &news));
        self.sockets.insert(on, Socket { stream, leave, is_reading: false });
        self.let_read(on);
    }

    /// Lets the reader of a connection read once more, if that is what the hub wants.
    fn let_read(&mut self, on: ConnectionId) {
        let socket = self.sockets.get_mut(&on).filter(|_| self.hub.is_reading(on));
        if let Some(socket) = socket.filter(|socket| !socket.is_reading) {
            // A reader that has ended has told why.
            socket.is_reading = socket.leave.send(()).is_ok();
        }
    }

    /// Does what the hub asks for.
    fn drain(&mut self) {
        while let Some(output) = self.hub.poll() {
            match output {
                // The application. A message for which there is no room is lost: see `mio_echo` for
                // one that waits.
                Output::Event(session, Event::Message(message)) => {
                    let _ = self.hub.send(session, message);
                }
                Output::Write(on) => self.write(on),
                Output::Read(on) => self.let_read(on),
                Output::Shutdown(on) => {
                    let stream = self.sockets.get(&on).map(|socket| &socket.stream);
                    let _ = stream.map(|stream| stream.shutdown(Shutdown::Write));
                }
                Output::Close(on) => self.close(on),
                Output::Event(..) | Output::Opened(..) => {}
                // Neither is asked for.
                Output::Ask(..) | Output::Layer(_) | Output::Request(..) | Output::HandOver(..) => {
                }
            }
        }
    }

    fn write(&mut self, on: ConnectionId) {
        let Some(Socket { stream, .. }) = self.sockets.get_mut(&on) else { return };
        let now = Time::ZERO + self.started.elapsed();
        let mut failed = false;
        self.hub.transmit(now, on, |bytes| {
            // The timeout holds for each call. One that takes less than all has run into it.
            let n = stream.write(bytes).unwrap_or(0);
            failed = n < bytes.len();
            n
        });
        if failed {
            self.lose(now, on);
        }
    }

    fn lose(&mut self, now: Time, on: ConnectionId) {
        self.hub.handle_lost(now, on);
        self.close(on);
    }

    fn close(&mut self, on: ConnectionId) {
        if let Some(Socket { stream, .. }) = self.sockets.remove(&on) {
            // Its reader may be waiting in a read.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Reads a connection, each time it gets leave to.
fn read(mut stream: TcpStream, on: ConnectionId, wait: &Receiver<()>, news: &SyncSender<News>) {
    let mut buffer = [0; 16 * 1024];
    while wait.recv().is_ok() {
        let told = loop {
            match stream.read(&mut buffer) {
                Ok(n) => break News::Read(on, buffer[..n].to_vec()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break News::Lost(on),
            }
        };
        let end = !matches!(&told, News::Read(_, bytes) if !bytes.is_empty());
        if news.send(told).is_err() || end {
            return;
        }
    }
}

/// Fills `buffer` with bytes that nobody can guess: session ids are made of them.
#[expect(clippy::expect_used, reason = "a server without entropy must not serve")]
fn entropy(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

/// What is heard at most before the clock is looked at: peers may talk without end.
const AT_A_TIME: usize = 1024;

/// How long a peer may let a write wait.
const PATIENCE: Duration = Duration::from_secs(1);
