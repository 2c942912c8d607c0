//! A server without a file descriptor for another connection: those that it has go on, the others
//! wait and are served as soon as there is one.
//!
//! The server is a process of its own, with a limit of its own, and is watched through `/proc`.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, Signal, kill_process},
};

use crate::{
    Host,
    client::{Client, until},
};

on_every_runtime!(a_server_out_of_descriptors_serves_those_it_has_and_then_the_others);

/// Open files that the server may have.
const LIMIT: usize = 64;

fn a_server_out_of_descriptors_serves_those_it_has_and_then_the_others<R: Host>() {
    let server = Server::start::<R>();
    let free = LIMIT - server.descriptors();
    let mut websocket = Client::open_websocket(server.address);
    let mut polling = Client::connect(server.address);
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={}", polling.open_polling());
    let mut accepted = Vec::new();
    for _ in 0..free - 2 {
        accepted.push(Client::open_websocket(server.address));
    }
    assert_eq!(server.descriptors(), LIMIT);
    let mut waiting = Vec::new();
    for _ in 0..4 {
        // The system completes the connection, the server cannot take it.
        let mut client = Client::connect(server.address);
        client.write(Client::upgrade(""));
        waiting.push(client);
    }

    let (started, spent) = (Instant::now(), server.processor_time());
    for client in &mut waiting {
        let early = client.answer_within(WATCHED / 4);
        assert!(early.is_none(), "{early:?} without a descriptor");
    }
    let (watched, spent) = (started.elapsed(), server.processor_time() - spent);
    assert!(spent < watched / 5, "{spent:?} of {watched:?} were spent on waiting");
    for i in 0..100 {
        let text = format!("4{i}");
        websocket.send(&text);
        assert_eq!(websocket.text(), text);
        polling.request("POST", &target, &text);
        assert_eq!(polling.answer().status, 200);
        assert_eq!(polling.get(&target).body, text);
    }
    assert_eq!(server.descriptors(), LIMIT);

    accepted.truncate(accepted.len() - waiting.len());
    for client in &mut waiting {
        assert_eq!(client.answer().status, 101);
        assert!(client.text().starts_with("0{"));
    }
    accepted.clear();
    waiting.clear();
    let mut fresh = Client::open_websocket(server.address);
    for client in [&mut fresh, &mut websocket] {
        client.send("4still here");
        assert_eq!(client.text(), "4still here");
    }
    // A session over polling would be waited for.
    polling.request("POST", &target, "1");
    assert_eq!(polling.answer().status, 200);
    drop((fresh, websocket, polling));
    assert!(server.terminate().success());
}

/// How long the server is watched while it can do nothing.
const WATCHED: Duration = Duration::from_millis(600);

/// The test server, on one thread. Does not outlive the test.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start<R: Host>() -> Self {
        let mut process = Command::new("sh")
            .args(["-c", &format!("ulimit -n {LIMIT} && exec \"$0\"")])
            .arg(R::SERVER)
            // The profile with a heartbeat that is slower than the test.
            .envs([("PROFILE", "bench"), ("WORKERS", "0")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let address = (Ipv4Addr::LOCALHOST, port.trim().parse().unwrap()).into();
        Self { process, address }
    }

    /// File descriptors in use that the limit is about: it bounds their numbers, and whoever runs
    /// the tests may have left open some that are beyond it.
    fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap();
        let numbers = open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse());
        numbers.filter(|number| number.as_ref().is_ok_and(|&number: &usize| number < LIMIT)).count()
    }

    /// What all threads have used so far, in the kernel and outside.
    fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // Fields 14 and 15, counted from one. The second is a name in parentheses.
        let (_, from_third) = stat.rsplit_once(") ").unwrap();
        let ticks: u64 =
            from_third.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1000 / clock_ticks_per_second())
    }

    /// Asks the server to end.
    fn terminate(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let mut status = None;
        until("the server's end", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either fails only if the process has ended and was waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
