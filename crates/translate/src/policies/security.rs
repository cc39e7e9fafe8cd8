//! `SecurityPolicy`: all that it asks for.

use api::ext::{SecurityPolicy, SecurityPolicySpec};
use ir::Features;

use super::{ext_auth, oidc};
use crate::{
    problem::Problem,
    rules::{Compiled, RuleScope},
};

/// Puts what a policy asks for into a rule's features. A part that cannot be had does not keep the others from being looked
/// at; the rule fails in any case.
pub(super) fn apply(
    policy: &SecurityPolicy,
    spec: &SecurityPolicySpec,
    rule: RuleScope<'_>,
    features: &mut Features,
    out: &mut Compiled,
) -> Result<(), Problem> {
    let login = oidc::apply(policy, spec, rule, features, out);
    let judged = ext_auth::apply(policy, spec, rule, features, out);
    login.and(judged)
}
