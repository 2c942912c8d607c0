//! The application of servers behind a load balancer, and their end.

use std::{io, net::IpAddr, sync::Arc};

use enginewire_tokio::socketio::{Socket, Value};

/// Tells a client which server it is on and what its address is, and sends back whatever else it says.
pub(crate) async fn talk(mut socket: Socket, server: Arc<str>) {
    while let Some(mut event) = socket.recv().await {
        let ack = event.ack();
        // An acknowledgement fails if the client has left, which `recv` tells.
        let _ = match event.name() {
            "where" => ack.send(&Place { server: &server, client: socket.peer_addr().ip() }).await,
            _ => match event.data::<Value>() {
                Ok(data) => ack.send(&data).await,
                Err(_) => continue,
            },
        };
    }
}

/// Where a client is, and where it comes from: without the port, which most proxies do not tell.
#[derive(serde::Serialize)]
struct Place<'a> {
    server: &'a str,
    client: IpAddr,
}

/// Completes at Ctrl-C, and at the signal by which systems ask programs to end.
#[cfg(unix)]
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
}

/// Completes at Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
