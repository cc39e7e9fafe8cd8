//! Who is who in a cluster: one authority, a certificate for each component, and kubeconfigs that hold all they need.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;

use super::api::Api;
use super::net::Net;
use crate::pki::{Ca, Identity, signing_key};

/// The members of a cluster: file name of the kubeconfig, user, group.
const MEMBERS: [(&str, &str, &str); 4] = [
    ("admin", "admin", "system:masters"),
    ("kube-controller-manager", "system:kube-controller-manager", "system:authenticated"),
    ("kube-scheduler", "system:kube-scheduler", "system:authenticated"),
    ("kube-proxy", "system:kube-proxy", "system:authenticated"),
];

/// The files of a cluster's authority, written once.
#[derive(Debug)]
pub(super) struct Credentials {
    dir: PathBuf,
    admin: Identity,
    ca: String,
}

impl Credentials {
    /// Writes all certificates, keys and kubeconfigs into a directory.
    pub(super) fn create(dir: &Path, name: &str, net: Net) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let ca = Ca::new(&format!("portcullis-{name}"))?;
        fs::write(dir.join("ca.crt"), ca.pem())?;
        fs::write(dir.join("ca.key"), ca.key_pem())?;
        let (private, public) = signing_key()?;
        fs::write(dir.join("tokens.key"), private)?;
        fs::write(dir.join("tokens.pub"), public)?;
        write_pair(dir, "server", &server(&ca, net)?)?;

        let server = format!("https://{}:6443", net.node().0);
        for (file, user, group) in MEMBERS {
            fs::write(dir.join(format!("{file}.conf")), kubeconfig(&server, &ca.pem(), &ca.member(user, group)?))?;
        }
        let node = ca.member(&format!("system:node:{name}"), "system:nodes")?;
        fs::write(dir.join("kubelet.conf"), kubeconfig(&server, &ca.pem(), &node))?;
        let admin = ca.member("admin", "system:masters")?;
        write_pair(dir, "admin", &admin)?;
        Ok(Self { dir: dir.to_owned(), admin, ca: ca.pem() })
    }

    /// A file of these credentials, as text for a flag.
    pub(super) fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// The API server, as an administrator.
    pub(super) fn api(&self, net: Net) -> Api {
        Api::new(net.node().0, &self.ca, &self.admin)
    }
}

/// The API server's certificate, for all names and addresses that it is reached by.
fn server(ca: &Ca, net: Net) -> Result<Identity> {
    let (node, service) = (net.node().0.to_string(), net.api_service().to_string());
    let service_name = "kubernetes.default.svc.cluster.local";
    ca.server(&[
        service_name,
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "localhost",
        &node,
        &service,
    ])
}

fn write_pair(dir: &Path, name: &str, identity: &Identity) -> Result<()> {
    fs::write(dir.join(format!("{name}.crt")), &identity.cert)?;
    Ok(fs::write(dir.join(format!("{name}.key")), &identity.key)?)
}

fn kubeconfig(server: &str, ca: &str, identity: &Identity) -> String {
    let user = json!({
        "client-certificate-data": BASE64_STANDARD.encode(&identity.cert),
        "client-key-data": BASE64_STANDARD.encode(&identity.key),
    });
    let cluster = json!({ "server": server, "certificate-authority-data": BASE64_STANDARD.encode(ca) });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "portcullis",
        "clusters": [{ "name": "portcullis", "cluster": cluster }],
        "users": [{ "name": "portcullis", "user": user }],
        "contexts": [{ "name": "portcullis", "context": { "cluster": "portcullis", "user": "portcullis" } }],
    });
    format!("{config:#}\n")
}
