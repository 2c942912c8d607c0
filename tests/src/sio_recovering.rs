//! Clients that lose their connection and come back, with numbers as their events' arguments.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use crate::client::Client;

/// Knowledge that a client has of its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its id.
    pub sid: String,
    /// The secret under which it comes back.
    pub pid: String,
    /// The offset of the last event, if there was one.
    pub offset: Option<String>,
}

/// A raw client of the namespace `/`, which notes what it needs to come back.
pub struct Peer {
    /// The connection.
    pub client: Client,
    /// What it needs to come back.
    pub lost: Lost,
}

/// A client that has come back, and the events that it got before it was connected.
pub struct Back {
    /// The client.
    pub peer: Peer,
    /// Names and numbers of the events.
    pub missed: Vec<(String, u32)>,
    /// Whether it has the ids that it had.
    pub is_recovered: bool,
}

impl Peer {
    /// Connects a new client.
    pub fn connect(address: SocketAddr) -> Self {
        let mut client = Client::open_websocket(address);
        client.send("40");
        let lost = Lost::of(&client.text());
        Self { client, lost }
    }

    /// The next event, whose offset the client notes.
    pub fn event(&mut self) -> (String, u32) {
        let text = self.client.text();
        self.lost.note(&text)
    }

    /// The next events.
    pub fn events(&mut self, count: usize) -> Vec<(String, u32)> {
        (0..count).map(|_| self.event()).collect()
    }
}

impl Lost {
    /// The ids in a packet CONNECT.
    pub fn of(connected: &str) -> Self {
        let mut parts = connected.split('"').skip(3).step_by(4).map(str::to_owned);
        assert!(connected.starts_with("40"), "{connected}");
        let (sid, pid) = (parts.next().unwrap(), parts.next().unwrap());
        Self { sid, pid, offset: None }
    }

    /// The name and the number of an event, whose offset is noted.
    pub fn note(&mut self, text: &str) -> (String, u32) {
        let event = text.strip_prefix("42[").unwrap_or_else(|| panic!("no event: {text}"));
        let mut parts = event.split(&['"', ',', ']'][..]).filter(|part| !part.is_empty());
        let (name, n) = (parts.next().unwrap().to_owned(), parts.next().unwrap());
        self.offset = parts.next().map(str::to_owned).or(self.offset.take());
        (name, n.parse().unwrap())
    }

    /// The packet CONNECT of a client that comes back.
    pub fn request(&self) -> String {
        let offset = self.offset.as_ref().map(|offset| format!(r#","offset":"{offset}""#));
        format!(r#"40{{"pid":"{}"{}}}"#, self.pid, offset.unwrap_or_default())
    }

    /// Comes back to a server.
    pub fn come_back(&self, address: SocketAddr) -> Back {
        let mut client = Client::open_websocket(address);
        client.send(&self.request());
        let (mut lost, mut missed) = (self.clone(), Vec::new());
        loop {
            let text = client.text();
            if text.starts_with("42") {
                missed.push(lost.note(&text));
                continue;
            }
            let connected = Self::of(&text);
            let is_recovered = (&connected.sid, &connected.pid) == (&self.sid, &self.pid);
            let lost = if is_recovered { lost } else { connected };
            return Back { peer: Peer { client, lost }, missed, is_recovered };
        }
    }
}
