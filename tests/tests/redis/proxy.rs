//! A proxy between nodes and Redis, with faults.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// A proxy that ends connections, refuses them, or keeps what comes to itself.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    streams: Mutex<Vec<TcpStream>>,
    /// New connections are ended at once.
    is_cut: AtomicBool,
    /// Nothing of the server is passed on.
    is_silent: AtomicBool,
    /// Bytes of nodes.
    sent: AtomicUsize,
    has_ended: AtomicBool,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for node in listener.incoming() {
                if shared.has_ended.load(SeqCst) {
                    return;
                }
                if shared.is_cut.load(SeqCst) {
                    continue;
                }
                if let (Ok(node), Ok(server)) = (node, TcpStream::connect(server)) {
                    let _ = connect(&shared, &node, &server);
                }
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Ends all connections, and refuses further ones until [`heal`](Self::heal).
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, SeqCst);
        self.drop_connections();
    }

    /// Ends all connections.
    pub(crate) fn drop_connections(&self) {
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Keeps what the server sends to itself until [`heal`](Self::heal).
    pub(crate) fn silence(&self) {
        self.state.is_silent.store(true, SeqCst);
    }

    pub(crate) fn heal(&self) {
        self.state.is_cut.store(false, SeqCst);
        self.state.is_silent.store(false, SeqCst);
    }

    /// Returns the number of bytes that nodes have sent.
    pub(crate) fn sent(&self) -> usize {
        self.state.sent.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.has_ended.store(true, SeqCst);
        self.drop_connections();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn connect(state: &Arc<State>, node: &TcpStream, server: &TcpStream) -> io::Result<()> {
    let mut streams = state.streams.lock().unwrap();
    streams.extend([node.try_clone()?, server.try_clone()?]);
    drop(streams);
    for (from, to, is_node) in [(node, server, true), (server, node, false)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        let state = Arc::clone(state);
        thread::spawn(move || {
            let _ = carry(&state, &mut from, &mut to, is_node);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn carry(state: &State, from: &mut TcpStream, to: &mut TcpStream, is_node: bool) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        let bytes = from.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        if is_node {
            state.sent.fetch_add(bytes, SeqCst);
        }
        while !is_node && state.is_silent.load(SeqCst) && !state.has_ended.load(SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        to.write_all(&buffer[..bytes])?;
    }
}
