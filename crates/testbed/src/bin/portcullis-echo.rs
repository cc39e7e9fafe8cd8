//! The echo backend as a program, for the demo and for trying things by hand.

use std::net::SocketAddr;

use clap::Parser;
use testbed::client::Request;
use testbed::echo::Echo;

/// Answers every HTTP request with what it saw of it, as JSON. Speaks HTTP/1.1, h2c, gRPC and WebSocket.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example:\n  portcullis-echo --listen 127.0.0.1:3000 --name a")]
struct Args {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The name it shows as `pod`.
    #[arg(long, default_value = "echo")]
    name: String,
    /// Instead of listening, asks this URL once and prints the answer: a look around from inside a container.
    #[arg(long, value_name = "URL")]
    get: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(url) = args.get {
        let answer = Request::get(&url).send().await?;
        println!("{}", answer.text());
        anyhow::ensure!(answer.status.is_success(), "{url} answers {}", answer.status);
        return Ok(());
    }
    let mut echo = Echo::http().name(&args.name).bind(args.listen).spawn().await?;
    println!("listening on {}", echo.address());
    tokio::select! {
        () = echo.wait() => anyhow::bail!("the backend ended"),
        _ = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
    }
    echo.stop().await;
    Ok(())
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}
