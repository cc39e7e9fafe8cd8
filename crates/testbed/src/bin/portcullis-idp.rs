//! The development identity provider as a program, for the demo and for trying things by hand. Never shipped.

use std::net::SocketAddr;

use clap::Parser;
use testbed::idp::{Client, Provider};

/// An OpenID Connect provider that asks for no password. For development only.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example:\n  portcullis-idp --listen 127.0.0.1:9000 --client demo:secret")]
struct Args {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// The issuer, by which others reach it. [default: http:// and the address]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// A client that may log people in.
    #[arg(long, value_name = "ID:SECRET", default_value = "demo:secret")]
    client: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let client = |text: &String| {
        let (id, secret) = text.split_once(':').unwrap_or((text, ""));
        let secret = (!secret.is_empty()).then(|| secret.to_owned());
        Client { id: id.to_owned(), secret, ..Client::default() }
    };
    let clients = args.client.iter().map(client).collect();
    let mut provider = Provider::bind_as(args.listen, args.issuer, clients).await?;
    println!("issuer {}", provider.issuer());
    tokio::select! {
        () = provider.wait() => anyhow::bail!("the provider ended"),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
