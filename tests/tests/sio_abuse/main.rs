//! Abuse of Socket.IO servers on real sockets, on every runtime: the rest is served meanwhile, the heap stays within
//! what the limits allow, and returns to what it was.
//!
//! The heap is that of the process, so one test runs at a time, and none beside those of `driver`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Makes tests of functions that take a runtime.
macro_rules! on_every_runtime {
    ($($test:ident),+ $(,)?) => {
        on_every_runtime!(tokio: enginewire_tokio::Tokio, $($test),+);
        on_every_runtime!(smol: enginewire_smol::Smol, $($test),+);
        on_every_runtime!(async_std: enginewire_async_std::AsyncStd, $($test),+);
    };
    ($module:ident: $runtime:ty, $($test:ident),+) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    crate::alone::<$runtime>(super::$test::<$runtime>);
                }
            )+
        }
    };
}

mod clients;
mod floods;
mod heap;
#[cfg(feature = "admin")]
mod pages;
mod payloads;
mod rooms;
mod silence;

use std::{
    io::Write as _,
    iter,
    net::TcpListener,
    sync::{Mutex, PoisonError},
    thread,
};

use enginewire_driver::{
    Server, ServerBuilder,
    socketio::{AckError, Event, Io, Socket, SocketRef, Value},
};
use enginewire_tests::client::{Client, soon, until};
use rustix::net::sockopt::set_socket_send_buffer_size;

use self::heap::Heap;

/// A runtime that the suite runs on.
trait Host: enginewire_tests::host::Host {
    fn listener(inherited: TcpListener) -> Self::Listener;
}

impl Host for enginewire_tokio::Tokio {
    fn listener(inherited: TcpListener) -> Self::Listener {
        inherited.set_nonblocking(true).unwrap();
        ::tokio::net::TcpListener::from_std(inherited).unwrap()
    }
}

impl Host for enginewire_smol::Smol {
    fn listener(inherited: TcpListener) -> Self::Listener {
        async_io::Async::new(inherited).unwrap().into()
    }
}

impl Host for enginewire_async_std::AsyncStd {
    fn listener(inherited: TcpListener) -> Self::Listener {
        async_io::Async::new(inherited).unwrap().into()
    }
}

/// Runs a test while no other does, on a runtime that has started.
fn alone<R: Host>(test: fn()) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    R::host(|| {
        // What a runtime makes once is none of the abuse.
        Abused::start::<R>(Io::new(), |builder| builder).end(1);
        test();
    });
}

/// A server under abuse, with a client that uses it as it should.
struct Abused {
    io: Io,
    server: Server,
    heap: Heap,
    witness: Client,
    said: u64,
}

impl Abused {
    /// Serves the namespaces `/`, `/a` and those of the pattern `/n/{id}`. The kernel takes little of what is sent.
    fn start<R: Host>(io: Io, change: impl FnOnce(ServerBuilder<R>) -> ServerBuilder<R>) -> Self {
        let heap = Heap::start();
        let runtime = R::default();
        for namespace in [io.namespace("/"), io.namespace("/a"), io.namespaces("/n/{id}").unwrap()]
        {
            runtime.spawn(async move { namespace.serve(obey).await });
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_socket_send_buffer_size(&listener, 4096).unwrap();
        // All of a test may connect at once.
        rustix::net::listen(&listener, 4096).unwrap();
        let builder = ServerBuilder::on(runtime).socketio(&io).path("/engine.io/");
        let server = change(builder).listener(R::listener(listener)).start().unwrap();
        let witness = connect(&server);
        Self { io, server, heap, witness, said: 0 }
    }

    /// The witness is served.
    fn still_serves(&mut self) {
        self.said += 1;
        let said = self.said;
        self.witness.send(&format!(r#"42{said}["say",{said}]"#));
        let acknowledged = format!("43{said}[{said}]");
        assert_eq!(self.witness.text(), acknowledged);
    }

    /// Ends when all clients have gone, of which there have been `clients` at once: nothing is left.
    fn end(mut self, clients: usize) {
        self.still_serves();
        let Self { io, server, heap, witness, .. } = self;
        until("the end of the others", || {
            server.sessions() + server.connections() == 2 && io.namespace("/").len() == 1
        });
        drop(witness);
        until("the end of all", || server.sessions() + server.connections() == 0);
        assert!(io.namespace("/").is_empty() && io.namespace("/a").is_empty());
        soon("the server to close", server.close());
        drop((server, io));
        // Tasks may still be at their end.
        until("the memory to return", || heap.live() <= kept(clients));
    }
}

/// A client on a WebSocket that is connected to `/`.
fn connect(server: &Server) -> Client {
    let mut client = Client::open_websocket(server.local_addr());
    client.send("40");
    let connected = client.text();
    assert!(connected.starts_with(r#"40{"sid":"#), "{connected}");
    client
}

/// Clients that connect to `/` at once, on a WebSocket each.
fn connect_all(server: &Server, clients: usize) -> Vec<Client> {
    let opening = [Client::upgrade("").into_bytes(), Client::frame("40")].concat();
    let mut clients: Vec<_> = (0..clients)
        .map(|_| {
            let mut client = Client::connect(server.local_addr());
            client.write(&opening);
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.answer().status, 101);
        assert!(client.text().starts_with("0{"));
        assert!(client.text().starts_with(r#"40{"sid":"#));
    }
    clients
}

/// The text frames that come before the server closes the WebSocket.
fn texts_until_closed(client: &mut Client) -> Vec<String> {
    let frames = iter::from_fn(|| Some(client.next_frame()).filter(|(opcode, _)| *opcode != CLOSE));
    let texts = frames.filter(|(opcode, _)| *opcode == TEXT);
    texts.map(|(_, payload)| String::from_utf8(payload).unwrap()).collect()
}

/// Writes, whether or not the server still takes it.
fn try_write(client: &Client, bytes: &[u8]) {
    let _ = client.stream().write_all(bytes);
}

/// Opcodes of frames.
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;

/// The application: events say what it does, and those that nothing stands for come back.
async fn obey(mut socket: Socket) {
    while let Some(event) = socket.recv().await {
        obey_event(&socket, event).await;
    }
}

async fn obey_event(socket: &SocketRef, mut event: Event) {
    let ack = event.ack();
    match event.name() {
        "join" => {
            let (from, to) = event.data::<(u32, u32)>().unwrap_or_default();
            (from..to).for_each(|n| socket.join(format!("room {n:06}")));
        }
        "leave" => {
            let (from, to) = event.data::<(u32, u32)>().unwrap_or_default();
            (from..to).for_each(|n| socket.leave(format!("room {n:06}")));
        }
        "decode" => {
            let is_decoded = event.data::<Value>().is_ok();
            let _ = ack.send(&is_decoded).await;
            return;
        }
        // Asks the client in vain, one question after the other.
        "ask" => {
            let (questions, timeout) = event.data::<(u32, u64)>().unwrap_or_default();
            let timeout = std::time::Duration::from_millis(timeout);
            for n in 0..questions {
                let asked = socket.timeout(timeout).emit_with_ack::<u32, _>("question", &n);
                if !matches!(asked.await, Err(AckError::Timeout)) {
                    return;
                }
            }
        }
        _ if !ack.is_expected() => {
            let _ = socket.forward(&event).await;
            return;
        }
        _ => {}
    }
    let _ = ack.send(&event.data::<u64>().unwrap_or_default()).await;
}

/// Bytes that may be kept once all is over: the buffers of threads, and lists of runtimes that do not shrink.
fn kept(clients: usize) -> usize {
    let threads = thread::available_parallelism().unwrap().get() + 2;
    threads * THREAD + clients * 128
}

/// Buffers that a thread keeps for the connection or the event that it is at: a read, outputs, an encoded event.
const THREAD: usize = 3 * 64 * 1024;

/// A socket with its session and its connection, idle (`tests/tests/allocations.rs`).
const SOCKET: usize = 5120;

/// Open files for the clients of a test, at both ends.
const FILES: u64 = 4000;
