//! Certificates for tests: a certificate authority, and leaves for servers and clients.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate authority that exists for one test.
#[derive(Debug)]
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    key: String,
}

/// A certificate and its private key, both PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate (`tls.crt` of a Kubernetes Secret).
    pub cert: String,
    /// The private key, PKCS 8 (`tls.key` of a Kubernetes Secret).
    pub key: String,
}

impl Ca {
    /// An authority of that common name.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pair = KeyPair::generate()?;
        let key = pair.serialize_pem();
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, pair)?, key })
    }

    /// Its certificate, PEM (`ca.crt` of a ConfigMap).
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's certificate for these DNS names and IP addresses.
    pub fn server(&self, names: &[&str]) -> Result<Identity> {
        self.sign(&leaf(names, ExtendedKeyUsagePurpose::ServerAuth)?)
    }

    /// A server's certificate that is no longer valid.
    pub fn expired_server(&self, names: &[&str]) -> Result<Identity> {
        let mut params = leaf(names, ExtendedKeyUsagePurpose::ServerAuth)?;
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(&params)
    }

    /// A client's certificate: the first name is also its common name. A name with a scheme (`spiffe://…`) becomes a URI SAN.
    pub fn client(&self, names: &[&str]) -> Result<Identity> {
        self.sign(&leaf(names, ExtendedKeyUsagePurpose::ClientAuth)?)
    }

    /// A client's certificate of that common name for a member of an organisation, as Kubernetes knows users and groups.
    pub fn member(&self, name: &str, organization: &str) -> Result<Identity> {
        let mut params = leaf(&[], ExtendedKeyUsagePurpose::ClientAuth)?;
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(&params)
    }

    /// Its own private key, PEM, for a program that signs in its name.
    pub fn key_pem(&self) -> &str {
        &self.key
    }

    fn sign(&self, params: &CertificateParams) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { cert: cert.pem(), key: key.serialize_pem() })
    }
}

impl Identity {
    /// Writes `tls.crt` and `tls.key` into a directory.
    pub fn write_to(&self, dir: &Path) -> Result<()> {
        std::fs::write(dir.join("tls.crt"), &self.cert)?;
        Ok(std::fs::write(dir.join("tls.key"), &self.key)?)
    }

    /// A Kubernetes Secret of type `kubernetes.io/tls` as a manifest.
    pub fn secret_manifest(&self, namespace: &str, name: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata:\n  namespace: {namespace}\n  name: {name}\n\
             data:\n  tls.crt: {}\n  tls.key: {}\n",
            BASE64_STANDARD.encode(&self.cert),
            BASE64_STANDARD.encode(&self.key)
        )
    }

    pub(crate) fn chain(&self) -> Result<Vec<CertificateDer<'static>>> {
        certificates(&self.cert)
    }

    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>> {
        Ok(PrivateKeyDer::from_pem_slice(self.key.as_bytes())?)
    }
}

/// A key pair for signing tokens: the private key (PKCS 8) and the public one, both PEM.
pub fn signing_key() -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

fn leaf(names: &[&str], purpose: ExtendedKeyUsagePurpose) -> Result<CertificateParams> {
    let (uris, plain): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains("://"));
    let mut params = CertificateParams::new(plain.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
    for uri in uris {
        params.subject_alt_names.push(SanType::URI(uri.try_into()?));
    }
    params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("leaf"));
    params.extended_key_usages = vec![purpose];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// The certificates of a PEM text.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
}

/// Trust in the authorities of a PEM text.
pub(crate) fn roots(pem: &str) -> Result<Arc<rustls::RootCertStore>> {
    let mut store = rustls::RootCertStore::empty();
    for cert in certificates(pem)? {
        store.add(cert)?;
    }
    Ok(Arc::new(store))
}

/// The cryptography that every TLS end here uses, named so that no process-wide default is needed.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
