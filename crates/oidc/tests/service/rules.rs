//! Who may: rules, step-up, routes without a profile, and what other filters are told.

use serde_json::json;
use testbed::PATIENCE;
use testbed::idp::Event;

use crate::house::{House, ann};

#[tokio::test]
async fn what_no_rule_allows_is_refused_with_a_page_or_json() {
    let house = House::start(
        "profiles:\n  web:\n    providers: [main]\n    rules:\n    \
         - {name: ops, paths: [/ops/*], allow: \"'ops' in groups\"}\n    \
         - {name: admins, paths: [/admin/*], allow: \"'admins' in groups\"}\n    \
         - {name: reading, methods: [GET], paths: [/docs/*], allow: 'true'}\n",
    )
    .await;
    house.provider.log_in_as(&ann());
    let mut browser = house.browser();
    assert_eq!(browser.open("https://app.example/ops/x").await.status, 200);
    assert_eq!(browser.get("https://app.example/docs/x").await.status, 200);
    let denied = browser.get("https://app.example/admin/x").await;
    assert_eq!(denied.status, 403);
    assert!(
        denied.text().contains("not allowed") && denied.header("content-security-policy").is_some(),
        "{}",
        denied.text()
    );
    assert_eq!(browser.get("https://app.example/").await.status, 403, "default deny");
    let json = browser.request("POST", "https://app.example/docs/x").send().await.unwrap();
    assert_eq!(
        (json.status.as_u16(), json.json::<serde_json::Value>().unwrap()["error"].clone()),
        (403, json!("forbidden"))
    );
    for trick in ["/ops/../admin/x", "/admin//x", "//ops/x", "/ops/%2e%2e/admin", "/ops;/x"] {
        assert_eq!(browser.get(&format!("https://app.example{trick}")).await.status, 403, "{trick}");
    }
    let audited = house.service.audited("denied").await;
    assert!(audited.to_string().contains("/admin/x") && audited.to_string().contains("ann"), "{audited}");
    assert!(house.service.metric("oidc_denials_total", &["reason=\"rule\""]).await >= 3);
}

#[tokio::test]
async fn a_login_of_another_kind_is_asked_for() {
    let house = House::start(
        "profiles:\n  web: {providers: [main]}\n  step: {providers: [main], stepUp: {acr: [gold, silver]}}\n  \
         strict: {providers: [main], stepUp: {maxAge: 10m}}\n\
         cookies: {domain: example}\n",
    )
    .await;
    house.provider.turn(|knobs| knobs.logged_in_ago = std::time::Duration::from_secs(3600));
    let mut browser = house.browser();
    assert_eq!(browser.open("https://app.example/").await.status, 200);
    let program = browser.request("GET", "https://step.example/").send().await.unwrap();
    assert_eq!(program.status, 401);
    let challenge = program.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("insufficient_user_authentication") && challenge.contains("acr_values=\"gold silver\""),
        "{challenge}"
    );
    browser.visited.clear();
    assert_eq!(browser.open("https://step.example/pay").await.status, 200);
    assert!(browser.visited[1].contains("acr_values=gold+silver"), "{:?}", browser.visited);
    browser.visited.clear();
    assert_eq!(browser.open("https://strict.example/pay").await.status, 200);
    assert!(browser.visited[1].contains("max_age=600"), "{:?}", browser.visited);
    assert_eq!(house.provider.count(Event::Authorize), 3);
    // A provider that does not grant it does not make a circle.
    house.provider.turn(|knobs| knobs.grants_acr = false);
    assert_eq!(house.browser().open("https://step.example/pay").await.status, 403);
}

#[tokio::test]
async fn an_address_that_was_not_verified_or_reads_in_two_ways_opens_nothing() {
    let house = House::start(
        "profiles:\n  web:\n    providers: [main]\n    rules: [{allow: \"emailDomain == 'example.com'\"}]\n    \
         upstream: {headers: {x-email: email}}\n",
    )
    .await;
    for (email, verified, wanted) in [
        ("ann@example.com", true, 200),
        ("ann@example.com", false, 403),
        ("ann@evil.test@example.com", true, 403),
        ("ann@example.com@evil.test", true, 403),
        ("ann@example.com.evil.test", true, 403),
        ("\"a@example.com\"@evil.test", true, 403),
    ] {
        house.provider.log_in_as(&json!({ "sub": "ann", "email": email, "email_verified": verified }));
        assert_eq!(house.browser().open("https://app.example/").await.status, wanted, "{email} {verified}");
    }
}

#[tokio::test]
async fn a_route_whose_profile_is_not_there_is_refused() {
    let house = House::start("profiles:\n  web: {providers: [main]}\n").await;
    let answer = house.browser().get("https://api.example/").await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(house.backend.count(), 0);
}

#[tokio::test]
async fn a_login_at_a_provider_that_a_route_does_not_trust_counts_for_nothing_there() {
    let (one, two) = (crate::house::provider().await, crate::house::provider().await);
    two.log_in_as(&json!({ "sub": "bob" }));
    let provider = |name: &str, of: &testbed::idp::Provider| {
        format!("  {name}: {{issuer: '{}', clientId: edge, clientSecret: s3cret, insecure: true}}\n", of.issuer())
    };
    let settings = format!(
        "providers:\n{}{}defaultProfile: web\nprofiles:\n  web: {{providers: [one]}}\n  \
         api: {{providers: [two], upstream: {{headers: {{x-user: sub}}}}}}\n\
         cookies: {{domain: example}}\n",
        provider("one", &one),
        provider("two", &two)
    );
    let house = House::with(one, &settings).await;
    let mut browser = house.browser();
    assert_eq!(browser.open("https://app.example/").await.status, 200);
    let seen = browser.open("https://api.example/").await.echoed().unwrap();
    assert_eq!(seen.header("x-user"), Some("bob"));
}

#[tokio::test]
async fn other_filters_and_logs_know_who_it_is() {
    let mut house = House::start("profiles:\n  web: {providers: [main], upstream: {metadata: {mail: email}}}\n").await;
    house.logged_in().await;
    let line = house
        .envoy
        .process()
        .wait_for_line(PATIENCE, |line| line.contains("200 meta=") && line.contains("ann@example.com"))
        .await
        .unwrap();
    assert!(line.contains("\"subject\":\"ann\"") && line.contains("\"provider\":\"main\""), "{line}");
}

#[tokio::test]
async fn a_rate_limit_may_be_of_whoever_is_logged_in() {
    let house = House::start("profiles:\n  web: {providers: [main]}\n").await;
    // By what the service tells other filters of the request.
    let subject = json!({ "metadata": {
        "descriptor_key": "subject",
        "source": "DYNAMIC",
        "metadata_key": { "key": "envoy.filters.http.ext_authz", "path": [{ "key": "subject" }] },
    }});
    let bucket = |tokens: u32| json!({ "max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": "3600s" });
    let all = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" }});
    let limit = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "limit",
        "filter_enabled": all,
        "filter_enforced": all,
        "token_bucket": bucket(1000),
        "rate_limits": [{ "actions": [subject] }],
        "descriptors": [{ "entries": [{ "key": "subject", "value": "ann" }], "token_bucket": bucket(3) }],
    });
    let filters = [("local_ratelimit", limit)];
    let (_envoy, address) = crate::edge::start_judged(&house.service.grpc, house.backend.address(), &filters).await;
    let mut ann = testbed::client::Browser::new(address);
    assert_eq!(ann.open("https://app.example/").await.status, 200);
    house.provider.log_in_as(&json!({ "sub": "bob" }));
    let mut bob = testbed::client::Browser::new(address);
    for number in 2..=6 {
        assert_eq!(ann.get("https://app.example/").await.status, if number > 3 { 429 } else { 200 }, "{number}");
        assert_eq!(bob.open("https://app.example/").await.status, 200, "{number}");
    }
}
