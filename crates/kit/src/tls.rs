//! TLS between our own processes: TLS 1.3 by aws-lc-rs, certificates from PEM files that may be rotated at any time, and
//! rules about who the peer must be.
//!
//! A rotated file gives a whole new rustls configuration, taken by the next connection. Established connections stay.

mod files;
mod peer;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use serde::{Deserialize, Serialize};

use crate::reload::{Reloader, Reloading};
use crate::tasks::BoxError;

pub use peer::{Identity, PeerPolicy};

/// The application protocols of a server or client, by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/2 only: gRPC.
    Http2,
    /// HTTP/2 or HTTP/1.1.
    Http,
}

impl Protocols {
    fn alpn(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http2 => vec![b"h2".to_vec()],
            Self::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }
}

/// The TLS of a server, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServerSettings {
    /// PEM file with the certificate and its chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the authorities of client certificates. When set, a client certificate is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Which clients may connect, of those that `client_ca` vouches for. Empty: all of them.
    #[serde(default)]
    pub allowed_clients: PeerPolicy,
}

/// The TLS of a client, as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClientSettings {
    /// PEM file with the authorities of the server's certificate.
    pub ca: PathBuf,
    /// PEM file with our certificate and its chain, for servers that want one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM file with our private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Whom we accept as the server. Empty: the certificate must be for the host name that we connect to. Otherwise the
    /// certificate must carry one of these names instead (a SPIFFE certificate has no host name).
    #[serde(default)]
    pub allowed_servers: PeerPolicy,
}

/// Why TLS cannot be set up. Mended by whoever configures the files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or holds something else.
    #[error("{what} {file}: {why}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The files do not fit together.
    #[error("certificate {cert} and key {key}: {why}")]
    Pair {
        /// The certificate's file.
        cert: String,
        /// The key's file.
        key: String,
        /// What is wrong.
        why: rustls::Error,
    },
    /// The settings contradict each other.
    #[error("{0}")]
    Settings(&'static str),
    /// Anything else that rustls refuses.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// The one cryptography provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Reads the files and makes the configuration of a server.
pub fn server_config(settings: &ServerSettings, protocols: Protocols) -> Result<ServerConfig, Error> {
    let provider = provider();
    let (chain, key) = files::pair(&settings.cert, &settings.key)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[&TLS13])?;
    let builder = match &settings.client_ca {
        Some(ca) => {
            let roots = files::roots(ca)?;
            builder.with_client_cert_verifier(verify::clients(roots, settings.allowed_clients.clone(), provider)?)
        }
        None if settings.allowed_clients.is_empty() => builder.with_no_client_auth(),
        None => return Err(Error::Settings("allowedClients needs clientCa: only a verified client has a name")),
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|why| pair_error(&settings.cert, &settings.key, why))?;
    config.alpn_protocols = protocols.alpn();
    Ok(config)
}

/// Reads the files and makes the configuration of a client.
pub fn client_config(settings: &ClientSettings, protocols: Protocols) -> Result<ClientConfig, Error> {
    let provider = provider();
    let roots = files::roots(&settings.ca)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[&TLS13])?;
    let builder = if settings.allowed_servers.is_empty() {
        builder.with_root_certificates(roots)
    } else {
        let verifier = verify::servers(roots, settings.allowed_servers.clone(), &provider);
        builder.dangerous().with_custom_certificate_verifier(verifier)
    };
    let mut config = match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => {
            let (chain, private) = files::pair(cert, key)?;
            builder.with_client_auth_cert(chain, private).map_err(|why| pair_error(cert, key, why))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(Error::Settings("cert and key go together: one of them is missing")),
    };
    config.alpn_protocols = protocols.alpn();
    Ok(config)
}

fn pair_error(cert: &std::path::Path, key: &std::path::Path, why: rustls::Error) -> Error {
    Error::Pair { cert: cert.display().to_string(), key: key.display().to_string(), why }
}

/// A server's configuration that follows its files. `name` labels logs and metrics.
pub async fn follow_server(
    reloader: &Reloader,
    name: &str,
    settings: ServerSettings,
    protocols: Protocols,
) -> Result<Reloading<ServerConfig>, BoxError> {
    let files: Vec<PathBuf> = [&settings.cert, &settings.key].into_iter().chain(&settings.client_ca).cloned().collect();
    reloader.follow(name, &files, move || server_config(&settings, protocols)).await
}

/// A client's configuration that follows its files. `name` labels logs and metrics.
pub async fn follow_client(
    reloader: &Reloader,
    name: &str,
    settings: ClientSettings,
    protocols: Protocols,
) -> Result<Reloading<ClientConfig>, BoxError> {
    let files: Vec<PathBuf> =
        std::iter::once(&settings.ca).chain(&settings.cert).chain(&settings.key).cloned().collect();
    reloader.follow(name, &files, move || client_config(&settings, protocols)).await
}
