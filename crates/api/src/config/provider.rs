//! Where resources come from and where Envoy is run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Kubernetes;

/// Where resources come from and where Envoy is run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// Kubernetes for both, or something else for each.
    pub r#type: ProviderType,
    /// With `type: Kubernetes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
    /// With `type: Custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Custom>,
}

/// Where resources come from and where Envoy is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProviderType {
    /// Resources come from the API server, Envoy is run as a Deployment or DaemonSet.
    #[default]
    Kubernetes,
    /// As `custom` says.
    Custom,
}

/// Resources and Envoys without Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Custom {
    /// Where resources come from.
    pub resource: Resources,
    /// Where Envoy is run; unless set, others start it and connect it to us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<Infrastructure>,
}

/// Where resources come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// Files.
    pub r#type: ResourcesType,
    /// With `type: File`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileResources>,
}

/// Where resources come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourcesType {
    /// Manifests in files.
    File,
}

/// Manifests in files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileResources {
    /// Files in YAML or JSON, and directories that are searched for them at every depth. Changes are followed.
    pub paths: Vec<PathBuf>,
}

/// Where Envoy is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Infrastructure {
    /// This machine.
    pub r#type: InfrastructureType,
    /// With `type: Host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostInfrastructure>,
}

/// Where Envoy is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InfrastructureType {
    /// As processes on this machine, started and supervised by us.
    Host,
}

/// Directories for Envoys on this machine. Each is made if it's missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostInfrastructure {
    /// Read so that existing files work; nothing is kept there: Envoys on this machine need no certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_home: Option<PathBuf>,
    /// For Envoy binaries; `portcullis` in the user's data directory unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_home: Option<PathBuf>,
    /// Read so that existing files work; nothing is kept there: Envoy's log goes into the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_home: Option<PathBuf>,
    /// For sockets and what else ends with the process; `portcullis-` and the user's id in the directory for temporary
    /// files unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_dir: Option<PathBuf>,
}

impl Provider {
    pub(super) fn validate(&self, found: &mut Vec<String>) {
        match (self.r#type, &self.kubernetes) {
            (ProviderType::Custom, Some(_)) => found.push(
                "provider.kubernetes: is for `type: Kubernetes` only; change `provider.type` or leave it out"
                    .to_owned(),
            ),
            (ProviderType::Kubernetes, Some(kubernetes)) => kubernetes.validate(found),
            (_, None) => {}
        }
        match (self.r#type, &self.custom) {
            (ProviderType::Custom, None) => {
                found.push("provider.custom: is missing; `type: Custom` needs it".to_owned())
            }
            (ProviderType::Kubernetes, Some(_)) => {
                found.push(
                    "provider.custom: is for `type: Custom` only; change `provider.type` or leave it out".to_owned(),
                );
            }
            (ProviderType::Custom, Some(custom)) => custom.validate(found),
            (ProviderType::Kubernetes, None) => {}
        }
    }
}

impl Custom {
    fn validate(&self, found: &mut Vec<String>) {
        const FIELD: &str = "provider.custom.resource.file";
        match &self.resource.file {
            None => found.push(format!("{FIELD}: is missing; `type: File` needs it, with `paths`")),
            Some(file) if file.paths.is_empty() => {
                found.push(format!("{FIELD}.paths: is empty; name at least one file or directory"));
            }
            Some(file) if file.paths.iter().any(|path| path.as_os_str().is_empty()) => {
                found.push(format!("{FIELD}.paths: has an empty path; name a file or directory"));
            }
            Some(_) => {}
        }
    }
}
