//! An Engine.IO server inside a game: sixty times a second it takes in what has come, moves the
//! world, and sends; it never waits for the network. A message is answered with itself and the number
//! of the tick, as far as there is room: what a player who does not keep up has missed is old news.
//! See `mio_echo` for answers that wait.
//!
//! `cargo run -p enginewire --example game_loop -- 3000`; prints its port, without an argument one that
//! the system picks.
#![expect(clippy::disallowed_methods, reason = "this is who has the clock and the sockets")]

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use enginewire::{
    Event, ServerHub, Time,
    hub::{ConnectionId, Output, ServerHubConfig, SessionId},
};

fn main() -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    let mut network = Network::new(listener);
    let mut game = Game::default();
    let mut next = Instant::now();
    loop {
        network.take_in(&mut game);
        game.tick(&mut network.hub);
        network.send_out(&mut game);
        next += TICK;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// What the players do, and see.
#[derive(Default)]
struct Game {
    ticks: u64,
    players: BTreeMap<SessionId, u64>,
}

impl Game {
    /// Moves the world.
    fn tick(&mut self, hub: &mut ServerHub) {
        self.ticks += 1;
        // Every few seconds all of them are told: one message, encoded once.
        if self.ticks.is_multiple_of(300) {
            let message = enginewire::Encoded::shared(format!("tick {}", self.ticks));
            for &player in self.players.keys() {
                // Who has not read for so long that there is no room misses one.
                let _ = hub.send(player, message.clone());
            }
        }
    }

    fn handle(&mut self, hub: &mut ServerHub, output: Output) {
        match output {
            Output::Opened(player, ..) => {
                self.players.insert(player, self.ticks);
            }
            Output::Event(player, Event::Message(message)) => {
                let _ = hub.send(player, message);
                let _ = hub.send(player, format!("tick {}", self.ticks));
            }
            Output::Event(player, Event::Closed(_)) => {
                self.players.remove(&player);
            }
            _ => {}
        }
    }
}

/// A hub and its sockets, none of which ever blocks.
struct Network {
    hub: ServerHub,
    started: Instant,
    listener: TcpListener,
    sockets: BTreeMap<ConnectionId, Socket>,
    buffer: Box<[u8]>,
}

struct Socket {
    stream: TcpStream,
    /// It would not take everything. Nobody tells us when it does again: each tick tries.
    full: bool,
}

impl Network {
    fn new(listener: TcpListener) -> Self {
        Self {
            hub: ServerHub::new(ServerHubConfig::default(), entropy),
            started: Instant::now(),
            listener,
            sockets: BTreeMap::new(),
            buffer: vec![0; 64 * 1024].into_boxed_slice(),
        }
    }

    fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    /// Everything that has happened since the last tick.
    fn take_in(&mut self, game: &mut Game) {
        let now = self.now();
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_ok() {
                let on = self.hub.handle_accepted(now);
                self.sockets.insert(on, Socket { stream, full: false });
            }
        }
        for on in self.sockets.keys().copied().collect::<Vec<_>>() {
            self.read(now, on);
            // Before the next one: what it sent is the game's now, and its place in memory free.
            self.send_out(game);
        }
        self.hub.handle_timeout(now);
    }

    fn read(&mut self, now: Time, on: ConnectionId) {
        // What one peer sends beyond that waits for the next tick, as the world does not.
        for _ in 0..READS_PER_TICK {
            let Some(socket) = self.sockets.get_mut(&on).filter(|_| self.hub.is_reading(on)) else {
                break;
            };
            match socket.stream.read(&mut self.buffer) {
                Ok(0) => return self.hub.handle_eof(now, on),
                Ok(n) => self.hub.handle_bytes(now, on, &mut self.buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.lose(now, on),
            }
        }
        if self.sockets.get_mut(&on).is_some_and(|socket| std::mem::take(&mut socket.full)) {
            self.hub.handle_writable(now, on);
        }
    }

    /// Everything that the hub asks for.
    fn send_out(&mut self, game: &mut Game) {
        let now = self.now();
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Write(on) => self.write(now, on),
                // The next tick does.
                Output::Read(_) => {}
                Output::Shutdown(on) => {
                    if let Some(socket) = self.sockets.get(&on) {
                        let _ = socket.stream.shutdown(Shutdown::Write);
                    }
                }
                Output::Close(on) => drop(self.sockets.remove(&on)),
                output => game.handle(&mut self.hub, output),
            }
        }
    }

    fn write(&mut self, now: Time, on: ConnectionId) {
        let Some(Socket { stream, full }) = self.sockets.get_mut(&on) else { return };
        let mut failed = false;
        self.hub.transmit(now, on, |bytes| match stream.write(bytes) {
            Ok(n) => {
                *full |= n < bytes.len();
                n
            }
            Err(error) => {
                *full = true;
                failed = error.kind() != ErrorKind::WouldBlock;
                0
            }
        });
        if failed {
            self.lose(now, on);
        }
    }

    fn lose(&mut self, now: Time, on: ConnectionId) {
        self.hub.handle_lost(now, on);
        self.sockets.remove(&on);
    }
}

/// Fills `buffer` with bytes that nobody can guess: session ids are made of them.
#[expect(clippy::expect_used, reason = "a server without entropy must not serve")]
fn entropy(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

/// 1 MiB, or 60 in a second.
const READS_PER_TICK: usize = 16;

const TICK: Duration = Duration::from_nanos(1_000_000_000 / 60);
