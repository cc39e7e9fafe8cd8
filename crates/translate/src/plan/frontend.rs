//! Whether clients must show a certificate (GEP-91).

use api::{
    Resources,
    gateway::{FrontendValidation, FrontendValidationMode, Gateway, same_shape},
};
use ir::DownstreamTls;

use super::{Fleet, ListenerPlan};
use crate::{
    certificates::{Reasons, authorities},
    grants::Referrer,
    problem::Problem,
};

/// What holds for a port: its own settings, or else the default ones.
pub(super) fn settings(gateway: &Gateway, port: i32) -> Option<FrontendValidation> {
    let frontend = gateway.spec.tls.as_ref()?.frontend.as_ref()?;
    let own = frontend.per_port.iter().flatten().find(|item| item.port == port);
    match own {
        Some(own) => own.tls.validation.as_ref().map(same_shape),
        None => frontend.default.validation.clone(),
    }
}

/// Follows the references to the authorities that a listener's clients are checked against.
pub(super) fn validation(
    resources: &Resources,
    gateway: &Gateway,
    port: i32,
    tls: &mut DownstreamTls,
    plan: &mut ListenerPlan,
    fleet: &mut Fleet,
) {
    const REASONS: Reasons = Reasons { invalid: "InvalidCACertificateRef", kind: "InvalidCACertificateKind" };
    let Some(validation) = settings(gateway, port) else { return };
    for reference in &validation.ca_certificate_refs {
        match authorities(resources, Referrer::of(gateway), reference, REASONS) {
            Ok(secret) => {
                tls.client_authorities.push(secret.name.clone());
                fleet.secrets.insert(secret.name.clone(), secret);
            }
            Err(problem) => plan.unresolved.push(problem),
        }
    }
    tls.client_certificate_optional = validation.mode == Some(FrontendValidationMode::AllowInsecureFallback);
    if tls.client_authorities.is_empty() {
        // Serving it without the check that was asked for would let everyone in.
        let message = "no authority to check clients' certificates against could be read";
        plan.refused.push(Problem::new("NoValidCACertificate", message));
    }
}
