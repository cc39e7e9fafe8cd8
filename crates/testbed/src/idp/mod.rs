//! An identity provider for development and tests: OpenID Connect with everything that our single sign-on uses. It knows no
//! passwords and trusts whoever types a name, so it is never shipped.
//!
//! ```text
//! /.well-known/openid-configuration · /keys        discovery
//! /authorize ─▶ a form, or at once as the user that a test set ─▶ back with a code
//! /token      code (PKCE is required), refresh_token (each is good once), token exchange
//! /userinfo · /logout
//! ```
//!
//! A test may turn [`Knobs`] to have it answer wrongly, slowly or not at all, and sign any token with its keys.

mod certified;
mod keys;
mod pages;
mod token;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use certified::Certified;
pub use keys::{Algorithm, Keys};

/// Claims by name.
pub type Claims = Map<String, Value>;

/// Changes the header and claims of an ID token before it is signed.
pub type Forge = Arc<dyn Fn(&mut Value, &mut Claims) + Send + Sync>;

/// A client that the provider knows.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret; a client without one is public, unless it has a key.
    pub secret: Option<String>,
    /// The PEM of its private key, of which a real provider would have the public part.
    pub key: Option<String>,
    /// Where it is told of logouts.
    pub back_channel: Option<String>,
}

/// How the provider behaves. Tests turn these while it runs.
#[derive(Clone)]
pub struct Knobs {
    /// Who is logged in at once, without a form.
    pub user: Option<Claims>,
    /// How long access tokens last.
    pub lifetime: Duration,
    /// Whether answers say how long access tokens last.
    pub says_lifetime: bool,
    /// Whether refresh tokens are given.
    pub refresh: bool,
    /// Answers everything with this status.
    pub status: Option<u16>,
    /// Waits this long before each answer.
    pub delay: Duration,
    /// Answers with this many bytes more than needed.
    pub padding: usize,
    /// What is done to ID tokens.
    pub forge: Option<Forge>,
    /// What an ID token is in place of what it would be.
    pub id_token: Option<String>,
    /// What the user info endpoint answers in place of what it would: its type and text.
    pub user_info: Option<(String, String)>,
    /// What discovery says in place of what it would.
    pub discovery: Claims,
    /// The issuer in the answer of `/authorize`; nothing to leave it out.
    pub iss: Option<String>,
    /// How long ago people logged in.
    pub logged_in_ago: Duration,
    /// How many keys are published before and behind the one that signs.
    pub more_keys: (usize, usize),
    /// Grants the class that is asked for by `acr_values`.
    pub grants_acr: bool,
}

/// What is to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Somebody was sent here to log in.
    Authorize,
    /// A code was redeemed.
    Code,
    /// A refresh token was used.
    Refresh,
    /// A refresh token was used again, which a real provider takes for a theft.
    Reuse,
    /// A token was exchanged.
    Exchange,
    /// The keys were read.
    Keys,
    /// Somebody logged out.
    Logout,
}

struct Inner {
    address: SocketAddr,
    issuer: String,
    clients: Vec<Client>,
    keys: Mutex<Keys>,
    knobs: Mutex<Knobs>,
    counts: Mutex<HashMap<Event, u64>>,
    codes: Mutex<HashMap<String, token::Grant>>,
    refreshes: Mutex<HashMap<String, token::Grant>>,
    used: Mutex<Vec<String>>,
}

/// A running provider. Dropping it ends it.
pub struct Provider {
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Provider {
    /// Starts one for these clients on a free port.
    pub async fn start(clients: Vec<Client>) -> Result<Self> {
        Self::bind(SocketAddr::from(([127, 0, 0, 1], 0)), clients).await
    }

    /// Starts one at an address, which is its issuer's too.
    pub async fn bind(address: SocketAddr, clients: Vec<Client>) -> Result<Self> {
        Self::bind_as(address, None, clients).await
    }

    /// Starts one at an address; others reach it as this issuer.
    pub async fn bind_as(address: SocketAddr, issuer: Option<String>, clients: Vec<Client>) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let issuer = issuer.unwrap_or_else(|| format!("http://{address}"));
        let knobs = Knobs {
            user: None,
            lifetime: Duration::from_secs(300),
            says_lifetime: true,
            refresh: true,
            status: None,
            delay: Duration::ZERO,
            padding: 0,
            forge: None,
            id_token: None,
            user_info: None,
            discovery: Claims::new(),
            iss: Some(issuer.clone()),
            logged_in_ago: Duration::ZERO,
            more_keys: (0, 0),
            grants_acr: true,
        };
        let inner = Arc::new(Inner {
            address,
            issuer,
            clients,
            keys: Mutex::new(Keys::new(Algorithm::Es256)?),
            knobs: Mutex::new(knobs),
            counts: Mutex::default(),
            codes: Mutex::default(),
            refreshes: Mutex::default(),
            used: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(published))
            .route("/authorize", get(pages::authorize).post(pages::login))
            .route("/token", post(token::token))
            .route("/userinfo", get(token::user_info))
            .route("/logout", get(pages::logout))
            .layer(from_fn_with_state(Arc::clone(&inner), behave))
            .with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move {
            // It ends with the process or the handle.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { inner, task })
    }

    /// Its issuer.
    pub fn issuer(&self) -> String {
        self.inner.issuer()
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Turns knobs.
    pub fn turn(&self, turn: impl FnOnce(&mut Knobs)) {
        turn(&mut locked(&self.inner.knobs));
    }

    /// From now on whoever comes is this person, without a form.
    pub fn log_in_as(&self, claims: &Value) {
        self.turn(|knobs| knobs.user = claims.as_object().cloned());
    }

    /// How often something happened.
    pub fn count(&self, event: Event) -> u64 {
        locked(&self.inner.counts).get(&event).copied().unwrap_or(0)
    }

    /// Replaces the key that signs. The old one is not published any more.
    pub fn rotate(&self, algorithm: Algorithm) -> Result<()> {
        *locked(&self.inner.keys) = Keys::new(algorithm)?;
        Ok(())
    }

    /// Signs any token with the key of now.
    pub fn sign(&self, kind: Option<&str>, claims: &Value) -> Result<String> {
        let keys = locked(&self.inner.keys);
        keys.sign(&keys.header(kind), claims)
    }

    /// Signs a token with a header of one's own.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> Result<String> {
        locked(&self.inner.keys).sign(header, claims)
    }

    /// The keys as they are published.
    pub fn published(&self) -> Value {
        locked(&self.inner.keys).published()
    }

    /// A token that ends sessions by the back channel, with some claims changed (null takes one away).
    pub fn logout_token(&self, client: &str, changed: &Value) -> Result<String> {
        let mut claims = json!({
            "iss": self.issuer(),
            "aud": client,
            "iat": now(),
            "exp": now() + 120,
            "jti": keys::random(),
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        for (name, value) in changed.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        if let Some(claims) = claims.as_object_mut() {
            claims.retain(|_, value| !value.is_null());
        }
        self.sign(Some("logout+jwt"), &claims)
    }

    /// Waits until the provider ends, which it does only on an error.
    pub async fn wait(&mut self) {
        let _ = (&mut self.task).await;
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Provider").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inner {
    fn issuer(&self) -> String {
        self.issuer.clone()
    }

    fn knobs(&self) -> Knobs {
        locked(&self.knobs).clone()
    }

    fn count(&self, event: Event) {
        *locked(&self.counts).entry(event).or_default() += 1;
    }

    fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic while held")
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

async fn behave(State(inner): State<Arc<Inner>>, request: Request, next: Next) -> Response {
    let knobs = inner.knobs();
    if !knobs.delay.is_zero() {
        tokio::time::sleep(knobs.delay).await;
    }
    match knobs.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(status) => (status, " ".repeat(knobs.padding)).into_response(),
        None => next.run(request).await,
    }
}

async fn discovery(State(inner): State<Arc<Inner>>) -> Response {
    let issuer = inner.issuer();
    let knobs = inner.knobs();
    let mut found = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "end_session_endpoint": format!("{issuer}/logout"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    for (name, value) in knobs.discovery {
        found[name] = value;
    }
    json_text(&found, knobs.padding)
}

async fn published(State(inner): State<Arc<Inner>>) -> Response {
    inner.count(Event::Keys);
    let knobs = inner.knobs();
    let mut keys = locked(&inner.keys).published();
    if let Some(list) = keys["keys"].as_array_mut() {
        let more = |number: usize| {
            let mut key = list[0].clone();
            key["kid"] = Value::from(format!("more-{number}"));
            key
        };
        let (before, behind) = knobs.more_keys;
        let mut all: Vec<Value> = (0..before + behind).map(more).collect();
        all.insert(before, list[0].clone());
        *list = all;
    }
    json_text(&keys, knobs.padding)
}

fn json_text(value: &Value, padding: usize) -> Response {
    let text = format!("{}{value}", " ".repeat(padding));
    ([("content-type", "application/json")], text).into_response()
}
