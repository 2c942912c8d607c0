//! Connections of proxies that send a header of the PROXY protocol first.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use enginewire::wire::proxy_protocol::{self, Parsed};
use futures_io::AsyncRead;

#[cfg(feature = "tls-no-provider")]
use crate::tls::TlsConnection;
use crate::{
    connection::Connection,
    lingering::Lingering,
    peer::Peer,
    runtime::Runtime,
    server::{Admitted, Watch},
    shared::Shared,
    trace::trace,
};

/// Reads the header of the PROXY protocol that a stream begins with.
///
/// Reads no byte behind it. Returns the address of the client; `None` if the proxy speaks for itself, as in a health check. A server does this by
/// itself for the connections of its listeners, see [`ServerBuilder::proxy_protocol`](crate::ServerBuilder::proxy_protocol).
/// This is for streams that the application has accepted, before it decrypts them or gives them to
/// [`ServerHandle::serve`](crate::ServerHandle::serve).
///
/// Not cancel safe: bytes of the header that were read are lost. There is no deadline.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] with a [`Fault`](proxy_protocol::Fault), [`io::ErrorKind::UnexpectedEof`], or that of
/// the stream. The stream must be closed then.
pub async fn read_proxy_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    let mut read = Vec::new();
    loop {
        let missing = match proxy_protocol::parse(&read) {
            Ok(Parsed::Complete(header)) => return Ok(header.source),
            Ok(Parsed::Partial(missing)) => missing,
            Err(fault) => return Err(io::Error::new(io::ErrorKind::InvalidData, fault)),
        };
        let mut chunk = [0; CHUNK];
        let chunk = &mut chunk[..missing.min(CHUNK)];
        match poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, chunk)).await {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => read.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Bytes that are read at a time, which most headers fit in.
const CHUNK: usize = 128;

/// Serves a connection whose peer sends a header first, within the time for the head of a request.
pub(crate) async fn serve<R: Runtime>(
    runtime: R,
    stream: R::Stream,
    proxy: SocketAddr,
    admitted: Admitted,
) {
    // This task watches the phases by itself. Its presence is dropped behind the stream, as it is in the arguments: the
    // end of a server waits for it.
    let Admitted { admission, presence, .. } = admitted;
    #[cfg(feature = "tls-no-provider")]
    let in_flight = admitted.in_flight;
    let mut stream = stream;
    let Some(client) = read_within(&runtime, &admission.shared, &mut stream, proxy).await else {
        #[cfg(feature = "tls-no-provider")]
        drop(in_flight);
        return Lingering::new(presence, stream).await;
    };
    let peer = Peer::behind(client, proxy);
    #[cfg(feature = "tls-no-provider")]
    if let (Some(tls), Some(in_flight)) = (&admission.tls, in_flight) {
        return TlsConnection::new(presence, tls, stream, peer, in_flight).await;
    }
    Connection::present(presence, stream, peer).await;
}

/// Reads the header within its time. `None` if the connection is of no use, or the server is closing.
async fn read_within<R: Runtime>(
    runtime: &R,
    shared: &Arc<Shared>,
    stream: &mut R::Stream,
    proxy: SocketAddr,
) -> Option<SocketAddr> {
    let deadline = shared.sessions.clock.now() + shared.http.head_timeout;
    let mut read = pin!(read_proxy_header(stream));
    let mut sleep = pin!(runtime.sleep_until(deadline));
    let within = poll_fn(|cx| match read.as_mut().poll(cx) {
        Poll::Ready(client) => Poll::Ready(client),
        Poll::Pending => sleep.as_mut().poll(cx).map(|_| Err(io::ErrorKind::TimedOut.into())),
    });
    match Watch::new(shared).while_serving(within).await? {
        Ok(client) => Some(client.unwrap_or(proxy)),
        Err(error) => {
            shared.counters.proxy_headers_failed.add(1);
            trace!(DEBUG, proxy = %proxy, error = %error, "no header of the PROXY protocol");
            None
        }
    }
}
