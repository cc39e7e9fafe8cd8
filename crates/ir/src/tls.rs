//! TLS towards clients and towards back ends.

use std::{fmt, sync::Arc};

use api::ObjectRef;

/// The name of a [`Secret`]: `certificate/namespace/name`, `ca/kind/namespace/name`.
pub type SecretName = Arc<str>;

/// Key material, delivered apart from what uses it so that a rotation disturbs no connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Secret {
    /// Its name.
    pub name: SecretName,
    /// What it is.
    pub material: SecretMaterial,
    /// The Secret or ConfigMap it was read from.
    pub source: ObjectRef,
}

/// What a [`Secret`] holds. Never shown by `Debug`.
#[derive(Clone, PartialEq)]
pub enum SecretMaterial {
    /// A certificate chain and its private key, PEM.
    Certificate {
        /// The chain, the leaf first.
        chain: Arc<[u8]>,
        /// The private key.
        key: Arc<[u8]>,
    },
    /// Certificates of authorities that are trusted, PEM.
    Authorities(Arc<[u8]>),
    /// A value for a request header, such as a credential.
    Value(Arc<[u8]>),
}

impl fmt::Debug for SecretMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate { .. } => "Certificate(***)",
            Self::Authorities(_) => "Authorities(…)",
            Self::Value(_) => "Value(***)",
        })
    }
}

/// How TLS of clients is terminated.
#[derive(Clone, Debug, PartialEq)]
pub struct DownstreamTls {
    /// Our certificates; the client's server name chooses.
    pub certificates: Vec<SecretName>,
    /// The authorities that clients' certificates are checked against, if they are.
    pub client_authorities: Vec<SecretName>,
    /// Whether a client without a valid certificate is let in all the same (`AllowInsecureFallback`).
    pub client_certificate_optional: bool,
    /// Application protocols to offer, in order of preference: `h2`, `http/1.1`.
    pub alpn: Vec<String>,
    /// Protocol versions and ciphers, when a policy says so.
    pub parameters: TlsParameters,
}

/// Protocol versions and ciphers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsParameters {
    /// The lowest version.
    pub min: Option<TlsVersion>,
    /// The highest version.
    pub max: Option<TlsVersion>,
    /// Cipher suites of TLS 1.2, in Envoy's (BoringSSL's) names.
    pub ciphers: Vec<String>,
    /// Key exchange groups.
    pub curves: Vec<String>,
    /// Signature algorithms.
    pub signature_algorithms: Vec<String>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum TlsVersion {
    V1_0,
    V1_1,
    V1_2,
    V1_3,
}

/// How we speak TLS to a back end.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamTls {
    /// The server name we ask for and, without [`UpstreamTls::subject_alt_names`], the name the certificate must have.
    pub sni: Option<String>,
    /// Take the server name from the `Host` that is sent, and check the certificate against it.
    pub auto_sni: bool,
    /// What the back end's certificate is checked against.
    pub trust: Trust,
    /// Names, one of which the certificate must have.
    pub subject_alt_names: Vec<SubjectAltName>,
    /// The certificate that we show.
    pub client_certificate: Option<SecretName>,
    /// Application protocols to offer.
    pub alpn: Vec<String>,
    /// Protocol versions and ciphers.
    pub parameters: TlsParameters,
}

/// What a back end's certificate is checked against.
#[derive(Clone, Debug, PartialEq)]
pub enum Trust {
    /// The authorities of the system Envoy runs on.
    System,
    /// Given authorities.
    Authorities(SecretName),
    /// The authority of the way between Envoys and the controller. The Envoy shows the certificate that it has for that.
    Fleet,
    /// Anything (`insecureSkipVerify`).
    Anything,
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq)]
pub enum SubjectAltName {
    /// A DNS name; `*.` at its start stands for one label.
    Dns(String),
    /// A URI, such as a SPIFFE id.
    Uri(String),
}
