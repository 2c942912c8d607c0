//! The echo server among the examples of tokio-tungstenite, with the read buffer that engineioxide gives to
//! the same library: what is left between the two is what Engine.IO adds. The default of 128 KiB, which
//! is zeroed before each read, more than doubles the cost of a small message.

use std::io;

use ::tokio::net::TcpStream;
use ::tokio_tungstenite::accept_async_with_config;
use ::tokio_tungstenite::tungstenite::Error;
use ::tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use futures_util::{StreamExt, TryStreamExt, future};

use super::{Ready, accept};

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    accept(ready, echo).await
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let (write, read) = accept_async_with_config(stream, Some(config)).await?.split();
    read.try_filter(|message| future::ready(message.is_text() || message.is_binary()))
        .forward(write)
        .await
}
