//! The client in the browser, as WebAssembly in headless Chromium: the scenarios of `tests/browser`, against our server and
//! against npm `socket.io`, over each transport; and the page of its example, against the chat.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use enginewire_tests::process::{Running, example, script, succeed, wasm};
use wasm_bindgen_cli_support::Bindgen;

#[test]
fn client_keeps_the_contract_with_our_server() {
    let server = env!("CARGO_BIN_EXE_sio-server-tokio");
    succeed(script("sio/browser.mjs").arg("--page").arg(page()).args(["--server", server]));
}

#[test]
fn client_keeps_the_contract_with_the_reference() {
    succeed(script("sio/browser.mjs").arg("--page").arg(page()).arg("--reference"));
}

#[test]
fn two_pages_of_the_example_talk_to_each_other() {
    let folder = folder("chat");
    let built = wasm(&["-p", "enginewire-browser", "--example", "chat"], "examples/chat.wasm");
    bind(&built, &folder.join("pkg"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/browser/examples/chat");
    fs::copy(source.join("index.html"), folder.join("index.html"))
        .expect("the page of the example");
    let mut server = Running::start(example("enginewire-tokio", "chat").arg("0").arg(&folder));
    let line = server.line().expect("a line");
    let url = line.strip_prefix("open ").expect("the example prints its address");
    succeed(script("chat.mjs").arg(url));
}

/// The folder of the page with the scenarios, built once.
fn page() -> &'static Path {
    static PAGE: OnceLock<PathBuf> = OnceLock::new();
    PAGE.get_or_init(|| {
        let folder = folder("scenarios");
        let built = wasm(&["-p", "enginewire-browser-tests"], "enginewire_browser_tests.wasm");
        bind(&built, &folder);
        folder
    })
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser").join(name)
}

/// Makes a module of JavaScript of a WebAssembly that was built.
fn bind(built: &Path, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder for the page");
    let mut bindgen = Bindgen::new();
    let bound = bindgen.input_path(built).web(true).and_then(|bindgen| {
        bindgen.typescript(false).omit_default_module_path(false).generate(folder)
    });
    bound.unwrap_or_else(|error| panic!("{}: {error:?}", built.display()));
}
