//! Sessions in each store.

use std::sync::Arc;

use futures::future::join_all;
use kit::lanes::Lanes;
use kit::reload::Reloading;
use kit::testing::{eventually, kit};
use serde_json::json;

use super::*;
use crate::cookie::{Jar, Settings};
use crate::metrics::Metrics;
use crate::seal::Keys;

const TIMES: (Seconds, Seconds) = (100, 1000);

fn session(subject: &str) -> Session {
    let claims = json!({ "sub": subject, "groups": ["ops"] });
    Session {
        id: random::token(),
        provider: Arc::from("main"),
        origin: Arc::from("origin"),
        subject: subject.to_owned(),
        sid: Some(format!("sid-{subject}")),
        claims: claims.as_object().unwrap().clone(),
        tokens: Tokens { access: "at".into(), refresh: Some("rt".into()), ..Tokens::default() },
        created: 1000,
        authenticated: 1000,
    }
}

fn sessions(store: Store) -> Sessions {
    let keys = Keys::new([&b"0123456789abcdef0123456789abcdef"[..]]).unwrap();
    Sessions::new(store, Jar::new(&Settings::default()), Reloading::fixed(keys), TIMES)
}

fn memory() -> Sessions {
    sessions(Store::Memory(Box::new(Memory::new(3, prometheus::IntGauge::new("a", "b").unwrap()))))
}

/// The header that a browser sends after these cookies.
fn sent(cookies: &[String]) -> String {
    cookies.iter().map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn sessions_end_by_rest_and_by_age() {
    for all in [memory(), sessions(Store::Cookie)] {
        let mut header = sent(&all.begin(&all.jar, &session("ann"), "", 1000).await.unwrap().1);
        for now in (1050..1950).step_by(90) {
            let found = all.find(&all.jar, &header, now).await.unwrap().unwrap();
            let cookies = all.touch(&all.jar, &found, &header, now);
            if !cookies.is_empty() {
                header = sent(&cookies);
            }
        }
        assert!(all.find(&all.jar, &header, 2000).await.unwrap().is_none(), "{:?}", all.store);
        let header = sent(&all.begin(&all.jar, &session("bob"), "", 1000).await.unwrap().1);
        assert!(all.find(&all.jar, &header, 1099).await.unwrap().is_some());
        let rested = sent(&all.begin(&all.jar, &session("eve"), "", 1000).await.unwrap().1);
        assert!(all.find(&all.jar, &rested, 1100).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_login_makes_a_new_id_and_ends_the_old_session() {
    for all in [memory(), sessions(Store::Cookie)] {
        let planted = sent(&all.begin(&all.jar, &session("eve"), "", 1000).await.unwrap().1);
        let header = sent(&all.begin(&all.jar, &session("ann"), &planted, 1001).await.unwrap().1);
        assert_ne!(planted, header);
        assert!(all.find(&all.jar, &planted, 1002).await.unwrap().is_none());
        assert_eq!(all.find(&all.jar, &header, 1002).await.unwrap().unwrap().session.subject, "ann");
    }
}

#[tokio::test]
async fn providers_end_sessions_by_their_own_name_and_by_person() {
    for all in [memory(), sessions(Store::Cookie)] {
        let ann = sent(&all.begin(&all.jar, &session("ann"), "", 1000).await.unwrap().1);
        let bob = sent(&all.begin(&all.jar, &session("bob"), "", 1000).await.unwrap().1);
        let provider: Arc<str> = Arc::from("main");
        let of_other = Whose::Subject { provider: Arc::from("other"), subject: "ann".into() };
        all.end_all(&of_other, true, 1001).await.unwrap();
        assert!(all.find(&all.jar, &ann, 1002).await.unwrap().is_some());
        all.end_all(&Whose::Sid { provider: Arc::clone(&provider), sid: "sid-ann".into() }, false, 1003).await.unwrap();
        assert!(all.find(&all.jar, &ann, 1004).await.unwrap().is_none());
        assert!(all.find(&all.jar, &bob, 1004).await.unwrap().is_some());
        all.end_all(&Whose::Subject { provider, subject: "bob".into() }, true, 1005).await.unwrap();
        assert!(all.find(&all.jar, &bob, 1006).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn what_ended_is_not_brought_back_by_a_refresh() {
    let all = memory();
    let header = sent(&all.begin(&all.jar, &session("ann"), "", 1000).await.unwrap().1);
    let found = all.find(&all.jar, &header, 1001).await.unwrap().unwrap();
    all.end(&found, 1001).await.unwrap();
    assert_eq!(all.replace(&all.jar, found.place, &found.session, &header, 1002).await.unwrap(), None);
    assert!(all.find(&all.jar, &header, 1003).await.unwrap().is_none());
}

#[tokio::test]
async fn memory_is_bounded_and_what_is_over_makes_room() {
    let all = memory();
    for name in ["a", "b", "c"] {
        all.begin(&all.jar, &session(name), "", 1000).await.unwrap();
    }
    assert_eq!(all.begin(&all.jar, &session("d"), "", 1001).await.unwrap_err(), Error::Full);
    all.begin(&all.jar, &session("d"), "", 1100).await.unwrap();
    let Store::Memory(memory) = &all.store else { unreachable!() };
    assert_eq!(memory.len(), 1);
}

#[tokio::test]
async fn one_person_does_not_fill_the_store() {
    let all = sessions(Store::Memory(Box::new(Memory::new(1000, prometheus::IntGauge::new("a", "b").unwrap()))));
    let other = sent(&all.begin(&all.jar, &session("bob"), "", 1000).await.unwrap().1);
    let first = sent(&all.begin(&all.jar, &session("ann"), "", 1000).await.unwrap().1);
    for _ in 0..2000 {
        all.begin(&all.jar, &session("ann"), "", 1000).await.unwrap();
    }
    let Store::Memory(memory) = &all.store else { unreachable!() };
    assert_eq!(memory.len(), 101);
    assert!(
        all.find(&all.jar, &other, 1001).await.unwrap().is_some()
            && all.find(&all.jar, &first, 1001).await.unwrap().is_none()
    );
}

#[tokio::test]
async fn changed_cookies_open_nothing() {
    let all = sessions(Store::Cookie);
    let header = sent(&all.begin(&all.jar, &session("ann"), "", 1000).await.unwrap().1);
    for at in (0..header.len()).step_by(7) {
        let mut bytes = header.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        assert!(all.find(&all.jar, &changed, 1001).await.unwrap().is_none(), "{at}");
        assert!(all.find(&all.jar, &header[..at], 1001).await.unwrap().is_none(), "{at}");
    }
    let stored = memory();
    let stored = stored.begin(&stored.jar, &session("ann"), "", 1000).await.unwrap().1;
    assert!(all.find(&all.jar, &sent(&stored), 1001).await.unwrap().is_none());
    assert!(all.find(&all.jar, &format!("__Host-portcullis=c{}", "A".repeat(60_000)), 1001).await.unwrap().is_none());
}

#[tokio::test]
async fn what_may_be_used_once_is() {
    for all in [memory(), sessions(Store::Cookie)] {
        assert!(all.first("jti", 10, 1000).await.unwrap());
        assert!(!all.first("jti", 10, 1009).await.unwrap());
        assert!(all.first("jti", 10, 1010).await.unwrap());
        assert!(all.put("code", b"x".to_vec(), 10, 1000).await.unwrap());
        assert_eq!(all.take("code", 1001).await.unwrap().as_deref(), Some(&b"x"[..]));
        assert_eq!(all.take("code", 1001).await.unwrap(), None);
    }
}

#[test]
fn tokens_do_not_show() {
    assert!(!format!("{:?}", session("ann")).contains("\"at\""));
}

/// A replica on a Redis.
async fn replica(kit: &kit::Kit, redis: &testbed::redis::Redis) -> Sessions {
    let settings = format!("{{deadline: 5s, server: {{address: '{}'}}}}", redis.address());
    let settings = kit::config::parse("redis.yaml", &settings).unwrap();
    let metrics = Arc::new(Metrics::register(&prometheus::Registry::new()));
    let store = Redis::start(kit, &settings, &metrics, &Lanes::start().unwrap());
    eventually("a connection", async || store.has("nothing").await.is_ok().then_some(())).await;
    sessions(Store::Redis(Box::new(store), true))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_at_the_time_of_a_logout_is_ended_or_can_be() {
    let (redis, kit) = (testbed::redis::Spec::new().start().await.unwrap(), kit());
    let (all, other) = (replica(&kit, &redis).await, Arc::new(replica(&kit, &redis).await));
    let ann = session("ann");
    let whose = Whose::Sid { provider: Arc::from("main"), sid: "sid-ann".into() };
    let (mut rounds, mut refused) = (0, 0);
    // Some of them have met when one was refused.
    while rounds < 20 || refused == 0 {
        // With many sessions a logout takes long; those after it are many and short.
        for began in join_all((0..30).map(|_| all.begin(&all.jar, &ann, "", 1000))).await {
            began.unwrap();
        }
        let (ending, all_of_hers) = (Arc::clone(&other), whose.clone());
        let logouts = tokio::spawn(async move {
            for _ in 0..20 {
                ending.end_all(&all_of_hers, true, 1000).await.unwrap();
            }
        });
        // One begins after the other, each by a call later, so that they meet at every step.
        let began = join_all((0..30).map(async |number| {
            for _ in 0..number {
                all.is_used("nothing", 1000).await.unwrap();
            }
            all.begin(&all.jar, &ann, "", 1000).await
        }));
        for began in began.await {
            match began {
                Ok((value, _)) => assert!(value.starts_with('s'), "{value}"),
                Err(error) => {
                    assert_eq!(error, Error::Ended);
                    refused += 1;
                }
            }
        }
        logouts.await.unwrap();
        other.end_all(&whose, true, 1001).await.unwrap();
        let left = redis.command(&["KEYS", "portcullis:s:*"]).await.unwrap();
        assert_eq!(left, "", "round {rounds}: they are out of the provider's reach");
        rounds += 1;
    }
}

#[test]
fn a_session_of_before_sessions_said_whose_they_are_is_nobodys() {
    let mut text = serde_json::to_value(session("ann")).unwrap();
    text.as_object_mut().unwrap().remove("origin");
    let old: Session = serde_json::from_value(text).unwrap();
    assert_eq!(&*old.origin, "");
}
