//! A moment of every load on every server, without figures; and proof that a wrong server does not pass.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::args::Scale;
use crate::loads::{self, Drive};
use crate::process::Server;
use crate::{Result, patience, servers};

/// Servers that are wrong, and loads that have to notice.
const FAULTS: &[(&str, &str)] = &[
    ("corrupts", "echo64x16"),
    ("loses", "echo64x16"),
    ("misnames", "sio-echo64x1"),
    ("misnames", "sio-polling"),
    ("refuses", "sio-echo64x1"),
    ("refuses", "sio-polling"),
    ("refuses", "sio-handshake"),
];

pub(crate) fn run() -> Result<()> {
    patience::raise_open_files()?;
    let (able, unable) =
        servers::ALL.iter().partition::<Vec<_>, _>(|peer| peer.obstacle().is_none());
    for server in unable {
        eprintln!("peers: {} NOT RUN: {}", server.name, server.obstacle().unwrap_or_default());
    }
    for load in loads::ALL {
        for server in able.iter().filter(|server| load.suits(server)) {
            let figure = load
                .run(&mut Server::start(server, load, None, None)?, Scale::Smoke)
                .map_err(|error| format!("{} of {}: {error}", load.name, server.name))?;
            if !figure.whole.is_finite() || figure.whole < 0.0 {
                return Err(format!(
                    "{} of {}: {} {}",
                    load.name, server.name, figure.whole, load.unit
                )
                .into());
            }
        }
    }
    for &(server, load) in FAULTS {
        let (server, load) = (servers::named(server)?, loads::named(load)?);
        if load.run(&mut Server::start(server, load, None, None)?, Scale::Smoke).is_ok() {
            return Err(format!("a server that {} passed {}", server.name, load.name).into());
        }
    }
    silence_is_an_error()?;
    println!("peers: every load ran on every server; for figures, run `cargo bench`");
    Ok(())
}

fn silence_is_an_error() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    stream.set_nonblocking(true)?;
    let mut stream = mio::net::TcpStream::from_std(stream);
    let mut drive = Drive::new(Duration::from_millis(20))?;
    drive.add(&mut stream, 0)?;
    match drive.until(1, |_| Ok(0)) {
        Ok(()) => Err("a server that says nothing passed".into()),
        Err(_) => Ok(()),
    }
}
