//! Services see and change requests and answers: `EnvoyExtensionPolicy.extProc`.

use std::sync::Arc;

use api::{
    Stored,
    ext::{EnvoyExtensionPolicy, EnvoyExtensionPolicySpec},
};
use ir::{Features, features::ExtProc};

use crate::{
    backends::{Usage, named},
    grants::Referrer,
    problem::Problem,
    rules::{Compiled, RuleScope},
};

/// Puts a policy's processors into a rule's features.
pub(super) fn apply(
    policy: &EnvoyExtensionPolicy,
    spec: &EnvoyExtensionPolicySpec,
    rule: RuleScope<'_>,
    features: &mut Features,
    out: &mut Compiled,
) -> Result<(), Problem> {
    let mut first = Ok(());
    for (index, settings) in spec.ext_proc.iter().enumerate() {
        match named(rule.scope, Referrer::of(policy), &settings.backend_refs, Usage::Grpc, &mut out.used) {
            Ok((cluster, authority)) => features.ext_proc.push(Arc::new(ExtProc {
                source: policy.reference(),
                index,
                cluster,
                authority,
                settings: settings.clone(),
            })),
            Err(problem) => {
                // Requests that should be looked at must not pass unseen.
                if !settings.fail_open {
                    out.fail(rule);
                }
                let message = format!("extProc[{index}]: {}", problem.message);
                first = first.and(Err(Problem::new(problem.reason, message)));
            }
        }
    }
    first
}
