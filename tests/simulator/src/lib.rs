//! A server and its clients in a world that a seed makes.
//!
//! A [`World`] has a clock that jumps to the next event, a network that cuts, delays and loses, and in
//! it the state machines that are shipped, unchanged: one [`ServerHub`](enginewire::ServerHub) as the server, and
//! a [`ClientHub`](enginewire::ClientHub) for each client. There is no socket, thread or clock outside,
//! so that an hour takes seconds and a failure can be had again from its seed.
//!
//! # Your own code in it
//!
//! Whatever stands on top of Engine.IO is an [`Application`]. It is called with each event of each end,
//! the server's and the clients', and acts through the [`End`] that it is lent. Here is one that
//! counts, and of which both sides must agree in the end, although the WebSocket of the client is cut
//! while it is still being tried:
//!
//! ```
//! use std::{collections::BTreeMap, time::Duration};
//!
//! use enginewire::{Message, TransportKind, hub::ServerHubConfig};
//! use enginewire_simulator::{
//!     Application, End, EndId, Fault, Path, Side, When, World, client_config, replay,
//! };
//!
//! /// The server answers each message with how many it has had.
//! #[derive(Default)]
//! struct Counter {
//!     had: BTreeMap<EndId, usize>,
//!     heard: Vec<Message>,
//! }
//!
//! impl Application for Counter {
//!     fn handle_opened(&mut self, end: &mut End<'_>) {
//!         if let EndId::Client(_) = end.id() {
//!             end.wake_after(Duration::from_secs(1));
//!         }
//!     }
//!
//!     fn handle_wake(&mut self, end: &mut End<'_>) {
//!         end.send("one more").expect("there is room");
//!         end.wake_after(Duration::from_secs(1));
//!     }
//!
//!     fn handle_message(&mut self, end: &mut End<'_>, message: Message) {
//!         match end.id() {
//!             EndId::Client(_) => self.heard.push(message),
//!             id @ EndId::Server(..) => {
//!                 let had = self.had.entry(id).or_default();
//!                 *had += 1;
//!                 end.send(had.to_string()).expect("there is room");
//!             }
//!         }
//!     }
//! }
//!
//! replay(42, |seed| {
//!     let mut world = World::new(seed, ServerHubConfig::default(), Counter::default());
//!     let both = [TransportKind::Polling, TransportKind::WebSocket];
//!     let life = world.connect(client_config(&both), |_random| {
//!         Path::default().with(When::Upgraded(Side::Server, 3), Fault::Reset)
//!     });
//!     world.run_for(Duration::from_millis(10_500));
//!     assert!(world.is_open(EndId::Client(life)));
//!     assert_eq!(world.application.heard.len(), 10);
//!     world.finish().0
//! });
//! ```
//!
//! [`Numbered`] is an application that numbers what it sends and checks what comes, for scenarios of
//! the transport itself.
//!
//! # What is checked
//!
//! Always, whatever the application is:
//!
//! - A session that is over says so once on each side, for a reason that what happened explains. What
//!   was done to a connection explains an end for as long as it can still be the cause: a reset until
//!   both ends have been told, a path that is slow or collects for as long as it is there, anything else
//!   from its end, or its beginning if it has none, and each for two heartbeats and 30 s more. No
//!   weather explains an overlap of requests, a malformed packet, a broken rule of HTTP, or a refusal
//!   with status 400 of a session that is not over.
//! - No session outlives `ping_interval` + `ping_timeout` of silence, to the nanosecond. An application
//!   that was behind, if only for a moment, excuses as much again.
//! - Nobody is given up for being silent before that time is over: since the session opened, and since
//!   the last ping or pong, which a bystander reads off the network.
//! - Nothing is queued beyond [`Limits`](enginewire::Limits) and one message.
//! - Nothing more is read for an application that has as much to catch up with as
//!   [`Limits::max_unread`](enginewire::Limits::max_unread) says.
//! - A client asks for no more in a second than it has reason to.
//! - There are never more answers on a connection than requests.
//! - A POST on a good connection is answered within seconds, unless the application is behind.
//! - Neither state machine asks for something of a connection that is closed.
//!
//! # What goes wrong
//!
//! A [`Path`] may be slow, thin or refused, and have faults, each of which happens at a moment or behind
//! a byte of either side, also counted from where it has become a WebSocket: see [`When`]. Each is a
//! [`Fault`]:
//!
//! - `Reset`: both ends are told that the connection is gone.
//! - `End`: one side finds the end of the other one's bytes, in the middle of whatever they are.
//! - `Vanish`: nothing passes any more, and nobody is told.
//! - `Stall`, `Slow`, `Collect`: what passes comes late, or in bunches.
//! - `Swallow`: what one side sends is taken and thrown away.
//! - `Repeat`: a proxy sends a request once more and keeps the answer. That polling cannot tell: two
//!   requests that overlap end the session, messages of a POST come twice, and those in the answer to
//!   a GET are missing. Of the lives that it has happened to, and only of those, just that is allowed;
//!   [`End::repeats`] tells an application.
//!
//! With [`World::set_timers_first`] a deadline comes before what arrives at the same moment,
//! [`World::jump`] has the machine sleep, and either side may close, or its application be slow.
//!
//! A scenario can take a hand in it: on a connection of its own, [`World::intrude`], it says whatever it
//! likes in the name of a client, and the same must hold for all that is not the client's to break.
//!
//! [`World::finish`] closes all clients, waits, and checks that no session, connection or timer is left
//! anywhere and that everybody has said that it is over. [`Numbered`] checks that each message comes
//! once and in order, [`Numbered::assert_all_came`] that none is missing, and [`World::rest`] that of a
//! whole world, and that no session is open on one side only. [`replay`] runs a scenario twice and
//! compares the two [`Log`]s: of everything that either state machine did, was told and asked for, and
//! of every byte on the network.
//!
//! # Socket.IO
//!
//! [`socketio`] has worlds of the same kind with a whole server of Socket.IO in them, on the same network and clock. Its
//! rules are those of sockets: order, rooms, acknowledgements, recovery.
//!
//! # A failure
//!
//! It prints its seed and a command to have it again. With `LOG` in the environment it prints what
//! happened last.

mod application;
mod ledger;
mod log;
mod network;
mod numbered;
mod observer;
mod path;
mod random;
mod repeater;
mod replay;
mod schedule;
pub mod socketio;
mod world;

pub use self::{
    application::{Application, End, EndId},
    ledger::Repeats,
    log::Log,
    numbered::{Manner, Numbered, Talk},
    path::{Fault, Path, Side, When},
    random::Random,
    replay::{any_path, client_config, replay, replay_many},
    world::{IntruderId, World},
};
