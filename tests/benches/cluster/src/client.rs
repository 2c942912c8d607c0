//! A client of Socket.IO that does as little as it can.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, Utf8Bytes},
};

use crate::{Result, nodes::text};

/// A connection to the namespace `/` of a node.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let url = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket");
        let (stream, _) = connect_async_with_config(url, None, true).await?;
        let mut client = Self(stream);
        client.send("40".to_owned()).await?;
        while !client.next().await?.starts_with("40") {}
        Ok(client)
    }

    /// Joins a room, and waits until its node says so.
    pub(crate) async fn join(&mut self, room: &str) -> Result<()> {
        self.send(format!(r#"42["join","{room}"]"#)).await?;
        while !self.next().await?.starts_with(r#"42["joined""#) {}
        Ok(())
    }

    /// Has the node send texts to a room.
    pub(crate) async fn say(&mut self, room: &str, first: u64, count: u64) -> Result<()> {
        self.send(format!(r#"42["say","{room}",{first},{count}]"#)).await
    }

    /// Waits for a text. Another one, and any other event, is an error.
    pub(crate) async fn expect(&mut self, number: u64) -> Result<()> {
        let expected = format!(r#"42["said","{}"]"#, text(number));
        let came = self.next().await.map_err(|error| format!("text {number}: {error}"))?;
        if came.as_str() == expected {
            return Ok(());
        }
        Err(format!("text {number} was expected, and {came:?} has come").into())
    }

    /// Waits for a text, whatever its number.
    pub(crate) async fn any(&mut self) -> Result<()> {
        while !self.next().await?.starts_with(r#"42["said""#) {}
        Ok(())
    }

    /// Skips all texts before this one, and waits for it.
    pub(crate) async fn skip_to(&mut self, number: u64) -> Result<()> {
        let expected = text(number);
        while !self.next().await?.contains(&expected) {}
        Ok(())
    }

    async fn send(&mut self, packet: String) -> Result<()> {
        Ok(self.0.send(Message::text(packet)).await?)
    }

    /// Returns the next packet. Responds to pings: socketioxide begins with one.
    async fn next(&mut self) -> Result<Utf8Bytes> {
        loop {
            let silence = |_| format!("no packet for {SILENCE:?}");
            let message = timeout(SILENCE, self.0.next()).await.map_err(silence)?;
            match message.ok_or("a node has closed a connection")?? {
                Message::Text(text) if text.as_str() == "2" => self.send("3".to_owned()).await?,
                Message::Text(text) => return Ok(text),
                Message::Close(_) => return Err("a node has closed a WebSocket".into()),
                _ => {}
            }
        }
    }
}

/// Longest time without a packet while one is expected.
const SILENCE: Duration = Duration::from_secs(30);
