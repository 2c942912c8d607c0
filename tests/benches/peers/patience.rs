//! What the machine must allow, and how long we wait for a server before we call it wrong.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Result;

/// The longest silence: many times what the slowest answer takes on a loaded machine. A server
/// that loses a message fails by this.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);

/// Lets this process and the servers that it starts open as many sockets as the system allows.
pub(crate) fn raise_open_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
