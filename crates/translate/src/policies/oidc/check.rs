//! What of `SecurityPolicy.oidc` the single sign-on service has, and whether it can be understood.

use api::ext::{
    common::StringMatchType,
    security_policy::oidc::{Oidc, OidcProvider, SameSite},
};

use crate::{durations::duration, problem::Problem, rules::regex};

/// In the words of Envoy Gateway's documentation: the host that the request is for, and the scheme by which it came.
const HOST: &str = "%REQ(:authority)%";
const SCHEMES: [&str; 4] = ["https", "http", "%REQ(x-forwarded-proto)%", "%REQ(:scheme)%"];

fn bad(field: &str, what: impl std::fmt::Display) -> Problem {
    Problem::new("Invalid", format!("oidc.{field}: {what}"))
}

/// Refuses what the service has no such thing for, and what cannot be understood.
pub(super) fn supported(settings: &Oidc) -> Result<(), Problem> {
    provider(&settings.provider)?;
    if settings.disable_token_encryption == Some(true) {
        return Err(bad("disableTokenEncryption", "tokens never lie in browsers here; leave it out"));
    }
    if settings.pass_through_auth_header == Some(true) {
        let what = "needs jwt in the same policy to look at the token, which is not served yet; leave it out";
        return Err(bad("passThroughAuthHeader", what));
    }
    if settings.default_refresh_token_ttl.is_some() {
        let what = "how long a login lasts says the service's own configuration (sessions.lifetime); leave it out";
        return Err(bad("defaultRefreshTokenTTL", what));
    }
    if settings.cookie_config.as_ref().and_then(|config| config.same_site) == Some(SameSite::Strict) {
        let what = "with Strict a browser that comes back from the provider brings no cookie, and the login begins again; use Lax";
        return Err(bad("cookieConfig.sameSite", what));
    }
    if settings.forward_id_token.as_ref().is_some_and(|to| is_taken(&to.header)) {
        return Err(bad(
            "forwardIDToken.header",
            "this header has another meaning; name another one, such as x-id-token",
        ));
    }
    for (field, ttl) in [("defaultTokenTTL", &settings.default_token_ttl), ("csrfTokenTTL", &settings.csrf_token_ttl)] {
        if let Some(ttl) = ttl
            && duration(&format!("oidc.{field}"), &ttl.0)?.as_secs() == 0
        {
            return Err(bad(field, "has to be 1s at least"));
        }
    }
    if let Some(path) = settings.logout_path.as_ref().filter(|path| !is_path(path)) {
        return Err(bad("logoutPath", format_args!("{path:?} is not a path, such as /logout")));
    }
    for header in settings.deny_redirect.iter().flat_map(|deny| &deny.headers) {
        if header.r#type == StringMatchType::RegularExpression {
            regex(&header.value).map_err(|problem| bad("denyRedirect.headers", problem.message))?;
        }
    }
    cookie_names(settings)
}

/// Headers that say something else than a token, or that the access token is in.
fn is_taken(header: &str) -> bool {
    ["authorization", "connection", "content-length", "cookie", "host"]
        .iter()
        .any(|one| header.eq_ignore_ascii_case(one))
}

fn cookie_names(settings: &Oidc) -> Result<(), Problem> {
    let Some(names) = &settings.cookie_names else { return Ok(()) };
    let is_name =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte));
    for (field, name) in [("cookieNames.accessToken", &names.access_token), ("cookieNames.idToken", &names.id_token)] {
        if let Some(name) = name.as_ref().filter(|name| !is_name(name)) {
            return Err(bad(field, format_args!("{name:?} is no name of a cookie")));
        }
    }
    if names.access_token.is_some() && names.access_token == names.id_token {
        return Err(bad("cookieNames", "both tokens have the same name; give them two"));
    }
    Ok(())
}

fn provider(provider: &OidcProvider) -> Result<(), Problem> {
    if provider.backend_ref.is_some() || !provider.backend_refs.is_empty() {
        let what = "the single sign-on service asks the provider where its URLs lead; leave it out";
        return Err(bad("provider.backendRefs", what));
    }
    if provider.backend_settings.is_some() {
        let what = "the single sign-on service connects to the provider by itself; leave it out";
        return Err(bad("provider.backendSettings", what));
    }
    let urls = [
        ("provider.issuer", Some(&provider.issuer)),
        ("provider.authorizationEndpoint", provider.authorization_endpoint.as_ref()),
        ("provider.tokenEndpoint", provider.token_endpoint.as_ref()),
        ("provider.endSessionEndpoint", provider.end_session_endpoint.as_ref()),
    ];
    for (field, url) in urls {
        if let Some(url) = url.filter(|url| !is_url(url)) {
            return Err(bad(field, format_args!("{url:?} is not a URL, such as https://id.example.com")));
        }
    }
    Ok(())
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    ["https", "http"].contains(&scheme)
        && is_authority(authority)
        && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn is_authority(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && !text.starts_with(':') && text.bytes().all(is_part)
}

/// A path that no server reads in two ways.
fn is_path(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    text.len() > 1
        && text.starts_with('/')
        && text.bytes().all(is_part)
        && !text.contains("//")
        && !text.split('/').any(|part| part == "." || part == "..")
}

/// Where the provider sends people back to: nothing for the place where the service waits in any case, a path of the host
/// where the login began, or a URL.
pub(super) fn callback(text: &str) -> Result<Option<String>, Problem> {
    let not = || {
        let what = format!(
            "{text:?} is not a URL with a path, such as https://www.example.com/oauth2/callback or \
                            %REQ(x-forwarded-proto)%://{HOST}/oauth2/callback"
        );
        bad("redirectURL", what)
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(not)?;
    let (host, path) = rest.split_once('/').ok_or_else(not)?;
    let path = format!("/{path}");
    if !SCHEMES.contains(&scheme) || !is_path(&path) {
        return Err(not());
    }
    match host {
        HOST if path == "/oauth2/callback" => Ok(None),
        HOST => Ok(Some(path)),
        host if is_authority(host) && !scheme.starts_with('%') => Ok(Some(text.to_owned())),
        _ => Err(not()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_people_come_back_to() {
        let read = |text: &str| callback(text).map_err(|problem| problem.message);
        assert_eq!(read("%REQ(x-forwarded-proto)%://%REQ(:authority)%/oauth2/callback"), Ok(None));
        assert_eq!(read("https://%REQ(:authority)%/back"), Ok(Some("/back".to_owned())));
        let url = "https://www.example.com:8443/oauth2/callback";
        assert_eq!(read(url), Ok(Some(url.to_owned())));
        for wrong in [
            "",
            "www.example.com/oauth2/callback",
            "https://www.example.com",
            "https://www.example.com/",
            "https://a@www.example.com/back",
            "https://www.example.com/back?x=1",
            "https://www.example.com/back/../other",
            "%REQ(x-forwarded-proto)%://www.example.com/back",
            "https://%REQ(x-host)%/back",
            "ftp://www.example.com/back",
        ] {
            assert!(read(wrong).is_err_and(|error| error.starts_with("oidc.redirectURL: ")), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_url_is_found() {
        for right in ["https://id.example.com", "http://127.0.0.1:9000/realms/a", "https://[::1]:8443/x?tenant=a"] {
            assert!(is_url(right), "{right}");
        }
        for wrong in
            ["id.example.com", "https://", "https://a b/", "https://a@b/", "https://a/#b", "ftp://a", "https://:1/"]
        {
            assert!(!is_url(wrong), "{wrong}");
        }
    }
}
