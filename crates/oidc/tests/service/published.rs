//! Providers that publish more than anybody needs.

use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::client::Response;
use testbed::idp::Provider;
use testbed::service::field;
use testbed::wait::wait_until;

use crate::house::{House, Service, WEB, main_provider, provider};

/// So many keys of a provider count.
const MOST: usize = 100;
const THOUSAND: usize = 1000;

/// A house whose provider publishes a thousand keys, and signs with the one that so many are before.
async fn house(before: usize) -> House {
    let provider = provider().await;
    provider.turn(|knobs| knobs.more_keys = (before, THOUSAND - 1 - before));
    let main = main_provider(&provider).replace("insecure: true", "insecure: true, refreshInterval: 1s");
    let api = "  api: {providers: [main], bearer: {audiences: [api]}}\n";
    House::with(provider, &format!("{main}defaultProfile: web\n{WEB}{api}")).await
}

/// What a program gets that brings a token of the provider.
async fn ask(house: &House) -> Response {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "iss": house.provider.issuer(), "aud": "api", "sub": "robot", "iat": now, "exp": now + 300 });
    let token = house.provider.sign(Some("at+jwt"), &claims).unwrap();
    let request = house.browser().request("GET", "https://api.example/v1");
    request.header("authorization", &format!("Bearer {token}")).send().await.unwrap()
}

/// Whether the log says at `what` that keys are left out.
fn says(service: &Service, what: &str) -> bool {
    let words = format!("publishes {} keys beyond the first {MOST}", THOUSAND - MOST);
    let log = service.log();
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.any(|line| {
        field(&line, "what") == Some(what) && field(&line, "message").is_some_and(|text| text.contains(&words))
    })
}

#[tokio::test]
async fn of_a_thousand_keys_the_first_hundred_count() {
    let house = house(MOST - 1).await;
    house.logged_in().await;
    assert_eq!(ask(&house).await.status, 200);
    assert!(says(&house.service, "keys") && !says(&house.service, "login"), "{}", house.service.log());
    assert!(house.service.metric("oidc_provider_errors_total", &["kind=\"invalid\""]).await > 0);
}

#[tokio::test]
async fn a_key_beyond_the_first_hundred_is_refused_and_the_log_says_why() {
    let house = house(MOST).await;
    let answer = house.browser().open("https://app.example/").await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(ask(&house).await.status, 401);
    assert_eq!(house.backend.count(), 0);
    assert!(says(&house.service, "login"), "{}", house.service.log());
    assert_eq!(house.service.metric("oidc_logins_total", &["outcome=\"invalid\""]).await, 1);
    // With fewer keys all is well.
    house.provider.turn(|knobs| knobs.more_keys = (MOST - 1, 0));
    let back = async || house.browser().open("https://app.example/").await.status == 200;
    wait_until("fewer keys", PATIENCE, back).await.unwrap();
    assert_eq!(ask(&house).await.status, 200);
}

/// How often keys were read, and how much memory the service has then.
async fn memory_after(service: &Service, reads: u64) -> f64 {
    let before = read(service).await;
    let done = async || read(service).await >= before + reads;
    wait_until("keys to be read", PATIENCE, done).await.unwrap();
    service.process.resident_mebibytes().unwrap()
}

/// Answers to the question for keys, and failed ones.
async fn read(service: &Service) -> u64 {
    service.metric("oidc_provider_seconds_count", &["request=\"keys\""]).await
        + service.metric("oidc_provider_errors_total", &["kind=\"unavailable\""]).await
}

/// Twenty providers, all of which are the same.
fn many(of: &Provider) -> String {
    let one = |number| {
        let name = format!("p{number}");
        let main = main_provider(of).replace("providers:\n", "").replace("main:", &format!("{name}:"));
        main.replace("insecure: true", "insecure: true, refreshInterval: 200ms")
    };
    format!("providers:\n{}", (0..20).map(one).collect::<String>())
}

#[tokio::test]
async fn memory_does_not_grow_with_what_providers_publish() {
    let provider = provider().await;
    let web = WEB.replace("[main]", "[p0]");
    let service = Service::start(&format!("{}defaultProfile: web\n{web}", many(&provider))).await.reached().await;
    let few = memory_after(&service, 100).await;
    // As many keys as an answer may hold.
    provider.turn(|knobs| knobs.more_keys = (0, 5000));
    let keys = memory_after(&service, 100).await;
    // More than an answer may hold.
    provider.turn(|knobs| (knobs.more_keys, knobs.padding) = ((0, 0), 10 << 20));
    let answers = memory_after(&service, 100).await;
    println!(
        "memory with 20 providers: {few:.1} MiB, with 5,001 keys each {keys:.1}, with answers of 10 MiB {answers:.1}"
    );
    assert!(keys - few < 30.0, "{few} MiB grow to {keys}");
    assert!(answers - few < 30.0, "{few} MiB grow to {answers}");
}

#[tokio::test]
async fn an_answer_of_ten_megabytes_is_not_read() {
    let house = House::start(WEB).await;
    let mut browser = house.logged_in().await;
    house.provider.turn(|knobs| knobs.padding = 10 << 20);
    let answer = house.browser().open("https://app.example/").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("5")), "{}", answer.text());
    let log = house.service.log();
    assert!(log.contains("the answer is larger than 1048576 bytes"), "{log}");
    assert_eq!(browser.get("https://app.example/").await.status, 200, "whoever is logged in stays so");
    house.provider.turn(|knobs| knobs.padding = 0);
    house.logged_in().await;
}
