//! What the driver asks before it reads a socket that it has emptied.

use std::{future::poll_fn, io::Write, net::TcpListener};

use enginewire_driver::Runtime;
use enginewire_smol::Smol;
use futures_lite::{AsyncReadExt, future::poll_once};

#[test]
fn a_stream_is_readable_when_something_has_come_and_not_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let runtime = Smol::default();
    smol::block_on(async {
        let mut stream = runtime.connect(address).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        for _ in 0..3 {
            let readable = poll_once(poll_fn(|cx| runtime.poll_readable(&mut stream, cx))).await;
            assert!(readable.is_none(), "nothing has come");
            peer.write_all(b"some").unwrap();
            poll_fn(|cx| runtime.poll_readable(&mut stream, cx)).await.unwrap();
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 4);
        }
        drop(peer);
        poll_fn(|cx| runtime.poll_readable(&mut stream, cx)).await.unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    });
}
