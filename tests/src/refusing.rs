//! An address at which nobody listens.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

/// Address that refuses all connections while this is there.
///
/// The port is taken. One that was only free a moment ago may be that of another test by now.
pub struct Refusing {
    /// The address.
    pub address: SocketAddr,
    _socket: OwnedFd,
}

impl Refusing {
    /// Takes a port, and does not listen.
    #[expect(clippy::new_without_default, reason = "the port is another one each time")]
    pub fn new() -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = getsockname(&socket).unwrap().try_into().unwrap();
        Self { address, _socket: socket }
    }
}
