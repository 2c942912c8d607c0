//! An Engine.IO server that echoes every message, on one thread and Linux's io_uring: one system call for all
//! that has come and all that goes out.
//!
//! `cargo run -p enginewire --example uring_echo -- 3000`; prints its port, without an argument one that
//! the system picks. Needs Linux 6.1 or later, which may refuse io_uring, as in many containers.

#[cfg(target_os = "linux")]
#[path = "../mio_echo/echo.rs"]
mod echo;
#[cfg(target_os = "linux")]
mod event_loop;

use std::error::Error;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let hub = enginewire::ServerHub::new(
        enginewire::hub::ServerHubConfig::default(),
        event_loop::entropy,
    );
    let address = (std::net::Ipv4Addr::LOCALHOST, port).into();
    let mut events = event_loop::EventLoop::new(hub, address)?;
    println!("{}", events.local_addr()?.port());
    let mut echo = echo::Echo::default();
    loop {
        events.drain(|hub, _, output| echo.handle(hub, output));
        events.wait(None)?;
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("io_uring is Linux's; the example `mio_echo` runs here".into())
}
