//! Redis is killed, stopped, full or locked: answers stay quick, nothing hangs, and counting goes on afterwards.

use std::time::{Duration, Instant};

use ::envoy::service::ratelimit::RateLimitRequest;
use ::envoy::service::ratelimit::rate_limit_response::Code;
use testbed::PATIENCE;
use testbed::redis::{Redis, Spec};
use testbed::wait::wait_until;

use crate::house::{Service, refused, request};

const RULES: &str = "
domain: edge
descriptors:
- key: user
  rate_limit: {unit: year, requests_per_unit: 3}
";

fn settings(redis: &Redis, more: &str) -> String {
    format!("store:\n  redis:\n    server: {{address: '{}'}}\n    {more}\n", redis.address())
}

async fn redis() -> Redis {
    Spec::new().start().await.unwrap()
}

/// Whether a request of this user is refused, and how long the answer took.
async fn ask(service: &Service, user: &str) -> (bool, Duration) {
    let mut client = service.client();
    // The connection is not what is measured.
    client.should_rate_limit(request("none", &[("a", "")])).await.unwrap();
    let begun = Instant::now();
    let response = client.should_rate_limit(request("edge", &[("user", user)])).await.unwrap();
    (refused(&response.into_inner()), begun.elapsed())
}

async fn counted_again(service: &Service, user: &str) {
    // Refused only where Redis counts.
    let refuses = async || ask(service, user).await.0;
    wait_until("Redis to count again", PATIENCE, refuses).await.unwrap();
}

#[tokio::test]
async fn it_starts_without_redis_and_says_so() {
    let mut redis = redis().await;
    redis.kill().unwrap();
    let service = Service::start(RULES, &settings(&redis, "onFailure: allow")).await;
    let page = service.page("/readyz").await;
    assert!(page.contains("\"ready\":false") && page.contains("\"redis\""), "{page}");
    assert!(!ask(&service, "ann").await.0);
    let allowed = service.metric(r#"ratelimit_fallback_total{answer="allow",reason="down"}"#).await;
    assert!(allowed >= 1.0, "{allowed}");
    redis.restart().await.unwrap();
    let service = service.ready().await;
    counted_again(&service, "ann").await;
}

#[tokio::test]
async fn a_killed_redis_is_answered_for_by_choice() {
    for (choice, answers) in [("allow", [false, false]), ("deny", [true, true]), ("local", [false, true])] {
        let mut redis = redis().await;
        let more = format!("onFailure: {choice}\n    replicas: 3");
        let service = Service::start(RULES, &settings(&redis, &more)).await.ready().await;
        assert!(!ask(&service, "ann").await.0);
        redis.kill().unwrap();
        // A third of the limit is one.
        let asked = [ask(&service, "bob").await.0, ask(&service, "bob").await.0];
        assert_eq!(asked, answers, "{choice}");
        redis.restart().await.unwrap();
        let open = async || service.metric(r#"ratelimit_breaker_open{redis="redis"}"#).await < 0.5;
        wait_until("the breaker to close", PATIENCE, open).await.unwrap();
        counted_again(&service, "cid").await;
        assert!(redis.command(&["DBSIZE"]).await.unwrap() != "0");
    }
}

#[tokio::test]
async fn a_stopped_redis_costs_the_deadline_at_most_and_then_nothing() {
    let redis = redis().await;
    let more = "onFailure: allow\n    deadline: 50ms\n    breakerFailures: 3";
    let service = Service::start(RULES, &settings(&redis, more)).await.ready().await;
    assert!(!ask(&service, "ann").await.0);
    redis.pause().unwrap();
    let open = async || {
        let (refused, took) = ask(&service, "ann").await;
        assert!(!refused && took < Duration::from_secs(1), "{took:?}");
        service.metric(r#"ratelimit_breaker_open{redis="redis"}"#).await > 0.5
    };
    wait_until("the breaker to open", PATIENCE, open).await.unwrap();
    let late = service.metric(r#"ratelimit_fallback_total{answer="allow",reason="deadline"}"#).await;
    assert!((3.0..=6.0).contains(&late), "{late}");
    redis.resume().unwrap();
    counted_again(&service, "ann").await;
}

#[tokio::test]
async fn a_slow_redis_is_not_held_against_the_other() {
    let (all, quick) = (redis().await, redis().await);
    let rules = format!("{RULES}- key: quick\n  rate_limit: {{unit: second, requests_per_unit: 1000}}\n");
    let more = format!("perSecond: {{address: '{}'}}\n    deadline: 50ms\n    breakerFailures: 3", quick.address());
    let service = Service::start(&rules, &settings(&all, &more)).await.ready().await;
    quick.pause().unwrap();
    let mut both = request("edge", &[("quick", "x")]);
    both.descriptors.extend(request("edge", &[("tenant", "x"), ("user", "ann")]).descriptors);
    both.descriptors.extend(request("edge", &[("user", "bob")]).descriptors);
    let open = async || {
        service.ask(both.clone()).await;
        service.metric(r#"ratelimit_breaker_open{redis="redis per second"}"#).await > 0.5
    };
    wait_until("the breaker to open", PATIENCE, open).await.unwrap();
    counted_again(&service, "ann").await;
    let log = service.process.log();
    let connected = log.lines().filter(|line| line.contains("\"connected\"") && line.contains(r#""redis":"redis""#));
    assert_eq!(connected.count(), 1, "{log}");
}

/// A request of a limit per second and of this user's.
fn quick_and(user: &str) -> RateLimitRequest {
    let mut both = request("edge", &[("quick", "x")]);
    both.descriptors.extend(request("edge", &[("user", user)]).descriptors);
    both
}

#[tokio::test]
async fn what_one_redis_refuses_is_refused_without_the_other() {
    for counting in ["countAll", "allOrNothing"] {
        let (all, mut quick) = (redis().await, redis().await);
        let rules = format!("{RULES}- key: quick\n  rate_limit: {{unit: second, requests_per_unit: 1000}}\n");
        let more = format!(
            "perSecond: {{address: '{}'}}\n    onFailure: allow\n    deadline: 5s\n\
             localCache: {{maxKeys: 0}}\ncounting: {counting}",
            quick.address()
        );
        let service = Service::start(&rules, &settings(&all, &more)).await.ready().await;
        quick.kill().unwrap();
        // The other one goes on counting.
        for number in 1..=5 {
            let answer = service.ask(quick_and("ann")).await;
            assert_eq!(refused(&answer), number > 3, "{counting}: {number}");
            assert_eq!(answer.statuses[0].code(), Code::Ok, "{counting}: {number}");
        }
        let answered = service.page("/metrics").await;
        let answered = answered.lines().filter(|line| line.starts_with("ratelimit_fallback_total{answer=\"allow\""));
        let answered: f64 = answered.map(|line| line.split(' ').next_back().unwrap().parse::<f64>().unwrap()).sum();
        assert!((answered - 5.0).abs() < 0.5, "{counting}: {answered}");
    }
}

#[tokio::test]
async fn what_is_answered_without_redis_is_not_remembered() {
    let (all, mut quick) = (redis().await, redis().await);
    let rules = format!("{RULES}- key: quick\n  rate_limit: {{unit: second, requests_per_unit: 1000}}\n");
    let more = format!("perSecond: {{address: '{}'}}\n    onFailure: deny\n    deadline: 5s", quick.address());
    let service = Service::start(&rules, &settings(&all, &more)).await.ready().await;
    quick.kill().unwrap();
    for _ in 0..3 {
        let answer = service.ask(quick_and("ann")).await;
        assert_eq!([0, 1].map(|index: usize| answer.statuses[index].code()), [Code::OverLimit, Code::Ok]);
    }
    let cached = service.metric(r#"ratelimit_over_limit_local_cache_total{domain="edge",rule="quick"}"#).await;
    assert!(cached < 0.5, "{cached}");
}

#[tokio::test]
async fn a_full_redis_is_answered_for_and_used_again() {
    let redis = redis().await;
    let service = Service::start(RULES, &settings(&redis, "onFailure: deny")).await.ready().await;
    assert!(!ask(&service, "ann").await.0);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    assert!(ask(&service, "bob").await.0);
    let failed = service.metric(r#"ratelimit_fallback_total{answer="deny",reason="error"}"#).await;
    assert!(failed >= 1.0, "{failed}");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    let allows = async || !ask(&service, "bob").await.0;
    wait_until("Redis to be used again", PATIENCE, allows).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_said_and_the_right_one_works() {
    let redis = Spec::new().password("right").start().await.unwrap();
    let login = |password: &str| {
        format!("store: {{redis: {{server: {{address: '{}', password: {password}}}}}}}\n", redis.address())
    };
    let wrong = login("canary-3b1f");
    let mut service = Service::start(RULES, &wrong).await;
    service.process.wait_for_line(PATIENCE, |line| line.contains("cannot connect")).await.unwrap();
    let page = service.page("/readyz").await;
    assert!(page.contains("WRONGPASS") || page.to_lowercase().contains("auth"), "{page}");
    let config = service.page("/config").await;
    assert!(config.contains("\"password\""), "{config}");
    for text in [page, config, service.process.log()] {
        assert!(!text.contains("canary"), "{text}");
    }
    let service = Service::start(RULES, &login("right")).await.ready().await;
    counted_again(&service, "ann").await;
}

#[tokio::test]
async fn a_flushed_script_and_strange_values_do_not_matter() {
    let redis = redis().await;
    let service = Service::start(RULES, &settings(&redis, "deadline: 1s")).await.ready().await;
    assert!(!ask(&service, "ann").await.0);
    redis.command(&["SCRIPT", "FLUSH"]).await.unwrap();
    assert!(!ask(&service, "ann").await.0);
    let key = redis.command(&["KEYS", "*ann*"]).await.unwrap();
    assert_eq!(redis.command(&["GET", &key]).await.unwrap(), "2");
    redis.command(&["SET", &key, "a few"]).await.unwrap();
    assert!(!ask(&service, "ann").await.0);
    assert_eq!(redis.command(&["GET", &key]).await.unwrap(), "1");
    assert!(service.metric("ratelimit_repaired_total").await > 0.5);
    // And it ends when it is asked to, well before the deadline of its drain.
    service.process.terminate(Duration::from_secs(10)).await.unwrap();
}
