//! `portcullis certgen`: certificates for the way between Envoys and the controller.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use crate::{
    api_server,
    authority::{Authority, Holder, Issued},
    kept_certs::{self, Wish},
};

/// Makes an authority and certificates for the xDS server and for Envoys, so that each can be sure of the other.
///
/// Writes ca.crt and ca.key, and tls.crt and tls.key into the directories server, envoy and ratelimit. The certificate in
/// envoy is good for the configuration of every Gateway; those of --fleet are good for one, and the authority that is there
/// signs them. The one in ratelimit is good for the rate limit service's, which may serve Envoys with it.
///
/// With --kubernetes they are kept in the Secrets envoy-gateway-ca, envoy-gateway and envoy-rate-limit of its own namespace,
/// for the server and the rate limit service: the controller signs for Envoys. What is missing is made, what is near its end is
/// renewed, so it may be run at any time. Secrets that others have made are left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  portcullis certgen --dir certs
  portcullis certgen --dir certs --fleet default/eg --fleet team-a/shop
  portcullis certgen --dir certs --name portcullis.example.com --name 10.0.0.7 --days 90
  portcullis certgen --kubernetes")]
pub(super) struct Args {
    /// Where the files are put; made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// A DNS name or address of the server, beside portcullis, by which Envoys know it. May be given several times.
    /// [default: localhost and 127.0.0.1; with --kubernetes the names of its Service, in any case]
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// A Gateway (namespace/name; a class where its gateways are merged) whose Envoys get a certificate of their own, in
    /// the directory fleets. May be given several times.
    #[arg(long, value_name = "FLEET", value_parser = fleet)]
    fleet: Vec<String>,
    /// How long the certificates are valid.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Replaces files or Secrets that are there.
    #[arg(long)]
    force: bool,
    /// Keeps the certificates in Secrets.
    #[arg(long, conflicts_with_all = ["dir", "fleet"])]
    kubernetes: bool,
    /// A ValidatingWebhookConfiguration that is to trust the authority.
    #[arg(long, value_name = "NAME", requires = "kubernetes")]
    webhook: Option<String>,
}

impl Args {
    /// The server's names in files.
    fn names(&self) -> Vec<String> {
        match self.name.as_slice() {
            [] => ["localhost", "127.0.0.1"].map(str::to_owned).to_vec(),
            names => names.to_vec(),
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.kubernetes {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(in_secrets(args))?;
        return Ok(ExitCode::SUCCESS);
    }
    let is_there = args.dir.join("ca.key").exists() && !args.force;
    if is_there && args.fleet.is_empty() {
        bail!("{} has certificates already; add --force to replace them", args.dir.display());
    }
    let authority = if is_there { load(&args.dir)? } else { make(args)? };
    for fleet in &args.fleet {
        issue(&authority, &args.dir.join("fleets").join(fleet), Holder::Fleet(fleet), args.days)?;
    }
    println!("certificates for {} are in {}", args.names().join(", "), args.dir.display());
    Ok(ExitCode::SUCCESS)
}

async fn in_secrets(args: &Args) -> anyhow::Result<()> {
    let (client, namespace) = api_server::connect().await?;
    let wish = Wish { namespace: namespace.clone(), names: args.name.clone(), days: args.days, force: args.force };
    for line in kept_certs::keep(&client, &wish).await? {
        println!("{line}");
    }
    if let Some(webhook) = &args.webhook {
        println!("{}", kept_certs::trust(&client, &namespace, webhook).await?);
    }
    Ok(())
}

/// The authority that was made before.
fn load(dir: &Path) -> anyhow::Result<Authority> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(Authority::of(&Issued { certificate: read("ca.crt")?, key: read("ca.key")? })?)
}

/// A new authority, with what it signs in any case.
fn make(args: &Args) -> anyhow::Result<Authority> {
    let (authority, own) = Authority::make(args.days)?;
    write(&args.dir, "ca.crt", &own.certificate)?;
    write(&args.dir, "ca.key", &own.key)?;
    issue(&authority, &args.dir.join("server"), Holder::Server(&args.names()), args.days)?;
    issue(&authority, &args.dir.join("envoy"), Holder::AnyFleet, args.days)?;
    issue(&authority, &args.dir.join("ratelimit"), Holder::RateLimit(&args.names()), args.days)?;
    Ok(authority)
}

fn issue(authority: &Authority, dir: &Path, holder: Holder<'_>, days: u16) -> anyhow::Result<()> {
    let Issued { certificate, key } = authority.issue(holder, days)?;
    write(dir, "tls.crt", &certificate)?;
    write(dir, "tls.key", &key)?;
    write(dir, "ca.crt", authority.certificate())
}

/// A fleet's name, which is also a path here.
fn fleet(text: &str) -> Result<String, String> {
    let is_name = |part: &str| {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_inner)
    };
    match text.split('/').all(is_name) && text.split('/').count() <= 2 {
        true => Ok(text.to_owned()),
        false => Err("write namespace/name of a Gateway, or the name of a GatewayClass".to_owned()),
    }
}

/// Keys are for their owner alone, so all files are.
fn write(dir: &Path, name: &str, pem: &str) -> anyhow::Result<()> {
    let path = dir.join(name);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make {}", dir.display()))?;
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&path)?;
    file.write_all(pem.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
