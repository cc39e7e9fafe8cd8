//! Who the Envoys are: certificate, key and authorities, and the documents that make Envoy follow them as they're replaced.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use lower::bootstrap::{POD_DOCUMENTS, TlsFiles};

use super::{Fleet, Identity, Settings, names::Place};

/// Where the Secret is in the container.
pub(super) const DIRECTORY: &str = POD_DOCUMENTS;

/// The Secret's content, as files of the container.
pub(super) fn files(settings: &Settings) -> TlsFiles {
    TlsFiles {
        authorities: format!("{DIRECTORY}/ca.crt"),
        certificate: format!("{DIRECTORY}/tls.crt"),
        key: format!("{DIRECTORY}/tls.key"),
        server_name: settings.xds.server_name.clone(),
        documents: Some(DIRECTORY.to_owned()),
    }
}

pub(super) fn secret(fleet: &Fleet<'_>, place: &Place, files: &TlsFiles) -> Secret {
    let Identity { authorities, certificate, key } = fleet.identity;
    let pem = [("ca.crt", authorities), ("tls.crt", certificate), ("tls.key", key)];
    let pem = pem.map(|(name, text)| (name.to_owned(), text.clone()));
    let documents = files.documents().into_iter().map(|(name, document)| (name, document.to_string()));
    let data = pem.into_iter().chain(documents).map(|(name, text)| (name, ByteString(text.into_bytes())));
    Secret {
        metadata: place.meta(None, &BTreeMap::new(), &BTreeMap::new()),
        type_: Some("Opaque".to_owned()),
        data: Some(data.collect()),
        ..Secret::default()
    }
}
