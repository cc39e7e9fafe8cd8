//! People log in: `SecurityPolicy.oidc`, served by the single sign-on service.
//!
//! ```text
//! policy ─▶ annotation ─▶ check: what the service has no such thing for is refused ─▶ secrets ─▶ ir::Login
//! ```
//!
//! A login counts wherever the same is asked of the same provider with the same Secret: so whoever may not use the Secret
//! cannot have the logins either.

mod check;

use std::sync::Arc;

use api::{
    Stored,
    ext::{
        SecurityPolicy, SecurityPolicySpec,
        common::SecretObjectReference,
        security_policy::oidc::{Oidc, OidcProvider},
    },
};
use ir::{
    Features,
    features::{Hidden, Login},
};
use sha2::{Digest as _, Sha256};

use crate::{
    certificates::Reasons,
    grants::{Referent, Referrer},
    problem::Problem,
    rules::{Compiled, RuleScope},
    secrets,
    usage::service_cluster,
};

/// Who serves it: `service`.
const ANNOTATION: &str = "portcullis.dev/oidc";

/// The name of the service's cluster, which a fleet has that asks it.
pub const CLUSTER: &str = "single-sign-on-service";

/// Puts a policy's login into a rule's features.
pub(super) fn apply(
    policy: &SecurityPolicy,
    spec: &SecurityPolicySpec,
    rule: RuleScope<'_>,
    features: &mut Features,
    out: &mut Compiled,
) -> Result<(), Problem> {
    let Some(settings) = &spec.oidc else { return Ok(()) };
    let login = login(policy, settings, rule, out);
    match login {
        Ok(login) => {
            features.login = Some(Arc::new(login));
            Ok(())
        }
        Err(problem) => {
            // Nobody can log in, so nobody may pass.
            out.fail(rule);
            Err(problem)
        }
    }
}

fn login(policy: &SecurityPolicy, settings: &Oidc, rule: RuleScope<'_>, out: &mut Compiled) -> Result<Login, Problem> {
    let invalid = |message: &str| Problem::new("Invalid", message);
    let options = rule.scope.options;
    match policy.meta().annotations.as_ref().and_then(|all| all.get(ANNOTATION)).map(String::as_str) {
        Some("service") => {}
        None if options.serves_all_logins => {}
        Some(other) => return Err(invalid(&format!("the annotation {ANNOTATION} is {other:?}, allowed: service"))),
        None => {
            return Err(invalid(
                "oidc is served by the single sign-on service, and not by Envoy's own OAuth2 filter; add the annotation \
                 portcullis.dev/oidc: service, or have it serve all policies by the controller's configuration \
                 (singleSignOn.policies: All)",
            ));
        }
    }
    let address = options.single_sign_on.as_ref().ok_or_else(|| {
        invalid("oidc needs the single sign-on service; name one in the controller's configuration (singleSignOn)")
    })?;
    check::supported(settings)?;
    let client_id = match (&settings.client_id, &settings.client_id_ref) {
        (Some(id), None) => id.clone(),
        (None, Some(reference)) => secret(policy, rule, ("clientIDRef", "client-id"), reference)?,
        _ => return Err(invalid("oidc needs exactly one of clientID and clientIDRef")),
    };
    let client_secret = secret(policy, rule, ("clientSecret", "client-secret"), &settings.client_secret)?;
    let callback = settings.redirect_url.as_deref().map(check::callback).transpose()?.flatten();
    Ok(Login {
        source: policy.reference(),
        cluster: out.used.note_cluster(Arc::new(service_cluster(CLUSTER, address))),
        profile: profile_name(policy, settings),
        provider: provider_name(policy, settings, &client_id),
        client_id,
        client_secret: Hidden(client_secret),
        callback,
        settings: settings.clone(),
    })
}

/// The policy's name. Merged into different parents it may say different things, so that it needs one for each.
fn profile_name(policy: &SecurityPolicy, settings: &Oidc) -> String {
    let name = format!("{}/{}", policy.namespace(), policy.name());
    match policy.spec.merge_type {
        Some(_) => format!("{name}/{}", digest(&format!("{settings:?}"))),
        None => name,
    }
}

/// Where people log in, as what and for what. It begins with the Secret, which nobody else may use.
fn provider_name(policy: &SecurityPolicy, settings: &Oidc, client_id: &str) -> String {
    let OidcProvider { issuer, authorization_endpoint, token_endpoint, end_session_endpoint, .. } = &settings.provider;
    let endpoints = (authorization_endpoint, token_endpoint, end_session_endpoint);
    let rest = (issuer, client_id, endpoints, &settings.scopes, &settings.resources);
    let SecretObjectReference { namespace, name, .. } = &settings.client_secret;
    let namespace = namespace.as_deref().unwrap_or(policy.namespace());
    format!("{namespace}/{name}/{}", digest(&format!("{rest:?}")))
}

/// 128 bits of a SHA-256: whoever writes policies finds no other words that have the same, and so the logins of others.
fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The value of a key of a Secret.
fn secret(
    policy: &SecurityPolicy,
    rule: RuleScope<'_>,
    (what, key): (&str, &str),
    reference: &SecretObjectReference,
) -> Result<String, Problem> {
    let from = Referrer::of(policy);
    let to = Referent {
        group: &reference.group,
        kind: &reference.kind,
        namespace: reference.namespace.as_deref().unwrap_or(from.namespace),
        name: &reference.name,
    };
    let within = |problem: Problem| Problem { message: format!("oidc.{what}: {}", problem.message), ..problem };
    let reasons = Reasons { invalid: "Invalid", kind: "InvalidKind" };
    let held = secrets::secret(rule.scope.resources, from, to, reasons).map_err(within)?;
    let value = held.field(key).map_err(within)?;
    let bad = |what: String| within(held.bad(&what));
    let value = String::from_utf8(value.to_vec()).map_err(|_| bad(format!("has no text under {key}")))?;
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(bad(format!(
            "has nothing, or more than one line, under {key}: write the value and nothing after it"
        )));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use ir::names::fingerprint;

    use super::*;

    #[test]
    fn whoever_finds_words_of_one_fingerprint_has_not_found_the_name_of_anothers_provider() {
        let [one, other] = ["client-10692", "client-60003"].map(|id| format!("{:?}", ("https://id.example", id)));
        assert_eq!(fingerprint(&one), fingerprint(&other), "such are found in a second");
        assert_ne!(digest(&one), digest(&other));
        assert_eq!(digest(&one).len(), 32);
    }
}
