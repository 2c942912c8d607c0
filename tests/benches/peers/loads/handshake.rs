//! Sessions that come and go. A batch of them takes each step together, so that a client that
//! blocks still gives the server several to do at a time.

use super::client::{self, Client};
use super::{Figure, cost_of, events};
use crate::args::Scale;
use crate::process::Server;
use crate::servers::Speaks;
use crate::{Result, frame};

const BATCH: usize = 16;
const SESSIONS: usize = 1_600;

/// Connect, handshake, open packet, close. Over Socket.IO the namespace is connected, too.
pub(super) fn web_socket(server: &mut Server, scale: Scale) -> Result<Figure> {
    let (address, speaks) = (server.address, server.peer.speaks);
    let join = frame::from_client(frame::TEXT, events::CONNECT.as_bytes());
    let request = client::web_socket(None);
    batches(server, scale, || {
        let mut clients = connect(address)?;
        each(&mut clients, |client| client.send(request.as_bytes()))?;
        each(&mut clients, Client::switched)?;
        if speaks.has_sessions() {
            each(&mut clients, |client| client::sid(&client.text()?).map(drop))?;
        }
        if speaks == Speaks::SocketIo {
            each(&mut clients, |client| client.send(&join))?;
            each(&mut clients, |client| events::connected(&client.text()?))?;
        }
        close(clients)
    })
}

/// The same by way of polling: the WebSocket takes over, and echoes one message.
pub(super) fn upgrade(server: &mut Server, scale: Scale) -> Result<Figure> {
    let address = server.address;
    let open = client::get(None);
    let text = |text: &str| frame::from_client(frame::TEXT, text.as_bytes());
    let (probe, switch, message) = (text("2probe"), text("5"), text("4upgraded"));
    batches(server, scale, || {
        let mut polls = connect(address)?;
        each(&mut polls, |poll| poll.send(open.as_bytes()))?;
        let sids = polls.iter_mut().map(|poll| client::sid(&poll.body()?));
        let sids = sids.collect::<Result<Vec<_>>>()?;

        let mut sockets = connect(address)?;
        for (socket, sid) in sockets.iter_mut().zip(&sids) {
            socket.send(client::web_socket(Some(sid)).as_bytes())?;
        }
        each(&mut sockets, Client::switched)?;
        each(&mut sockets, |socket| socket.send(&probe))?;
        each(&mut sockets, |socket| expect(socket, "3probe"))?;
        each(&mut sockets, |socket| socket.send(&switch))?;
        each(&mut sockets, |socket| socket.send(&message))?;
        each(&mut sockets, |socket| expect(socket, "4upgraded"))?;

        each(&mut polls, Client::shutdown)?;
        close(sockets)?;
        polls.into_iter().try_for_each(Client::closed)
    })
}

fn batches(
    server: &mut Server,
    scale: Scale,
    mut batch: impl FnMut() -> Result<()>,
) -> Result<Figure> {
    let count = scale.of(SESSIONS).next_multiple_of(BATCH);
    cost_of(server, count, |sessions| (0..sessions.div_ceil(BATCH)).try_for_each(|_| batch()))
}

fn connect(address: std::net::SocketAddr) -> Result<Vec<Client>> {
    (0..BATCH).map(|_| Client::connect(address)).collect()
}

fn each(clients: &mut [Client], step: impl FnMut(&mut Client) -> Result<()>) -> Result<()> {
    clients.iter_mut().try_for_each(step)
}

fn expect(socket: &mut Client, expected: &str) -> Result<()> {
    let text = socket.text()?;
    if text == expected.as_bytes() {
        return Ok(());
    }
    Err(format!("{} for {expected}", text.escape_ascii()).into())
}

/// The closing handshake, up to the end of the TCP connections, which the server's figure shall
/// include.
fn close(mut sockets: Vec<Client>) -> Result<()> {
    let goodbye = frame::from_client(frame::CLOSE, &1000_u16.to_be_bytes());
    each(&mut sockets, |socket| socket.send(&goodbye))?;
    each(&mut sockets, Client::shutdown)?;
    sockets.into_iter().try_for_each(Client::closed)
}
