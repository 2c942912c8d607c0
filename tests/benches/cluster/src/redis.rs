//! The server of Redis between the nodes.

use std::{
    net::Ipv4Addr,
    ops::{Div, Sub},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::Command,
    time::sleep,
};

use crate::{Result, process::Process};

pub(crate) struct Redis {
    pub(crate) process: Process,
    port: u16,
    stats: BufReader<TcpStream>,
}

/// Bytes that a server of Redis has received and sent.
#[derive(Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) input: f64,
    pub(crate) output: f64,
}

impl Redis {
    /// Starts a server without persistence, on a free port.
    pub(crate) async fn start() -> Result<Self> {
        // It cannot choose a port by itself.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "no", "--loglevel", "warning"]).stdout(Stdio::null());
        let process = Process::start(&mut command)?;
        for _ in 0..1000 {
            if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                return Ok(Self { process, port, stats: BufReader::new(stream) });
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err("redis-server does not listen".into())
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns what has passed until now. The question itself is counted from now on.
    pub(crate) async fn traffic(&mut self) -> Result<Traffic> {
        self.stats.get_mut().write_all(b"INFO stats\r\n").await?;
        let mut line = String::new();
        self.stats.read_line(&mut line).await?;
        let length = line.strip_prefix('$').ok_or_else(|| format!("no INFO of Redis: {line}"))?;
        let mut text = vec![0; length.trim_end().parse::<usize>()? + 2];
        self.stats.read_exact(&mut text).await?;
        let text = str::from_utf8(&text)?;
        let count = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.ok_or_else(|| format!("no {name} of Redis"))?.parse()?)
        };
        let (input, output) = (count("total_net_input_bytes:")?, count("total_net_output_bytes:")?);
        Ok(Traffic { input, output })
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { input: self.input - other.input, output: self.output - other.output }
    }
}

impl Div<f64> for Traffic {
    type Output = Self;

    fn div(self, parts: f64) -> Self {
        Self { input: self.input / parts, output: self.output / parts }
    }
}
