//! What the server behind is told of who asks, and what of the client's request it does not get.
//!
//! Every header that we may set is taken from the client's request in all its spellings: servers that turn `-` into `_` would
//! take `x_user` for `x-user`. That one goes even where Envoy is told not to show us all headers.

use serde_json::{Map, Value};

use crate::ask::Ask;
use crate::cookie::Jar;
use crate::jwt::Claims;
use crate::profile::Profile;
use crate::settings::Upstream;
use crate::verdict::Pass;

/// Who asks, as far as the server behind is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    /// What the provider says.
    pub(crate) claims: &'a Claims,
    /// The provider's name.
    pub(crate) provider: &'a str,
    /// The token to forward as `Authorization`.
    pub(crate) access: Option<&'a str>,
    /// The access token of the session.
    pub(crate) token: Option<&'a str>,
    /// The ID token.
    pub(crate) id: Option<&'a str>,
}

/// How a request goes on: as that of this person, or of nobody.
pub(crate) fn pass(ask: &Ask, profile: &Profile, jar: &Jar, told: Option<Told<'_>>) -> Pass {
    let upstream = &profile.settings.upstream;
    let mut pass = Pass::default();
    if let Some(told) = told {
        for (name, claim) in &upstream.headers {
            let email = claim == "email";
            let value = found(told.claims, claim).and_then(text);
            let counts = !email || crate::rules::email(told.claims, profile.settings.verified_email).is_some();
            pass.set.extend(value.filter(|_| counts).map(|value| (name.clone(), value)));
        }
        if let (Some(name), Some(token)) = (&upstream.id_token_header, told.id) {
            pass.set.push((name.clone(), token.to_owned()));
        }
        if let Some(token) = told.access {
            pass.set.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        pass.metadata = metadata(profile, told);
    }
    // A token that does not hold is not for the server behind either, which may look less closely.
    let refused = told.is_none() && profile.settings.bearer.is_some() && ask.bearer().is_some();
    let takes = refused || upstream.access_token || upstream.exchange.is_some();
    let ours = upstream.headers.keys().chain(&upstream.id_token_header).map(String::as_str);
    let ours: Vec<&str> = ours.chain(takes.then_some("authorization")).collect();
    let is_set = |name: &str| pass.set.iter().any(|(set, _)| set == name);
    let mut remove: Vec<String> = ours.iter().map(|name| (*name).to_owned()).collect();
    remove.extend(ours.iter().filter(|name| name.contains('-')).map(|name| name.replace('-', "_")));
    remove.extend(ask.headers.keys().filter(|name| ours.iter().any(|one| is_spelling(name, one))).cloned());
    remove.retain(|name| !is_set(name));
    remove.sort_unstable();
    remove.dedup();
    pass.remove = remove;
    if let Some(cookies) = cookies(ask.header("cookie").unwrap_or_default(), upstream, jar, told) {
        if cookies.is_empty() {
            pass.remove.push("cookie".to_owned());
        } else {
            pass.set.push(("cookie".to_owned(), cookies));
        }
    }
    pass
}

/// The cookies that the server behind gets, when they are others than those of the client.
fn cookies(header: &str, upstream: &Upstream, jar: &Jar, told: Option<Told<'_>>) -> Option<String> {
    let others = jar.without_ours(header);
    let names = [&upstream.access_token_cookie, &upstream.id_token_cookie];
    if names == [&None, &None] {
        return others;
    }
    let is_kept = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name).trim();
        !name.is_empty() && !names.into_iter().flatten().any(|set| set == name)
    };
    let kept = others.as_deref().unwrap_or(header).split(';').map(str::trim).filter(is_kept).map(str::to_owned);
    let values = [told.and_then(|told| told.token), told.and_then(|told| told.id)];
    let fits = |value: &str| value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte));
    let set = names
        .into_iter()
        .zip(values)
        .filter_map(|(name, value)| Some(format!("{}={}", name.as_ref()?, value.filter(|value| fits(value))?)));
    let all = kept.chain(set).collect::<Vec<_>>().join("; ");
    (all != header).then_some(all)
}

/// Whether two names are one for a server that reads names leniently.
fn is_spelling(name: &str, ours: &str) -> bool {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() == ours.len() && name.bytes().map(plain).eq(ours.bytes().map(plain))
}

/// A claim by its path: `email`, `address.locality`. A claim whose own name has points goes first.
fn found<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut steps = path.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

/// A claim as a header; nothing when it cannot be one. In lists, commas of elements are written `%2C`.
fn text(value: &Value) -> Option<String> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    let text = match value {
        Value::Array(items) => {
            let items: Option<Vec<String>> =
                items.iter().map(|item| Some(one(item)?.replace('%', "%25").replace(',', "%2C"))).collect();
            items?.join(",")
        }
        value => one(value)?,
    };
    let plain = text.trim() == text && !text.chars().any(char::is_control);
    (plain && !text.is_empty() && text.len() <= 8192).then_some(text)
}

fn metadata(profile: &Profile, told: Told<'_>) -> Map<String, Value> {
    let mut metadata = Map::new();
    if let Some(subject) = told.claims.get("sub") {
        metadata.insert("subject".to_owned(), subject.clone());
    }
    metadata.insert("provider".to_owned(), told.provider.into());
    metadata.insert("profile".to_owned(), profile.name.as_str().into());
    for (name, claim) in &profile.settings.upstream.metadata {
        if let Some(value) = found(told.claims, claim) {
            metadata.insert(name.clone(), value.clone());
        }
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;
    use proptest::prelude::*;
    use serde_json::json;

    fn profile() -> Profile {
        let upstream: settings::Upstream = kit::config::parse(
            "u.yaml",
            "headers: {x-user: sub, x-groups: groups, x-city: address.locality, x-email: email}\n\
             accessToken: true\nmetadata: {tenant: tid}\n",
        )
        .unwrap();
        let settings = settings::Profile { upstream, verified_email: true, ..settings::Profile::default() };
        Profile::new("web", &settings, |_| None).unwrap()
    }

    fn jar() -> Jar {
        Jar::new(&crate::cookie::Settings::default())
    }

    fn ask(headers: &[(&str, &str)]) -> Ask {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ask { headers, ..Ask::default() }
    }

    #[test]
    fn claims_become_headers() {
        let claims = json!({
            "sub": "ann", "groups": ["a", "b,c"], "address": { "locality": "Bern" }, "email": "a@b.c", "tid": 7,
        });
        let told =
            Told { claims: claims.as_object().unwrap(), provider: "main", access: Some("t"), token: None, id: None };
        let pass = pass(&ask(&[("x-user", "root"), ("x_email", "root@b.c")]), &profile(), &jar(), Some(told));
        let set: Vec<(&str, &str)> = pass.set.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            set,
            [("x-city", "Bern"), ("x-groups", "a,b%2Cc"), ("x-user", "ann"), ("authorization", "Bearer t")]
        );
        assert_eq!(pass.remove, ["x-email", "x_city", "x_email", "x_groups", "x_user"]);
        assert_eq!(
            Value::from(pass.metadata),
            json!({ "subject": "ann", "provider": "main", "profile": "web", "tenant": 7 })
        );
    }

    #[test]
    fn a_claim_cannot_break_out_of_its_header() {
        for evil in ["a\r\nx-admin: 1", "a\nb", "a\0b", " a", "a ", "", "\u{85}"] {
            let claims = json!({ "sub": evil });
            let told =
                Told { claims: claims.as_object().unwrap(), provider: "main", access: None, token: None, id: None };
            let pass = pass(&ask(&[("x-user", "root")]), &profile(), &jar(), Some(told));
            assert!(pass.set.is_empty() && pass.remove.contains(&"x-user".to_owned()), "{evil:?}");
        }
    }

    #[test]
    fn nobody_gets_nothing_of_ours_past() {
        let pass = pass(
            &ask(&[
                ("x_user", "root"),
                ("x-groups", "ops"),
                ("authorization", "Bearer x"),
                ("accept", "*/*"),
                ("cookie", "__Host-portcullis=x"),
            ]),
            &profile(),
            &jar(),
            None,
        );
        assert_eq!(pass.set, []);
        let wanted = "authorization x-city x-email x-groups x-user x_city x_email x_groups x_user cookie";
        assert_eq!(pass.remove.join(" "), wanted);
    }

    #[test]
    fn a_token_that_does_not_hold_goes_no_further_and_other_credentials_do() {
        let mut profile = Profile::new("api", &settings::Profile::default(), |_| None).unwrap();
        let removed =
            |profile: &Profile, value: &str| pass(&ask(&[("authorization", value)]), profile, &jar(), None).remove;
        assert!(removed(&profile, "Bearer x").is_empty(), "where no tokens are taken they are the server's business");
        profile.settings.bearer = Some(settings::Bearer::default());
        assert_eq!(["Bearer x", "bearer\tx", "Basic x,Bearer x"].map(|value| removed(&profile, value).len()), [1; 3]);
        assert!(removed(&profile, "Basic x").is_empty());
    }

    #[test]
    fn tokens_may_lie_in_cookies_and_nobody_else_puts_them_there() {
        let mut profile = profile();
        profile.settings.upstream.id_token_cookie = Some("id".into());
        profile.settings.upstream.access_token_cookie = Some("access".into());
        let claims = json!({ "sub": "ann" });
        let told = |id| Told {
            claims: claims.as_object().unwrap(),
            provider: "main",
            access: None,
            token: Some("t.1"),
            id: Some(id),
        };
        let cookie = |header: &str, told| {
            let pass = pass(&ask(&[("cookie", header)]), &profile, &jar(), told);
            let set = pass.set.into_iter().find(|(name, _)| name == "cookie").map(|(_, value)| value);
            (set.unwrap_or_default(), pass.remove.contains(&"cookie".to_owned()))
        };
        let header = "a=1; id=mine; __Host-portcullis=x";
        assert_eq!(cookie(header, Some(told("h.p.s"))), ("a=1; access=t.1; id=h.p.s".to_owned(), false));
        assert_eq!(cookie(header, Some(told("x; admin=1"))), ("a=1; access=t.1".to_owned(), false));
        assert_eq!(cookie("id=mine; access=mine", None), (String::new(), true));
        assert_eq!(cookie("a=1", None), (String::new(), false));
    }

    proptest! {
        #[test]
        fn no_spelling_of_our_headers_passes(separator in prop::sample::select(vec!['-', '_', '.', '~', '!'])) {
            let name = format!("x{separator}user");
            let pass = pass(&ask(&[(&name, "root")]), &profile(), &jar(), None);
            prop_assert!(pass.remove.contains(&name));
        }
    }
}
