//! The account of pods. It has no rights: they ask nothing of the API server.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{Fleet, names::Place};

/// The account's name, if the user gives it one.
pub(super) fn name<'a>(fleet: &Fleet<'a>) -> Option<&'a String> {
    fleet.gateway.proxy.kubernetes()?.envoy_service_account.as_ref()?.name.as_ref()
}

/// The account. `named` is the name that the user gives it.
pub(super) fn account(place: &Place, named: Option<&String>) -> ServiceAccount {
    ServiceAccount {
        metadata: place.meta(named, &BTreeMap::new(), &BTreeMap::new()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
