//! A client that pushes numbered messages for as long as it can, knows which of them the server has
//! acknowledged, and has them echoed in order.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use crate::{client::Client, random::Random};

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Polling, all the time.
    Polling,
    /// A WebSocket, all the time.
    WebSocket,
    /// Polling, and after a while a WebSocket.
    Upgrade,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Polling, Self::WebSocket, Self::Upgrade];
}

/// Acknowledgements over polling after which whoever is to upgrade does, at the latest.
pub const UPGRADE_AFTER: usize = 3;

/// How it came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to stop, and has closed the session.
    Enough,
    /// It has written as much as it may: the plug was pulled, in the middle of whatever it was.
    Cut,
    /// The server has closed the session, and said so in the protocol's words.
    Closed,
    /// The server would not open a session, or was gone before it could.
    Refused,
    /// The server was gone without a word, after it had opened a session.
    Lost,
}

/// One such client.
pub struct Pusher {
    /// Where the server is.
    pub address: SocketAddr,
    /// What it calls itself, in the query of its handshake.
    pub name: String,
    /// What it uses.
    pub way: Way,
    /// How large messages are, and how many are sent together.
    pub random: Random,
    /// Bytes that it may write.
    pub allowance: usize,
}

impl Pusher {
    /// Pushes until that comes to an end. `goes_on` is told how many messages have been acknowledged so
    /// far. Panics if the server does what no server should.
    pub fn push(self, goes_on: impl FnMut(u64) -> bool) -> End {
        let way = self.way;
        let mut run = Run { pusher: self, goes_on, sent: 0, echoed: 0 };
        let ended = match way {
            Way::Polling => run.poll(usize::MAX).err(),
            Way::WebSocket => run.open_socket().err(),
            Way::Upgrade => {
                let rounds = run.pusher.random.below(UPGRADE_AFTER + 1);
                run.poll(rounds).and_then(|session| run.upgrade(session)).err()
            }
        };
        // Without an end it would still go on.
        ended.unwrap()
    }
}

struct Run<T> {
    pusher: Pusher,
    goes_on: T,
    sent: u64,
    echoed: u64,
}

impl<T: FnMut(u64) -> bool> Run<T> {
    /// Opens a session over polling, and pushes so many times.
    fn poll(&mut self, rounds: usize) -> Result<Polling, End> {
        let mut get = self.connect().ok_or(End::Refused)?;
        let open = format!("{POLLING}&name={}", self.pusher.name);
        self.write(&mut get, request("GET", &open, "").as_bytes())?;
        let sid = match get.answer_or_end() {
            Some(answer) if answer.status == 200 => sid(&answer.body),
            _ => return Err(End::Refused),
        };
        let target = format!("{POLLING}&sid={sid}");
        let Some(mut post) = self.connect() else {
            return Err(self.hear_the_end(Polling { get, sid }));
        };
        let mut pong = false;
        for _ in 0..rounds {
            let mut packets = self.messages();
            if std::mem::take(&mut pong) {
                packets.insert(0, "3".into());
            }
            // As long as the session lives there is a GET: a POST may be answered after it.
            self.write(&mut get, request("GET", &target, "").as_bytes())?;
            let body = packets.join("\u{1e}");
            self.write(&mut post, request("POST", &target, &body).as_bytes())?;
            let mut ended = false;
            while self.echoed < self.sent && !ended {
                let Some(answer) = get.answer_or_end() else {
                    // It has closed a connection that was idle, as it may.
                    assert!(get.end(), "the connection was reset");
                    get = self.connect().ok_or(End::Lost)?;
                    self.write(&mut get, request("GET", &target, "").as_bytes())?;
                    continue;
                };
                if answer.status != 200 {
                    // The session was over before the GET came, which was to bring word of it.
                    return Err(End::Lost);
                }
                for packet in answer.body.split('\u{1e}') {
                    match packet {
                        "1" => ended = true,
                        "2" => pong = true,
                        "6" => {}
                        message => self.check(message),
                    }
                }
                if self.echoed < self.sent && !ended {
                    self.write(&mut get, request("GET", &target, "").as_bytes())?;
                }
            }
            // No answer, no acknowledgement.
            let answer = post.answer_or_end();
            assert!(answer.is_some() || post.end(), "the connection was reset");
            let acknowledged = answer.is_some_and(|answer| answer.status == 200);
            let goes_on = !acknowledged || (self.goes_on)(self.sent);
            if ended {
                return Err(End::Closed);
            }
            assert!(acknowledged, "messages were echoed that were not acknowledged");
            if !goes_on {
                self.write(&mut post, request("POST", &target, "1").as_bytes())?;
                // It may have closed in the meantime.
                let _ = post.answer_or_end();
                return Err(End::Enough);
            }
        }
        Ok(Polling { get, sid })
    }

    fn upgrade(&mut self, session: Polling) -> Result<(), End> {
        let Some(mut client) = self.connect() else {
            return Err(self.hear_the_end(session));
        };
        let upgrade = Client::upgrade(&format!("&sid={}", session.sid));
        self.write(&mut client, upgrade.as_bytes())?;
        if client.answer_or_end().is_none_or(|answer| answer.status != 101) {
            // That says nothing about the session, which is still one over polling.
            return Err(self.hear_the_end(session));
        }
        self.write(&mut client, &Client::frame("2probe"))?;
        match client.next_frame() {
            (CLOSE, _) => return Err(self.close(client)),
            (_, frame) => assert_eq!(frame, b"3probe"),
        }
        self.write(&mut client, &Client::frame("5"))?;
        self.push_frames(client)
    }

    fn open_socket(&mut self) -> Result<(), End> {
        let mut client = self.connect().ok_or(End::Refused)?;
        let open = Client::upgrade(&format!("&name={}", self.pusher.name));
        self.write(&mut client, open.as_bytes())?;
        match client.answer_or_end() {
            Some(answer) if answer.status == 101 => {}
            _ => return Err(End::Refused),
        }
        match client.next_frame() {
            (CLOSE, _) => Err(self.close(client)),
            (_, open) => {
                assert!(open.starts_with(b"0{"));
                self.push_frames(client)
            }
        }
    }

    fn push_frames(&mut self, mut client: Client) -> Result<(), End> {
        loop {
            let messages = self.messages();
            let frames: Vec<u8> = messages.iter().flat_map(|text| Client::frame(text)).collect();
            self.write(&mut client, &frames)?;
            while self.echoed < self.sent {
                match client.next_frame() {
                    (CLOSE, _) => return Err(self.close(client)),
                    (_, frame) if frame == b"2" => {
                        self.write(&mut client, &Client::frame("3"))?;
                    }
                    (_, frame) => {
                        self.check(&String::from_utf8(frame).unwrap());
                        if !(self.goes_on)(self.echoed) {
                            return Err(End::Enough);
                        }
                    }
                }
            }
        }
    }

    /// Some more messages.
    fn messages(&mut self) -> Vec<String> {
        let random = &mut self.pusher.random;
        let count = 1 + random.below(10);
        (0..count)
            .map(|_| {
                let filler = "x".repeat(random.below(300));
                self.sent += 1;
                format!("4{} {filler}", self.sent - 1)
            })
            .collect()
    }

    /// An echo came: it is of the message whose turn it is.
    fn check(&mut self, packet: &str) {
        let number = packet.strip_prefix('4').and_then(|message| message.split_once(' '));
        let (number, _) = number.unwrap_or_else(|| panic!("not an echo: {packet}"));
        assert_eq!(number, self.echoed.to_string());
        self.echoed += 1;
    }

    /// Writes, unless that is too much.
    fn write(&mut self, client: &mut Client, bytes: &[u8]) -> Result<(), End> {
        let allowed = bytes.len().min(self.pusher.allowance);
        self.pusher.allowance -= allowed;
        client.write(&bytes[..allowed]);
        if allowed < bytes.len() {
            client.pull_the_plug();
            return Err(End::Cut);
        }
        Ok(())
    }

    fn connect(&self) -> Option<Client> {
        Client::try_connect(self.pusher.address)
    }

    /// The server takes no new connection, or no upgrade: it is about to say over polling that the session
    /// is over.
    fn hear_the_end(&mut self, Polling { mut get, sid }: Polling) -> End {
        let target = format!("{POLLING}&sid={sid}");
        loop {
            if let Err(end) = self.write(&mut get, request("GET", &target, "").as_bytes()) {
                return end;
            }
            match get.answer_or_end() {
                Some(answer) if answer.status == 200 => {
                    if answer.body.split('\u{1e}').any(|packet| packet == "1") {
                        return End::Closed;
                    }
                }
                Some(_) => return End::Lost,
                None => {
                    assert!(get.end(), "the connection was reset");
                    return End::Lost;
                }
            }
        }
    }

    /// The server has begun the closing handshake.
    fn close(&self, mut client: Client) -> End {
        client.write([0x88, 0x80, 0, 0, 0, 0]);
        assert!(client.end(), "the connection was reset");
        End::Closed
    }
}

/// A session over polling.
struct Polling {
    /// The connection of its GETs, of which none is under way.
    get: Client,
    sid: String,
}

fn request(method: &str, target: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// The id in an open packet.
fn sid(open: &str) -> String {
    let start = open.find(r#""sid":""#).unwrap() + 7;
    open[start..start + 20].to_owned()
}

const POLLING: &str = "/engine.io/?EIO=4&transport=polling";

/// The opcode of a Close.
const CLOSE: u8 = 8;
