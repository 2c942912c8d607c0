//! Listening, the same on every runtime.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// A listening socket for a [`Runtime`](crate::Runtime) to make its own of. Does not block.
///
/// # Errors
///
/// The operating system's.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    // WebAssembly has no sockets, so that nothing was bound.
    #[cfg(not(target_family = "wasm"))]
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    Ok(listener)
}

/// Connections that the system completes before they are accepted, if it allows so many. The 128 of
/// the standard library, and so of the runtimes, are too few when thousands of clients come back at
/// once: those that find no place try again a second later, then two, then four.
pub(crate) const BACKLOG: i32 = 1024;

#[cfg(test)]
mod tests {
    use std::{net::TcpStream, time::Duration};

    use super::*;

    #[test]
    fn a_crowd_finds_place_before_anybody_is_accepted() {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_secs(20);
        let connect = |_| TcpStream::connect_timeout(&address, patience).unwrap();
        let crowd: Vec<_> = (0..500).map(connect).collect();
        for _ in crowd {
            listener.accept().unwrap();
        }
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
