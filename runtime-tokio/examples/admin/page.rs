//! The files of the page, which a browser loads.

use std::{
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

use enginewire_tokio::{RequestHead, Response};

/// The folder of the page.
pub(crate) struct Page(PathBuf);

impl Page {
    /// The page of a folder, or that which npm has installed.
    pub(crate) fn new(folder: Option<OsString>) -> Self {
        Self(
            folder
                .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED), Into::into),
        )
    }

    /// The response to a request for another path than that of the sockets.
    pub(crate) fn response(&self, head: &RequestHead) -> Response {
        let missing =
            || Response::new(404, "text/plain; charset=utf-8", "There is no such page; try /\n");
        self.file(head.path()).unwrap_or_else(missing)
    }

    /// A file of the folder, or of a folder in it, but of none above it.
    fn file(&self, path: &str) -> Option<Response> {
        let name = Path::new(if path == "/" { "index.html" } else { path.trim_start_matches('/') });
        let is_below = name.components().all(|part| matches!(part, Component::Normal(_)));
        let content_type = match name.extension()?.to_str()? {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            _ => return None,
        };
        let content = is_below.then(|| fs::read(self.0.join(name)))?.ok()?;
        Some(Response::new(200, content_type, content))
    }
}

const INSTALLED: &str = "../tests/js/node_modules/@socket.io/admin-ui/ui/dist";
