//! The node between a client and the owner of its session.

use std::{convert::Infallible, sync::Arc};

use bytes::{Buf as _, Bytes};
use enginewire::{
    CarrierId, HandOverFault, HttpRequest, Opening, Refusal, Reject, Response, Router,
    ServerConfig, Sid, Time, WebSocketEnd,
    carrier::{
        Compressors, Connection, Follow, Guard, HandOver, Held, Host, NodeState, Passage, Scratch,
        Stream, Written, is_handed_over, write_head,
    },
    wire::{
        Output,
        http::{self, RequestHead},
    },
};

use super::world::OWNER;

/// One connection of a client to a node that has no sessions, and the one from there to the owner.
pub(super) struct Passed {
    connection: Connection<Infallible, (), ()>,
    server: Server,
    scratch: Scratch,
    /// The sending side is shut down.
    pub(super) shut: bool,
    /// It is over.
    pub(super) closed: bool,
}

struct Server {
    router: Router,
    http: Arc<http::Config>,
    compressors: Compressors,
    far: Far,
}

/// The connection to the owner.
#[derive(Default)]
pub(super) struct Far {
    /// It has been asked for.
    pub(super) begun: bool,
    pub(super) fault: Option<HandOverFault>,
    /// Bytes to the owner, and whether more will come.
    pub(super) up: Vec<u8>,
    pub(super) up_ended: bool,
    pub(super) down: Vec<u8>,
    pub(super) down_ended: bool,
}

impl Passed {
    pub(super) fn new(now: Time, config: &ServerConfig) -> Self {
        let http = Arc::new(http::Config::new(&config.limits));
        Self {
            connection: Connection::new(now, Arc::clone(&http)),
            server: Server {
                router: Router::new(config.clone()),
                http,
                compressors: Compressors::new(),
                far: Far::default(),
            },
            scratch: Scratch::new(),
            shut: false,
            closed: false,
        }
    }

    pub(super) const fn far(&mut self) -> &mut Far {
        &mut self.server.far
    }

    pub(super) const fn seen(&self) -> &Far {
        &self.server.far
    }

    pub(super) fn receive(&mut self, now: Time, mut bytes: Vec<u8>) {
        self.connection.receive(now, &mut self.server, &mut self.scratch, &mut bytes);
    }

    pub(super) fn receive_eof(&mut self, now: Time) {
        self.connection.receive_eof(now, &mut self.server, &mut self.scratch);
    }

    /// The client's side has failed.
    pub(super) fn lose(&mut self, now: Time) {
        self.connection.lose(now, WebSocketEnd::Failed, &mut self.server, &mut self.scratch);
        self.close();
    }

    /// Does what can be done, and returns the bytes for the client.
    pub(super) fn drive(&mut self, now: Time) -> Vec<u8> {
        let mut written = Socket(Vec::new());
        let Self { connection, server, scratch, .. } = self;
        let http = Arc::clone(&server.http);
        connection.handle_timeout(now, &http);
        loop {
            match connection.transmit(now, server, scratch, &mut written) {
                Ok(()) => {}
                Err(never) => match never {},
            }
            match connection.conclude(now, true, &http, scratch) {
                Follow::Nothing => break,
                Follow::Write => {}
                Follow::Shutdown => self.shut = true,
                Follow::End => {
                    connection.lose(now, WebSocketEnd::Closed, server, scratch);
                    self.close();
                    break;
                }
            }
        }
        written.0
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.connection.deadline(&self.server.http).filter(|_| !self.closed)
    }

    fn close(&mut self) {
        self.closed = true;
        // As the end of a socket that is dropped.
        self.server.far.up_ended = true;
    }
}

/// Takes all bytes for a client.
struct Socket(Vec<u8>);

impl Stream for Socket {
    type Error = Infallible;

    fn write(&mut self, output: &Output) -> Result<Written, Infallible> {
        self.0.extend_from_slice(output.chunk());
        Ok(Written::Some(output.chunk().len()))
    }
}

/// A session that there is none of.
pub(super) enum Nobody {}

impl Guard for Nobody {
    type Waker = Infallible;
    type Wakes = Vec<Infallible>;

    fn held(&mut self) -> Held<'_, Infallible, Vec<Infallible>> {
        match *self {}
    }
}

impl Host for Server {
    type Session = Infallible;
    type Handshake = ();
    type Request = ();
    type Guard<'a> = Nobody;

    fn router(&self) -> &Router {
        &self.router
    }

    fn http(&self) -> &Arc<http::Config> {
        &self.http
    }

    fn fresh_id(&mut self) -> u64 {
        0
    }

    fn has_room(&self) -> bool {
        false
    }

    fn find(&mut self, _: &Sid) -> Option<Infallible> {
        None
    }

    fn ask(&mut self, _: RequestHead) {}

    fn verdict(&mut self, (): &mut ()) -> Option<Result<(), Refusal>> {
        None
    }

    fn open(&mut self, _: Time, _: Opening, _: CarrierId, (): ()) -> Result<Infallible, Reject> {
        Err(Reject::Unavailable)
    }

    fn lock<'a>(&'a mut self, _: Time, session: &'a Infallible, _: u64) -> Nobody {
        match *session {}
    }

    fn forward(&mut self, _: RequestHead, _: Bytes) {}

    fn response(&mut self, (): &mut ()) -> Option<Response> {
        None
    }

    fn compressors(&mut self) -> &mut Compressors {
        &mut self.compressors
    }

    fn hands_over(&mut self, sid: &Sid, head: &dyn HttpRequest) -> bool {
        sid.node().is_some_and(|node| node.as_str() == OWNER) && !is_handed_over(head)
    }

    fn hand_over(&mut self, request: HandOver, output: &mut Output) -> Option<()> {
        self.far.begun = true;
        write_head(&request, None, output);
        Some(())
    }

    fn relay(&mut self, (): &mut (), passage: Passage<'_>) -> Result<NodeState, HandOverFault> {
        let far = &mut self.far;
        if let Some(fault) = far.fault {
            return Err(fault);
        }
        let waiting = passage.to_node.remaining();
        far.up.extend_from_slice(&passage.to_node.copy_to_bytes(waiting));
        far.up_ended |= passage.is_last;
        let n = passage.room.min(far.down.len());
        (passage.from_node)(&far.down[..n]);
        far.down.drain(..n);
        let is_over = far.down.is_empty() && far.down_ended;
        Ok(if is_over { NodeState::Ended } else { NodeState::Open })
    }
}
