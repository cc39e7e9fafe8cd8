//! Logging out: by the person, and by the provider through the back and the front.

use serde_json::{Value, json};
use testbed::client::Request;
use testbed::idp::Event;

use crate::house::{House, WEB};
use testbed::client::Browser;

fn claims_of(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn is_in(browser: &Browser) -> bool {
    browser.clone().get("https://app.example/").await.status == 200
}

#[tokio::test]
async fn a_person_logs_out_here_and_at_the_provider() {
    let house = House::start(&WEB.replace("providers: [main]", "providers: [main]\n    logoutPath: /bye")).await;
    for path in ["/oauth2/logout", "/bye"] {
        let mut browser = house.logged_in().await;
        let stolen = browser.clone();
        let answer = browser.open(&format!("https://app.example{path}")).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("Logged out"), "{}", answer.text());
        let at_provider = browser.visited.iter().find(|url| url.contains("/logout?")).unwrap();
        assert!(
            at_provider.contains("id_token_hint=")
                && at_provider.contains("post_logout_redirect_uri=https%3A%2F%2Fapp.example%2Foauth2%2Fsigned-out"),
            "{at_provider}"
        );
        assert_eq!(browser.header("app.example"), "");
        assert!(!is_in(&stolen).await, "the session is over, not only its cookie");
    }
    assert_eq!(house.provider.count(Event::Logout), 2);
    house.service.audited("logout").await;
}

/// The session of the provider that a browser is logged in with.
async fn sid(house: &House, browser: &mut Browser) -> String {
    let answer = browser.get("https://token.example/").await;
    let answer = if answer.status == 200 { answer } else { browser.open("https://token.example/").await };
    let _ = house;
    claims_of(answer.echoed().unwrap().header("x-id-token").unwrap())["sid"].as_str().unwrap().to_owned()
}

const TOKENS: &str = "
profiles:
  web: {providers: [main]}
  token: {providers: [main], upstream: {idTokenHeader: x-id-token}}
cookies: {domain: example}
";

async fn tell(address: &str, token: &str) -> u16 {
    let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
    let request = Request::post(&format!("http://{address}/oauth2/backchannel"), body)
        .header("content-type", "application/x-www-form-urlencoded");
    request.send().await.unwrap().status.as_u16()
}

#[tokio::test]
async fn a_logout_is_for_all_providers_of_the_issuer_that_the_token_names() {
    let other = testbed::idp::Client { id: "other".into(), secret: Some("s3cret".into()), ..Default::default() };
    let idp = testbed::idp::Provider::start(vec![crate::house::client(), other]).await.unwrap();
    idp.log_in_as(&crate::house::ann());
    let provider = |name: &str, client: &str, scope: &str| {
        let issuer = idp.issuer();
        format!(
            "  {name}: {{issuer: '{issuer}', clientId: {client}, clientSecret: s3cret, insecure: true, scopes: [{scope}]}}\n"
        )
    };
    let providers = [("a", "other", "email"), ("b", "edge", "email"), ("c", "edge", "profile")];
    let providers: String = providers.iter().map(|(name, client, scope)| provider(name, client, scope)).collect();
    // The profile of a host is its first label; each has a cookie of its own.
    let profiles = [("open", "a", "0a"), ("api", "b", "0b"), ("step", "c", "0c")];
    let profiles: String = profiles
        .iter()
        .map(|(name, of, suffix)| format!("  {name}: {{providers: [{of}], cookies: {{suffix: '0000{suffix}00'}}}}\n"))
        .collect();
    let house = House::with(std::sync::Arc::new(idp), &format!("providers:\n{providers}profiles:\n{profiles}")).await;
    let mut browser = house.browser();
    for host in ["open", "api", "step"] {
        assert_eq!(browser.open(&format!("https://{host}.example/")).await.status, 200, "{host}");
    }
    let token = house.provider.logout_token("edge", &json!({ "sub": "ann" })).unwrap();
    assert_eq!(tell(&house.service.http, &token).await, 200);
    for (host, wanted) in [("open", 200), ("api", 302), ("step", 302)] {
        assert_eq!(browser.clone().get(&format!("https://{host}.example/")).await.status, wanted, "{host}");
    }
    assert_eq!(house.service.metric("oidc_logouts_total", &["how=\"back\""]).await, 2);
    assert_eq!(tell(&house.service.http, &token).await, 400, "once");
}

#[tokio::test]
async fn the_provider_ends_sessions_by_the_back_channel() {
    let house = House::start(TOKENS).await;
    let (mut one, mut two) = (house.logged_in().await, house.logged_in().await);
    let first = sid(&house, &mut one).await;
    let second = sid(&house, &mut two).await;
    assert_ne!(first, second);
    let token = |changed: &Value| house.provider.logout_token("edge", changed).unwrap();
    assert_eq!(tell(&house.service.http, &token(&json!({ "sid": first }))).await, 200);
    assert_eq!((is_in(&one).await, is_in(&two).await), (false, true));
    // Through Envoy, by the person, all of theirs.
    let three = house.logged_in().await;
    let body = format!("logout_token={}", token(&json!({ "sub": "ann" })));
    let answer = house
        .browser()
        .request("POST", "https://app.example/oauth2/backchannel")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    assert_eq!(answer.send().await.unwrap().status, 200);
    assert_eq!((is_in(&two).await, is_in(&three).await), (false, false));
    assert_eq!(house.service.metric("oidc_logouts_total", &["how=\"back\""]).await, 3);
}

/// None of these logout tokens ends a session, and one that holds does.
async fn end_nothing<const N: usize>(tokens: [(&str, Value); N]) {
    let house = House::start(WEB).await;
    let browser = house.logged_in().await;
    for (name, changed) in tokens {
        let token = house.provider.logout_token("edge", &changed).unwrap();
        assert_eq!(tell(&house.service.http, &token).await, 400, "{name}");
    }
    assert!(is_in(&browser).await);
    assert_eq!(house.service.metric("oidc_logouts_total", &[]).await, 0);
    let good = house.provider.logout_token("edge", &json!({ "sub": "ann" })).unwrap();
    assert_eq!(tell(&house.service.http, &good).await, 200);
    assert!(!is_in(&browser).await);
}

#[tokio::test]
async fn a_logout_token_without_events() {
    let event = "http://schemas.openid.net/event/backchannel-logout";
    end_nothing([
        ("no events", json!({ "sub": "ann", "events": null })),
        ("none", json!({ "sub": "ann", "events": {} })),
        ("another one", json!({ "sub": "ann", "events": { "http://example.com/other": {} } })),
        ("as a list", json!({ "sub": "ann", "events": [event] })),
        ("as text", json!({ "sub": "ann", "events": { event: "" } })),
    ])
    .await;
}

#[tokio::test]
async fn a_logout_token_with_a_nonce() {
    end_nothing([
        ("a nonce", json!({ "sub": "ann", "nonce": "x" })),
        ("an empty one", json!({ "sub": "ann", "nonce": "" })),
    ])
    .await;
}

#[tokio::test]
async fn a_logout_token_that_is_replayed() {
    let house = House::start(TOKENS).await;
    let mut browser = house.logged_in().await;
    let sid = sid(&house, &mut browser).await;
    for changed in [json!({ "sid": sid }), json!({ "sub": "ann" })] {
        let once = house.provider.logout_token("edge", &changed).unwrap();
        assert_eq!(tell(&house.service.http, &once).await, 200);
        let again = house.logged_in().await;
        assert_eq!(tell(&house.service.http, &once).await, 400, "{changed}");
        assert!(is_in(&again).await, "{changed}");
    }
    assert!(!is_in(&browser).await);
}

#[tokio::test]
async fn a_logout_token_of_or_for_somebody_else() {
    end_nothing([
        ("aud", json!({ "sub": "ann", "aud": "another" })),
        ("no aud", json!({ "sub": "ann", "aud": null })),
        ("iss", json!({ "sub": "ann", "iss": "https://evil.example" })),
        ("no iss", json!({ "sub": "ann", "iss": null })),
        ("nobody", json!({})),
    ])
    .await;
}

#[tokio::test]
async fn a_logout_token_that_is_old_or_does_not_say_when_it_was_made() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    end_nothing([
        ("too old", json!({ "sub": "ann", "iat": now - 3600 })),
        ("expired", json!({ "sub": "ann", "exp": now - 3600 })),
        ("no iat", json!({ "sub": "ann", "iat": null })),
        ("no jti", json!({ "sub": "ann", "jti": null })),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_logout_token_ends_nothing() {
    let house = House::start(TOKENS).await;
    let mut browser = house.logged_in().await;
    let id_token =
        browser.open("https://token.example/").await.echoed().unwrap().header("x-id-token").unwrap().to_owned();
    for other in [id_token.as_str(), "", "a.b.c"] {
        assert_eq!(tell(&house.service.http, other).await, 400, "{other}");
    }
    assert!(is_in(&browser).await);
}

#[tokio::test]
async fn the_provider_ends_a_session_by_the_front_channel() {
    let house = House::start(TOKENS).await;
    let mut browser = house.logged_in().await;
    let sid = sid(&house, &mut browser).await;
    let query = |iss: &str, sid: &str| {
        url::form_urlencoded::Serializer::new(String::new()).append_pair("iss", iss).append_pair("sid", sid).finish()
    };
    // In a frame, without cookies.
    for wrong in [
        query("https://evil.example", &sid),
        query(&house.provider.issuer(), ""),
        query(&house.provider.issuer(), "unknown-session"),
        String::new(),
    ] {
        house.browser().get(&format!("https://app.example/oauth2/frontchannel?{wrong}")).await;
        let led = browser.get(&format!("https://app.example/oauth2/frontchannel?{wrong}")).await;
        assert!(is_in(&browser).await && led.all("set-cookie").is_empty(), "{wrong}");
    }
    let answer = house
        .browser()
        .get(&format!("https://app.example/oauth2/frontchannel?{}", query(&house.provider.issuer(), &sid)))
        .await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-security-policy")
            .unwrap()
            .contains(&format!("frame-ancestors {}", house.provider.issuer()))
    );
    assert!(!is_in(&browser).await);
}

#[tokio::test]
async fn one_issuer_with_two_clients_ends_the_sessions_of_both() {
    let provider = crate::house::provider().await;
    let other = crate::house::main_provider(&provider).replace("main:", "another:").replace("edge", "another");
    let settings = format!("{other}{}", crate::house::main_provider(&provider).replace("providers:\n", ""));
    let house = House::with(provider, &format!("{settings}defaultProfile: web\n{TOKENS}")).await;
    let mut browser = house.logged_in().await;
    let sid = sid(&house, &mut browser).await;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("iss", &house.provider.issuer())
        .append_pair("sid", &sid)
        .finish();
    assert_eq!(house.browser().get(&format!("https://app.example/oauth2/frontchannel?{query}")).await.status, 200);
    assert!(!is_in(&browser).await);
}
