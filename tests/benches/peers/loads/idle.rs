//! What an open WebSocket holds while nothing happens. The kernel's part is not counted.

use super::{Figure, client};
use crate::Result;
use crate::args::Scale;
use crate::process::Server;

const SESSIONS: usize = 2_000;
const WARM_UP: usize = 50;

pub(super) fn run(server: &mut Server, scale: Scale) -> Result<Figure> {
    let (address, speaks) = (server.address, server.peer.speaks);
    heap_of(server, scale, || client::open(address, speaks))
}

/// What one more connection holds that `open` has opened.
pub(super) fn heap_of<C>(
    server: &mut Server,
    scale: Scale,
    open: impl Fn() -> Result<C>,
) -> Result<Figure> {
    let open = |count| (0..count).map(|_| open()).collect::<Result<Vec<_>>>();

    // What is allocated once is allocated now.
    drop(open(WARM_UP)?);
    let before = server.settled_heap()?;
    let count = scale.of(SESSIONS);
    let sessions = open(count)?;
    let after = server.settled_heap()?;
    drop(sessions);
    Ok(Figure { whole: (after - before) as f64 / count as f64, user: None, early: 0.0 })
}
