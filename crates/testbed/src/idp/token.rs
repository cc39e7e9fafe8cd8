//! `/token` and `/userinfo`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::keys::random;
use super::{Claims, Client, Event, Inner, json_text, locked, now, pages};

/// What somebody was granted.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) client: String,
    pub(super) redirect: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    pub(super) scope: String,
    pub(super) acr: Option<String>,
    pub(super) logged_in: u64,
    pub(super) sid: String,
    pub(super) user: Claims,
}

type Fields = HashMap<String, String>;

/// `/token`.
pub(super) async fn token(State(inner): State<Arc<Inner>>, headers: HeaderMap, Form(fields): Form<Fields>) -> Response {
    let Some(client) = authenticated(&inner, &headers, &fields) else {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_client");
    };
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    match field("grant_type") {
        "authorization_code" => by_code(&inner, client, &fields),
        "refresh_token" => by_refresh(&inner, client, field("refresh_token")),
        "urn:ietf:params:oauth:grant-type:token-exchange" => exchanged(&inner, &fields),
        _ => refusal(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    }
}

fn refusal(status: StatusCode, code: &str) -> Response {
    (status, axum::Json(json!({ "error": code }))).into_response()
}

fn authenticated<'a>(inner: &'a Inner, headers: &HeaderMap, fields: &Fields) -> Option<&'a Client> {
    let basic = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    if let Some(basic) = basic {
        let text = String::from_utf8(STANDARD.decode(basic).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        let client = inner.client(&decoded(id))?;
        return (client.secret.as_deref() == Some(&decoded(secret))).then_some(client);
    }
    let client = inner.client(fields.get("client_id").map(String::as_str).unwrap_or_default())?;
    if let Some(pem) = &client.key {
        return asserted(inner, client, pem, fields.get("client_assertion")?).then_some(client);
    }
    (client.secret.as_ref() == fields.get("client_secret")).then_some(client)
}

fn asserted(inner: &Inner, client: &Client, pem: &str, assertion: &str) -> bool {
    let verify = || -> anyhow::Result<()> {
        let key = jsonwebtoken::EncodingKey::from_ec_pem(pem.as_bytes())?;
        let public = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, jsonwebtoken::Algorithm::ES256)?;
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        validation.set_audience(&[format!("{}/token", inner.issuer())]);
        validation.set_issuer(&[&client.id]);
        let key = jsonwebtoken::DecodingKey::from_jwk(&public)?;
        jsonwebtoken::decode::<Claims>(assertion, &key, &validation)?;
        Ok(())
    };
    verify().is_ok()
}

fn by_code(inner: &Inner, client: &Client, fields: &Fields) -> Response {
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    inner.count(Event::Code);
    // A code is good once, whatever comes of it.
    let grant = locked(&inner.codes).remove(field("code"));
    let challenge = |verifier: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    };
    match grant {
        Some(grant)
            if grant.client == client.id
                && grant.redirect == field("redirect_uri")
                && grant.challenge == challenge(field("code_verifier")) =>
        {
            granted(inner, grant, true)
        }
        _ => refusal(StatusCode::BAD_REQUEST, "invalid_grant"),
    }
}

fn by_refresh(inner: &Inner, client: &Client, token: &str) -> Response {
    inner.count(Event::Refresh);
    let grant = locked(&inner.refreshes).remove(token);
    match grant {
        Some(grant) if grant.client == client.id => {
            locked(&inner.used).push(token.to_owned());
            granted(inner, grant, false)
        }
        _ => {
            if locked(&inner.used).iter().any(|used| used == token) {
                inner.count(Event::Reuse);
            }
            refusal(StatusCode::BAD_REQUEST, "invalid_grant")
        }
    }
}

fn granted(inner: &Inner, grant: Grant, with_nonce: bool) -> Response {
    match tokens(inner, grant, with_nonce) {
        Ok(answer) => json_text(&answer, inner.knobs().padding),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

fn tokens(inner: &Inner, grant: Grant, with_nonce: bool) -> anyhow::Result<Value> {
    let knobs = inner.knobs();
    let lasts = knobs.lifetime.as_secs();
    let keys = locked(&inner.keys);
    let access = json!({
        "iss": inner.issuer(), "aud": ["api", &grant.client], "sub": grant.user.get("sub"), "client_id": &grant.client,
        "scope": &grant.scope, "iat": now(), "exp": now() + lasts, "jti": random(),
    });
    let access = keys.sign(&keys.header(Some("at+jwt")), &access)?;
    let mut claims = grant.user.clone();
    let own = json!({
        "iss": inner.issuer(), "aud": &grant.client, "iat": now(), "exp": now() + 300, "auth_time": grant.logged_in,
        "sid": &grant.sid,
    });
    claims.extend(own.as_object().cloned().unwrap_or_default());
    if let Some(acr) = &grant.acr {
        claims.insert("acr".to_owned(), Value::from(acr.as_str()));
    }
    if let Some(nonce) = grant.nonce.as_ref().filter(|_| with_nonce) {
        claims.insert("nonce".to_owned(), Value::from(nonce.as_str()));
    }
    let mut header = keys.header(Some("JWT"));
    if let Some(forge) = &knobs.forge {
        forge(&mut header, &mut claims);
    }
    let id = keys.sign(&header, &Value::Object(claims))?;
    let mut answer = json!({
        "access_token": access, "token_type": "Bearer", "scope": &grant.scope, "id_token": knobs.id_token.unwrap_or(id),
    });
    if knobs.says_lifetime {
        answer["expires_in"] = Value::from(lasts);
    }
    if knobs.refresh {
        let refresh = random();
        locked(&inner.refreshes).insert(refresh.clone(), grant);
        answer["refresh_token"] = Value::from(refresh);
    }
    Ok(answer)
}

fn exchanged(inner: &Inner, fields: &Fields) -> Response {
    inner.count(Event::Exchange);
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let Some(subject) = subject_of(inner, field("subject_token")) else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request");
    };
    let keys = locked(&inner.keys);
    let claims = json!({
        "iss": inner.issuer(), "aud": field("audience"), "sub": subject, "act": { "sub": field("client_id") },
        "scope": field("scope"), "iat": now(), "exp": now() + 300,
    });
    match keys.sign(&keys.header(Some("at+jwt")), &claims) {
        Ok(token) => json_text(&json!({ "access_token": token, "token_type": "Bearer", "expires_in": 300 }), 0),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

/// `/userinfo`.
pub(super) async fn user_info(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(subject) = token.and_then(|token| subject_of(&inner, token)) else {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_token");
    };
    if let Some((kind, text)) = inner.knobs().user_info {
        return ([("content-type", kind)], text).into_response();
    }
    let user = inner.knobs().user.filter(|user| user.get("sub") == Some(&subject));
    let mut claims = user.as_ref().map_or_else(|| json!({ "sub": subject }), pages::claims);
    claims["from_user_info"] = Value::from(true);
    json_text(&claims, 0)
}

/// Whose access token it is. Tokens are looked at, not verified: nobody forges any here.
fn subject_of(inner: &Inner, token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    (claims["iss"] == inner.issuer().as_str()).then(|| claims["sub"].clone())
}

/// A text as a value of a query.
pub(super) fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
