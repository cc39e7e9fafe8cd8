//! The HTTP side: what the admin port has beside the pages of all services.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use kit::Kit;
use tokio::sync::broadcast;

use crate::ingest::now;
use crate::top::Lists;
use crate::traffic::Traffic;

/// What is added to the admin port.
pub(crate) fn admin(_kit: &Kit, traffic: &Arc<Traffic>, _events: broadcast::Sender<String>) -> Router {
    Router::new().route("/top", get(top)).with_state(Arc::clone(traffic))
}

async fn top(State(traffic): State<Arc<Traffic>>) -> Json<Lists> {
    Json(traffic.top(now()))
}
