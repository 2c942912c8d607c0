//! The echo server among the examples of tokio-tungstenite.

use std::io;

use ::tokio::net::TcpStream;
use ::tokio_tungstenite::accept_async;
use ::tokio_tungstenite::tungstenite::Error;
use futures_util::{StreamExt, TryStreamExt, future};

use super::{Ready, accept};

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    accept(ready, echo).await
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let (write, read) = accept_async(stream).await?.split();
    read.try_filter(|message| future::ready(message.is_text() || message.is_binary()))
        .forward(write)
        .await
}
