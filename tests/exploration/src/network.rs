//! What is on its way between the two sides: per TCP connection and direction in order.

use std::{collections::VecDeque, hash::Hasher};

use bytes::Bytes;
use enginewire::{Fingerprint, HttpRequest, HttpResponse, Message, Request, Response};

/// What a TCP connection is used for; the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Get,
    Post,
    Socket,
}

/// A TCP connection: of one exchange, or of a WebSocket.
#[derive(Clone)]
pub(crate) struct Connection {
    /// The client's name for it, which serves the server as well.
    pub(crate) name: u64,
    pub(crate) kind: Kind,
    pub(crate) to_server: VecDeque<Up>,
    pub(crate) to_client: VecDeque<Down>,
    /// The request has come to the server.
    pub(crate) accepted: bool,
    /// The client knows that its WebSocket is open.
    pub(crate) opened: bool,
    /// The client will hear nothing more of it.
    pub(crate) left_by_client: bool,
    /// The server will hear nothing more of it.
    pub(crate) left_by_server: bool,
    /// The network has broken it.
    pub(crate) cut: bool,
    /// The server has given up the probe.
    pub(crate) given_up: bool,
}

/// On its way to the server.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Up {
    Request(Request),
    /// What follows the head of a POST, if it does not come together with that.
    Body(Bytes),
    Frame(Message),
    /// The end that the client has made of it.
    End,
    /// The connection is broken.
    Lost,
}

/// On its way to the client.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Down {
    Answer(Response),
    /// 101.
    Open,
    Refused(u16),
    Frame(Message),
    /// The end that the server has made of it.
    End,
    /// The connection is broken.
    Lost,
}

impl Connection {
    pub(crate) fn new(name: u64, kind: Kind, request: Request) -> Self {
        Self {
            name,
            kind,
            to_server: VecDeque::from([Up::Request(request)]),
            to_client: VecDeque::new(),
            accepted: false,
            opened: false,
            left_by_client: false,
            left_by_server: false,
            cut: false,
            given_up: false,
        }
    }

    pub(crate) fn is_socket(&self) -> bool {
        self.kind == Kind::Socket
    }

    /// Whether there is nothing more to come of it.
    pub(crate) fn is_over(&self) -> bool {
        self.left_by_client && self.left_by_server
    }

    pub(crate) fn push_up(&mut self, item: Up) {
        if !self.left_by_server && !self.cut {
            self.to_server.push_back(item);
        }
    }

    pub(crate) fn push_down(&mut self, item: Down) {
        if !self.left_by_client && !self.cut {
            self.to_client.push_back(item);
        }
    }

    /// The client has ended it, behind all that it has sent.
    pub(crate) fn leave_client(&mut self) {
        self.left_by_client = true;
        self.to_client.clear();
        self.push_up(Up::End);
    }

    /// The server has nothing more to do with it.
    pub(crate) fn leave_server(&mut self) {
        self.left_by_server = true;
        self.to_server.clear();
    }

    /// The network loses it with all that is on it. Each side learns of it in its own time, but not the
    /// server of a connection that has not reached it.
    pub(crate) fn cut(&mut self) {
        self.cut = true;
        self.to_server.clear();
        self.to_client.clear();
        if !self.accepted {
            self.left_by_server = true;
        }
        if !self.left_by_server {
            self.to_server.push_back(Up::Lost);
        }
        if !self.left_by_client {
            self.to_client.push_back(Down::Lost);
        }
    }

    pub(crate) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { name, kind, to_server, to_client, accepted, opened, .. } = self;
        let Self { left_by_client, left_by_server, cut, given_up, .. } = self;
        into.push_name(Some(*name));
        into.push(&(kind, to_server, to_client, accepted, opened));
        into.push(&(left_by_client, left_by_server, cut, given_up));
    }
}

/// A request as the server's HTTP parser would show it.
pub(crate) struct Received<'a> {
    pub(crate) request: &'a Request,
    pub(crate) upgrade: bool,
}

impl HttpRequest for Received<'_> {
    fn method(&self) -> &str {
        self.request.method
    }

    fn path(&self) -> &str {
        self.request.target.split('?').next().unwrap_or_default()
    }

    fn query(&self) -> &str {
        self.request.target.split_once('?').map_or("", |(_, query)| query)
    }

    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        let value = match name {
            "content-type" => self.request.content_type?,
            "connection" if self.upgrade => "Upgrade",
            "upgrade" if self.upgrade => "websocket",
            _ => return None,
        };
        (nth == 0).then_some(value.as_bytes())
    }
}

/// A response as the client's HTTP parser would show it.
pub(crate) struct Answered<'a>(pub(crate) &'a Response);

impl HttpResponse for Answered<'_> {
    fn status(&self) -> u16 {
        self.0.status
    }

    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        let value = self.0.content_type.filter(|_| name == "content-type" && nth == 0)?;
        Some(value.as_bytes())
    }
}
