//! An Engine.IO server that echoes every message, on one thread and the system's own event queue by
//! way of `mio`: no runtime, no tasks, no locks.
//!
//! `cargo run -p enginewire --example mio_echo -- 3000`; prints its port, without an argument one that
//! the system picks.

mod echo;
mod event_loop;

use std::{env, error::Error, net::Ipv4Addr};

use enginewire::{
    ServerHub as Hub,
    hub::{Output, ServerHubConfig},
};

use self::{echo::Echo, event_loop::EventLoop};

fn main() -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let hub = Hub::new(ServerHubConfig::default(), event_loop::entropy);
    let mut events = EventLoop::new(hub, (Ipv4Addr::LOCALHOST, port).into())?;
    println!("{}", events.local_addr()?.port());
    let mut echo = Echo::default();
    loop {
        events.drain(|hub, _, output| echo.handle(hub, output));
        events.wait(None)?;
    }
}
