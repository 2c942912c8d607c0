//! Echoes of bytes that go wrong at the second read of each connection.

use std::io;

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::TcpStream;

use super::{Ready, accept};

pub(super) async fn corrupts(ready: Ready) -> io::Result<()> {
    accept(ready, |stream| echo(stream, |bytes| bytes[0] ^= 1)).await
}

pub(super) async fn loses(ready: Ready) -> io::Result<()> {
    accept(ready, |stream| echo(stream, |bytes| bytes.truncate(bytes.len() - 1))).await
}

async fn echo(mut stream: TcpStream, wrong: fn(&mut Vec<u8>)) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(64 * 1024);
    for turn in 0.. {
        buffer.clear();
        if stream.read_buf(&mut buffer).await? == 0 {
            break;
        }
        if turn == 1 {
            wrong(&mut buffer);
        }
        stream.write_all(&buffer).await?;
    }
    Ok(())
}
