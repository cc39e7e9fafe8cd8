//! The authorization request, and tokens for a code, a refresh token or another token.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreJsonWebKeySet, CoreTokenResponse,
};
use openidconnect::{
    AccessToken, AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardErrorResponse,
    TokenResponse as _, TokenUrl,
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::authenticate::Credentials;
use super::{Error, Known, Provider};
use crate::clock::{self, Seconds};
use crate::jwt::Claims;
use crate::session::Tokens;
use crate::settings::Exchange;

/// What a person is sent to the provider with.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// Where to.
    pub url: Url,
    /// What the answer has to carry in its ID token.
    pub nonce: String,
    /// What proves that the one who has the code began the login (PKCE).
    pub verifier: String,
}

/// What a provider granted.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The tokens.
    pub tokens: Tokens,
    /// The verified claims of the ID token, where there is one.
    pub claims: Option<Claims>,
}

/// A client that knows where people log in and where tokens come from.
pub(super) type Plain =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;

impl Provider {
    pub(super) fn client(&self, authorization: Url, token: Url, keys: CoreJsonWebKeySet) -> Result<Plain, Error> {
        let invalid = |error: url::ParseError| Error::Invalid(error.to_string());
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(invalid)?;
        let id = ClientId::new(self.settings.client_id.clone());
        Ok(CoreClient::new(id, issuer, keys)
            .set_auth_uri(AuthUrl::from_url(authorization))
            .set_token_uri(TokenUrl::from_url(token)))
    }

    /// Makes the request that a person is sent to the provider with: code flow, PKCE (S256), state and nonce.
    pub fn authorization(
        &self,
        state: &str,
        redirect: &str,
        more: BTreeMap<String, String>,
    ) -> Result<Authorization, Error> {
        let known = self.known()?;
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|error| Error::Invalid(error.to_string()))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let state = CsrfToken::new(state.to_owned());
        let mut request = known
            .client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, Nonce::new_random)
            .set_redirect_uri(std::borrow::Cow::Owned(redirect))
            .set_pkce_challenge(challenge)
            .add_scopes(self.settings.scopes.iter().cloned().map(Scope::new));
        for resource in &self.settings.resources {
            request = request.add_extra_param("resource", resource.clone());
        }
        // Each once: what this login needs takes the place of what all do.
        let mut parameters = self.settings.authorization_parameters.clone();
        parameters.extend(more);
        for (name, value) in parameters {
            request = request.add_extra_param(name, value);
        }
        let (url, _, nonce) = request.url();
        Ok(Authorization { url, nonce: nonce.secret().clone(), verifier: verifier.secret().clone() })
    }

    /// Tokens for a code.
    pub async fn redeem(&self, code: &str, verifier: &str, redirect: &str, nonce: &str) -> Result<Granted, Error> {
        let known = self.known()?;
        let (client, assertion) = self.authenticated(&known).await?;
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|error| Error::Invalid(error.to_string()))?;
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
            .set_redirect_uri(std::borrow::Cow::Owned(redirect));
        for (name, value) in assertion {
            request = request.add_extra_param(name, value);
        }
        let http = Through { provider: self, what: "code" };
        let response = request.request_async(&http).await.map_err(refusal)?;
        let token = response.id_token().ok_or_else(|| Error::Invalid("there is no ID token".to_owned()))?;
        let claims = self.verified(token, Some(nonce)).await?;
        Ok(Granted { tokens: tokens(&response, None, clock::now())?, claims: Some(claims) })
    }

    /// Tokens for a refresh token. An ID token that comes with them is verified.
    pub async fn refresh(&self, old: &Tokens) -> Result<Granted, Error> {
        let known = self.known()?;
        let (client, assertion) = self.authenticated(&known).await?;
        let token = old.refresh.as_ref().ok_or_else(|| Error::Grant("there is no refresh token".to_owned()))?;
        let token = RefreshToken::new(token.clone());
        let mut request = client.exchange_refresh_token(&token);
        for (name, value) in assertion {
            request = request.add_extra_param(name, value);
        }
        let http = Through { provider: self, what: "refresh" };
        let response = request.request_async(&http).await.map_err(refusal)?;
        let claims = match response.id_token() {
            Some(token) => Some(self.verified(token, None).await?),
            None => None,
        };
        Ok(Granted { tokens: tokens(&response, Some(old), clock::now())?, claims })
    }

    /// A client that says who we are, and what more has to be said.
    async fn authenticated(&self, known: &Known) -> Result<(Plain, Vec<(&'static str, String)>), Error> {
        let client = known.client.clone();
        Ok(match self.credentials(known).await? {
            Credentials::Basic(secret) => (client.set_client_secret(ClientSecret::new(secret)), Vec::new()),
            Credentials::Post(secret) => {
                (client.set_client_secret(ClientSecret::new(secret)).set_auth_type(AuthType::RequestBody), Vec::new())
            }
            Credentials::Assertion(token) => {
                const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let client = client.set_auth_type(AuthType::RequestBody);
                (client, vec![("client_assertion_type", KIND.to_owned()), ("client_assertion", token)])
            }
            Credentials::None => (client.set_auth_type(AuthType::RequestBody), Vec::new()),
        })
    }

    async fn forward(&self, what: &str, request: HttpRequest) -> Result<HttpResponse, Error> {
        let (parts, body) = request.into_parts();
        let sent = self.http.request(parts.method, &parts.uri.to_string()).headers(parts.headers).body(body);
        let answer = self.send(what, sent).await?;
        outage(answer.status, &answer.body)?;
        let mut response = HttpResponse::new(answer.body.to_vec());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }

    /// Another token in exchange for the access token (RFC 8693), and when it expires.
    pub async fn swap(&self, access: &str, wanted: &Exchange) -> Result<(String, Option<Seconds>), Error> {
        #[derive(Deserialize)]
        struct Swapped {
            access_token: String,
            expires_in: Option<u64>,
        }
        const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
        let known = self.known()?;
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
            ("subject_token", access.to_owned()),
            ("subject_token_type", ACCESS.to_owned()),
            ("requested_token_type", ACCESS.to_owned()),
            ("audience", wanted.audience.clone()),
            ("client_id", self.settings.client_id.clone()),
        ];
        form.extend(wanted.resource.iter().map(|resource| ("resource", resource.clone())));
        if !wanted.scopes.is_empty() {
            form.push(("scope", wanted.scopes.join(" ")));
        }
        let mut request = self.http.request(Method::POST, known.token.as_str());
        match self.credentials(&known).await? {
            Credentials::Basic(secret) => {
                let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encode(&self.settings.client_id), Some(encode(&secret)));
            }
            Credentials::Post(secret) => form.push(("client_secret", secret)),
            Credentials::Assertion(token) => {
                form.push((
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
                ));
                form.push(("client_assertion", token));
            }
            Credentials::None => {}
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = self.send("exchange", request).await?;
        outage(answer.status, &answer.body)?;
        if !answer.status.is_success() {
            return Err(swap_refusal(&answer.body));
        }
        // What is wrong is not shown: there may be a token in it.
        let swapped: Swapped =
            serde_json::from_slice(&answer.body).map_err(|_| Error::Invalid("no token response".to_owned()))?;
        let end = swapped.expires_in.map(|lasts| clock::now().saturating_add(lasts));
        Ok((sendable(swapped.access_token)?, end))
    }

    /// The claims of the user info endpoint. They have to be about the same person.
    pub async fn user_info(&self, access: &str, subject: &str) -> Result<Claims, Error> {
        let known = self.known()?;
        let Some(url) = &known.user_info else { return Ok(Claims::new()) };
        let answer = self.send("user info", self.http.request(Method::GET, url.as_str()).bearer_auth(access)).await?;
        if is_busy(answer.status) {
            return Err(Error::Unavailable(format!("user info answers {}", answer.status)));
        }
        if !answer.status.is_success() {
            return Err(Error::Refused(format!("user info answers {}", answer.status)));
        }
        let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()?.split(';').next());
        let claims: Claims = if kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/jwt")) {
            let token = String::from_utf8_lossy(&answer.body);
            let held = self.signed_user_info(token.trim()).await;
            held.map_err(|refusal| Error::Invalid(format!("the signed user info: {refusal}")))?
        } else {
            serde_json::from_slice(&answer.body).map_err(|error| Error::Invalid(format!("user info: {error}")))?
        };
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(Error::Invalid("user info is about somebody else".to_owned()));
        }
        Ok(claims)
    }
}

/// Our HTTP client as `openidconnect` wants it.
struct Through<'a> {
    provider: &'a Provider,
    what: &'static str,
}

impl<'c> AsyncHttpClient<'c> for Through<'_> {
    type Error = Error;
    type Future = BoxFuture<'c, Result<HttpResponse, Error>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        self.provider.forward(self.what, request).boxed()
    }
}

/// A token that can stand in a header: RFC 6750 has visible letters only.
fn sendable(token: String) -> Result<String, Error> {
    let visible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if visible {
        Ok(token)
    } else {
        Err(Error::Invalid("the access token has letters that no header may have".to_owned()))
    }
}

/// Whether a status says that it is to be tried again later.
fn is_busy(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// An answer that is none of a provider's: it is down or busy, or something stands before it. Nobody loses a session by that.
fn outage(status: StatusCode, body: &[u8]) -> Result<(), Error> {
    let strange = || !status.is_success() && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err();
    match status {
        StatusCode::UNAUTHORIZED if strange() => Err(Error::Client(format!("it answers {status}"))),
        status if is_busy(status) || strange() => Err(Error::Unavailable(format!("it answers {status}"))),
        _ => Ok(()),
    }
}

fn tokens(response: &CoreTokenResponse, old: Option<&Tokens>, now: Seconds) -> Result<Tokens, Error> {
    let access: &AccessToken = response.access_token();
    let refresh = response.refresh_token().map(|token| token.secret().clone());
    let id = response.id_token().map(ToString::to_string);
    let scopes = response.scopes().map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect());
    Ok(Tokens {
        access: sendable(access.secret().clone())?,
        // A provider that does not rotate sends none: the old one goes on.
        refresh: refresh.or_else(|| old?.refresh.clone()),
        id: id.or_else(|| old?.id.clone()),
        scopes: scopes.or_else(|| old.map(|old| old.scopes.clone())).unwrap_or_default(),
        expires: response.expires_in().map(|lasts| now.saturating_add(lasts.as_secs())),
    })
}

type Refused = RequestTokenError<Error, StandardErrorResponse<CoreErrorResponseType>>;

fn refusal(error: Refused) -> Error {
    match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(answer) => {
            let code = answer.error().to_string();
            by_code(&code)
        }
        // The answer itself is not shown: there may be tokens in it.
        RequestTokenError::Parse(error, _) => Error::Invalid(format!("at {}: no token response", error.path())),
        RequestTokenError::Other(what) => Error::Invalid(what),
    }
}

fn by_code(code: &str) -> Error {
    let shown: String = code.chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
    match code {
        "invalid_client" | "unauthorized_client" => Error::Client(shown),
        "invalid_grant" => Error::Grant(shown),
        "server_error" | "slow_down" | "temporarily_unavailable" => Error::Unavailable(shown),
        _ => Error::Refused(shown),
    }
}

fn swap_refusal(body: &[u8]) -> Error {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let code = answer.as_ref().and_then(|answer| answer.get("error")?.as_str());
    by_code(code.unwrap_or("no reason"))
}
