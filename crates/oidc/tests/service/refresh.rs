//! Renewing tokens.

use std::time::Duration;

use futures::future::join_all;
use testbed::PATIENCE;
use testbed::client::Browser;
use testbed::envoy::Envoy;
use testbed::idp::Event;
use testbed::redis::{self, Redis};
use testbed::wait::wait_until;

use crate::edge;
use crate::house::{House, Service, main_provider};

/// Tokens are due from the start: the time before their end is longer than their life.
fn due(store: &str) -> String {
    format!(
        "profiles:\n  web: {{providers: [main], upstream: {{accessToken: true}}}}\n\
         sessions: {{refreshAhead: 1h, {store}}}\nkeys: [DIR/key]\n"
    )
}

fn with_key() -> tempfile::TempDir {
    let dir = tempfile::TempDir::with_prefix("oidc-").unwrap();
    std::fs::write(dir.path().join("key"), "0123456789abcdef0123456789abcdef0123456789abcdef").unwrap();
    dir
}

async fn house(store: &str) -> House {
    let provider = crate::house::provider().await;
    let settings = format!("{}defaultProfile: web\n{}", main_provider(&provider), due(store));
    let service = Service::start_in(with_key(), &settings).await.reached().await;
    let backend = testbed::echo::Echo::http().spawn().await.unwrap();
    let (envoy, address) = edge::start(&service.grpc, backend.address()).await;
    House { provider, service, envoy, address, backend }
}

/// Another replica of a house's service behind an Envoy of its own, and what they share.
struct Other {
    address: std::net::SocketAddr,
    _envoy: Envoy,
    _service: Service,
    _redis: Redis,
}

/// Two replicas on one Redis.
async fn replicas() -> (House, Other) {
    let redis = redis::Spec::new().start().await.unwrap();
    let store = format!("store: {{redis: {{deadline: 5s, server: {{address: '{}'}}}}}}", redis.address());
    let one = house(&store).await;
    let settings = format!("{}defaultProfile: web\n{}", main_provider(&one.provider), due(&store));
    let service = Service::start_in(with_key(), &settings).await.reached().await;
    let (envoy, address) = edge::start(&service.grpc, one.backend.address()).await;
    (one, Other { address, _envoy: envoy, _service: service, _redis: redis })
}

#[tokio::test]
async fn a_hundred_requests_at_once_renew_once() {
    for store in ["store: {memory: {}}", "store: {cookie: {}}"] {
        let house = house(store).await;
        // The first answers have tokens that are over at once; the next ones last.
        house.provider.turn(|knobs| knobs.lifetime = Duration::ZERO);
        let mut browser = house.browser();
        let callback = browser.until("https://app.example/", "https://app.example/oauth2/callback").await;
        browser.get(&callback).await;
        house.provider.turn(|knobs| {
            knobs.lifetime = Duration::from_secs(7200);
            knobs.delay = Duration::from_millis(200);
        });
        let all = (0..100).map(|_| {
            let mut browser = browser.clone();
            async move { browser.get("https://app.example/").await }
        });
        let answers = join_all(all).await;
        let tokens: std::collections::BTreeSet<String> =
            answers.iter().map(|answer| answer.echoed().unwrap().header("authorization").unwrap().to_owned()).collect();
        assert_eq!(
            (house.provider.count(Event::Refresh), house.provider.count(Event::Reuse), tokens.len()),
            (1, 0, 1),
            "{store}"
        );
        // A late request with the cookies of before is still good: it was under way.
        assert_eq!(browser.clone().get("https://app.example/").await.status, 200);
        assert_eq!(house.provider.count(Event::Reuse), 0, "{store}");
    }
}

#[tokio::test]
async fn nobody_waits_while_the_old_token_lives() {
    let house = house("store: {memory: {}}").await;
    let mut browser = house.logged_in().await;
    house.provider.turn(|knobs| knobs.delay = Duration::from_secs(20));
    let before = std::time::Instant::now();
    assert_eq!(browser.get("https://app.example/").await.status, 200);
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_session_whose_renewal_is_refused_ends_and_one_whose_provider_is_down_goes_on() {
    let house = house("store: {memory: {}}").await;
    house.provider.turn(|knobs| knobs.lifetime = Duration::ZERO);
    let mut browser = house.browser();
    let callback = browser.until("https://app.example/", "https://app.example/oauth2/callback").await;
    browser.get(&callback).await;
    house.provider.turn(|knobs| knobs.status = Some(503));
    assert_eq!(browser.get("https://app.example/").await.status, 200);
    assert_eq!(house.service.metric("oidc_refreshes_total", &["outcome=\"unavailable\""]).await, 1);
    house.provider.turn(|knobs| knobs.status = Some(400));
    let mut second = house.browser();
    house.provider.turn(|knobs| knobs.status = None);
    let callback = second.until("https://app.example/", "https://app.example/oauth2/callback").await;
    second.get(&callback).await;
    house.provider.turn(|knobs| {
        knobs.forge = Some(std::sync::Arc::new(|_, claims| drop(claims.insert("sub".into(), "eve".into()))))
    });
    assert_eq!(
        second.get("https://app.example/").await.status,
        302,
        "a renewed token about somebody else ends the session"
    );
    house.service.audited("logout").await;
}

#[tokio::test]
async fn two_replicas_on_one_redis_renew_once() {
    let (one, other) = replicas().await;
    one.provider.turn(|knobs| knobs.lifetime = Duration::ZERO);
    let mut browser = one.browser();
    let callback = browser.until("https://app.example/", "https://app.example/oauth2/callback").await;
    browser.get(&callback).await;
    one.provider.turn(|knobs| {
        knobs.lifetime = Duration::from_secs(7200);
        knobs.delay = Duration::from_millis(300);
    });
    let mut elsewhere = Browser::new(other.address);
    elsewhere.cookies = browser.cookies.clone();
    let all = (0..100).map(|number| {
        let mut browser = if number % 2 == 0 { browser.clone() } else { elsewhere.clone() };
        async move { browser.get("https://app.example/").await.status }
    });
    assert!(join_all(all).await.iter().all(|status| *status == 200));
    assert_eq!((one.provider.count(Event::Refresh), one.provider.count(Event::Reuse)), (1, 0));
    // Logging out at one ends it at the other.
    one.provider.turn(|knobs| knobs.delay = Duration::ZERO);
    browser.open("https://app.example/oauth2/logout").await;
    let ended = async || elsewhere.clone().get("https://app.example/").await.status == 302;
    wait_until("the session to end at the other", PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn a_renewal_that_takes_longer_than_a_lease_is_the_only_one() {
    let (one, other) = replicas().await;
    let browser = over(&one).await;
    let mut elsewhere = Browser::new(other.address);
    elsewhere.cookies = browser.cookies.clone();
    // A lease lasts five seconds.
    one.provider.turn(|knobs| knobs.delay = Duration::from_millis(7500));
    let all = (0..20).map(|number| {
        let mut browser = if number % 2 == 0 { browser.clone() } else { elsewhere.clone() };
        async move { browser.get("https://app.example/").await.status }
    });
    let answers = join_all(all).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!((one.provider.count(Event::Refresh), one.provider.count(Event::Reuse)), (1, 0));
}

/// A browser whose tokens are over.
async fn over(house: &House) -> Browser {
    house.provider.turn(|knobs| knobs.lifetime = Duration::ZERO);
    let mut browser = house.browser();
    let callback = browser.until("https://app.example/", "https://app.example/oauth2/callback").await;
    browser.get(&callback).await;
    house.provider.turn(|knobs| knobs.lifetime = Duration::from_secs(7200));
    browser
}

#[tokio::test]
async fn a_group_that_was_taken_away_is_gone_with_the_next_renewal() {
    let idp = crate::house::provider().await;
    let profile = "profiles: {web: {providers: [main], upstream: {headers: {x-user: sub, x-groups: groups}}}}\n";
    let settings = format!("{}defaultProfile: web\n{profile}sessions: {{refreshAhead: 1h}}\n", main_provider(&idp));
    let house = House::with(idp, &settings).await;
    let mut browser = over(&house).await;
    house.provider.turn(|knobs| knobs.forge = Some(std::sync::Arc::new(|_, claims| drop(claims.remove("groups")))));
    let seen = browser.get("https://app.example/").await.echoed().unwrap();
    assert_eq!((seen.header("x-user"), seen.header("x-groups")), (Some("ann"), None));
}

#[tokio::test]
async fn a_provider_that_is_busy_ends_no_session() {
    let house = house("store: {memory: {}}").await;
    for status in [429, 503, 403] {
        let mut browser = over(&house).await;
        house.provider.turn(|knobs| knobs.status = Some(status));
        assert_eq!(browser.get("https://app.example/").await.status, 200, "{status}");
        house.provider.turn(|knobs| knobs.status = None);
        assert_eq!(browser.get("https://app.example/").await.status, 200, "{status}");
    }
    assert_eq!(house.service.metric("oidc_refreshes_total", &["outcome=\"unavailable\""]).await, 3);
}

#[tokio::test]
async fn tokens_that_are_always_due_are_not_renewed_at_each_request() {
    for store in ["store: {memory: {}}", "store: {cookie: {}}"] {
        let house = house(store).await;
        house.provider.turn(|knobs| knobs.lifetime = Duration::from_secs(600));
        let mut browser = house.logged_in().await;
        let renewed = async || {
            assert_eq!(browser.get("https://app.example/").await.status, 200);
            house.provider.count(Event::Refresh) > 0
        };
        wait_until("a renewal", PATIENCE, renewed).await.unwrap();
        for _ in 0..20 {
            assert_eq!(browser.get("https://app.example/").await.status, 200);
        }
        assert_eq!((house.provider.count(Event::Refresh), house.provider.count(Event::Reuse)), (1, 0), "{store}");
    }
}

#[tokio::test]
async fn those_who_wait_for_a_token_in_exchange_do_not_ask_one_after_the_other() {
    let house = House::start(
        "profiles:\n  web: {providers: [main]}\n  exchange: {providers: [main], upstream: {exchange: {audience: orders}}}\n",
    )
    .await;
    let mut browser = house.browser();
    let callback = browser.until("https://exchange.example/", "https://exchange.example/oauth2/callback").await;
    browser.get(&callback).await;
    house.provider.turn(|knobs| (knobs.status, knobs.delay) = (Some(503), Duration::from_millis(300)));
    let all = (0..30).map(|_| {
        let mut browser = browser.clone();
        async move { browser.get("https://exchange.example/").await.status }
    });
    assert!(join_all(all).await.iter().all(|status| *status == 503));
    let asked = house.service.metric("oidc_provider_seconds_count", &["request=\"exchange\""]).await;
    assert!(asked <= 2, "{asked}");
}
