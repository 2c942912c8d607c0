//! The server that all clients talk to, in a process of its own.

use std::{
    env,
    io::{BufRead, BufReader, stdin},
    process::{Child, Command, Stdio},
    thread,
};

use enginewire_tokio::{
    ServerBuilder,
    socketio::{Data, Io, Routes, SocketRef},
};

use crate::Result;

/// A running server. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts a server. Port 0 is a free one.
    pub(crate) fn start(port: u16) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["serve", &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no pipe from the server")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self { port: line.trim().parse()?, child })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either fails only if the process has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until the input ends, which it also does when the parent dies.
pub(crate) fn serve(port: u16) -> Result<()> {
    thread::spawn(|| {
        let _ = stdin().lines().count();
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let io = Io::new();
        let echo =
            async |socket: SocketRef, Data(text): Data<String>| socket.emit("echo", &text).await;
        let serving = io.mount("/", Routes::new().on("echo", echo));
        let server = ServerBuilder::new().socketio(&io).bind(("127.0.0.1", port)).await?;
        println!("{}", server.local_addr().port());
        serving.await;
        Ok(())
    })
}
