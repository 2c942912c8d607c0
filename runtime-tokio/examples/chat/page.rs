//! The page of the chat, and the official client for it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::runtime::{RequestHead, Response};

/// The files that a browser asks for.
pub(crate) struct Page {
    client: Bytes,
}

impl Page {
    /// Reads the official client. `None`, with a message, if it is not installed.
    pub(crate) fn load() -> Option<Self> {
        match fs::read(client_path()) {
            Ok(client) => Some(Self { client: client.into() }),
            Err(error) => {
                eprintln!("cannot read {}: {error}", client_path().display());
                eprintln!("The official client is not installed: run `npm ci --prefix tests/js`.");
                None
            }
        }
    }

    /// The response to a request for another path than that of the sockets.
    pub(crate) fn response(&self, head: &RequestHead) -> Response {
        match (head.method(), head.path()) {
            ("GET" | "HEAD", "/") => Response::new(200, "text/html; charset=utf-8", INDEX),
            ("GET" | "HEAD", "/socket.io.js") => {
                Response::new(200, "text/javascript; charset=utf-8", self.client.clone())
            }
            _ => Response::new(404, "text/plain; charset=utf-8", "There is no such page; try /\n"),
        }
    }
}

/// Where npm puts the official client. Read when the example runs, so that it compiles without.
fn client_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/js/node_modules/socket.io-client/dist/socket.io.min.js")
}

const INDEX: &str = include_str!("index.html");
