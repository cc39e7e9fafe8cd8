//! The account of the pods. It has no rights: Envoy asks nothing of the API server.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{Fleet, names::Place};

/// The account's name, if the user gives it one.
pub(super) fn name<'a>(fleet: &Fleet<'a>) -> Option<&'a String> {
    fleet.gateway.proxy.kubernetes()?.envoy_service_account.as_ref()?.name.as_ref()
}

pub(super) fn account(fleet: &Fleet<'_>, place: &Place) -> ServiceAccount {
    ServiceAccount {
        metadata: place.meta(name(fleet), &BTreeMap::new(), &BTreeMap::new()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
