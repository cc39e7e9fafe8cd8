//! Where Envoys get their configuration: a Unix socket for those of this machine, TLS with certificates on both sides for
//! others. Without TLS only this machine itself is served.

use std::{
    net::ToSocketAddrs as _,
    path::{Path, PathBuf},
};

use kit::{
    Kit,
    incoming::Incoming,
    net::{Address, Listener, Purpose},
    tasks::BoxError,
    tls::{PeerPolicy, Protocols, ServerSettings, follow_server},
};
use xds::{Cache, LedgerBook, admit_by_identity, grpc::Ads};

use crate::authority::{ANY_FLEET, fleet_id};

const SOCKET: Purpose = Purpose { name: "xds", setting: "the field provider.custom.infrastructure.host.runtimeDir" };
const NETWORK: Purpose = Purpose { name: "xds", setting: "--xds-address" };

/// Where the server listens beside its Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Host and port.
    pub address: String,
    /// The directory of the certificates, as `portcullis certgen` makes it or as a Secret is mounted.
    pub certificates: Option<PathBuf>,
}

impl Network {
    /// Refuses to serve others without TLS.
    ///
    /// # Errors
    /// The address is not one of this machine's own, and there are no certificates.
    pub fn check(&self) -> Result<(), String> {
        let addresses = self.address.to_socket_addrs().map_err(|error| format!("{}: {error}", self.address))?;
        if self.certificates.is_none() && !addresses.into_iter().all(|address| address.ip().is_loopback()) {
            return Err(format!(
                "{}: others than this machine are served with TLS only; make certificates with `portcullis certgen` and \
                 name their directory with --certs",
                self.address
            ));
        }
        Ok(())
    }

    /// Connections to it.
    ///
    /// # Errors
    /// The address is in use, or certificates cannot be read.
    pub(crate) async fn listen(&self, kit: &Kit, purpose: Purpose) -> Result<Incoming, BoxError> {
        let tls = match &self.certificates {
            Some(directory) => {
                let name = format!("{}-tls", purpose.name);
                Some(follow_server(&kit.reloader(), &name, settings(directory), Protocols::Http2).await?)
            }
            None => None,
        };
        let listener = Listener::bind(&Address::Tcp(self.address.clone()), purpose).await?;
        Ok(Incoming::start(listener, tls, &kit.shutdown))
    }
}

/// Serves the Unix socket and, where there is one, the network.
///
/// # Errors
/// An address is in use, or certificates cannot be read.
pub async fn serve(
    kit: &Kit,
    socket: &Path,
    network: Option<&Network>,
    cache: &Cache,
    book: &LedgerBook,
) -> Result<(), BoxError> {
    let ads = Ads::new(cache.clone(), book.clone(), admit_by_identity(fleet_id, ANY_FLEET), kit.shutdown.clone());
    // Whoever may open the socket may have the configuration: it lies in a directory that only its owner may enter.
    let listener = Listener::bind(&Address::Unix(socket.to_owned()), SOCKET).await?;
    let incoming = Incoming::start(listener, None, &kit.shutdown);
    let local = ads.clone();
    kit.tasks.spawn("xds socket", async move { local.serve(incoming).await });
    let Some(network) = network else { return Ok(()) };
    let incoming = network.listen(kit, NETWORK).await?;
    kit.tasks.spawn("xds network", async move { ads.serve(incoming).await });
    Ok(())
}

fn settings(directory: &Path) -> ServerSettings {
    let (cert, key) = server_certificate(directory);
    ServerSettings { cert, key, client_ca: Some(directory.join("ca.crt")), allowed_clients: PeerPolicy::default() }
}

/// The server's certificate and key in a directory of certificates: below `server`, as `portcullis certgen` writes them,
/// or in the directory itself, as a mounted Secret has them.
pub(crate) fn server_certificate(directory: &Path) -> (PathBuf, PathBuf) {
    let below = directory.join("server");
    let directory = if below.is_dir() { &below } else { directory };
    (directory.join("tls.crt"), directory.join("tls.key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_this_machine_is_served_without_tls() {
        let network = |address: &str, certificates: Option<&str>| Network {
            address: address.to_owned(),
            certificates: certificates.map(PathBuf::from),
        };
        assert_eq!(network("127.0.0.1:0", None).check(), Ok(()));
        assert_eq!(network("[::1]:18000", None).check(), Ok(()));
        assert!(network("0.0.0.0:18000", None).check().unwrap_err().contains("certgen"));
        assert_eq!(network("0.0.0.0:18000", Some("certs")).check(), Ok(()));
        assert!(network("nothing", None).check().is_err());
    }

    #[test]
    fn certificates_lie_as_certgen_writes_them_or_as_a_secret_is_mounted() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(server_certificate(dir.path()).0, dir.path().join("tls.crt"));
        std::fs::create_dir(dir.path().join("server")).unwrap();
        assert_eq!(server_certificate(dir.path()).0, dir.path().join("server/tls.crt"));
    }
}
