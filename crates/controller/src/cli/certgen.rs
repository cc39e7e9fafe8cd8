//! `portcullis certgen`: certificates for the way between Envoys and the controller.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// The name that the server's certificate always bears: Envoys check it wherever the server is.
pub(super) const SERVER_NAME: &str = "portcullis";

/// Makes an authority and certificates for the xDS server and for Envoys, so that each can be sure of the other.
///
/// Writes ca.crt and ca.key, and tls.crt and tls.key into the directories server and envoy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  portcullis certgen --dir certs
  portcullis certgen --dir certs --name portcullis.example.com --name 10.0.0.7 --days 90")]
pub(super) struct Args {
    /// Where the files are put; made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// A DNS name or address of the server, beside portcullis, by which Envoys know it. May be given several times.
    #[arg(long, value_name = "NAME", default_values_t = ["localhost".to_owned(), "127.0.0.1".to_owned()])]
    name: Vec<String>,
    /// How long the certificates are valid.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Replaces files that are there.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.dir.join("ca.key").exists() && !args.force {
        bail!("{} has certificates already; add --force to replace them", args.dir.display());
    }
    let mut params = validity(CertificateParams::default(), args.days);
    params.distinguished_name.push(DnType::CommonName, "Portcullis CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    write(&args.dir, "ca.crt", &issuer.pem())?;
    write(&args.dir, "ca.key", &issuer.key().serialize_pem())?;
    let leaves = [
        ("server", [&[SERVER_NAME.to_owned()], args.name.as_slice()].concat(), ExtendedKeyUsagePurpose::ServerAuth),
        ("envoy", vec!["envoy".to_owned()], ExtendedKeyUsagePurpose::ClientAuth),
    ];
    for (name, names, usage) in leaves {
        let common = names.first().cloned().unwrap_or_default();
        let mut params = validity(CertificateParams::new(names)?, args.days);
        params.distinguished_name.push(DnType::CommonName, common);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let dir = args.dir.join(name);
        write(&dir, "tls.crt", &certificate.pem())?;
        write(&dir, "tls.key", &key.serialize_pem())?;
        write(&dir, "ca.crt", &issuer.pem())?;
    }
    println!("certificates for {} are in {}", args.name.join(", "), args.dir.display());
    Ok(ExitCode::SUCCESS)
}

/// From yesterday, as clocks differ.
fn validity(mut params: CertificateParams, days: u16) -> CertificateParams {
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    params.not_before = (now - day).into();
    params.not_after = (now + day * u32::from(days)).into();
    params
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
