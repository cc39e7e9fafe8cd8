//! The authority of the way between Envoys and the controller: certificates for both ends, and what they say.
//!
//! An Envoy's certificate names the fleet that it is of, as a SPIFFE id: an Envoy gets its own fleet's configuration, with
//! the keys in it, and no other's. <https://spiffe.io/docs/latest/spiffe-about/spiffe-concepts/#spiffe-id>

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

/// The name that the server's certificate always bears: Envoys check it wherever the server is.
pub const SERVER_NAME: &str = "portcullis";

/// The identity of Envoys that may have any fleet's configuration: for those that others start.
pub const ANY_FLEET: &str = "spiffe://portcullis/fleets";

/// The name that the rate limit service's certificate always bears: Envoys check it.
pub const RATE_LIMIT_NAME: &str = "envoy-ratelimit";

/// The identity of the rate limit service.
pub const RATE_LIMIT: &str = "spiffe://portcullis/ratelimit";

/// The name that the single sign-on service's certificate always bears: Envoys check it.
pub const SINGLE_SIGN_ON_NAME: &str = "portcullis-oidc";

/// The identity of the single sign-on service.
pub const SINGLE_SIGN_ON: &str = "spiffe://portcullis/oidc";

/// The identity of a fleet's Envoys. The name is `namespace/name` of a Gateway, or that of a class.
pub fn fleet_id(fleet: &str) -> String {
    format!("spiffe://portcullis/fleet/{fleet}")
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// The server, under [`SERVER_NAME`] and these names and addresses.
    Server(&'a [String]),
    /// The Envoys of one fleet.
    Fleet(&'a str),
    /// Envoys of any fleet.
    AnyFleet,
    /// The rate limit service, which gets its configuration from the server, and serves Envoys under [`RATE_LIMIT_NAME`] and
    /// these names and addresses.
    RateLimit(&'a [String]),
    /// The single sign-on service, which gets its profiles from the server, and serves Envoys under [`SINGLE_SIGN_ON_NAME`] and
    /// these names and addresses.
    SingleSignOn(&'a [String]),
}

/// A certificate and its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issued(***)")
    }
}

/// Signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// Why there is no authority, or no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the authority.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// A certificate or key that is none, or a name that cannot be one.
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
}

impl Authority {
    /// A new one. Its own certificate and key come with it.
    ///
    /// # Errors
    /// No key can be made.
    pub fn make(days: u16) -> Result<(Self, Issued), Error> {
        let mut params = validity(CertificateParams::default(), days);
        params.distinguished_name.push(DnType::CommonName, "Portcullis CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let own = Issued { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() };
        Ok((Self::of(&own)?, own))
    }

    /// The one whose certificate and key these are.
    ///
    /// # Errors
    /// They are none.
    pub fn of(own: &Issued) -> Result<Self, Error> {
        let issuer = Issuer::from_ca_cert_pem(&own.certificate, KeyPair::from_pem(&own.key)?)?;
        Ok(Self { issuer, certificate: own.certificate.clone() })
    }

    /// The one in a directory, as the files `tls.crt` and `tls.key`.
    ///
    /// # Errors
    /// A file cannot be read, or is no certificate or key.
    pub fn load(directory: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read_to_string(&path).map_err(|error| Error::File(path.display().to_string(), error))
        };
        Self::of(&Issued { certificate: read("tls.crt")?, key: read("tls.key")? })
    }

    /// Its own certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate and key that are valid from now on.
    ///
    /// # Errors
    /// A name cannot stand in a certificate.
    pub fn issue(&self, holder: Holder<'_>, days: u16) -> Result<Issued, Error> {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        let also = |own: &str, names: &[String]| [&[own.to_owned()], names].concat();
        let client = |id| (Vec::new(), "envoy", Some(id), vec![ClientAuth]);
        let (names, common, id, usages) = match holder {
            Holder::Server(names) => (also(SERVER_NAME, names), SERVER_NAME, None, vec![ServerAuth]),
            Holder::Fleet(fleet) => client(fleet_id(fleet)),
            Holder::AnyFleet => client(ANY_FLEET.to_owned()),
            Holder::RateLimit(names) => {
                let names = also(RATE_LIMIT_NAME, names);
                (names, "ratelimit", Some(RATE_LIMIT.to_owned()), vec![ClientAuth, ServerAuth])
            }
            Holder::SingleSignOn(names) => {
                let names = also(SINGLE_SIGN_ON_NAME, names);
                (names, "oidc", Some(SINGLE_SIGN_ON.to_owned()), vec![ClientAuth, ServerAuth])
            }
        };
        let mut params = validity(CertificateParams::new(names)?, days);
        if let Some(id) = id {
            params.subject_alt_names.push(SanType::URI(id.as_str().try_into()?));
        }
        params.distinguished_name.push(DnType::CommonName, common);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// From yesterday, as clocks differ.
fn validity(mut params: CertificateParams, days: u16) -> CertificateParams {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + DAY * u32::from(days)).into();
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_was_kept_signs_as_before() {
        let (_, own) = Authority::make(2).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tls.crt"), &own.certificate).unwrap();
        assert!(Authority::load(dir.path()).unwrap_err().to_string().contains("tls.key"));
        std::fs::write(dir.path().join("tls.key"), &own.key).unwrap();
        let authority = Authority::load(dir.path()).unwrap();
        for (holder, id) in [
            (Holder::Fleet("default/eg"), fleet_id("default/eg")),
            (Holder::AnyFleet, ANY_FLEET.to_owned()),
            (Holder::RateLimit(&[]), RATE_LIMIT.to_owned()),
            (Holder::SingleSignOn(&[]), SINGLE_SIGN_ON.to_owned()),
        ] {
            let issued = authority.issue(holder, 1).unwrap();
            let pem = issued.certificate.lines().filter(|line| !line.starts_with('-')).collect::<String>();
            let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, pem).unwrap();
            assert_eq!(kit::tls::Identity::of_certificate(&der).uris, [id]);
            assert_eq!(format!("{issued:?}"), "Issued(***)");
        }
    }
}
