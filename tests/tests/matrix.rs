//! Every client with every server, and the README's table of it: which revisions of the protocol work
//! over polling, over WebSocket and through the upgrade. `interop` asks for much more of each pair;
//! this is about there being no pair left out.
//!
//! `BLESS=1 cargo test -p enginewire-tests --features interop --test matrix` writes the table.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{env, fmt::Write as _, fs, path::Path, process::Command};

use enginewire_tests::process::{Running, python, script, succeeds};
use serde_json::Value;

/// A server, and how it is started on a port of its own.
type Server = (&'static str, fn() -> Command);

const SERVERS: [Server; 5] = [
    (NPM_SERVER, || script("reference-server.mjs")),
    ("tokio", || Command::new(env!("CARGO_BIN_EXE_server-tokio"))),
    ("smol", || Command::new(env!("CARGO_BIN_EXE_server-smol"))),
    ("async-std", || Command::new(env!("CARGO_BIN_EXE_server-async-std"))),
    ("`ServerHub` on mio", || Command::new(env!("CARGO_BIN_EXE_server-hub"))),
];

/// The reference.
const NPM_SERVER: &str = "npm `engine.io` 6.6";

/// A server that drives its clients and cannot be just started.
const PYTHON_SERVER: &str = "python-engineio";

/// A client, and how it is put to the test.
type Client = (&'static str, Test);

enum Test {
    /// An official client of this revision, in JavaScript.
    Official(&'static str),
    /// python-engineio's.
    Python,
    /// A program of ours.
    Ours(&'static str),
}

const CLIENTS: [Client; 6] = [
    ("npm `engine.io-client` 6.6", Test::Official("4")),
    ("npm `engine.io-client` 3.5", Test::Official("3")),
    ("python-engineio", Test::Python),
    ("tokio", Test::Ours(env!("CARGO_BIN_EXE_client-tokio"))),
    ("smol", Test::Ours(env!("CARGO_BIN_EXE_client-smol"))),
    ("async-std", Test::Ours(env!("CARGO_BIN_EXE_client-async-std"))),
];

#[test]
fn the_readme_shows_which_client_works_with_which_server() {
    let mut table = String::from("| client \\ server |");
    for (name, _) in SERVERS {
        let _ = write!(table, " {name} |");
    }
    let _ = writeln!(table, " {PYTHON_SERVER} |\n|{}", "---|".repeat(SERVERS.len() + 2));
    for (name, test) in &CLIENTS {
        let _ = write!(table, "| {name} |");
        for (server_name, server) in SERVERS {
            // What others do with each other is their business.
            let is_ours = server_name != NPM_SERVER || matches!(test, Test::Ours(_));
            let works = if is_ours { revisions(test, server) } else { String::new() };
            let _ = write!(table, " {works} |");
        }
        let _ = writeln!(table, " {} |", with_python(test));
    }
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the README has a place for it");
    let (shown, after) = rest.split_once(END).expect("the place has an end");
    if env::var_os("BLESS").is_some() {
        return fs::write(&readme, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    }
    assert!(shown == table, "the README shows\n{shown}\nand this is what was found\n{table}");
}

const BEGIN: &str = "<!-- matrix -->\n";
const END: &str = "<!-- end of matrix -->\n";

/// The revisions in which a client works with a server.
fn revisions(test: &Test, server: fn() -> Command) -> String {
    // A client of a loaded machine takes its time. The rules of the heartbeat are judged elsewhere.
    let environment = [("PORT", "0"), ("PROFILE", "eio3"), ("PING_TIMEOUT", "10000")];
    let mut running = Running::start(server().envs(environment));
    let port = running.line().expect("a port");
    let url = format!("http://127.0.0.1:{port}");
    let works = |revision: &str| match test {
        Test::Official(own) if *own != revision => false,
        Test::Official(_) => {
            let mut script = script("echoes.mjs");
            script.args(["--server", "true"]).envs([("PORT", &*port), ("REVISION", revision)]);
            works(&mut script)
        }
        Test::Python => revision == "4" && works(&mut python(&["server", &url])),
        Test::Ours(program) => ["polling", "websocket", "upgrade"]
            .into_iter()
            .all(|mode| is_echoed_to(program, &url, mode, revision)),
    };
    listed(["4", "3"].into_iter().filter(|revision| works(revision)))
}

/// The same with the server of python-engineio, which speaks revision 4.
fn with_python(test: &Test) -> String {
    let works = match test {
        Test::Ours(program) => works(&mut python(&["client", program])),
        Test::Official(_) | Test::Python => return String::new(),
    };
    listed(works.then_some("4").into_iter())
}

fn listed(revisions: impl Iterator<Item = &'static str>) -> String {
    match revisions.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "-".into(),
        some => some,
    }
}

fn works(command: &mut Command) -> bool {
    succeeds(command).inspect_err(|report| eprintln!("{command:?}: {report}")).is_ok()
}

/// Whether a program of ours connects, upgrades if it is to, and has three messages echoed.
fn is_echoed_to(program: &str, url: &str, mode: &str, revision: &str) -> bool {
    let dialect = if revision == "3" { "-v3" } else { "" };
    let scenario = format!("eio-{mode}-early{dialect}");
    let mut client = Running::start(Command::new(program).args([url, &scenario]));
    let mut missing = vec!["open", "early-0", "early-1", "early-2"];
    if mode == "upgrade" {
        missing.push("upgrade");
    }
    while !missing.is_empty() {
        let Some(line) = client.line() else { return false };
        let line: Value = serde_json::from_str(&line).unwrap();
        let what = line["data"].as_str().or(line["event"].as_str()).unwrap();
        let Some(at) = missing.iter().position(|expected| *expected == what) else {
            eprintln!("{scenario}: {line} while {missing:?} were missing");
            return false;
        };
        // Messages come in order, whenever the upgrade does.
        if what.starts_with("early")
            && missing.iter().position(|m| m.starts_with("early")) != Some(at)
        {
            return false;
        }
        missing.remove(at);
    }
    true
}
