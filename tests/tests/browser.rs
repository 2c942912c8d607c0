//! The pages of the tokio crate's examples `browser` and `chat` in headless Chromium, with the official clients. The first
//! connects, upgrades, echoes, and says why it cannot connect; two of the second talk to each other.

use std::process::Command;

use enginewire_tests::process::{Running, example, script, succeed};

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
fn chromium_compresses_with_and_without_contexts() {
    for profile in ["deflate", "deflate-takeover"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server-tokio"));
        let mut server = Running::start(command.env("PROFILE", profile).env("PORT", "0"));
        let port = server.line().expect("a line");
        succeed(script("browser-compression.mjs").arg(port));
    }
}
