//! A clock that jumps for a client: what the server has said while the client was stopped is read before
//! the server is taken for gone, and told in order.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use enginewire_tests::process::Running;
use rustix::process::Signal;
use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::Host;

on_every_runtime!(
    a_client_that_was_stopped_hears_what_its_server_has_said,
    a_client_that_was_stopped_hears_of_an_end_after_what_came_before,
    a_client_that_was_stopped_notices_that_its_server_says_nothing,
);

/// The heartbeat that the server promises.
const OPEN: &str = r#"0{"sid":"a","upgrades":[],"pingInterval":500,"pingTimeout":1750}"#;

/// Longer than a server may be silent.
const STOP: Duration = Duration::from_millis(2600);

/// What nothing takes as long as, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(20);

fn a_client_that_was_stopped_hears_what_its_server_has_said<R: Host>() {
    over_each_transport::<R>(|client, server| {
        while_stopped(client, server, |server| server.say(&["2", "4one", "4two"]));
        for expected in ["one", "two"] {
            assert_eq!(line(client)["data"], expected);
        }
        // The session goes on.
        server.hear("3");
        server.say(&["2", "4three"]);
        server.hear("3");
        assert_eq!(line(client)["data"], "three");
    });
}

fn a_client_that_was_stopped_hears_of_an_end_after_what_came_before<R: Host>() {
    over_each_transport::<R>(|client, server| {
        while_stopped(client, server, |server| {
            server.say(&["2", "4one", "4two", "1"]);
            server.leave();
        });
        for expected in ["one", "two"] {
            assert_eq!(line(client)["data"], expected);
        }
        assert_eq!(line(client)["reason"], "transport close");
        assert_eq!(line(client)["event"], "done");
    });
}

fn a_client_that_was_stopped_notices_that_its_server_says_nothing<R: Host>() {
    over_each_transport::<R>(|client, server| {
        while_stopped(client, server, |_| {});
        assert_eq!(line(client)["reason"], "ping timeout");
        assert_eq!(line(client)["event"], "done");
    });
}

fn over_each_transport<R: Host>(test: impl Fn(&mut Running, &mut dyn Server) + Sync) {
    let test = |scenario: &str, open: fn(TcpListener) -> Box<dyn Server>| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut client = Running::start(Command::new(R::CLIENT).args([&url, scenario]));
        let mut server = open(listener);
        assert_eq!(line(&mut client)["event"], "open");
        server.say(&["2"]);
        server.hear("3");
        test(&mut client, &mut *server);
    };
    thread::scope(|threads| {
        threads.spawn(|| test("eio-websocket", |listener| Box::new(Socket::open(&listener))));
        threads.spawn(|| test("eio-polling", |listener| Box::new(Polling::open(listener))));
    });
}

fn while_stopped(client: &Running, server: &mut dyn Server, work: impl FnOnce(&mut dyn Server)) {
    server.await_client();
    client.signal(Signal::STOP);
    work(server);
    thread::sleep(STOP);
    client.signal(Signal::CONT);
}

/// The next line of a client.
fn line(client: &mut Running) -> Value {
    serde_json::from_str(&client.line().unwrap()).unwrap()
}

/// A server of one client, which says what it is told to.
trait Server {
    /// Waits until the client listens.
    fn await_client(&mut self);

    /// Sends packets. Returns when they are on their way.
    fn say(&mut self, packets: &[&str]);

    /// Waits for a packet.
    fn hear(&mut self, packet: &str);

    /// Ends.
    fn leave(&mut self);
}

struct Socket(WebSocket<TcpStream>);

impl Socket {
    fn open(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut socket = Self(tungstenite::accept(stream).unwrap());
        socket.say(&[OPEN]);
        socket
    }
}

impl Server for Socket {
    fn await_client(&mut self) {}

    fn say(&mut self, packets: &[&str]) {
        // There is a frame for the end.
        for packet in packets.iter().filter(|&&packet| packet != "1") {
            self.0.send(Message::text(*packet)).unwrap();
        }
    }

    fn hear(&mut self, packet: &str) {
        assert_eq!(self.0.read().unwrap(), Message::text(packet));
    }

    fn leave(&mut self) {
        self.0.close(None).unwrap();
        self.0.flush().unwrap();
    }
}

struct Polling {
    /// What the next GET is answered with.
    answers: Sender<String>,
    /// Tells of a GET that waits.
    asked: Receiver<()>,
    /// One does, of which it has told.
    is_asked: bool,
    /// Tells of an answer that is on its way.
    answered: Receiver<()>,
    /// What was posted.
    bodies: Receiver<String>,
}

impl Polling {
    fn open(listener: TcpListener) -> Self {
        let (answers, waiting) = channel();
        let (tell_asked, asked) = channel();
        let (tell_answered, answered) = channel();
        let (tell_body, bodies) = channel();
        let line =
            Line { waiting: Arc::new(Mutex::new(waiting)), tell_asked, tell_answered, tell_body };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let line = line.clone();
                thread::spawn(move || line.serve(stream));
            }
        });
        let mut polling = Self { answers, asked, is_asked: false, answered, bodies };
        polling.say(&[OPEN]);
        polling
    }
}

/// The connections' ends of the channels.
#[derive(Clone)]
struct Line {
    /// One GET waits at a time.
    waiting: Arc<Mutex<Receiver<String>>>,
    tell_asked: Sender<()>,
    tell_answered: Sender<()>,
    tell_body: Sender<String>,
}

impl Line {
    /// Serves one connection, until the client closes it or the test is over.
    fn serve(self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((is_get, body)) = request(&mut reader) {
            let answer = if is_get {
                let _ = self.tell_asked.send(());
                let Ok(answer) = self.waiting.lock().unwrap().recv() else { return };
                answer
            } else {
                let _ = self.tell_body.send(body);
                "ok".into()
            };
            let (head, length) = ("HTTP/1.1 200 OK\r\nContent-Length", answer.len());
            if write!(reader.get_mut(), "{head}: {length}\r\n\r\n{answer}").is_err() {
                return;
            }
            if is_get {
                let _ = self.tell_answered.send(());
            }
        }
    }
}

/// The next request: whether it is a GET, and its body.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(bool, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match reader.read_line(&mut head) {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
    let field = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; field.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Some((head.starts_with("GET "), String::from_utf8(body).unwrap()))
}

impl Server for Polling {
    fn await_client(&mut self) {
        if !std::mem::replace(&mut self.is_asked, true) {
            self.asked.recv_timeout(DEADLINE).unwrap();
        }
    }

    fn say(&mut self, packets: &[&str]) {
        self.await_client();
        self.is_asked = false;
        self.answers.send(packets.join("\u{1e}")).unwrap();
        self.answered.recv_timeout(DEADLINE).unwrap();
    }

    fn hear(&mut self, packet: &str) {
        assert_eq!(self.bodies.recv_timeout(DEADLINE).unwrap(), packet);
    }

    fn leave(&mut self) {}
}
