//! Programs: 401 instead of a login, and tokens that they bring.

use serde_json::{Value, json};
use testbed::client::GrpcRequest;

use crate::house::{House, WEB};

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

const API: &str = "
profiles:
  web: {providers: [main]}
  api:
    providers: [main]
    bearer: {audiences: [api]}
    upstream: {headers: {x-user: sub}}
    rules: [{allow: \"bearer && 'read' in scopes\"}, {allow: '!bearer'}]
";

#[tokio::test]
async fn programs_are_told_and_not_sent_away() {
    let house = House::start(WEB).await;
    let browser = house.browser();
    for (method, headers) in [
        ("GET", &[("accept", "application/json")][..]),
        ("GET", &[("accept", "*/*")]),
        ("GET", &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")]),
        ("GET", &[("accept", "text/html"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]),
        ("POST", &[("accept", "text/html"), ("sec-fetch-mode", "navigate")]),
        ("DELETE", &[]),
    ] {
        let mut request = browser.request(method, "https://app.example/api");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status, 401, "{method} {headers:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"app.example\""));
        let body: Value = answer.json().unwrap();
        assert_eq!(body["error"], "login_required");
        assert!(answer.all("set-cookie").is_empty(), "no login is begun");
    }
}

#[tokio::test]
async fn grpc_callers_are_told_in_their_own_way() {
    let house = House::start(WEB).await;
    let url = "http://app.example/shop.Cart/Get";
    let answer = GrpcRequest::new(url).to(house.address).send().await.unwrap();
    assert_eq!(answer.code, Some(16), "{answer:?}");
}

/// The claims of a token that holds, with some changed (null takes one away).
fn claims(house: &House, changed: &Value) -> Value {
    let mut claims = json!({
        "iss": house.provider.issuer(), "aud": ["api"], "sub": "robot", "iat": now(), "exp": now() + 300,
        "scope": "read write",
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

async fn ask(house: &House, token: &str) -> testbed::client::Response {
    let request = house.browser().request("GET", "https://api.example/v1");
    request.header("authorization", &format!("Bearer {token}")).send().await.unwrap()
}

#[tokio::test]
async fn forged_tokens_do_not_pass() {
    let house = House::start(API).await;
    let claims = claims(&house, &json!({}));
    let good = house.provider.sign(Some("at+jwt"), &claims).unwrap();
    assert_eq!(ask(&house, &good).await.status, 200);
    let kid = house.provider.published()["keys"][0]["kid"].clone();
    for header in [
        json!({ "alg": "none", "kid": kid, "typ": "at+jwt" }),
        json!({ "alg": "HS256", "kid": kid, "typ": "at+jwt" }),
        json!({ "alg": "RS256", "kid": kid, "typ": "at+jwt" }),
        json!({ "alg": "ES256", "kid": "other", "typ": "at+jwt" }),
        json!({ "alg": "ES256", "kid": kid, "typ": "logout+jwt" }),
        json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt", "crit": ["x"], "x": 1 }),
        json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt", "b64": false }),
        json!({ "kid": kid }),
    ] {
        let token = house.provider.sign_with(&header, &claims).unwrap();
        assert_eq!(ask(&house, &token).await.status, 401, "{header}");
    }
    let (start, signature) = good.rsplit_once('.').unwrap();
    for token in [
        format!("{start}."),
        format!("{start}.{}", signature.to_lowercase()),
        start.to_owned(),
        "x".into(),
        format!("{good}.{good}"),
        "x.".repeat(9000),
    ] {
        assert_eq!(ask(&house, &token).await.status, 401);
    }
}

/// A profile that takes tokens, with paths that are open to all.
const OPEN: &str = "
profiles:
  web: {providers: [main]}
  open: {providers: [main], bearer: {audiences: [api]}, anonymous: [{path: /public/*}], upstream: {headers: {x-user: sub}}}
";

#[tokio::test]
async fn no_server_behind_reads_a_token_that_does_not_hold() {
    let house = House::start(OPEN).await;
    let kid = house.provider.published()["keys"][0]["kid"].clone();
    let none = json!({ "alg": "none", "kid": kid, "typ": "at+jwt" });
    let forged = house.provider.sign_with(&none, &claims(&house, &json!({ "sub": "admin" }))).unwrap();
    let mut browser = house.browser();
    assert_eq!(browser.open("https://open.example/").await.status, 200);
    let ask = async |path: &str, values: &[&str]| {
        let request = browser.request("GET", &format!("https://open.example{path}"));
        let request = values.iter().fold(request, |request, value| request.header("authorization", value));
        request.send().await.unwrap()
    };
    let scheme = |separator: &str| format!("Bearer{separator}{forged}");
    for spelling in [
        scheme(" "),
        scheme("  "),
        scheme("\t"),
        scheme(" \t"),
        scheme(":"),
        scheme(" ").to_lowercase(),
        scheme("\t").to_uppercase(),
        "Bearer".to_owned(),
        format!("Basic YTpi, {}", scheme(" ")),
    ] {
        let answer = ask("/private", &[&spelling]).await;
        assert_eq!(answer.status, 401, "{spelling:?}: whatever else the request brings");
        let seen = ask("/public/page", &[&spelling]).await.echoed().unwrap();
        assert_eq!((seen.header("authorization"), seen.header("x-user")), (None, None), "{spelling:?}");
    }
    let both: &[&str] = &["Basic YTpi", &scheme(" ")];
    assert_eq!(ask("/private", both).await.status, 401);
    assert_eq!(ask("/public/page", both).await.echoed().unwrap().all("authorization"), Vec::<&str>::new());
    // What is no token is the server's own business, and one that holds goes on.
    let seen = ask("/public/page", &["Basic YTpi"]).await.echoed().unwrap();
    assert_eq!((seen.header("authorization"), seen.header("x-user")), (Some("Basic YTpi"), Some("ann")));
    let stranger = house.browser().request("GET", "https://open.example/public/page");
    let seen = stranger.header("authorization", "Basic YTpi").send().await.unwrap().echoed().unwrap();
    assert_eq!((seen.header("authorization"), seen.header("x-user")), (Some("Basic YTpi"), None));
    let good = format!("Bearer\t{}", house.provider.sign(Some("at+jwt"), &claims(&house, &json!({}))).unwrap());
    let seen = ask("/public/page", &[&good]).await.echoed().unwrap();
    assert_eq!((seen.header("authorization"), seen.header("x-user")), (Some(&*good), Some("robot")));
}

#[tokio::test]
async fn tokens_pass_without_a_session() {
    let house = House::start(API).await;
    let claims = |changed: &Value| claims(&house, changed);
    let ask = async |token: &str| ask(&house, token).await;
    let good = house.provider.sign(Some("at+jwt"), &claims(&json!({}))).unwrap();
    let answer = ask(&good).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.echoed().unwrap().header("x-user"), Some("robot"));
    let without_rights = house.provider.sign(Some("at+jwt"), &claims(&json!({ "scope": "write" }))).unwrap();
    assert_eq!(ask(&without_rights).await.status, 403);
    for (name, changed) in [
        ("aud", json!({ "aud": "another" })),
        ("no aud", json!({ "aud": null })),
        ("aud with a tail", json!({ "aud": "api2" })),
        ("iss", json!({ "iss": "https://evil.example" })),
        ("iss prefix", json!({ "iss": format!("{}.evil.example", house.provider.issuer()) })),
        ("expired", json!({ "exp": now() - 120 })),
        ("no end", json!({ "exp": null })),
        ("end as text", json!({ "exp": "99999999999" })),
        ("not yet", json!({ "nbf": now() + 600 })),
        ("from the future", json!({ "iat": now() + 600 })),
    ] {
        let token = house.provider.sign(Some("at+jwt"), &claims(&changed)).unwrap();
        let answer = ask(&token).await;
        assert_eq!(answer.status, 401, "{name}");
        assert!(answer.header("www-authenticate").unwrap().contains("error=\"invalid_token\""), "{name}");
    }
    // A route that takes no tokens takes none.
    let request =
        house.browser().request("GET", "https://app.example/").header("authorization", &format!("Bearer {good}"));
    assert_eq!(request.send().await.unwrap().status, 401);
}

#[tokio::test]
async fn tokens_are_forwarded_and_exchanged_where_that_is_wanted() {
    let house = House::start(
        "profiles:\n  web: {providers: [main]}\n  token:\n    providers: [main]\n    \
         upstream: {accessToken: true, idTokenHeader: x-id-token}\n  \
         exchange:\n    providers: [main]\n    upstream: {exchange: {audience: orders, scopes: [orders.read]}}\n",
    )
    .await;
    let read = |token: &str| -> Value {
        use base64::Engine as _;
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    };
    let seen = house.browser().open("https://token.example/").await.echoed().unwrap();
    let access = read(seen.header("authorization").unwrap().strip_prefix("Bearer ").unwrap());
    assert_eq!((&access["sub"], &access["aud"][0]), (&json!("ann"), &json!("api")));
    assert_eq!(read(seen.header("x-id-token").unwrap())["aud"], "edge");
    let mut browser = house.browser();
    for _ in 0..3 {
        let seen = browser.open("https://exchange.example/").await.echoed().unwrap();
        let exchanged = read(seen.header("authorization").unwrap().strip_prefix("Bearer ").unwrap());
        assert_eq!(
            (&exchanged["aud"], &exchanged["scope"], &exchanged["act"]["sub"]),
            (&json!("orders"), &json!("orders.read"), &json!("edge"))
        );
    }
    assert_eq!(house.provider.count(testbed::idp::Event::Exchange), 1, "once for many requests");
    let seen = house.browser().request("GET", "https://token.example/oauth2/nothing").send().await.unwrap();
    assert_eq!(seen.status, 404);
}
