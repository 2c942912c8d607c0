//! A Socket.IO server for the official chat example, on one thread and the system's own event queue by way of `mio`: no
//! runtime, no tasks, no locks.
//!
//! `cargo run -p enginewire-socketio --example mio_chat -- 3000`; prints its port, without an argument one that the
//! system picks. The page is that of the official example, with this server's address.

mod chat;
// That of the example of Engine.IO.
#[path = "../../../examples/mio_echo/event_loop.rs"]
mod event_loop;

use std::{env, error::Error, net::Ipv4Addr};

use enginewire_socketio::hub::{Hub, HubConfig, Output};

use self::{chat::Chat, event_loop::EventLoop};

fn main() -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let hub = Hub::new(HubConfig::default(), event_loop::entropy, event_loop::entropy);
    let mut events = EventLoop::new(hub, (Ipv4Addr::LOCALHOST, port).into())?;
    println!("{}", events.local_addr()?.port());
    let mut chat = Chat::default();
    loop {
        events.drain(|hub, now, output| chat.handle(hub, now, output));
        events.wait(None)?;
    }
}
