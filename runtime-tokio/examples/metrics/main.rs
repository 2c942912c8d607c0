//! A server that Prometheus can watch: `cargo run -p enginewire-tokio --features metrics --example metrics`.
//!
//! Listens on the address given as argument, 127.0.0.1:3000 if there is none, and has its counts at `/metrics`. The file
//! `dashboard.json` beside this one shows them in Grafana: import it and choose the data source.
//!
//! In earnest keep `/metrics` from the public, by a rule of your proxy or with a server of its own.

mod text;

use std::{
    env,
    error::Error,
    sync::{Arc, OnceLock},
};

use enginewire_tokio::{
    Response, ServerBuilder, ServerHandle, metrics,
    socketio::{Io, Socket},
};

use self::text::Text;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let text = Text::default();
    // Another exporter is installed in the same way.
    ::metrics::set_global_recorder(text.clone())?;
    metrics::describe();

    let io = Io::new();
    let clients = io.namespace("/");
    // Known once it listens.
    let started: Arc<OnceLock<ServerHandle>> = Arc::default();
    let (counted, handle) = (io.clone(), Arc::clone(&started));
    let server = ServerBuilder::new()
        .socketio(&io)
        .fallback(move |request| {
            let response = match request.head.path() {
                "/metrics" => {
                    // The counts of this moment.
                    counted.record_metrics();
                    handle.get().inspect(|server| server.record_metrics());
                    Response::new(200, "text/plain; version=0.0.4", text.render())
                }
                _ => Response::empty(404),
            };
            async { response }
        })
        .bind(address)
        .await?;
    started.get_or_init(|| server.handle());
    println!("listening on {}", server.local_addr());
    clients.serve(talk).await;
    Ok(())
}

/// Sends everything on to all others.
async fn talk(mut socket: Socket) {
    while let Some(event) = socket.recv().await {
        // Fails only if too many broadcasts wait to be delivered.
        let _ = socket.broadcast().forward(&event).await;
    }
}
