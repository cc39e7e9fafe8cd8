//! What people see: the form to log in, and logging out.

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::keys::random;
use super::token::{Grant, encoded};
use super::{Claims, Event, Inner, locked};

/// What a client asks for.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Wanted {
    client_id: String,
    redirect_uri: String,
    response_type: String,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    acr_values: Option<String>,
    max_age: Option<u64>,
    /// Only in the form.
    user: Option<String>,
}

/// `/authorize`: at once as the person that is set, else a form.
pub(super) async fn authorize(State(inner): State<Arc<Inner>>, Query(wanted): Query<Wanted>) -> Response {
    inner.count(Event::Authorize);
    match inner.knobs().user {
        Some(user) => grant(&inner, &wanted, user),
        None => Html(form(&wanted)).into_response(),
    }
}

/// The form, filled in.
pub(super) async fn login(State(inner): State<Arc<Inner>>, Form(wanted): Form<Wanted>) -> Response {
    let name = wanted.user.clone().unwrap_or_default();
    if name.is_empty() {
        return Html(form(&wanted)).into_response();
    }
    let user = json!({
        "sub": name,
        "name": name,
        "preferred_username": name,
        "email": format!("{name}@example.com"),
        "email_verified": true,
        "groups": if name == "admin" { vec!["admins"] } else { vec!["people"] },
    });
    grant(&inner, &wanted, user.as_object().cloned().unwrap_or_default())
}

fn grant(inner: &Inner, wanted: &Wanted, user: Claims) -> Response {
    let refuse = |what: &str| (StatusCode::BAD_REQUEST, format!("{what}\n")).into_response();
    if inner.client(&wanted.client_id).is_none() {
        return refuse("no such client");
    }
    if wanted.response_type != "code" {
        return refuse("only response_type=code");
    }
    if wanted.code_challenge_method.as_deref() != Some("S256") || wanted.code_challenge.is_none() {
        return refuse("PKCE with S256 is required");
    }
    let knobs = inner.knobs();
    let code = random();
    let ago = if wanted.max_age.is_some() { 0 } else { knobs.logged_in_ago.as_secs() };
    let acr = wanted.acr_values.as_ref().filter(|_| knobs.grants_acr).and_then(|values| values.split(' ').next());
    let grant = Grant {
        client: wanted.client_id.clone(),
        redirect: wanted.redirect_uri.clone(),
        challenge: wanted.code_challenge.clone().unwrap_or_default(),
        nonce: wanted.nonce.clone(),
        scope: wanted.scope.clone().unwrap_or_default(),
        acr: acr.map(str::to_owned),
        logged_in: super::now() - ago,
        sid: random(),
        user,
    };
    locked(&inner.codes).insert(code.clone(), grant);
    let mut back =
        format!("{}{}code={code}", wanted.redirect_uri, if wanted.redirect_uri.contains('?') { '&' } else { '?' });
    if let Some(state) = &wanted.state {
        back.push_str(&format!("&state={}", encoded(state)));
    }
    if let Some(iss) = &knobs.iss {
        back.push_str(&format!("&iss={}", encoded(iss)));
    }
    Redirect::to(&back).into_response()
}

fn form(wanted: &Wanted) -> String {
    let hidden = [
        ("client_id", Some(&wanted.client_id)),
        ("redirect_uri", Some(&wanted.redirect_uri)),
        ("response_type", Some(&wanted.response_type)),
        ("scope", wanted.scope.as_ref()),
        ("state", wanted.state.as_ref()),
        ("nonce", wanted.nonce.as_ref()),
        ("code_challenge", wanted.code_challenge.as_ref()),
        ("code_challenge_method", wanted.code_challenge_method.as_ref()),
        ("acr_values", wanted.acr_values.as_ref()),
    ];
    let fields: String = hidden
        .into_iter()
        .filter_map(|(name, value)| Some(format!("<input type=hidden name={name} value=\"{}\">", escaped(value?))))
        .collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Development login</title>\
         <h1>Development login</h1><p>Any name will do: this provider asks for no password and is for development only.</p>\
         <form method=post action=/authorize>{fields}<label>Name <input name=user autofocus></label> \
         <button>Log in</button></form></html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// What a client asks for when somebody logs out.
#[derive(Debug, Deserialize)]
pub(super) struct Leaving {
    id_token_hint: Option<String>,
    client_id: Option<String>,
    post_logout_redirect_uri: Option<String>,
    state: Option<String>,
}

/// `/logout`: tells the clients by the back channel, and leads back.
pub(super) async fn logout(State(inner): State<Arc<Inner>>, Query(leaving): Query<Leaving>) -> Response {
    inner.count(Event::Logout);
    if leaving.id_token_hint.is_none() && leaving.client_id.is_none() {
        return (StatusCode::BAD_REQUEST, "neither id_token_hint nor client_id\n").into_response();
    }
    match leaving.post_logout_redirect_uri {
        Some(uri) => {
            let state = leaving.state.map(|state| format!("?state={}", encoded(&state))).unwrap_or_default();
            Redirect::to(&format!("{uri}{state}")).into_response()
        }
        None => Html("<!doctype html><title>Logged out</title><h1>Logged out</h1>").into_response(),
    }
}

/// So that the claims of the user info endpoint and of tokens are the same.
pub(super) fn claims(user: &Claims) -> Value {
    Value::Object(user.clone())
}
