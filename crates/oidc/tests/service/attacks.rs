//! Attacks, each by its name.

use std::sync::Arc;

use serde_json::json;
use testbed::PATIENCE;
use testbed::client::{Browser, Response, target};
use testbed::idp::{Client, Event, Provider};
use testbed::wait::wait_until;
use url::Url;

use crate::edge::raw;
use crate::house::{House, WEB, ann, client, main_provider, provider};

/// The answer of our callback when a browser comes with these parameters.
async fn call_back(
    house: &House,
    browser: &mut testbed::client::Browser,
    change: impl FnOnce(&mut Vec<(String, String)>),
) -> Response {
    let url = browser.until("https://app.example/private", "https://app.example/oauth2/callback").await;
    let url = Url::parse(&url).unwrap();
    let mut parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    change(&mut parameters);
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(parameters);
    let _ = house;
    browser.get(changed.as_str()).await
}

fn set(parameters: &mut Vec<(String, String)>, name: &str, value: Option<&str>) {
    parameters.retain(|(known, _)| known != name);
    parameters.extend(value.map(|value| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn state_missing_wrong_or_twice() {
    let house = House::start(WEB).await;
    for value in [None, Some(""), Some("0.x"), Some("99.x"), Some("-1"), Some("0")] {
        let mut browser = house.browser();
        let answer = call_back(&house, &mut browser, |all| set(all, "state", value)).await;
        assert_eq!(answer.status, 400, "{value:?}");
        assert!(!browser.names("app.example").contains(&"__Host-portcullis"), "{value:?}");
    }
    let answer = call_back(&house, &mut house.browser(), |all| {
        let state = all.iter().find(|(name, _)| name == "state").cloned().unwrap();
        all.push(state);
    })
    .await;
    assert_eq!(answer.status, 400);
    assert_eq!(house.provider.count(Event::Code), 0, "no code was redeemed");
}

#[tokio::test]
async fn login_csrf_with_the_state_of_another_browser() {
    let house = House::start(WEB).await;
    let (mut thief, mut victim) = (house.browser(), house.browser());
    let url = thief.until("https://app.example/", "https://app.example/oauth2/callback").await;
    assert_eq!(victim.get(&url).await.status, 400, "without a login of its own");
    victim.until("https://app.example/", &house.provider.issuer()).await;
    assert_eq!(victim.get(&url).await.status, 400, "with a login of its own");
    assert!(!victim.names("app.example").contains(&"__Host-portcullis"));
}

/// A profile beside others whose logins come back by another host of their domain.
pub(crate) const SHARED: &str =
    "  open: {providers: [main], callback: 'https://app.example/oauth2/callback', cookies: {domain: example}}\n";

/// What a sibling subdomain sets in a victim's browser: the login that it began itself, for all hosts of the domain.
pub(crate) fn toss(thief: &Browser, host: &str, victim: &mut Browser) {
    let own = thief.cookies.iter().filter(|((at, name), _)| at == host && name.contains("-login-"));
    let tossed = own.map(|((_, name), value)| {
        let name = name.replacen("__Host-", "__Secure-", 1).replacen("-login-", "-away-", 1);
        ((".example".to_owned(), name), value.clone())
    });
    let before = victim.cookies.len();
    victim.cookies.extend(tossed);
    assert!(victim.cookies.len() > before, "nothing to toss: {:?}", thief.cookies);
}

#[tokio::test]
async fn login_csrf_by_a_cookie_of_a_sibling_subdomain() {
    for more in ["", SHARED] {
        let house = House::start(&format!("{WEB}{more}")).await;
        let (mut thief, mut victim) = (house.browser(), house.browser());
        let url = thief.until("https://app.example/", "https://app.example/oauth2/callback").await;
        toss(&thief, "app.example", &mut victim);
        let answer = victim.get(&url).await;
        assert_eq!(answer.status, 400, "{more}: {}", answer.text());
        assert!(!victim.names("app.example").contains(&"__Host-portcullis"), "{more}");
        assert_eq!(house.provider.count(Event::Code), 0, "{more}: no code was redeemed");
        assert_eq!(thief.get(&url).await.status, 302, "{more}: where it began it is one");
    }
}

#[tokio::test]
async fn a_login_that_comes_back_by_another_host_is_bound_to_that_domain_alone() {
    let house = House::start(&format!("{WEB}{SHARED}")).await;
    let mut browser = house.browser();
    let url = browser.until("https://open.example/", "https://app.example/oauth2/callback").await;
    // Under the name of one that is bound to a host it is none.
    let (mut thief, away) = (house.browser(), browser.cookies.clone());
    let bound = away.iter().map(|((_, name), value)| {
        let name = name.replacen("__Secure-", "__Host-", 1).replacen("-away-", "-login-", 1);
        (("app.example".to_owned(), name), value.clone())
    });
    thief.cookies.extend(bound);
    assert_eq!(thief.get(&url).await.status, 400);
    assert_eq!(browser.get(&url).await.status, 302);
    let answer = browser.get("https://open.example/").await;
    assert_eq!(answer.status, 200, "{:?}", browser.cookies);
    assert!(browser.cookies.keys().all(|(_, name)| !name.contains("-away-")), "{:?}", browser.cookies);
}

#[tokio::test]
async fn state_and_code_are_good_once() {
    let house = House::start(WEB).await;
    let mut browser = house.browser();
    let url = browser.until("https://app.example/", "https://app.example/oauth2/callback").await;
    let before = browser.clone();
    assert_eq!(browser.get(&url).await.status, 302);
    assert_eq!(browser.get(&url).await.status, 400, "the cookie is gone");
    // Whoever kept the cookie, too.
    let mut replaying = before;
    let answer = replaying.get(&url).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(house.provider.count(Event::Code), 1);
    assert!(!replaying.names("app.example").contains(&"__Host-portcullis"));
    assert_eq!(house.service.metric("oidc_logins_total", &["outcome=\"replayed\""]).await, 1);
}

#[tokio::test]
async fn a_code_of_another_login_is_not_redeemed() {
    let house = House::start(WEB).await;
    let mut thief = house.browser();
    let stolen = thief.until("https://app.example/", "https://app.example/oauth2/callback").await;
    let code = Url::parse(&stolen).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    // PKCE: the verifier is that of another login.
    let answer = call_back(&house, &mut house.browser(), |all| set(all, "code", Some(&code))).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(house.service.metric("oidc_provider_errors_total", &["kind=\"grant\""]).await, 1);
}

#[tokio::test]
async fn mix_up_of_issuers() {
    let house = House::start(WEB).await;
    for value in [None, Some("https://evil.example"), Some("")] {
        let answer = call_back(&house, &mut house.browser(), |all| set(all, "iss", value)).await;
        assert_eq!(answer.status, 400, "{value:?}");
    }
    assert_eq!(house.provider.count(Event::Code), 0, "no code went anywhere");
    assert_eq!(house.service.metric("oidc_logins_total", &["outcome=\"issuer\""]).await, 3);
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_shown_without_its_words() {
    let house = House::start(WEB).await;
    let answer = call_back(&house, &mut house.browser(), |all| {
        set(all, "code", None);
        set(all, "error", Some("access_denied"));
        set(all, "error_description", Some("<script>alert(1)</script>"));
    })
    .await;
    assert_eq!(answer.status, 403);
    assert!(!answer.text().contains("script>alert"), "{}", answer.text());
}

#[tokio::test]
async fn session_fixation_with_a_planted_cookie() {
    let house = House::start(WEB).await;
    let mut browser = house.browser();
    for planted in ["sAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "cAAAA", "", "s", "2~s", "9999~x"] {
        browser.cookies.insert(("app.example".into(), "__Host-portcullis".into()), planted.into());
        assert_eq!(browser.open("https://app.example/").await.status, 200, "{planted}");
        let value = &browser.cookies[&("app.example".to_owned(), "__Host-portcullis".to_owned())];
        assert!(!value.contains(planted) || planted.len() < 3, "{planted}");
    }
}

/// The provider `main` is another one from now on, and all tokens are due.
async fn moved(house: &House, main: &str) {
    let web = WEB.replace("    upstream", "    anonymous: [{path: /moved}]\n    upstream");
    house.service.configure(&format!("{main}defaultProfile: web\n{web}sessions: {{refreshAhead: 3h}}\n"));
    let taken = async || house.browser().get("https://app.example/moved").await.status == 200;
    wait_until("the new configuration", PATIENCE, taken).await.unwrap();
    house.backend.clear();
}

#[tokio::test]
async fn a_session_of_what_had_the_providers_name_before() {
    for other_issuer in [true, false] {
        let one = Provider::start(vec![client(), Client { id: "other".into(), ..client() }]).await.unwrap();
        one.log_in_as(&ann());
        let (one, two) = (Arc::new(one), provider().await);
        let main = main_provider(&one);
        let house = House::with(Arc::clone(&one), &format!("{main}defaultProfile: web\n{WEB}")).await;
        let (mut browser, mut late) = (house.logged_in().await, house.browser());
        let callback = late.until("https://app.example/", "https://app.example/oauth2/callback").await;
        let codes = one.count(Event::Code);
        let other_client = main.replace("clientId: edge", "clientId: other");
        moved(&house, &if other_issuer { main_provider(&two) } else { other_client }).await;
        assert_eq!(browser.get("https://app.example/").await.status, 302, "another issuer: {other_issuer}");
        assert_eq!(late.get(&callback).await.status, 400, "another issuer: {other_issuer}");
        let answer = browser.get("https://app.example/oauth2/logout").await;
        assert!(!answer.header("location").unwrap().contains("id_token_hint"), "{:?}", answer.header("location"));
        // Nobody is given what another one gave.
        for provider in [&one, &two] {
            assert_eq!(provider.count(Event::Refresh), 0, "another issuer: {other_issuer}");
        }
        assert_eq!((one.count(Event::Code), two.count(Event::Code), house.backend.count()), (codes, 0, 0));
    }
}

#[tokio::test]
async fn cookie_tossing_from_a_subdomain() {
    let house = House::start(WEB).await;
    let thief = house.logged_in().await;
    let mut victim = house.logged_in().await;
    let theirs = thief.cookies.values().next().unwrap();
    let both = format!("{}; __Host-portcullis={theirs}", victim.header("app.example"));
    let answer = victim.clone().get_with("https://app.example/", &[]).await;
    assert_eq!(answer.status, 200);
    victim.cookies.clear();
    let answer = victim.get_with("https://app.example/", &[("cookie", &both)]).await;
    assert_eq!(answer.status, 302, "two sessions are none: a login ends both");
}

/// Headers by which proxies tell what a request was, or by which health checks are known.
const SPOOFS: &[(&str, &str)] = &[
    ("x-forwarded-host", "public.example"),
    ("x-forwarded-server", "public.example"),
    ("x-forwarded-uri", "/public/x"),
    ("x-forwarded-path", "/public/x"),
    ("x-forwarded-prefix", "/public"),
    ("x-forwarded-method", "OPTIONS"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-scheme", "http"),
    ("x-forwarded-ssl", "off"),
    ("x-forwarded-port", "80"),
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-user", "root"),
    ("x-forwarded-email", "root@example.com"),
    ("x-forwarded-groups", "admins"),
    ("x-forwarded-preferred-username", "root"),
    ("x-forwarded-access-token", "root"),
    ("x-forwarded-client-cert", "By=spiffe://a;URI=spiffe://root"),
    ("x-original-url", "/public/x"),
    ("x-original-uri", "/public/x"),
    ("x-original-host", "public.example"),
    ("x-original-method", "OPTIONS"),
    ("x-original-forwarded-for", "127.0.0.1"),
    ("x-rewrite-url", "/public/x"),
    ("x-envoy-original-path", "/public/x"),
    ("x-envoy-original-host", "public.example"),
    ("x-envoy-original-method", "OPTIONS"),
    ("x-envoy-external-address", "127.0.0.1"),
    ("x-envoy-internal", "true"),
    ("x-envoy-decorator-operation", "public"),
    ("x-envoy-auth-partial-body", "false"),
    ("x-real-ip", "127.0.0.1"),
    ("true-client-ip", "127.0.0.1"),
    ("forwarded", "for=127.0.0.1;host=evil.test;proto=http"),
    ("x-host", "public.example"),
    ("x-http-method-override", "OPTIONS"),
    ("x-auth-request-redirect", "//evil.test"),
    ("x-auth-request-user", "root"),
    ("user-agent", "kube-probe/1.29"),
    ("user-agent", "GoogleHC/1.0"),
    ("user-agent", "Envoy/HC"),
];

#[tokio::test]
async fn forwarded_headers_decide_nothing() {
    let rules = "    rules: [{paths: [/shop/*], allow: 'true'}, {allow: \"'admins' in groups\"}]\n";
    let house = House::start(&format!("{WEB}    anonymous: [{{path: /public/*}}]\n{rules}")).await;
    let mut ann = house.browser();
    assert_eq!(ann.open("https://app.example/shop/").await.status, 200);
    house.backend.clear();
    let mut bypasses = 0;
    for (name, value) in SPOOFS {
        let answer = house.browser().get_with("https://app.example/private", &[(name, value)]).await;
        assert_eq!(answer.status, 302, "{name}");
        let to = answer.header("location").unwrap();
        assert!(
            to.starts_with(&house.provider.issuer())
                && to.contains("redirect_uri=https%3A%2F%2Fapp.example%2Foauth2%2Fcallback"),
            "{name}: {to}"
        );
        assert!(!to.contains("evil"), "{name}: {to}");
        let known = ann.get_with("https://app.example/private", &[(name, value)]).await;
        assert_eq!(known.status, 403, "{name}: somebody who is known, but no admin");
        bypasses += house.backend.count();
    }
    println!("bypasses by forwarded headers: {bypasses} of {}", 2 * SPOOFS.len());
    assert_eq!(bypasses, 0);
    assert_eq!(house.browser().get("https://app.example/public/x").await.status, 200);
}

#[tokio::test]
async fn path_tricks_against_anonymous_paths() {
    let house = House::start(&format!("{WEB}    anonymous: [{{path: /public/*}}, {{path: /health}}]\n")).await;
    let tricks = [
        "/public/../private",
        "/public/..",
        "/public/%2e%2e/private",
        "/public/%2E%2e/private",
        "/public/..%2fprivate",
        "/public%2f..%2fprivate",
        "//public/x",
        "/public//../private",
        "/public/..;/private",
        "/public;/../private",
        "/public/.;/x",
        "/public\\..\\private",
        "/public/%5c..%5cprivate",
        "/public%00",
        "/public/%00/../private",
        "/public/#/../../private",
        "/public%23/private",
        "/private?/public/",
        "/private#/public/",
        "/private%3f/public/",
        "/private;/public/",
        "/PUBLIC/x",
        "/publicprivate",
        "/health/",
        "/health%2f",
        "/health;x",
        "/healthz",
        "/./public/x",
        "/public/./x",
        "/public/%252e%252e/private",
        "/public/%u002e",
        "/p%75blic/x",
        "/private/%2e%2e/public/x",
        "/private/../public/x",
        "/public/\u{1}x",
        "/public/%c0%ae%c0%ae/private",
        "/public/%c0%af..%c0%afprivate",
        "/public/%ef%bc%8e%ef%bc%8e/private",
        "/public/..%20/private",
        "/public/.../private",
        "/public/%ff/x",
    ];
    let bytes: [&[u8]; 4] =
        [b"/public/\xff", b"/public/.\xff./private", b"/public/\xc0\xae\xc0\xae/x", b"/public/\xc3\xa4"];
    for trick in tricks.iter().map(|trick| trick.as_bytes()).chain(bytes) {
        let rest = b" HTTP/1.1\r\nhost: app.example\r\naccept: text/html\r\nconnection: close\r\n\r\n";
        let text = [b"GET ", trick, rest].concat();
        let trick = String::from_utf8_lossy(trick);
        let answer = raw(house.address, &text).await.unwrap_or_default();
        let line = answer.lines().next().unwrap_or_default();
        assert!(line.contains(" 302 ") || line.contains(" 400 "), "{trick:?}: {line}");
    }
    assert_eq!(house.backend.count(), 0, "nothing passed");
    for open in ["/public/x", "/public", "/public/", "/health", "/health?x=/../", "/public/a%20b.css"] {
        assert_eq!(house.browser().get(&format!("https://app.example{open}")).await.status, 200, "{open}");
    }
    assert_eq!(
        house.browser().request("POST", "https://app.example/public/x").send().await.unwrap().status,
        401,
        "only what is read"
    );
}

#[tokio::test]
async fn header_smuggling_by_spelling_repetition_and_connection() {
    let house = House::start(&format!("{WEB}    anonymous: [{{path: /public/*}}]\n")).await;
    let browser = house.logged_in().await;
    let cookie = browser.header("app.example");
    let smuggled = "x-user: root\r\nX-User: root\r\nx_user: root\r\nX_USER: root\r\n\
                    x-groups: admins\r\nx_groups: admins\r\nx-email: root@example.com\r\n\
                    x_email: root@example.com\r\nconnection: x-user, x-groups, close\r\n";
    for (path, cookie, user) in [
        ("/private", cookie.as_str(), Some("ann")),
        ("/public/x", "", None),
        ("/public/x", cookie.as_str(), Some("ann")),
    ] {
        house.backend.clear();
        let text = format!(
            "GET {path} HTTP/1.1\r\nhost: app.example\r\naccept: text/html\r\ncookie: {cookie}\r\n{smuggled}\r\n"
        );
        let answer = raw(house.address, text.as_bytes()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        let seen = &house.backend.requests()[0];
        for (name, values) in &seen.headers {
            let spelling = name.to_lowercase().replace('_', "-");
            if ["x-user", "x-groups", "x-email"].contains(&spelling.as_str()) {
                assert!(
                    !values.iter().any(|value| value.contains("root") || value.contains("admins")),
                    "{path}: {name}: {values:?}"
                );
            }
        }
        assert_eq!(seen.header("x-user"), user, "{path}");
    }
}

#[tokio::test]
async fn huge_headers_and_cookies_break_nothing() {
    let house = House::start(WEB).await;
    for cookie in [
        format!("__Host-portcullis=s{}", "A".repeat(50_000)),
        format!("__Host-portcullis={}", "~".repeat(50_000)),
        "=;".repeat(20_000),
        "__Host-portcullis-login-0=x; ".repeat(1000),
    ] {
        let answer = house.browser().get_with("https://app.example/", &[("cookie", &cookie)]).await;
        assert_eq!(answer.status, 302);
    }
    let long = format!("https://app.example/{}?{}", "a".repeat(3000), "b".repeat(3000));
    let answer = house.browser().get(&long).await;
    assert!(
        target(&long, &answer).unwrap().len() < 2000
            && answer.all("set-cookie").iter().all(|cookie| cookie.len() < 4096)
    );
    let body = "x".repeat(1 << 20);
    let answer =
        house.browser().request("POST", "https://app.example/oauth2/backchannel").body(body).send().await.unwrap();
    assert!(answer.status == 400 || answer.status == 413, "{}", answer.status);
}

#[tokio::test]
async fn secrets_are_in_no_log_page_or_metric() {
    let token = "  token: {providers: [main], upstream: {accessToken: true, idTokenHeader: x-id-token}}\n";
    let house = House::start(&format!("{WEB}{token}sessions: {{refreshAhead: 1h}}\n")).await;
    let mut browser = house.browser();
    let callback = browser.until("https://app.example/", "https://app.example/oauth2/callback").await;
    browser.open(&callback).await;
    let planted = call_back(&house, &mut house.browser(), |all| set(all, "code", Some("planted-code"))).await;
    let bearer = house.provider.sign(Some("at+jwt"), &json!({ "sub": "planted-token" })).unwrap();
    let brought = format!("Bearer {bearer}");
    let refused = house.browser().get_with("https://app.example/", &[("authorization", &brought)]).await;
    // Tokens of a login, and of a renewal that the provider refuses.
    let mut known = house.browser();
    let seen = known.open("https://token.example/").await.echoed().unwrap();
    let tokens = [
        seen.header("authorization").unwrap()["Bearer ".len()..].to_owned(),
        seen.header("x-id-token").unwrap().to_owned(),
    ];
    house.provider.turn(|knobs| knobs.id_token = Some("planted.id.token".into()));
    let ended = async || known.clone().get("https://token.example/").await.status == 302;
    testbed::wait::wait_until("the renewal to be refused", testbed::PATIENCE, ended).await.unwrap();
    let failed = house.browser().open("https://app.example/").await;
    let left = browser.get("https://app.example/oauth2/signed-out").await;

    let mut secrets: Vec<String> = browser.cookies.values().chain(known.cookies.values()).cloned().collect();
    secrets.extend(
        Url::parse(&callback)
            .unwrap()
            .query_pairs()
            .filter(|(name, _)| name == "code" || name == "state")
            .map(|(_, value)| value.into_owned()),
    );
    secrets.extend(tokens);
    secrets.extend(["s3cret", "planted-code", "planted.id.token"].map(str::to_owned).into_iter().chain([bearer]));
    let (config, metrics) = (house.service.page("/config").await, house.service.page("/metrics").await);
    let pages = [planted, refused, failed, left].map(|page| page.text()).concat();
    let shown = [house.service.log(), config, metrics, pages].concat();
    let hits: Vec<&String> = secrets.iter().filter(|secret| shown.contains(secret.as_str())).collect();
    println!("secrets that are shown: {} of {}", hits.len(), secrets.len());
    assert!(hits.is_empty(), "{hits:?}");
}
