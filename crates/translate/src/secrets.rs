//! Secrets that a resource refers to.

use std::sync::Arc;

use api::{Resources, Secret, Stored};

use crate::{
    certificates::Reasons,
    grants::{Referent, Referrer, permits, refusal},
    problem::Problem,
};

/// A Secret that is there, and may be used by who refers to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held<'a> {
    /// The Secret.
    pub(crate) secret: &'a Secret,
    reason: &'static str,
}

/// Follows a reference to a Secret.
pub(crate) fn secret<'a>(
    resources: &'a Resources,
    from: Referrer<'_>,
    to: Referent<'_>,
    reasons: Reasons,
) -> Result<Held<'a>, Problem> {
    if (to.group, to.kind) != (Secret::GROUP, Secret::KIND) {
        return Err(Problem::new(reasons.kind, format!("{} {} is not a Secret", to.kind, to.name)));
    }
    if !permits(resources, from, to) {
        return Err(Problem::new("RefNotPermitted", refusal(from, to)));
    }
    let secret = resources
        .secrets
        .get(to.namespace, to.name)
        .ok_or_else(|| Problem::new(reasons.invalid, format!("Secret {}/{} does not exist", to.namespace, to.name)))?;
    Ok(Held { secret, reason: reasons.invalid })
}

impl Held<'_> {
    /// What is under a key.
    pub(crate) fn field(self, key: &str) -> Result<Arc<[u8]>, Problem> {
        field(self.secret, key).ok_or_else(|| self.bad(&format!("has no {key}")))
    }

    /// That it cannot be used.
    pub(crate) fn bad(self, what: &str) -> Problem {
        Problem::new(self.reason, format!("Secret {}/{} {what}", self.secret.namespace(), self.secret.name()))
    }
}

/// A field of a Secret; `stringData` counts as on the API server.
pub(crate) fn field(secret: &Secret, key: &str) -> Option<Arc<[u8]>> {
    let text = secret.string_data.as_ref().and_then(|data| data.get(key)).map(|text| text.as_bytes().into());
    text.or_else(|| secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice().into()))
}
