//! What is added to the admin port.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::firewall::Firewall;

/// The pages of the firewall.
pub(crate) fn admin(firewall: Arc<Firewall>) -> Router {
    Router::new().route("/profiles", get(profiles)).route("/engine", get(engine)).with_state(firewall)
}

/// The profiles in force.
async fn profiles(State(firewall): State<Arc<Firewall>>) -> Json<Value> {
    let profiles = firewall.profiles.get();
    let shown = profiles.iter().map(|profile| {
        let plan = &profile.plan;
        json!({
            "name": plan.name,
            "mode": plan.mode,
            "coreRules": plan.core.version,
            "paranoia": plan.core.paranoia,
            "inboundThreshold": plan.core.inbound_threshold,
            "rules": profile.rules.count(),
            "exclusions": plan.exclusions,
            "shadow": plan.shadow,
        })
    });
    Json(Value::Array(shown.collect()))
}

/// The engine's versions and memory. Asking collects its garbage.
async fn engine() -> Json<Value> {
    let memory = tokio::task::spawn_blocking(coraza::memory).await.ok();
    let (version, core_rules) = coraza::versions();
    Json(json!({
        "coraza": version,
        "coreRules": core_rules,
        "liveBytes": memory.map(|memory| memory.live),
        "heldBytes": memory.map(|memory| memory.held),
    }))
}
