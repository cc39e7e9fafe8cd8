//! The provider fails.

use std::time::Duration;

use testbed::PATIENCE;
use testbed::wait::wait_until;

use crate::house::{House, Service, WEB, main_provider};

#[tokio::test]
async fn a_provider_that_is_down_stops_logins_and_nobody_who_is_logged_in() {
    let house = House::start(WEB).await;
    let mut browser = house.logged_in().await;
    let mut half = house.browser();
    let callback = half.until("https://app.example/", "https://app.example/oauth2/callback").await;
    house.provider.turn(|knobs| knobs.status = Some(503));
    assert_eq!(browser.get("https://app.example/").await.status, 200);
    let answer = half.get(&callback).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("5")), "{}", answer.text());
    assert_eq!(house.service.metric("oidc_provider_errors_total", &["kind=\"unavailable\""]).await, 1);
    house.provider.turn(|knobs| knobs.status = None);
    house.logged_in().await;
}

#[tokio::test]
async fn a_provider_that_was_never_reached_is_reached_later() {
    let provider = crate::house::provider().await;
    provider.turn(|knobs| knobs.status = Some(500));
    let settings = format!("{}defaultProfile: web\n{WEB}", main_provider(&provider));
    let service = Service::start(&settings).await;
    let backend = testbed::echo::Echo::http().spawn().await.unwrap();
    let (envoy, address) = crate::edge::start(&service.grpc, backend.address()).await;
    let house = House { provider, service, envoy, address, backend };
    let answer = house.browser().get("https://app.example/").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("5")));
    house.provider.turn(|knobs| knobs.status = None);
    let reached = async || house.browser().open("https://app.example/").await.status == 200;
    wait_until("the provider to be reached", PATIENCE, reached).await.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_is_told_apart_from_an_outage() {
    let provider = crate::house::provider().await;
    let settings = format!("{}defaultProfile: web\n{WEB}", main_provider(&provider)).replace("s3cret", "wr0ng");
    let house = House::with(provider, &settings).await;
    let answer = house.browser().open("https://app.example/").await;
    assert_eq!(answer.status, 502);
    assert_eq!(house.service.metric("oidc_provider_errors_total", &["kind=\"client\""]).await, 1);
    assert_eq!(house.service.metric("oidc_provider_errors_total", &["kind=\"unavailable\""]).await, 0);
    let log = house.service.log();
    assert!(log.contains("does not accept this client") && !log.contains("wr0ng"), "{log}");
}

#[tokio::test]
async fn a_slow_provider_holds_a_login_no_longer_than_allowed() {
    let provider = crate::house::provider().await;
    let settings = format!("{}defaultProfile: web\n{WEB}", main_provider(&provider))
        .replace("insecure: true", "insecure: true, timeout: 500ms");
    let house = House::with(provider, &settings).await;
    let mut browser = house.browser();
    let callback = browser.until("https://app.example/", "https://app.example/oauth2/callback").await;
    house.provider.turn(|knobs| knobs.delay = Duration::from_secs(60));
    let start = std::time::Instant::now();
    assert_eq!(browser.get(&callback).await.status, 503);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn discovery_does_not_lead_inside_or_elsewhere() {
    let inside = testbed::echo::Echo::http().spawn().await.unwrap();
    for (field, value) in [
        ("issuer", "https://evil.example".to_owned()),
        // localhost is not the issuer's host, and its address is not public.
        ("jwks_uri", format!("http://localhost:{}/keys", inside.address().port())),
        ("jwks_uri", format!("http://0.0.0.0:{}/keys", inside.address().port())),
        ("jwks_uri", format!("http://[::ffff:127.0.0.1]:{}/keys", inside.address().port())),
        ("token_endpoint", "file:///etc/passwd".to_owned()),
        ("authorization_endpoint", "javascript:alert(1)".to_owned()),
    ] {
        let provider = crate::house::provider().await;
        provider.turn(|knobs| drop(knobs.discovery.insert(field.to_owned(), value.clone().into())));
        let service = Service::start(&format!("{}defaultProfile: web\n{WEB}", main_provider(&provider))).await;
        let failed = async || service.metric("oidc_provider_errors_total", &["provider=\"main\""]).await > 0;
        wait_until("discovery to fail", PATIENCE, failed).await.unwrap();
        assert_eq!(inside.count(), 0, "{field} {value}");
    }
}
