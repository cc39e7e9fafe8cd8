//! Helpers for tests: a kit without a process, certificates, doubles of a web server and a collector, and waiting with a deadline.

pub mod collector;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use prometheus::Registry;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

use crate::drain::Shutdown;
use crate::incoming::Incoming;
use crate::kit::Kit;
use crate::metrics::Described;
use crate::net::{Address, Listener, Purpose};
use crate::telemetry::{LogSettings, logging};

/// How long a condition may take to come true before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A kit whose log goes nowhere.
pub fn kit() -> Kit {
    let (_, log) = logging(&LogSettings::default(), std::io::sink, false);
    Kit::new("test", "0.0.0", log)
}

/// Waits until `condition` gives a value, looking every few milliseconds.
///
/// # Panics
/// When it takes longer than [`DEADLINE`]; `what` says what was waited for.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < end, "{what} did not come true within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Checks that the names of a catalogue differ, and that the registry has no others.
///
/// # Panics
/// When that is not so.
pub fn assert_catalogue(all: &[impl Described], registry: &Registry) {
    let mut names: Vec<_> = all.iter().map(|metric| metric.describe().0).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
    for family in registry.gather() {
        assert!(names.contains(&family.name()), "{}", family.name());
    }
}

/// A certificate authority for one test.
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// The files of a certificate.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// When the system gives no random numbers.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key is made");
        let certificate = params.self_signed(&key).expect("the parameters are valid");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Writes the authority's certificate.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) {
        fs::write(file, self.certificate.pem()).expect("the file is written");
    }

    /// Issues a certificate for `names` (URIs where there is `://`, else IP addresses or DNS names) and writes
    /// `NAME.crt` and `NAME.key` in `dir`.
    ///
    /// # Panics
    /// When a name is not valid or the files cannot be written.
    pub fn issue(&self, dir: &Path, name: &str, names: &[&str]) -> CertificateFiles {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| san(name)).collect();
        let key = KeyPair::generate().expect("a key is made");
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are valid");
        let files = CertificateFiles { cert: dir.join(format!("{name}.crt")), key: dir.join(format!("{name}.key")) };
        fs::write(&files.cert, certificate.pem()).expect("the file is written");
        fs::write(&files.key, key.serialize_pem()).expect("the file is written");
        files
    }
}

fn san(name: &str) -> SanType {
    let text = || Ia5String::try_from(name).expect("the name is ASCII");
    match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) if name.contains("://") => SanType::URI(text()),
        Err(_) => SanType::DnsName(text()),
    }
}

/// An HTTP server on a free port of 127.0.0.1 that ends when it is dropped.
#[derive(Debug)]
pub struct HttpDouble {
    /// The address, `127.0.0.1:port`.
    pub address: String,
    shutdown: Shutdown,
}

impl HttpDouble {
    /// Serves `router`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(router: Router) -> Self {
        let shutdown = Shutdown::new();
        let purpose = Purpose { name: "double", setting: "nothing" };
        let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".to_owned()), purpose).await.expect("a port is free");
        let incoming = Incoming::start(listener, None, &shutdown);
        let address = incoming.address().to_string();
        let until = shutdown.clone();
        tokio::spawn(async move { crate::serve::http(incoming, router, &until).await });
        Self { address, shutdown }
    }

    /// The URL of a path on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for HttpDouble {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}
