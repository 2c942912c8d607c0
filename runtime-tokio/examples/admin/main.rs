//! A chat with the admin UI: `cargo run -p enginewire-tokio --features admin --example admin`.
//!
//! Listens on 127.0.0.1:3000, or on the address given as argument. Serves the page of npm `@socket.io/admin-ui`, which
//! `npm ci --prefix tests/js` has installed, or that of the folder given as second argument. The user is `admin`, the
//! password `change me`, unless `ADMIN_HASH` is the hash of another. With `READ_ONLY` set the page may only look.
//!
//! The page asks for the server's URL: it is the one that this prints. Clients of any kind can connect to `/`; what one
//! says after it has joined a room goes to the others in it.
//!
//! In earnest serve the page from a place of its own, and choose [`Mode::Production`] if there are many clients.
//!
//! [`Mode::Production`]: enginewire_tokio::socketio::admin::Mode::Production

mod page;

use std::{env, error::Error};

use enginewire_tokio::{
    ServerBuilder,
    socketio::{Io, Socket, admin::Admin},
};

use self::page::Page;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let hash = env::var("ADMIN_HASH").unwrap_or_else(|_| HASH.into());
    let admin = Admin::basic_auth("admin", &hash)?.read_only(env::var_os("READ_ONLY").is_some());
    let io = Io::builder().admin(admin).build();
    let clients = io.namespace("/");
    let page = Page::new(env::args_os().nth(2));
    let server = ServerBuilder::new()
        .socketio(&io)
        // From the same server, so that no CORS is needed.
        .fallback(move |request| {
            let response = page.response(&request.head);
            async { response }
        })
        .bind(address)
        .await?;
    println!("open http://{}", server.local_addr());
    clients.serve(talk).await;
    Ok(())
}

/// Joins the rooms that the client asks for, and sends what it says to the others in them.
async fn talk(mut socket: Socket) {
    while let Some(event) = socket.recv().await {
        match event.name() {
            "join" => {
                if let Ok(room) = event.data::<String>() {
                    socket.join(room);
                }
            }
            "say" => {
                // Fails only if too many broadcasts wait to be delivered.
                let _ = socket.to(socket.rooms()).forward(&event).await;
            }
            _ => {}
        }
    }
}

/// Hash of `change me` by bcrypt, of cost 10.
const HASH: &str = "$2b$10$mEK99BdtrO9iT33RagNHsuFtx8tFpVdsWffihTpZxDRs3Geh/zku6";
