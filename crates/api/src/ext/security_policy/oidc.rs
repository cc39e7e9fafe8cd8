//! Logging in at an OpenID Connect provider.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ext::{
    common::{
        BackendObjectReference, BackendRef, HEADER_NAME_PATTERN, HOSTNAME_PATTERN, SecretObjectReference,
        StringMatchType,
    },
    duration::Duration,
};

/// Whoever is not logged in is sent to a provider, and comes back logged in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.clientID) != has(self.clientIDRef)")
    .message("set one of `clientID` and `clientIDRef`"))]
#[x_kube(validation = Rule::new("!(has(self.forwardAccessToken) && self.forwardAccessToken && has(self.forwardIDToken) \
     && self.forwardIDToken.header.matches('^(?i)authorization$'))")
    .message("`forwardAccessToken` uses the header Authorization: let `forwardIDToken` name another one"))]
pub struct Oidc {
    /// Where people log in.
    pub provider: OidcProvider,
    /// Our id at the provider.
    #[serde(rename = "clientID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub client_id: Option<String>,
    /// A Secret that holds our id at the provider under the key `client-id`.
    #[serde(rename = "clientIDRef", skip_serializing_if = "Option::is_none")]
    pub client_id_ref: Option<SecretObjectReference>,
    /// A Secret that holds our secret at the provider under the key `client-secret`.
    pub client_secret: SecretObjectReference,
    /// Names of the cookies that hold the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_names: Option<OidcCookieNames>,
    /// Attributes of the cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_config: Option<OidcCookieConfig>,
    /// The domain whose hosts share the login; each host has its own unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = HOSTNAME_PATTERN))]
    pub cookie_domain: Option<String>,
    /// What is asked for beside `openid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// For which APIs tokens are asked (RFC 8707).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Where the provider sends people back to; `/oauth2/callback` of the host where the login began unless set.
    #[serde(rename = "redirectURL", skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
    /// Requests that are answered 401 instead of being sent to the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny_redirect: Option<OidcDenyRedirect>,
    /// The path that logs out; `/logout` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logout_path: Option<String>,
    /// Whether the back end gets the access token as `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_access_token: Option<bool>,
    /// Gives the back end the ID token.
    #[serde(rename = "forwardIDToken", skip_serializing_if = "Option::is_none")]
    pub forward_id_token: Option<OidcForwardIdToken>,
    /// How long tokens last of which the provider doesn't say it.
    #[serde(rename = "defaultTokenTTL", skip_serializing_if = "Option::is_none")]
    pub default_token_ttl: Option<Duration>,
    /// Whether tokens are renewed when they come to their end, where the provider gives refresh tokens.
    #[serde(default = "yes")]
    pub refresh_token: bool,
    /// How long refresh tokens last of which the provider doesn't say it.
    #[serde(rename = "defaultRefreshTokenTTL", skip_serializing_if = "Option::is_none")]
    pub default_refresh_token_ttl: Option<Duration>,
    /// How long a person may take to log in.
    #[serde(rename = "csrfTokenTTL", skip_serializing_if = "Option::is_none")]
    pub csrf_token_ttl: Option<Duration>,
    /// Whether tokens lie in cookies as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_token_encryption: Option<bool>,
    /// Whether requests pass that bring a token for the `jwt` of this policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_through_auth_header: Option<bool>,
}

fn yes() -> bool {
    true
}

/// An OpenID Connect provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.backendRef)").message("`backendRef` is not used any more: use `backendRefs`"))]
pub struct OidcProvider {
    /// Where it is. Not used any more: use `backendRefs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_ref: Option<BackendObjectReference>,
    /// Where it is, if not where its URLs lead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<BackendRef>,
    /// How it's connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub backend_settings: Option<serde_json::Value>,
    /// The issuer's URL; what it can do is read below it (OpenID Connect Discovery).
    #[schemars(length(min = 1))]
    pub issuer: String,
    /// Where people log in, in place of what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Where tokens come from, in place of what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Where people log out, in place of what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_session_endpoint: Option<String>,
}

fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Names of the cookies that hold the tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcCookieNames {
    /// That of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// That of the ID token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
}

/// Attributes of the cookies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcCookieConfig {
    /// Whether browsers send the cookies with requests that other sites cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_site: Option<SameSite>,
}

/// With which requests a browser sends a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SameSite {
    /// With those of its own site, and when a link leads there.
    Lax,
    /// With those of its own site only.
    Strict,
    /// With all.
    None,
}

/// Requests that are answered 401 instead of being sent to the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcDenyRedirect {
    /// Those that have one of these headers.
    #[schemars(length(min = 1, max = 16))]
    pub headers: Vec<OidcHeaderMatch>,
}

/// Matches a header of the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcHeaderMatch {
    /// The name; letters of either case are the same.
    #[schemars(length(min = 1))]
    pub name: String,
    /// How the value is compared.
    #[serde(default)]
    pub r#type: StringMatchType,
    /// What it is compared with.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

/// Gives the back end the ID token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.header.matches('^(?i)host$')")
    .message("the header Host cannot carry a token: name another one"))]
pub struct OidcForwardIdToken {
    /// The header that carries it.
    #[schemars(length(min = 1, max = 256), regex(pattern = HEADER_NAME_PATTERN))]
    pub header: String,
}
