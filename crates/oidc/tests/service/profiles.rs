//! What a profile may say of logins, cookies and tokens: the fields of `SecurityPolicy.oidc` in the service's words.

use std::time::{Duration, Instant};

use serde_json::json;
use testbed::PATIENCE;
use testbed::client::Browser;
use testbed::idp::Event;
use testbed::wait::wait_until;

use crate::edge;
use crate::house::{House, WEB};

/// Profiles of the host `app.example`, with fields in YAML's flow style.
fn web(fields: &str) -> String {
    format!("profiles: {{web: {{providers: [main], {fields}}}}}\n")
}

#[tokio::test]
async fn claims_of_whoever_logged_in_are_judged_by_envoys_own_filters() {
    let house = House::start(&web("upstream: {accessTokenCookie: access, idTokenCookie: id}")).await;
    // As filters that look for a token in a cookie do, with a rule on a claim of it.
    let tokens = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": { "main": {
            "issuer": house.provider.issuer(),
            "audiences": ["edge"],
            "from_cookies": ["id"],
            "local_jwks": { "inline_string": house.provider.published().to_string() },
            "payload_in_metadata": "main",
        }},
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "main" } }],
    });
    let operators = json!({ "metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{ "key": "main" }, { "key": "groups" }],
        "value": { "list_match": { "one_of": { "string_match": { "exact": "ops" } } } },
    }});
    let rights = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": { "policies": { "operators": { "permissions": [{ "any": true }], "principals": [operators] } } },
    });
    let filters = [("jwt_authn", tokens), ("rbac", rights)];
    let (_envoy, address) = edge::start_judged(&house.service.grpc, house.backend.address(), &filters).await;
    let mut ann = Browser::new(address);
    let seen = ann.open("https://app.example/").await;
    assert_eq!(seen.status, 200, "{}", seen.text());
    assert!(seen.echoed().unwrap().header("cookie").unwrap().contains("access=ey"), "{}", seen.text());
    house.provider.log_in_as(&json!({ "sub": "eve", "groups": ["people"] }));
    assert_eq!(Browser::new(address).open("https://app.example/").await.status, 403, "she is none of them");
    // Nobody brings a token that a login did not.
    let token =
        house.provider.sign(Some("JWT"), &json!({ "iss": house.provider.issuer(), "aud": "edge", "groups": ["ops"] }));
    let cookie = format!("id={}", token.unwrap());
    assert_eq!(Browser::new(address).get_with("https://app.example/", &[("cookie", &cookie)]).await.status, 302);
    assert_eq!(house.backend.count(), 1);
}

#[tokio::test]
async fn requests_with_a_header_that_is_no_browsers_are_not_sent_away() {
    let headers = "[{name: x-client, exact: app}, {name: x-client, prefix: ios/}, {name: x-client, suffix: /bot}, \
                   {name: x-version, regex: '[0-9]+'}]";
    let house = House::start(&web(&format!("noRedirect: {headers}"))).await;
    for (name, value, wanted) in [
        ("x-client", "app", 401),
        ("x-client", "ios/17", 401),
        ("x-client", "a/bot", 401),
        ("x-version", "12", 401),
        ("x-client", "application", 302),
        ("x-client", "my ios/", 302),
        ("x-version", "12a", 302),
        ("x-other", "app", 302),
    ] {
        let answer = house.browser().get_with("https://app.example/", &[(name, value)]).await;
        assert_eq!(answer.status, wanted, "{name}: {value}");
    }
    let mut browser = house.logged_in().await;
    assert_eq!(
        browser.get_with("https://app.example/", &[("x-client", "app")]).await.status,
        200,
        "who is known passes"
    );
}

#[tokio::test]
async fn a_login_that_takes_too_long_is_not_finished() {
    let house = House::start(&web("loginTimeout: 2s")).await;
    house.logged_in().await;
    let mut slow = house.browser();
    let callback = slow.until("https://app.example/", "https://app.example/oauth2/callback").await;
    let since = Instant::now();
    // Nothing but the clock says that it is too late.
    wait_until("the time to be over", PATIENCE, async || since.elapsed() > Duration::from_secs(3)).await.unwrap();
    assert_eq!(slow.get(&callback).await.status, 400);
    assert_eq!(house.provider.count(Event::Code), 1, "its code was not redeemed");
    assert_eq!(slow.open("https://app.example/").await.status, 200, "the next one may be");
}

#[tokio::test]
async fn a_session_ends_with_its_tokens_where_they_are_not_to_be_renewed() {
    let ahead = "sessions: {refreshAhead: 1s}\n";
    for (refresh, wanted) in [(false, 302), (true, 200)] {
        let fields = format!("tokens: {{refresh: {refresh}, bindSession: true}}");
        let house = House::start(&format!("{}{ahead}", web(&fields))).await;
        house.provider.turn(|knobs| knobs.lifetime = Duration::from_secs(3));
        let mut browser = house.logged_in().await;
        assert_eq!(browser.get("https://app.example/").await.status, 200);
        let mut last = 200;
        let over = async || {
            last = browser.get("https://app.example/").await.status.as_u16();
            // The second renewal is due when the first tokens have ended.
            last != 200 || house.provider.count(Event::Refresh) > 1
        };
        wait_until("the end of its tokens", PATIENCE, over).await.unwrap();
        assert_eq!(last, wanted, "refresh: {refresh}");
        assert_eq!(house.provider.count(Event::Refresh) > 0, refresh);
    }
}

#[tokio::test]
async fn tokens_of_which_the_provider_says_no_end_last_as_long_as_the_profile_says() {
    let house = House::start(&web("tokens: {lifetime: 3s, bindSession: true}")).await;
    house.provider.turn(|knobs| (knobs.refresh, knobs.says_lifetime) = (false, false));
    let mut browser = house.logged_in().await;
    assert_eq!(browser.get("https://app.example/").await.status, 200);
    let ended = async || browser.get("https://app.example/").await.status == 302;
    wait_until("the end of its tokens", PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn renewed_tokens_of_which_the_provider_says_no_end_are_renewed_again() {
    let house = House::start(&format!("{}sessions: {{refreshAhead: 1s}}\n", web("tokens: {lifetime: 3s}"))).await;
    house.provider.turn(|knobs| knobs.says_lifetime = false);
    let mut browser = house.logged_in().await;
    let again = async || {
        assert_eq!(browser.get("https://app.example/").await.status, 200);
        house.provider.count(Event::Refresh) >= 2
    };
    wait_until("a second renewal", PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn every_page_is_plain_says_its_request_and_follows_the_template() {
    let template =
        "<!doctype html><html lang=en><title>{{title}}</title><main id=house>{{text}}{{content}}</main>{{request}}";
    let dir = tempfile::TempDir::with_prefix("oidc-").unwrap();
    std::fs::write(dir.path().join("page.html"), template).unwrap();
    let own = format!("pages: {{directory: {:?}}}\n", dir.path());
    let rules = "    rules: [{paths: [/open], allow: 'true'}]\n";
    for (pages, mark) in [("", "<html lang=\"en\">"), (own.as_str(), "<main id=house>")] {
        let house = House::start(&format!("{WEB}{rules}{pages}")).await;
        let mut browser = house.browser();
        assert_eq!(browser.open("https://app.example/open").await.status, 200);
        for (url, status) in [
            ("https://app.example/closed", 403),
            ("https://app.example/oauth2/signed-out", 200),
            ("https://app.example/oauth2/callback?state=0.x&code=y", 400),
            ("https://app.example/oauth2/login?provider=nobody", 404),
        ] {
            let request = "8a5a1b9c-0000-4000-8000-00000000000a";
            let page = browser.get_with(url, &[("x-request-id", request)]).await;
            let text = page.text();
            assert_eq!(page.status, status, "{url}: {text}");
            assert!(text.contains(mark) && text.contains("<title>") && text.contains("<main"), "{url}: {text}");
            assert!(!text.contains("<script") && !text.contains("{{"), "{url}: {text}");
            let said = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-').any(|word| word.len() == 36);
            assert!(said, "{url} names no request: {text}");
            assert!(page.header("content-security-policy").is_some(), "{url}");
        }
    }
}

#[tokio::test]
async fn sessions_and_what_the_store_takes_are_measured() {
    let house = House::start(WEB).await;
    let mut leaving = house.logged_in().await;
    house.logged_in().await;
    assert_eq!(house.service.metric("oidc_sessions", &[]).await, 2);
    leaving.open("https://app.example/oauth2/logout").await;
    assert_eq!(house.service.metric("oidc_sessions", &[]).await, 1);
    for (metric, label) in [
        ("oidc_provider_seconds_count", "request=\"code\""),
        ("oidc_check_seconds_count", ""),
        ("oidc_checks_total", "outcome=\"session\""),
        ("oidc_logouts_total", "how=\"local\""),
    ] {
        assert!(
            house.service.metric(metric, &[label]).await > 0,
            "{metric} {label}: {}",
            house.service.page("/metrics").await
        );
    }
}
