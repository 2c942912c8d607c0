//! A server and its clients in a world that a seed makes.
//!
//! A [`World`] has a clock that jumps to the next event, a network that cuts, delays and loses, and in
//! it the state machines that are shipped, unchanged: one [`Hub`](enginewire::Hub) as the server, and
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
//! use enginewire::{Message, TransportKind, hub::HubConfig};
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
//!     let mut world = World::new(seed, HubConfig::default(), Counter::default());
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
//! - A session that is over says so once on each side, for a reason that what happened explains. No
//!   weather explains an overlap of requests, a malformed packet or a broken rule of HTTP.
//! - No session outlives `ping_interval` + `ping_timeout` of silence; on the server once more
//!   `ping_timeout`, if something else comes than the pong. An application that was behind, if
//!   only for a moment, excuses as much again.
//! - Nothing is queued beyond [`Limits`](enginewire::Limits) and one message.
//! - A client asks for no more in a second than it has reason to.
//! - There are never more answers on a connection than requests.
//! - Neither state machine asks for something of a connection that is closed.
//!
//! A scenario can take a hand in it: on a connection of its own, [`World::intrude`], it says whatever it
//! likes in the name of a client, and the same must hold for all that is not the client's to break.
//!
//! [`World::finish`] closes all clients, waits, and checks that no session, connection or timer is left
//! anywhere and that everybody has said that it is over. [`Numbered`] checks that each message comes
//! once and in order, and [`Numbered::assert_all_came`] that none is missing. [`replay`] runs a
//! scenario twice and compares what was done, every byte on the network included.
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
