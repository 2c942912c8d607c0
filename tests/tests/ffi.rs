//! The C ABI: its header, its examples in C and Python with the official clients, and its misuse.
//!
//! Needs `cc` with AddressSanitizer, which gcc and clang have, and `python3`. `UPDATE_HEADER=1` writes the header.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use enginewire_tests::{
    client::Client,
    process::{self, Running, script, succeed},
};
use rustix::process::Signal;

#[test]
fn header_is_that_of_the_source() {
    let config = cbindgen::Config::from_file(folder().join("cbindgen.toml")).unwrap();
    let mut header = Vec::new();
    cbindgen::generate_with_config(folder(), config).unwrap().write(&mut header);
    let path = folder().join("include/enginewire.h");
    if env::var_os("UPDATE_HEADER").is_some() {
        fs::write(&path, &header).unwrap();
    }
    let committed = fs::read(&path).unwrap();
    assert!(committed == header, "the header is old: run this test with UPDATE_HEADER=1");
}

#[test]
fn header_is_valid_in_c_and_cpp() {
    let source = scratch("header.c");
    fs::write(&source, "#include \"enginewire.h\"\n#include \"enginewire.h\"\n").unwrap();
    for language in [["-xc", "-std=c99"], ["-xc++", "-std=c++11"]] {
        succeed(compiler().args(language).args(["-pedantic", "-fsyntax-only"]).arg(&source));
    }
}

#[test]
fn program_of_the_readme_opens_a_session() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let (_, program) = readme.split_once("```c\n").unwrap();
    let (program, _) = program.split_once("```\n").unwrap();
    let source = scratch("readme.c");
    fs::write(&source, program).unwrap();
    let output = Command::new(compile(&source)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let response = String::from_utf8_lossy(&output.stdout);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains(r#""pingInterval":10000"#), "{response}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "next deadline after 10 s\n");
}

#[test]
fn misuse_gives_codes() {
    runs("misuse.c");
}

#[test]
fn every_call_with_any_id_gives_a_code() {
    runs("every_call.c");
}

/// Compiles a program of `tests/c`, which must end well.
fn runs(name: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c").join(name);
    succeed(&mut Command::new(compile(&source)));
}

#[test]
fn c_server_echoes_messages_over_each_transport() {
    echoes(c_server("engine"));
}

#[test]
fn c_server_is_a_chat_over_each_transport() {
    chats(c_server("socketio"));
}

#[test]
fn python_server_echoes_messages_over_each_transport() {
    echoes(python("server.py", "engine"));
}

#[test]
fn python_server_is_a_chat_over_each_transport() {
    chats(python("server.py", "socketio"));
}

#[test]
fn python_client_has_its_messages_echoed_by_the_reference() {
    let environment = [("PORT", "0"), ("PING_TIMEOUT", "10000")];
    let mut server = Running::start(script("reference-server.mjs").envs(environment));
    let port = server.line().expect("a port");
    let url = format!("http://127.0.0.1:{port}");
    let mut client = Running::start(python("client.py", "engine").arg(url));
    assert_eq!(client.line().as_deref(), Some("connected"));
    client.write("before");
    // They may come in either order.
    let mut lines = [client.line(), client.line()].map(Option::unwrap_or_default);
    lines.sort();
    assert_eq!(lines, ["before", "upgraded"]);
    client.write("after €");
    assert_eq!(client.line().as_deref(), Some("after €"));
    assert!(client.end().success());
}

#[test]
fn python_client_says_that_there_is_no_server() {
    // Nothing listens on the port of `tcpmux`.
    let mut client = Running::start(python("client.py", "engine").arg("http://127.0.0.1:1"));
    assert_eq!(client.line().as_deref(), Some("closed: transport error"));
    assert!(client.end().success());
}

#[test]
fn python_client_talks_socketio_with_the_reference() {
    let mut server = script("sio/reference-server.mjs");
    let environment = [("PORT", "0"), ("PROFILE", "relaxed"), ("PING_TIMEOUT", "10000")];
    let mut server = Running::start(server.envs(environment));
    let url = format!("http://127.0.0.1:{}", server.line().expect("a port"));
    let mut client = python("client.py", "socketio");
    let mut client = Running::start(client.args([&url, "/custom", r#"{"token":1}"#]));
    assert_eq!(client.line().as_deref(), Some("connected"));
    assert_eq!(client.line().as_deref(), Some(r#"auth [{"token":1}]"#));
    client.write("message-with-ack hello €");
    assert_eq!(client.line().as_deref(), Some(r#"acknowledged ["hello €"]"#));
    client.write("echo again");
    assert_eq!(client.line().as_deref(), Some(r#"echo ["again"]"#));
    assert_eq!(client.line().as_deref(), Some("no acknowledgement: timeout"));
    client.write("disconnect-me now");
    for what in ["disconnected", "no acknowledgement"] {
        assert_eq!(client.line(), Some(format!("{what}: io server disconnect")));
    }
    assert!(client.end().success());

    let mut client = python("client.py", "socketio");
    let mut client = Running::start(client.args([&url, "/secret"]));
    let refused = r#"refused: not authorized {"code":"E_AUTH","retry":false}"#;
    assert_eq!(client.line().as_deref(), Some(refused));
    assert!(client.end().success());
}

/// Has an echo server talk to the official client, and end in order.
fn echoes(mut command: Command) {
    let mut server = Running::start(&mut command);
    let port = server.line().expect("a port");
    delivers_what_had_no_room((Ipv4Addr::LOCALHOST, port.parse().unwrap()).into());
    // The harness wants to know of a server, and need not start it.
    succeed(script("echoes.mjs").args(["--server", "true"]).env("PORT", port));
    end(server);
}

/// The echo of a client that does not poll fills its queue. The third message has no room, the fourth waits behind it.
fn delivers_what_had_no_room(address: SocketAddr) {
    let mut client = Client::connect(address);
    let sid = client.open_polling();
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    let messages = ["a", "b", "c", "d"].map(|letter| format!("4{}", letter.repeat(750_000)));
    for message in &messages {
        client.request("POST", &target, message);
        assert_eq!(client.answer().status, 200);
    }
    for message in &messages {
        // Not in the report of a failure, as it is long.
        assert!(client.get(&target).body == *message, "each comes back, in order");
    }
    // Or the server would wait for it to poll when it ends.
    client.request("POST", &target, "1");
    assert_eq!(client.answer().status, 200);
}

/// The same of a chat server.
fn chats(mut command: Command) {
    let mut server = Running::start(&mut command);
    let port = server.line().expect("a port");
    succeed(script("ffi.mjs").arg(format!("http://127.0.0.1:{port}")));
    end(server);
}

/// A sanitized program fails here if it leaks.
fn end(server: Running) {
    server.signal(Signal::TERM);
    assert!(server.end().success(), "the server ends in order when it is asked to");
}

fn c_server(kind: &str) -> Command {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    let mut server =
        Command::new(SERVER.get_or_init(|| compile(&folder().join("examples/server.c"))));
    server.arg(kind);
    server
}

fn python(name: &str, argument: &str) -> Command {
    let mut python = Command::new("python3");
    // Without leaving bytecode in the examples.
    python.arg("-B").arg(folder().join("examples").join(name));
    python.arg(libraries().join("libenginewire_ffi.so")).arg(argument);
    python
}

/// Compiles a program with the static library and sanitizers.
fn compile(source: &Path) -> PathBuf {
    let program = scratch(source.file_stem().unwrap().to_str().unwrap());
    let mut compiler = compiler();
    compiler.args(["-std=c11", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    compiler.arg(source).arg(libraries().join("libenginewire_ffi.a"));
    succeed(compiler.args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&program));
    program
}

fn compiler() -> Command {
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Wextra", "-Werror", "-I"]).arg(folder().join("include"));
    compiler
}

/// The folder of the libraries, built.
fn libraries() -> &'static Path {
    static LIBRARIES: OnceLock<PathBuf> = OnceLock::new();
    LIBRARIES.get_or_init(|| process::libraries("enginewire-ffi"))
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../core/ffi"))
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
