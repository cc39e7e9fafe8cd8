//! `BackendTLSPolicy`: how to speak TLS to a Service, ServiceImport or Backend (GEP-1897).

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

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
    report::Condition,
    tls_options,
};

/// Which policy holds for which back end.
#[derive(Debug, Default)]
pub(crate) struct BackendTlsIndex {
    /// All policies, with what they resolve to.
    pub(crate) policies: Vec<TlsPolicy>,
    /// The number of each target.
    targets: HashMap<Target, usize>,
    /// The policy that holds for each target, by the target's number.
    holders: Vec<usize>,
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
    /// The numbers of the targets that it holds for.
    held: Vec<usize>,
    /// Those that an older policy holds for, and what is to be said of it.
    lost: Vec<(usize, Problem)>,
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
        let (mut held, mut lost) = (Vec::new(), Vec::new());
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
            match self.targets.get(&key) {
                // It names the target twice.
                Some(number) if held.contains(number) => {}
                Some(number) => {
                    let older = self.holder(*number).resource.name();
                    let message = format!("BackendTLSPolicy {older} is older and holds for {key}");
                    lost.push((*number, Problem::new("Conflicted", message)));
                }
                None => {
                    let number = self.holders.len();
                    self.targets.insert(key, number);
                    self.holders.push(self.policies.len());
                    held.push(number);
                }
            }
        }
        let (mut checked, problems) = check(resources, policy);
        let options = tls_options::judge(policy.spec.options.as_ref(), "options");
        if let Err(problem) = &options {
            checked = Err(problem.clone());
        }
        self.policies.push(TlsPolicy { resource: Arc::clone(policy), checked, options, problems, held, lost });
    }

    /// The policy that holds for a target, by the target's number.
    pub(crate) fn holder(&self, target: usize) -> &TlsPolicy {
        &self.policies[self.holders[target]]
    }

    /// The number of the target that decides for a port of a back end of this kind: that very port, or else all ports.
    pub(crate) fn find(&self, kind: &'static str, namespace: &str, name: &str, port: &str) -> Option<usize> {
        let target = |section: Option<&str>| Target {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            section: section.map(str::to_owned),
        };
        if self.targets.is_empty() {
            return None;
        }
        self.targets.get(&target(Some(port))).or_else(|| self.targets.get(&target(None))).copied()
    }
}

/// `Service web`, or `port https of Service web`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(section) = &self.section {
            write!(f, "port {section} of ")?;
        }
        write!(f, "{} {}", self.kind, self.name)
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

    /// The numbers of its targets, held or lost.
    pub(crate) fn targets(&self) -> impl Iterator<Item = usize> {
        self.held.iter().copied().chain(self.lost.iter().map(|(number, _)| *number))
    }

    /// What its status says where these of its targets are used, and Envoys take it or `rejected` it. One condition has to do
    /// for all of them: it is refused where it holds for none, and otherwise the message names those that it lost.
    pub(crate) fn conditions(&self, used: &BTreeSet<usize>, rejected: Option<Problem>) -> Vec<Condition> {
        let lost = self.lost.iter().filter(|(number, _)| used.contains(number)).map(|(_, problem)| problem);
        let holds = self.held.iter().any(|number| used.contains(number));
        let unusable = rejected.or_else(|| self.unusable()).filter(|_| holds);
        let accepted = if holds && unusable.is_none() {
            let note = self.options.as_ref().ok().and_then(Option::as_deref);
            let notes = note.into_iter().chain(lost.map(|problem| problem.message.as_str()));
            Condition::yes("Accepted", "Accepted", notes.collect::<Vec<_>>().join("; "))
        } else {
            condition("Accepted", "Accepted", unusable.iter().chain(lost))
        };
        vec![accepted, condition("ResolvedRefs", "ResolvedRefs", &self.problems)]
    }

    /// Why back ends that it holds for cannot be spoken to.
    fn unusable(&self) -> Option<Problem> {
        match (&self.options, &self.checked) {
            (Err(problem), _) => {
                Some(Problem::new("Invalid", format!("{}; requests to the back end fail", problem.message)))
            }
            (_, Err(_)) => {
                let message =
                    "no authority to check the back end's certificate against could be read; requests to it fail";
                Some(Problem::new("NoValidCACertificate", message))
            }
            _ => None,
        }
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
