//! Attacks on what decides: rules, tokens, routes with several providers, claims.

use std::sync::Arc;

use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::idp::{Claims, Event, Provider};
use testbed::wait::wait_until;

use crate::edge::raw;
use crate::house::{House, Service, WEB, main_provider, provider};

fn two_providers(one: &Provider, two: &Provider) -> String {
    let entry = |name: &str, of: &Provider| {
        format!("  {name}: {{issuer: '{}', clientId: edge, clientSecret: s3cret, insecure: true}}\n", of.issuer())
    };
    format!("providers:\n{}{}", entry("one", one), entry("two", two))
}

/// A token of a program that holds, but for what is changed.
fn token(of: &Provider, header: &Value, changed: &Value) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({ "iss": of.issuer(), "aud": "api", "sub": "robot", "iat": now, "exp": now + 300 });
    claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    let mut head = json!({ "alg": "ES256", "typ": "at+jwt", "kid": of.published()["keys"][0]["kid"] });
    head.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
    of.sign_with(&head, &claims).unwrap()
}

async fn ask(house: &House, token: &str) -> testbed::client::Response {
    let request = house.browser().request("GET", "https://api.example/v1");
    request.header("authorization", &format!("Bearer {token}")).send().await.unwrap()
}

const API: &str = "profiles:\n  web: {providers: [main]}\n  api: {providers: [main], bearer: {audiences: [api]}}\n";

#[tokio::test]
async fn a_rule_that_forbids_a_path_is_not_passed_by_writing_it_otherwise() {
    let rules = "[{allow: \"!path.startsWith('/admin') || 'admins' in groups\"}]";
    let house = House::start(&format!("profiles:\n  web: {{providers: [main], rules: {rules}}}\n")).await;
    let mut browser = house.browser();
    assert_eq!(browser.open("https://app.example/shop").await.status, 200);
    let cookie = browser.header("app.example");
    let before = house.backend.count();
    for trick in
        ["/admin", "//admin", "/x/../admin", "/x/..;/admin", "/%61dmin", "/./admin", "/x%2f..%2fadmin", "/x\\..\\admin"]
    {
        let text =
            format!("GET {trick} HTTP/1.1\r\nhost: app.example\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n");
        let answer = raw(house.address, text.as_bytes()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"), "{trick}: {answer}");
    }
    assert_eq!(house.backend.count(), before);
}

#[tokio::test]
async fn a_rule_that_forbids_a_host_is_not_passed_by_writing_it_otherwise() {
    let rules = "[{allow: \"host != 'admin.example' || 'admins' in groups\"}]";
    let house = House::start(&format!("profiles:\n  web: {{providers: [main], rules: {rules}}}\n")).await;
    let cookie = house.logged_in().await.header("app.example");
    let before = house.backend.count();
    let spellings = [
        ("/", "host: admin.example"),
        ("/", "host: ADMIN.example"),
        ("/", "host: admin.example:80"),
        ("/", "host: admin.example:1"),
        ("/", "host: admin.example."),
        ("/", "host: admin.example.:8080"),
        ("/", "host: x@admin.example"),
        ("/", "host: app.example, admin.example"),
        ("/", "host: app.example\r\nhost: admin.example"),
        ("http://admin.example/", "host: app.example"),
        ("http://admin.example:80/", "host: app.example"),
    ];
    for (target, host) in spellings {
        let text = format!("GET {target} HTTP/1.1\r\n{host}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n");
        let answer = raw(house.address, text.as_bytes()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"), "{target} {host}: {answer}");
    }
    println!("hosts written otherwise: {} of {} passed", house.backend.count() - before, spellings.len());
    assert_eq!(house.backend.count(), before);
    assert_eq!(house.logged_in().await.get("https://app.example/").await.status, 200);
}

#[tokio::test]
async fn a_choice_that_began_at_another_host_leads_nowhere_else() {
    let (one, two) = (provider().await, provider().await);
    let settings =
        format!("{}defaultProfile: web\nprofiles: {{web: {{providers: [one, two]}}}}\n", two_providers(&one, &two));
    let house = House::with(one, &settings).await;
    // An attacker comes with a host of their own, and sends a victim to the link that they were given.
    let page = house.browser().open("https://evil.example/").await.text();
    let link = page.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let mut victim = house.browser();
    victim.open(&format!("https://app.example{link}")).await;
    assert!(!victim.visited.iter().any(|url| url.contains("evil.example")), "{:?}", victim.visited);
    assert_eq!(victim.names("app.example"), ["__Host-portcullis"], "the login itself is done");
}

#[tokio::test]
async fn cookies_in_two_headers_are_read_and_not_passed_on() {
    let house = House::start(&format!("{WEB}    anonymous: [{{path: /public/*}}]\n")).await;
    let cookie = house.logged_in().await.header("app.example");
    house.backend.clear();
    for (path, first, second) in [
        ("/private", "a=1,2", cookie.as_str()),
        ("/public/x", "a=1,2", "__Host-portcullis=somebodyelse"),
        ("/public/x", "__Host-portcullis-login-1=x", "a=1,2"),
    ] {
        let text = format!(
            "GET {path} HTTP/1.1\r\nhost: app.example\r\ncookie: {first}\r\ncookie: {second}\r\nconnection: close\r\n\r\n"
        );
        let answer = raw(house.address, text.as_bytes()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    let seen: Vec<String> =
        house.backend.requests().iter().map(|seen| format!("{:?}", seen.headers.get("Cookie"))).collect();
    assert!(seen.len() == 3 && !seen.concat().contains("portcullis"), "{seen:?}");
}

#[tokio::test]
async fn a_token_of_one_provider_waits_for_no_other() {
    let (one, two) = (provider().await, provider().await);
    let settings = format!(
        "{}defaultProfile: web\nprofiles:\n  web: {{providers: [one, two]}}\n  \
         api: {{providers: [one, two], bearer: {{audiences: [api]}}}}\n",
        two_providers(&one, &two)
    );
    let house = House::with(Arc::clone(&one), &settings).await;
    one.turn(|knobs| knobs.delay = std::time::Duration::from_secs(60));
    let start = std::time::Instant::now();
    assert_eq!(ask(&house, &token(&two, &json!({}), &json!({}))).await.status, 200);
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(one.count(Event::Keys), 1, "nobody asked it for keys again");
}

#[tokio::test]
async fn invented_key_names_make_us_ask_the_provider_once() {
    let house = House::start(API).await;
    let before = house.provider.count(Event::Keys);
    house.provider.rotate(testbed::idp::Algorithm::Es256).unwrap();
    assert_eq!(ask(&house, &token(&house.provider, &json!({}), &json!({}))).await.status, 200, "a new key");
    let all = (0..50).map(|number| token(&house.provider, &json!({ "kid": format!("invented-{number}") }), &json!({})));
    let all: Vec<String> = all.collect();
    let answers = futures::future::join_all(all.iter().map(|token| ask(&house, token))).await;
    assert!(answers.iter().all(|answer| answer.status == 401));
    assert_eq!(house.provider.count(Event::Keys), before + 1);
}

#[tokio::test]
async fn tokens_that_are_none_of_access_let_nobody_in() {
    let house = House::start(API).await;
    let event = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    for kind in ["JWT", "at+jwt"] {
        let logout = token(&house.provider, &json!({ "typ": kind }), &json!({ "events": event }));
        assert_eq!(ask(&house, &logout).await.status, 401, "{kind}");
    }
    for far in [json!({ "exp": u64::MAX }), json!({ "nbf": u64::MAX }), json!({ "iat": 1e300 })] {
        assert_eq!(ask(&house, &token(&house.provider, &json!({}), &far)).await.status, 401, "{far}");
    }
    assert_eq!(ask(&house, &token(&house.provider, &json!({}), &json!({}))).await.status, 200);
}

#[tokio::test]
async fn tokens_are_verified_while_the_provider_is_down_and_while_its_settings_change() {
    let house = House::start(API).await;
    house.provider.turn(|knobs| knobs.status = Some(503));
    let good = token(&house.provider, &json!({}), &json!({}));
    assert_eq!(ask(&house, &good).await.status, 200);
    let provider = main_provider(&house.provider).replace("insecure: true", "insecure: true, title: The other");
    let profiles = API.replace("web: {providers: [main]}", "web: {providers: [main], anonymous: [{path: /open}]}");
    house.service.configure(&format!("{provider}defaultProfile: web\n{profiles}"));
    let taken = async || house.browser().get("https://app.example/open").await.status == 200;
    wait_until("the new configuration", PATIENCE, taken).await.unwrap();
    assert_eq!(ask(&house, &good).await.status, 200);
}

#[tokio::test]
async fn a_token_that_cannot_be_verified_yet_is_not_called_invalid() {
    let provider = provider().await;
    provider.turn(|knobs| knobs.status = Some(500));
    let service = Service::start(&format!("{}defaultProfile: web\n{API}", main_provider(&provider))).await;
    let backend = testbed::echo::Echo::http().spawn().await.unwrap();
    let (envoy, address) = crate::edge::start(&service.grpc, backend.address()).await;
    let house = House { provider, service, envoy, address, backend };
    let good = token(&house.provider, &json!({}), &json!({}));
    let answer = ask(&house, &good).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("5")), "{}", answer.text());
    house.provider.turn(|knobs| knobs.status = None);
    let passes = async || ask(&house, &good).await.status == 200;
    wait_until("the keys to be read", PATIENCE, passes).await.unwrap();
}

#[tokio::test]
async fn a_login_whose_time_is_not_said_is_not_a_recent_one() {
    let house =
        House::start("profiles:\n  web: {providers: [main]}\n  strict: {providers: [main], stepUp: {maxAge: 10m}}\n")
            .await;
    house.provider.turn(|knobs| {
        knobs.forge = Some(Arc::new(|_, claims: &mut Claims| drop(claims.remove("auth_time"))));
    });
    assert_eq!(house.browser().open("https://app.example/").await.status, 200);
    assert_eq!(house.browser().open("https://strict.example/").await.status, 403);
}

#[tokio::test]
async fn user_info_that_does_not_hold_logs_nobody_in() {
    let idp = provider().await;
    let settings = main_provider(&idp).replace("insecure: true", "insecure: true, userInfo: true");
    let profile = "profiles: {web: {providers: [main], upstream: {headers: {x-level: level}}}}\n";
    let house = House::with(Arc::clone(&idp), &format!("{settings}defaultProfile: web\n{profile}")).await;
    let claims = |changed: Value| {
        let mut claims = json!({ "iss": idp.issuer(), "aud": "edge", "sub": "ann", "level": "gold" });
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        claims
    };
    let answered = |kind: &str, text: String| idp.turn(|knobs| knobs.user_info = Some((kind.to_owned(), text)));
    let signed = |changed: Value| idp.sign(None, &claims(changed)).unwrap();
    answered("application/jwt; charset=utf-8", signed(json!({})));
    let seen = house.browser().open("https://app.example/").await.echoed().unwrap();
    assert_eq!(seen.header("x-level"), Some("gold"));
    let kid = idp.published()["keys"][0]["kid"].clone();
    let with = |header: Value| idp.sign_with(&header, &claims(json!({}))).unwrap();
    for (name, text) in [
        ("aud", signed(json!({ "aud": "another" }))),
        ("iss", signed(json!({ "iss": "https://evil.example" }))),
        ("sub", signed(json!({ "sub": "root" }))),
        ("expired", signed(json!({ "exp": 1 }))),
        ("alg none", with(json!({ "alg": "none", "kid": kid }))),
        ("alg HS256", with(json!({ "alg": "HS256", "kid": kid }))),
        ("another type", with(json!({ "alg": "ES256", "kid": kid, "typ": "logout+jwt" }))),
        ("not signed", claims(json!({})).to_string()),
    ] {
        answered("application/jwt", text);
        let answer = house.browser().open("https://app.example/").await;
        assert_eq!(answer.status, 502, "{name}: {}", answer.text());
    }
    answered("application/json", claims(json!({ "sub": "root" })).to_string());
    assert_eq!(house.browser().open("https://app.example/").await.status, 502, "about somebody else");
    answered("application/json", claims(json!({ "level": "x".repeat(100 << 10) })).to_string());
    assert_eq!(house.browser().open("https://app.example/").await.status, 502, "more than is kept of one person");
}
