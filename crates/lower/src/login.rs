//! What the single sign-on service is told: a profile for each policy, in the words of the service's own configuration.

use std::collections::BTreeMap;

use envoy::{core::TypedExtensionConfig, type_url::STRUCT};
use ir::{
    Gateway,
    api::ext::{
        common::StringMatchType,
        security_policy::oidc::{Oidc, OidcHeaderMatch, SameSite},
    },
    features::Login,
    names::fingerprint,
};
use serde_json::{Map, Value, json};

/// The path that logs out, unless a policy says another one.
const LOGOUT: &str = "/logout";

/// The profiles that the routes of a fleet name, in the order of their names. They hold secrets.
pub fn login_profiles(gateway: &Gateway) -> Vec<TypedExtensionConfig> {
    let logins = gateway.routes().filter_map(|route| route.features.login.as_deref());
    let by_name: BTreeMap<&str, &Login> = logins.map(|login| (login.profile.as_str(), login)).collect();
    by_name.into_values().map(resource).collect()
}

fn resource(login: &Login) -> TypedExtensionConfig {
    let value = without_nothing(json!({
        "providers": { (login.provider.as_str()): provider(login) },
        "profile": profile(login),
    }));
    let value = envoy::json::from_json(STRUCT, &value).expect("a struct takes any object");
    let content = envoy::Any { type_url: STRUCT.to_owned(), value };
    TypedExtensionConfig { name: login.profile.clone(), typed_config: Some(content) }
}

fn provider(login: &Login) -> Value {
    let Oidc { provider, scopes, resources, .. } = &login.settings;
    json!({
        "issuer": provider.issuer,
        "clientId": login.client_id,
        "clientSecret": login.client_secret.0,
        // The service asks for `openid` in any case.
        "scopes": scopes.iter().filter(|scope| *scope != "openid").collect::<Vec<_>>(),
        "resources": resources,
        "endpoints": {
            "authorization": provider.authorization_endpoint,
            "token": provider.token_endpoint,
            "endSession": provider.end_session_endpoint,
        },
    })
}

fn profile(login: &Login) -> Value {
    let settings = &login.settings;
    let names = settings.cookie_names.clone().unwrap_or_default();
    let same_site = settings.cookie_config.as_ref().and_then(|config| config.same_site);
    let denied = settings.deny_redirect.iter().flat_map(|deny| &deny.headers);
    json!({
        "providers": [login.provider],
        "callback": login.callback,
        "logoutPath": settings.logout_path.as_deref().unwrap_or(LOGOUT),
        "loginTimeout": settings.csrf_token_ttl.as_ref().map(|ttl| &ttl.0),
        "noRedirect": denied.map(no_redirect).collect::<Vec<_>>(),
        "cookies": {
            "domain": settings.cookie_domain,
            // Logins at several providers must not take each other's place in a browser.
            "suffix": format!("{:08x}", fingerprint(&login.provider)),
            "sameSite": (same_site == Some(SameSite::None)).then_some("none"),
        },
        "tokens": {
            "refresh": settings.refresh_token,
            "lifetime": settings.default_token_ttl.as_ref().map(|ttl| &ttl.0),
            "bindSession": true,
        },
        "upstream": {
            "accessToken": settings.forward_access_token.unwrap_or_default(),
            "idTokenHeader": settings.forward_id_token.as_ref().map(|to| to.header.to_ascii_lowercase()),
            "accessTokenCookie": names.access_token.filter(|name| !name.is_empty()),
            "idTokenCookie": names.id_token.filter(|name| !name.is_empty()),
        },
    })
}

fn no_redirect(header: &OidcHeaderMatch) -> Value {
    let how = match header.r#type {
        StringMatchType::Exact => "exact",
        StringMatchType::Prefix => "prefix",
        StringMatchType::Suffix => "suffix",
        StringMatchType::RegularExpression => "regex",
    };
    json!({ "name": header.name.to_ascii_lowercase(), how: header.value })
}

/// Without fields that say nothing: the service has its own word for them.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(name, value)| (name, without_nothing(value))).collect::<Map<_, _>>())
        }
        other => other,
    }
}
