//! The example `chat_nodes`.

use enginewire_tests::{
    client::soon,
    host::Host as _,
    process::{Running, example},
};
use enginewire_tokio::{
    Tokio,
    socketio::{ClientSocket, connect},
};

use crate::server::RedisServer;

#[test]
fn chat_on_two_nodes_is_one() {
    let server = RedisServer::start();
    let mut chat = example("enginewire-tokio", "chat_nodes");
    let mut chat = Running::start(chat.arg("0").env("REDIS_URL", server.url()));
    let urls = [(); 2].map(|()| {
        let line = chat.line().unwrap();
        line.strip_prefix("open ").unwrap().to_owned()
    });
    Tokio::host(|| {
        let [mut anna, mut bert] =
            urls.each_ref().map(|url| soon("a connection", connect(url)).unwrap());
        soon("room", anna.emit("add user", "Anna")).unwrap();
        until(&mut anna, "login");
        soon("room", bert.emit("add user", "Bert")).unwrap();
        until(&mut bert, "login");
        until(&mut anna, "user joined");
        soon("room", bert.emit("new message", "hello")).unwrap();
        until(&mut anna, "new message");
    });
}

/// Receives up to an event of this name.
fn until(socket: &mut ClientSocket, name: &str) {
    while soon("an event", socket.recv()).unwrap().name() != name {}
}
