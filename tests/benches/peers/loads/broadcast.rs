//! One message in, the same message out to everybody. The next one is sent when all have it.

use super::echo::{Connection, Shape};
use super::{Drive, Figure, client, cost_of};
use crate::Result;
use crate::args::Scale;
use crate::patience::SILENCE;
use crate::process::Server;

const RECIPIENTS: usize = 1_000;
const BROADCASTS: usize = 200;

pub(super) fn run(server: &mut Server, scale: Scale, shape: Shape) -> Result<Figure> {
    let recipients = scale.of(RECIPIENTS);
    let mut drive = Drive::new(SILENCE)?;
    let mut connections = Vec::new();
    for name in 0..recipients {
        let client = client::open(server.address, server.peer.speaks)?;
        // All expect the messages of the first one.
        let mut connection = Connection::new(client, server.peer, 0, &shape)?;
        drive.add(&mut connection.stream, name)?;
        connections.push(connection);
    }
    let mut buffer = vec![0; 64 * 1024];
    let figure = cost_of(server, recipients * BROADCASTS, |messages| {
        for _ in 0..messages.div_ceil(recipients) {
            connections[0].start(1, 1)?;
            drive.until(recipients, |name| connections[name].ready(&mut buffer))?;
        }
        Ok(())
    })?;
    for connection in &mut connections {
        connection.is_quiet()?;
    }
    Ok(figure)
}
