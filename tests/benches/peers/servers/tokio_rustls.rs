//! Every byte comes back, with TLS.

use std::io;

use ::tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use ::tokio::net::TcpStream;
use ::tokio_rustls::TlsAcceptor;
use enginewire_tests::tls::Authority;

use super::{Ready, accept};

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    let authority = Authority::default();
    let acceptor = TlsAcceptor::from(authority.server(&authority.issue(&["localhost"])));
    accept(ready, move |stream| echo(acceptor.clone(), stream)).await
}

async fn echo(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    // One that has said nothing yet holds nothing but what rustls does.
    stream.fill_buf().await?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => {
                stream.write_all(&buffer[..read]).await?;
                stream.flush().await?;
            }
        }
    }
}
