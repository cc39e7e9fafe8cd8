//! A real Redis for a test: single, as many as a test likes, with any settings; killed at the end.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let redis = testbed::redis::Spec::new().start().await?;
//! redis.command(&["SET", "a", "1"]).await?;
//! # Ok(()) }
//! ```

mod topology;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use crate::process::{self, Process};
use crate::{PATIENCE, tools};

/// How often another port is tried when somebody else was faster.
const TRIES: usize = 5;

pub use topology::{Cluster, sentinel};

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    args: Vec<String>,
    /// The configuration of a Sentinel, which has to be a file.
    sentinel: Option<String>,
    password: Option<String>,
    tls_only: bool,
}

impl Spec {
    /// A server without persistence, on a free port of 127.0.0.1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds command line arguments, such as `--maxmemory`, `1mb`.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Asks for a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Serves TLS on its port and nothing else, to those whose certificate is of this authority (PEM files). It cannot be asked
    /// by [`Redis::command`].
    #[must_use]
    pub fn mutual_tls(mut self, ca: &Path, cert: &Path, key: &Path) -> Self {
        self.tls_only = true;
        let files = [("ca-cert", ca), ("cert", cert), ("key", key)];
        let files =
            files.into_iter().flat_map(|(name, file)| [format!("--tls-{name}-file"), file.display().to_string()]);
        self.args(["--tls-auth-clients", "yes"]).args(files)
    }

    /// Starts it and waits until it accepts connections.
    pub async fn start(self) -> Result<Redis> {
        let dir = TempDir::with_prefix("redis-")?;
        let mut last = None;
        for _ in 0..TRIES {
            let address = free_address()?;
            match spawn(&self, address, &dir).await {
                Ok(process) => return Ok(Redis { spec: self, address, process: Some(process), dir }),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("never tried")?)
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

async fn spawn(spec: &Spec, address: SocketAddr, dir: &TempDir) -> Result<Process> {
    let port = address.port().to_string();
    let ports: &[&str] = if spec.tls_only { &["--port", "0", "--tls-port", &port] } else { &["--port", &port] };
    let mut command = process::Spec::new(tools::redis()?);
    if let Some(text) = &spec.sentinel {
        let file = dir.path().join("sentinel.conf");
        std::fs::write(&file, text)?;
        command = command.arg(file).arg("--sentinel");
    } else {
        command = command.args(["--save", "", "--appendonly", "no"]);
    }
    command = command.args(ports).args(["--bind", "127.0.0.1", "--dir"]).arg(dir.path());
    if let Some(password) = &spec.password {
        command = command.args(["--requirepass", password]);
    }
    let mut process = command.args(&spec.args).start()?;
    // It is asked for by its own words: on its port somebody else could answer.
    let words = if spec.sentinel.is_some() { "Sentinel ID is" } else { "Ready to accept connections" };
    process.wait_for_line(PATIENCE, |line| line.contains(words)).await.context("Redis does not start")?;
    Ok(process)
}

/// A running Redis, or one that was killed and may be started again. Dropping it kills it.
#[derive(Debug)]
pub struct Redis {
    spec: Spec,
    address: SocketAddr,
    process: Option<Process>,
    dir: TempDir,
}

impl Redis {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it; what it held is gone.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts it again at the same address, after [`Redis::kill`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process = Some(spawn(&self.spec, self.address, &self.dir).await?);
        Ok(())
    }

    /// Stops it where it stands (SIGSTOP): connections stay, nothing is answered.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().context("it was killed")?.signal(signal)
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Runs a command and gives its answer as text: numbers and strings as they are, lists one item a line, nothing for nil.
    pub async fn command(&self, words: &[&str]) -> Result<String> {
        let mut stream = BufStream::new(TcpStream::connect(self.address).await?);
        if let Some(password) = &self.spec.password {
            send(&mut stream, &["AUTH", password]).await?;
        }
        send(&mut stream, words).await
    }
}

async fn send(stream: &mut BufStream<TcpStream>, words: &[&str]) -> Result<String> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    answer(stream).await
}

async fn answer(stream: &mut BufStream<TcpStream>) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).context("Redis closed the connection")?;
    match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "-" => bail!("{rest}"),
        "$" => {
            let Ok(length) = rest.parse::<usize>() else { return Ok(String::new()) };
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes).await?;
            bytes.truncate(length);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        "*" => {
            let mut items = Vec::new();
            for _ in 0..rest.parse::<usize>().unwrap_or(0) {
                items.push(Box::pin(answer(stream)).await?);
            }
            Ok(items.join("\n"))
        }
        _ => bail!("an answer that is not understood: {line}"),
    }
}
