//! The pages of the tokio crate's examples `browser`, `chat` and `admin` in headless Chromium, with the official clients. The
//! first connects, upgrades, echoes, and says why it cannot connect; two of the second talk to each other; the third is that
//! of the official admin UI, which is also put on a cluster. A page of its own is served with TLS.

use std::process::Command;

use enginewire_tests::{
    process::{self, Running, example, script, succeed},
    tls::Authority,
};
use enginewire_tokio::{Response, ServerBuilder};

#[test]
fn page_connects_upgrades_echoes_and_explains_failures() {
    let mut server = Running::start(example("enginewire-tokio", "browser").arg("0"));
    let line = server.line().expect("a line");
    let url = line.strip_prefix("open ").expect("the example prints its address");
    succeed(script("browser.mjs").arg(url));
}

#[test]
fn page_tells_that_a_server_is_gone_and_connects_when_it_is_back() {
    succeed(script("browser.mjs").arg("--self-test"));
}

#[test]
fn two_pages_of_the_chat_talk_to_each_other() {
    let mut server = Running::start(example("enginewire-tokio", "chat").arg("0"));
    let line = server.line().expect("a line");
    let url = line.strip_prefix("open ").expect("the example prints its address");
    succeed(script("chat.mjs").arg(url));
}

#[test]
fn page_of_the_admin_ui_shows_and_moves_clients() {
    admin(&mut example("enginewire-tokio", "admin"), &[]);
}

#[test]
fn page_of_a_read_only_admin_ui_moves_none() {
    admin(example("enginewire-tokio", "admin").env("READ_ONLY", "1"), &["--read-only"]);
}

/// Two nodes of ours and two of npm `socket.io` on Redis, with pages at one of each kind.
#[test]
fn page_of_the_admin_ui_shows_and_moves_clients_of_a_mixed_cluster() {
    let ours = [
        "--server",
        env!("CARGO_BIN_EXE_sio-cluster-node-tokio"),
        "--second",
        env!("CARGO_BIN_EXE_sio-cluster-node-smol"),
    ];
    process::suite("cluster/admin-page.mjs", &ours, &[]);
}

/// Uses the page of the example `admin`.
fn admin(example: &mut Command, options: &[&str]) {
    let mut server = Running::start(example.arg("127.0.0.1:0"));
    let line = server.line().unwrap_or_default();
    let Some(url) = line.strip_prefix("open ") else { panic!("no address: {line:?}") };
    succeed(script("sio/admin-page.mjs").arg(url).args(options));
}

#[test]
fn chromium_compresses_with_and_without_contexts() {
    for profile in ["deflate", "deflate-takeover"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server-tokio"));
        // The heartbeat of a busy page is late.
        let environment = [("PROFILE", profile), ("PORT", "0"), ("PING_TIMEOUT", "10000")];
        let mut server = Running::start(command.envs(environment));
        let port = server.line().expect("a line");
        succeed(script("browser-compression.mjs").arg(port));
    }
}

/// Loads the client from the same server, as everything that a page with TLS loads.
const TLS_PAGE: &str = r#"<!DOCTYPE html><p id="transport"></p><p id="echo"></p>
<script src="/engine.io.min.js"></script>
<script>
  const socket = eio();
  const show = (id, text) => (document.getElementById(id).textContent = text);
  socket.on("upgrade", () => {
    show("transport", socket.transport.name);
    socket.send("hello");
  });
  socket.on("message", (message) => show("echo", message));
</script>"#;

#[test]
fn page_talks_to_a_server_with_tls() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let identity = Authority::default().issue(&["localhost"]);
    let config = Authority::default().server(&identity);
    let client = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/js/node_modules/engine.io-client/dist/engine.io.min.js"
    );
    let client = std::fs::read_to_string(client).unwrap();
    let server = runtime.block_on(async move {
        let builder = ServerBuilder::new().tls(config).fallback(move |request| {
            let response = match request.head.path() {
                "/" => Response::new(200, "text/html; charset=UTF-8", TLS_PAGE),
                "/engine.io.min.js" => Response::new(200, "text/javascript", client.clone()),
                _ => Response::empty(404),
            };
            std::future::ready(response)
        });
        let builder = builder.handler(|mut socket, _| async move {
            while let Some(message) = socket.recv().await {
                let _ = socket.send(message).await;
            }
        });
        builder.bind("127.0.0.1:0").await.unwrap()
    });
    let url = format!("https://localhost:{}/", server.local_addr().port());
    succeed(script("tls-page.mjs").args([url, identity.pin()]));
    assert!(server.tls_stats().completed > 0);
}
