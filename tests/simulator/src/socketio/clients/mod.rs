//! Clients of Socket.IO in a world that a seed makes, with a server that restarts.
//!
//! A client is a [`ClientHub`](enginewire_socketio::client_hub::ClientHub), the server a
//! [`Hub`](enginewire_socketio::hub::Hub), both unchanged. The network and its proxies are those of all worlds. The
//! server vanishes now and then with all its connections, and another one is there a while later.
//!
//! # What is checked
//!
//! Each event has a number:
//!
//! - Without retries it arrives at most once, and in order on a connection. If it does not arrive, the application was
//!   told of a disconnection after it was sent.
//! - With retries it arrives at least once, and comes first in the order of the calls, whatever happens meanwhile.
//! - Each acknowledgement comes to one end: that of its own event, which has arrived then, its deadline and not later,
//!   or a disconnection.
//! - What the server sends to a socket arrives there in order, nothing twice and nothing else, and all of it if the
//!   socket lives.
//! - A socket is told changes of its connection in turns. One that was disconnected is told nothing more.
//! - In the end all sockets are connected on both sides and complete; and when all clients are closed, they are told so
//!   once, and nothing is left in the hubs or the network.

mod books;
mod wiring;
mod world;

pub use self::{
    books::ClientTotals,
    world::{ClientManner, ClientSabotage, ClientWorld},
};
