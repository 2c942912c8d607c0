//! The page of the chat, and the official client for it; or the page of a folder, which brings a client of its own.

use std::{
    env, fs,
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;

use super::runtime::{RequestHead, Response};

/// The files that a browser asks for.
#[derive(Clone)]
pub(crate) enum Page {
    /// The page of this example.
    Own { client: Bytes },
    /// The page of the folder that the second argument names.
    Folder(PathBuf),
}

impl Page {
    /// Reads the official client, if there is no other page. `None`, with a message, if it is not installed.
    pub(crate) fn load() -> Option<Self> {
        if let Some(folder) = env::args_os().nth(2) {
            return Some(Self::Folder(folder.into()));
        }
        match fs::read(client_path()) {
            Ok(client) => Some(Self::Own { client: client.into() }),
            Err(error) => {
                eprintln!("cannot read {}: {error}", client_path().display());
                eprintln!("The official client is not installed: run `npm ci --prefix tests/js`.");
                None
            }
        }
    }

    /// The response to a request for another path than that of the sockets.
    pub(crate) fn response(&self, head: &RequestHead) -> Response {
        let found = match (head.method(), self) {
            ("GET" | "HEAD", Self::Own { client }) => match head.path() {
                "/" => Some(Response::new(200, HTML, INDEX)),
                "/socket.io.js" => Some(Response::new(200, JAVASCRIPT, client.clone())),
                _ => None,
            },
            ("GET" | "HEAD", Self::Folder(folder)) => file(folder, head.path()),
            _ => None,
        };
        let missing = "There is no such page; try /\n";
        found.unwrap_or_else(|| Response::new(404, "text/plain; charset=utf-8", missing))
    }
}

/// A file of a folder, or of a folder in it, but of none above it.
fn file(folder: &Path, path: &str) -> Option<Response> {
    let name = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
    let name = Path::new(name);
    let is_below = name.components().all(|part| matches!(part, Component::Normal(_)));
    let content_type = match name.extension()?.to_str()? {
        "html" => HTML,
        "js" => JAVASCRIPT,
        "wasm" => "application/wasm",
        _ => return None,
    };
    let content = is_below.then(|| fs::read(folder.join(name)))?.ok()?;
    Some(Response::new(200, content_type, content))
}

/// Where npm puts the official client. Read when the example runs, so that it compiles without.
fn client_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/js/node_modules/socket.io-client/dist/socket.io.min.js")
}

const INDEX: &str = include_str!("index.html");
const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
