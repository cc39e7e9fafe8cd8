//! `BackendTLSPolicy`: how to speak TLS to a Service, ServiceImport or Backend (GEP-1897).

use std::{collections::HashMap, sync::Arc};

use api::{
    Resources, SliceOwner, Stored,
    ext::Backend,
    gateway::{BackendTlsPolicy, BackendTlsValidation, CaCertificateRef, SubjectAltNameType, same_shape},
};
use ir::{
    Secret,
    tls::{SubjectAltName, Trust},
};

use crate::{
    certificates::{Reasons, authorities, bundle},
    grants::Referrer,
    problem::{Problem, condition},
    rejections::rejection,
    report::Condition,
    tls_options,
};

/// Which policy holds for which back end.
#[derive(Debug, Default)]
pub(crate) struct BackendTlsIndex {
    /// All policies, with what they resolve to.
    pub(crate) policies: Vec<TlsPolicy>,
    winners: HashMap<Target, usize>,
}

/// How a back end's certificate is checked, with the authorities where they are not the system's.
type Checked = Result<(Trust, Option<Arc<Secret>>), Problem>;

/// A policy and what it resolves to.
#[derive(Debug)]
pub(crate) struct TlsPolicy {
    pub(crate) resource: Arc<BackendTlsPolicy>,
    /// How the back end's certificate is checked; the authorities, where they are not the system's.
    pub(crate) checked: Checked,
    /// What it asks for that has no effect here, or cannot be known.
    options: Result<Option<String>, Problem>,
    /// References that do not resolve, although others do.
    problems: Vec<Problem>,
    /// An older policy, by its index, has the same target.
    pub(crate) conflict: Option<(usize, Problem)>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Target {
    kind: &'static str,
    namespace: String,
    name: String,
    section: Option<String>,
}

impl BackendTlsIndex {
    /// Follows the references of all policies; of those with the same target the oldest holds.
    pub(crate) fn new(resources: &Resources) -> Self {
        let mut sorted: Vec<_> = resources.backend_tls_policies.iter().collect();
        sorted.sort_by_cached_key(|policy| policy.age());
        let mut index = Self::default();
        for policy in sorted {
            index.add(resources, policy);
        }
        index
    }

    fn add(&mut self, resources: &Resources, policy: &Arc<BackendTlsPolicy>) {
        let number = self.policies.len();
        let mut conflict = None;
        for target in &policy.spec.target_refs {
            let (group, kind) = (target.group.as_str(), target.kind.as_str());
            let kind = match SliceOwner::find(group, kind) {
                Some(owner) => owner.group_kind().1,
                None if (group, kind) == (Backend::GROUP, Backend::KIND) => Backend::KIND,
                None => continue,
            };
            let key = Target {
                kind,
                namespace: policy.namespace().to_owned(),
                name: target.name.clone(),
                section: target.section_name.clone(),
            };
            match self.winners.get(&key) {
                Some(index) => {
                    let older = &self.policies[*index].resource;
                    let message = format!("BackendTLSPolicy {} is older and has the same target", older.name());
                    conflict = Some((*index, Problem::new("Conflicted", message)));
                }
                None => {
                    self.winners.insert(key, number);
                }
            }
        }
        let (mut checked, problems) = check(resources, policy);
        let options = match rejection(resources, &**policy) {
            Some(problem) => Err(problem),
            None => tls_options::judge(policy.spec.options.as_ref(), "options"),
        };
        if let Err(problem) = &options {
            checked = Err(problem.clone());
        }
        self.policies.push(TlsPolicy { resource: Arc::clone(policy), checked, options, problems, conflict });
    }

    /// The policy for a port of a back end of this kind: one for that very port, or else one for all ports.
    pub(crate) fn find(&self, kind: &'static str, namespace: &str, name: &str, port: &str) -> Option<usize> {
        let target = |section: Option<&str>| Target {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            section: section.map(str::to_owned),
        };
        if self.winners.is_empty() {
            return None;
        }
        self.winners.get(&target(Some(port))).or_else(|| self.winners.get(&target(None))).copied()
    }
}

impl TlsPolicy {
    /// The names, one of which the back end's certificate must have, beside the server name.
    pub(crate) fn subject_alt_names(&self) -> Vec<SubjectAltName> {
        let names = self.resource.spec.validation.subject_alt_names.iter().flatten();
        names
            .filter_map(|name| match name.r#type {
                SubjectAltNameType::Hostname => name.hostname.clone().map(SubjectAltName::Dns),
                SubjectAltNameType::Uri => name.uri.clone().map(SubjectAltName::Uri),
            })
            .collect()
    }

    /// What its status says.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let unusable = match (&self.options, &self.checked) {
            (Err(problem), _) => {
                Some(Problem::new("Invalid", format!("{}; requests to the back end fail", problem.message)))
            }
            (_, Err(_)) => {
                let message =
                    "no authority to check the back end's certificate against could be read; requests to it fail";
                Some(Problem::new("NoValidCACertificate", message))
            }
            _ => None,
        };
        let refused: Vec<_> = self.conflict.iter().map(|(_, problem)| problem.clone()).chain(unusable).collect();
        let note = self.options.as_ref().ok().and_then(Option::as_deref);
        vec![
            condition("Accepted", "Accepted", &refused).noting(note),
            condition("ResolvedRefs", "ResolvedRefs", &self.problems),
        ]
    }
}

/// Follows the references of a policy. Without a single authority nothing can be checked, and nothing may pass.
fn check(resources: &Resources, policy: &BackendTlsPolicy) -> (Checked, Vec<Problem>) {
    let validation: &BackendTlsValidation = &policy.spec.validation;
    const REASONS: Reasons = Reasons { invalid: "InvalidCACertificateRef", kind: "InvalidKind" };
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for reference in validation.ca_certificate_refs.iter().flatten() {
        let reference: CaCertificateRef = same_shape(reference);
        match authorities(resources, Referrer::of(policy), &reference, REASONS) {
            Ok(secret) => found.push(secret),
            Err(problem) => problems.push(problem),
        }
    }
    let checked = match (bundle(found), validation.well_known_ca_certificates.as_deref()) {
        (Some(secret), _) => Ok((Trust::Authorities(Arc::clone(&secret.name)), Some(secret))),
        (None, Some("System")) if problems.is_empty() => Ok((Trust::System, None)),
        (None, _) => Err(problems.first().cloned().unwrap_or_else(|| {
            Problem::new(
                "NoValidCACertificate",
                "set validation.caCertificateRefs, or wellKnownCACertificates to System",
            )
        })),
    };
    (checked, problems)
}
