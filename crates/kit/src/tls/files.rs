//! Certificates, authorities and keys from PEM files.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Error;

/// A certificate with its chain, and its key.
pub(super) fn pair(cert: &Path, key: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let chain = certificates("certificate", cert)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|why| file_error("private key", key, &why))?;
    Ok((chain, key))
}

/// The authorities in a file; at least one.
pub(super) fn roots(file: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("certificate authorities", file)? {
        roots.add(certificate).map_err(|why| file_error("certificate authorities", file, &why))?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(|why| file_error(what, file, &why))?;
    if certificates.is_empty() {
        return Err(file_error(what, file, &"no certificate in it"));
    }
    Ok(certificates)
}

fn file_error(what: &'static str, file: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::File { what, file: file.display().to_string(), why: why.to_string() }
}
