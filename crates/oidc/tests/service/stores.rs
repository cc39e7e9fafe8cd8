//! Sessions in Redis and in cookies.

use kit::testing::Authority;
use serde_json::json;
use testbed::PATIENCE;
use testbed::client::Browser;
use testbed::echo::Echo;
use testbed::redis::{Redis, Spec};
use testbed::wait::wait_until;

use crate::edge;
use crate::house::{House, Service, WEB, main_provider};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// The server behind is told the provider's name of the session, too.
fn web() -> String {
    WEB.replace("x-user: sub", "x-user: sub, x-sid: sid")
}

async fn house(sessions: &str) -> House {
    let provider = crate::house::provider().await;
    let dir = tempfile::TempDir::with_prefix("oidc-").unwrap();
    std::fs::write(dir.path().join("key"), SECRET).unwrap();
    let settings =
        format!("{}defaultProfile: web\n{}sessions: {sessions}\nkeys: [DIR/key]\n", main_provider(&provider), web());
    let service = Service::start_in(dir, &settings).await.reached().await;
    let backend = Echo::http().spawn().await.unwrap();
    let (envoy, address) = edge::start(&service.grpc, backend.address()).await;
    House { provider, service, envoy, address, backend }
}

async fn on_redis(more: &str) -> (Redis, House) {
    let redis = Spec::new().start().await.unwrap();
    let house =
        house(&format!("{{store: {{redis: {{server: {{address: '{}'}}, deadline: 500ms{more}}}}}}}", redis.address()))
            .await;
    (redis, house)
}

#[tokio::test]
async fn redis_holds_nothing_that_can_be_read_or_made() {
    let (redis, house) = on_redis("").await;
    let (mut ann, bob) = (house.logged_in().await, {
        house.provider.log_in_as(&json!({ "sub": "bob" }));
        house.logged_in().await
    });
    let keys = redis.command(&["KEYS", "portcullis:s:*"]).await.unwrap();
    let keys: Vec<&str> = keys.lines().collect();
    assert_eq!(keys.len(), 2);
    let cookie = ann.cookies.values().next().unwrap()[1..].to_owned();
    for key in &keys {
        assert!(!key.contains(&cookie));
        let value = redis.command(&["GET", key]).await.unwrap();
        assert!(!value.contains("ann") && !value.contains("access"), "{value:?}");
        let lasts: i64 = redis.command(&["TTL", key]).await.unwrap().parse().unwrap();
        assert!((1..=3600).contains(&lasts), "{lasts}");
    }
    // Somebody who can write to Redis gives one session the place of another, or makes one up.
    redis.command(&["RENAME", keys[0], "portcullis:spare"]).await.unwrap();
    redis.command(&["RENAME", keys[1], keys[0]]).await.unwrap();
    redis.command(&["RENAME", "portcullis:spare", keys[1]]).await.unwrap();
    assert_eq!(ann.get("https://app.example/").await.status, 302);
    assert_eq!(bob.clone().get("https://app.example/").await.status, 302);
    redis.command(&["SET", keys[0], "{\"subject\":\"root\"}"]).await.unwrap();
    assert_eq!(bob.clone().get("https://app.example/").await.status, 302);
}

#[tokio::test]
async fn redis_down_is_an_error_soon_and_loses_nobody() {
    let (redis, house) = on_redis(", breakerFailures: 2").await;
    let mut browser = house.logged_in().await;
    redis.pause().unwrap();
    for _ in 0..4 {
        let start = std::time::Instant::now();
        let answer = browser.get("https://app.example/").await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("5")));
        assert!(start.elapsed() < std::time::Duration::from_secs(5));
    }
    assert_eq!(house.service.metric("oidc_breaker_open", &[]).await, 1);
    assert_eq!(house.backend.count(), 1, "nobody passes");
    redis.resume().unwrap();
    let back = async || browser.clone().get("https://app.example/").await.status == 200;
    wait_until("the session to be there again", PATIENCE, back).await.unwrap();
}

#[tokio::test]
async fn logins_go_into_cookies_while_redis_is_down_where_that_is_wanted() {
    let (mut redis, house) = on_redis(", onFailure: cookies, breakerFailures: 1").await;
    redis.kill().unwrap();
    let mut browser = house.browser();
    assert_eq!(browser.open("https://app.example/").await.status, 200);
    assert!(browser.cookies.values().next().unwrap().starts_with('c'));
    redis.restart().await.unwrap();
    assert_eq!(browser.get("https://app.example/").await.status, 200);
}

#[tokio::test]
async fn the_back_channel_ends_a_session_on_every_replica() {
    let (redis, one) = on_redis("").await;
    let dir = tempfile::TempDir::with_prefix("oidc-").unwrap();
    std::fs::write(dir.path().join("key"), SECRET).unwrap();
    let settings = format!(
        "{}defaultProfile: web\n{}sessions: {{store: {{redis: {{server: {{address: '{}'}}}}}}}}\nkeys: [DIR/key]\n",
        main_provider(&one.provider),
        web(),
        redis.address()
    );
    let two = Service::start_in(dir, &settings).await.reached().await;
    let (_envoy, second) = edge::start(&two.grpc, one.backend.address()).await;
    let here = one.logged_in().await;
    let mut there = Browser::new(second);
    there.cookies = here.cookies.clone();
    assert_eq!(there.get("https://app.example/").await.status, 200);
    let token = one.provider.logout_token("edge", &json!({ "sub": "ann" })).unwrap();
    let request = testbed::client::Request::post(
        &format!("http://{}/oauth2/backchannel", one.service.http),
        format!("logout_token={token}"),
    );
    assert_eq!(request.send().await.unwrap().status, 200);
    assert_eq!(there.get("https://app.example/").await.status, 302);
    let replayed = testbed::client::Request::post(
        &format!("http://{}/oauth2/backchannel", two.http),
        format!("logout_token={token}"),
    );
    assert_eq!(replayed.send().await.unwrap().status, 400, "used at the other already");
    // One session of several, by its name at the provider: through the back channel and the front.
    let query = |sid: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("iss", &one.provider.issuer()).append_pair("sid", sid).finish()
    };
    for channel in ["back", "front"] {
        let (gone, stays) = (one.logged_in().await, one.logged_in().await);
        let elsewhere = |browser: &Browser| {
            let mut there = Browser::new(second);
            there.cookies = browser.cookies.clone();
            there
        };
        let sid =
            elsewhere(&gone).get("https://app.example/").await.echoed().unwrap().header("x-sid").unwrap().to_owned();
        let request = match channel {
            "back" => {
                let token = one.provider.logout_token("edge", &json!({ "sid": sid })).unwrap();
                let url = format!("http://{}/oauth2/backchannel", one.service.http);
                testbed::client::Request::post(&url, format!("logout_token={token}"))
            }
            _ => one.browser().request("GET", &format!("https://app.example/oauth2/frontchannel?{}", query(&sid))),
        };
        assert_eq!(request.send().await.unwrap().status, 200, "{channel}");
        assert_eq!(elsewhere(&gone).get("https://app.example/").await.status, 302, "{channel}");
        assert_eq!(elsewhere(&stays).get("https://app.example/").await.status, 200, "{channel}");
    }
}

#[tokio::test]
async fn whoever_is_logged_in_stays_so_when_another_redis_takes_over() {
    let mut master = Spec::new().start().await.unwrap();
    let (ip, port) = (master.address().ip().to_string(), master.address().port().to_string());
    let replica = Spec::new().args(["--replicaof", &ip, &port]).start().await.unwrap();
    let watcher = testbed::redis::sentinel("edge", &master, 1).await.unwrap();
    let server = format!("sentinel: {{master: edge, addresses: ['{}']}}", watcher.address());
    let house = house(&format!("{{store: {{redis: {{deadline: 1s, server: {{{server}}}}}}}}}")).await;
    let browser = house.logged_in().await;
    let keys = async |redis: &Redis| redis.command(&["KEYS", "portcullis:s:*"]).await.unwrap();
    let own = keys(&master).await;
    wait_until("the replica to have the session", PATIENCE, async || keys(&replica).await == own).await.unwrap();
    master.kill().unwrap();
    let goes_on = async || {
        let status = browser.clone().get("https://app.example/").await.status.as_u16();
        assert!(status == 200 || status == 503, "nobody is sent to log in again: {status}");
        status == 200
    };
    wait_until("the session at the new master", PATIENCE, goes_on).await.unwrap();
    // And it takes new ones, once it is the master.
    let written = async || house.browser().open("https://app.example/").await.status == 200;
    wait_until("a login at the new master", PATIENCE, written).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_takes_nothing_refuses_logins_and_keeps_who_is_in() {
    let (redis, house) = on_redis("").await;
    let browser = house.logged_in().await;
    let other = Spec::new().start().await.unwrap();
    // A replica of nobody who is there: what it has can be read, and nothing written.
    redis.command(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]).await.unwrap();
    let (ip, port) = (other.address().ip().to_string(), other.address().port().to_string());
    drop(other);
    redis.command(&["REPLICAOF", &ip, &port]).await.unwrap();
    assert_eq!(browser.clone().get("https://app.example/").await.status, 200);
    let answer = house.browser().open("https://app.example/").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("5")), "{}", answer.text());
    assert!(house.service.metric("oidc_store_failures_total", &[]).await > 0);
    redis.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    let back = async || house.browser().open("https://app.example/").await.status == 200;
    wait_until("logins to be kept again", PATIENCE, back).await.unwrap();
    assert_eq!(browser.clone().get("https://app.example/").await.status, 200);
}

#[tokio::test]
async fn one_cookie_is_all_there_is_whatever_the_tokens_weigh() {
    let redis = Spec::new().start().await.unwrap();
    let in_redis = format!("redis: {{server: {{address: '{}'}}}}", redis.address());
    for store in ["memory: {}", &in_redis] {
        let house = house(&format!("{{store: {{{store}}}}}")).await;
        let groups: Vec<String> = (0..700).map(|number| format!("group-{number}")).collect();
        house.provider.log_in_as(&json!({ "sub": "ann", "groups": groups }));
        let mut browser = house.browser();
        let seen = browser.open("https://app.example/").await.echoed().unwrap();
        assert_eq!(seen.header("x-groups").unwrap(), groups.join(","), "{store}");
        let cookies: Vec<usize> = browser.cookies.values().map(String::len).collect();
        assert!(cookies.len() == 1 && cookies[0] < 64, "{store}: {cookies:?}");
    }
}

#[tokio::test]
async fn cookies_hold_the_whole_session_in_parts() {
    let house = house("{store: {cookie: {}}}").await;
    let groups: Vec<String> = (0..150).map(|number| format!("group-{number}-with-a-long-name")).collect();
    house.provider.log_in_as(&json!({ "sub": "ann", "groups": groups }));
    let mut browser = house.browser();
    let seen = browser.open("https://app.example/").await.echoed().unwrap();
    assert_eq!(seen.header("x-groups").unwrap(), groups.join(","));
    assert!(browser.cookies.len() > 1 && seen.header("cookie").is_none());
    // A part that is missing, changed, or from another session opens nothing.
    for name in browser.cookies.keys().cloned().collect::<Vec<_>>() {
        let mut broken = browser.clone();
        broken.cookies.get_mut(&name).unwrap().pop();
        assert_eq!(broken.get("https://app.example/").await.status, 302, "{name:?}");
    }
    // A smaller session leaves no parts of the larger one.
    house.provider.log_in_as(&json!({ "sub": "ann" }));
    browser.open("https://app.example/oauth2/login").await;
    assert!(browser.cookies.len() <= 2, "{:?}", browser.names("app.example"));
    assert_eq!(browser.get("https://app.example/").await.status, 200);
    // One that fits nowhere is said to.
    let groups: Vec<String> = (0..1500).map(|number| format!("group-{number}-with-a-long-name")).collect();
    house.provider.log_in_as(&json!({ "sub": "ann", "groups": groups }));
    let answer = house.browser().open("https://app.example/").await;
    assert_eq!(answer.status, 503);
    assert!(house.service.log().contains("too large for cookies"));
}

#[tokio::test]
async fn keys_are_replaced_while_people_stay_logged_in() {
    let house = house("{store: {cookie: {}}}").await;
    let mut browser = house.logged_in().await;
    let text = |keys: &str| {
        format!(
            "{}defaultProfile: web\n{WEB}sessions: {{store: {{cookie: {{}}}}}}\nkeys: {keys}\n",
            main_provider(&house.provider)
        )
    };
    let dir = tempfile::TempDir::with_prefix("oidc-").unwrap();
    std::fs::write(dir.path().join("key"), SECRET).unwrap();
    std::fs::write(dir.path().join("new"), "another secret that has more than thirty-two bytes").unwrap();
    let second = Service::start_in(dir, &text("[DIR/new, DIR/key]")).await.reached().await;
    let (_envoy, address) = edge::start(&second.grpc, house.backend.address()).await;
    let mut there = Browser::new(address);
    there.cookies = browser.cookies.clone();
    assert_eq!(there.get("https://app.example/").await.status, 200, "the old key opens");
    there.open("https://app.example/oauth2/login").await;
    browser.cookies = there.cookies.clone();
    assert_eq!(browser.get("https://app.example/").await.status, 302, "the new key seals");
}

#[tokio::test]
async fn sessions_are_kept_in_a_cluster_and_behind_a_sentinel() {
    let cluster = testbed::redis::Cluster::start(3).await.unwrap();
    let nodes: Vec<String> = cluster.nodes.iter().map(|node| format!("'{}'", node.address())).collect();
    let master = Spec::new().start().await.unwrap();
    let sentinel = testbed::redis::sentinel("edge", &master, 0).await.unwrap();
    for server in [
        format!("cluster: [{}]", nodes.join(", ")),
        format!("sentinel: {{master: edge, addresses: ['{}']}}", sentinel.address()),
    ] {
        let house = house(&format!("{{store: {{redis: {{deadline: 5s, server: {{{server}}}}}}}}}")).await;
        let mut browsers = Vec::new();
        for _ in 0..5 {
            browsers.push(house.logged_in().await);
        }
        let token = house.provider.logout_token("edge", &json!({ "sub": "ann" })).unwrap();
        browsers[0].open("https://app.example/oauth2/logout").await;
        assert_eq!(browsers[1].get("https://app.example/").await.status, 200, "{server}");
        let url = format!("http://{}/oauth2/backchannel", house.service.http);
        let request = testbed::client::Request::post(&url, format!("logout_token={token}"));
        assert_eq!(request.send().await.unwrap().status, 200, "{server}");
        for browser in &mut browsers {
            assert_eq!(browser.get("https://app.example/").await.status, 302, "{server}");
        }
    }
}

#[tokio::test]
async fn cookies_that_come_with_a_page_are_kept_by_no_cache() {
    let house = house("{idleTimeout: 8s, store: {cookie: {}}}").await;
    let mut browser = house.logged_in().await;
    let written = async || {
        let answer = browser.get("https://app.example/").await;
        let written = !answer.all("set-cookie").is_empty();
        assert!(!written || answer.header("cache-control") == Some("no-store"), "{answer:?}");
        written
    };
    wait_until("the session's cookie to be written anew", PATIENCE, written).await.unwrap();
}

#[tokio::test]
async fn a_logout_that_the_store_did_not_take_may_be_said_again() {
    let (redis, house) = on_redis("").await;
    let mut browser = house.logged_in().await;
    let token = house.provider.logout_token("edge", &json!({ "sub": "ann" })).unwrap();
    let tell = async || {
        let url = format!("http://{}/oauth2/backchannel", house.service.http);
        testbed::client::Request::post(&url, format!("logout_token={token}")).send().await.unwrap().status
    };
    // What is there in place of the lists of sessions is none.
    let lists = redis.command(&["KEYS", "portcullis:i:*"]).await.unwrap();
    for list in lists.lines() {
        redis.command(&["RENAME", list, &format!("kept:{list}")]).await.unwrap();
        redis.command(&["SET", list, "x"]).await.unwrap();
    }
    assert_eq!(tell().await, 503);
    for list in lists.lines() {
        redis.command(&["RENAME", &format!("kept:{list}"), list]).await.unwrap();
    }
    assert_eq!(browser.get("https://app.example/").await.status, 200);
    assert_eq!(tell().await, 200);
    assert_eq!(browser.get("https://app.example/").await.status, 302);
    assert_eq!(tell().await, 400, "once");
}

#[tokio::test]
async fn a_session_that_rests_ends_and_one_in_use_goes_on() {
    let redis = Spec::new().start().await.unwrap();
    let in_redis = format!("redis: {{server: {{address: '{}'}}}}", redis.address());
    for store in ["memory: {}", "cookie: {}", &in_redis] {
        let house = house(&format!("{{idleTimeout: 3s, store: {{{store}}}}}")).await;
        let (mut resting, mut busy) = (house.logged_in().await, house.logged_in().await);
        let since = std::time::Instant::now();
        let long = async || {
            assert_eq!(busy.get("https://app.example/").await.status, 200, "{store}: it is in use");
            since.elapsed() > std::time::Duration::from_millis(4500)
        };
        wait_until("more than the idle timeout", PATIENCE, long).await.unwrap();
        assert_eq!(resting.get("https://app.example/").await.status, 302, "{store}");
        assert_eq!(busy.get("https://app.example/").await.status, 200, "{store}");
    }
}

#[tokio::test]
async fn a_session_in_use_ends_at_its_age_wherever_it_is() {
    let redis = Spec::new().start().await.unwrap();
    let in_redis = format!("redis: {{server: {{address: '{}'}}}}", redis.address());
    for store in ["memory: {}", "cookie: {}", &in_redis] {
        let house = house(&format!("{{lifetime: 3s, store: {{{store}}}}}")).await;
        let mut browser = house.logged_in().await;
        assert_eq!(browser.get("https://app.example/").await.status, 200, "{store}");
        let ended = async || browser.get("https://app.example/").await.status == 302;
        wait_until("the end of a session that is in use", PATIENCE, ended).await.unwrap();
    }
}

#[tokio::test]
async fn a_stale_cookie_opens_nothing() {
    let redis = Spec::new().start().await.unwrap();
    let in_redis = format!("redis: {{server: {{address: '{}'}}}}", redis.address());
    for store in ["memory: {}", "cookie: {}", &in_redis] {
        let house = house(&format!("{{store: {{{store}}}}}")).await;
        let mut browser = house.logged_in().await;
        let (before_login, is_out) =
            (browser.clone(), async |stale: &Browser| stale.clone().get("https://app.example/").await.status == 302);
        browser.open("https://app.example/oauth2/login").await;
        let before_logout = browser.clone();
        assert!(!is_out(&before_logout).await, "{store}");
        browser.open("https://app.example/oauth2/logout").await;
        assert!(is_out(&before_login).await && is_out(&before_logout).await, "{store}");
    }
}

#[tokio::test]
async fn tampered_truncated_and_oversized_cookies_open_nothing() {
    for store in ["memory: {}", "cookie: {}"] {
        let house = house(&format!("{{store: {{{store}}}}}")).await;
        let browser = house.logged_in().await;
        let (name, value) = browser.cookies.iter().next().map(|(name, value)| (name.clone(), value.clone())).unwrap();
        let other = if value.ends_with('A') { 'B' } else { 'A' };
        let (start, middle) = (&value[..value.len() - 1], value.len() / 2);
        for changed in [
            start.to_owned(),
            format!("{start}{other}"),
            format!("{value}A"),
            format!("{value}{}", "A".repeat(50_000)),
            format!("{}{}", &value[..middle], &value[middle + 1..]),
            value[..1].to_owned(),
            value.to_lowercase(),
            format!("9~{value}"),
        ] {
            let mut tampering = browser.clone();
            tampering.cookies.insert(name.clone(), changed.clone());
            let status = tampering.get("https://app.example/").await.status;
            assert_eq!(status, 302, "{store}: {}", &changed[..changed.len().min(200)]);
        }
        assert_eq!(browser.clone().get("https://app.example/").await.status, 200, "{store}: as it was");
    }
}

#[tokio::test]
async fn sessions_lie_in_a_redis_that_is_spoken_to_by_tls() {
    let files = tempfile::TempDir::with_prefix("oidc-").unwrap();
    let authority = Authority::new("authority");
    let server = authority.issue(files.path(), "server", &["127.0.0.1"]);
    let client = authority.issue(files.path(), "client", &["oidc"]);
    let ca = files.path().join("ca.crt");
    authority.write(&ca);
    let redis = Spec::new().mutual_tls(&ca, &server.cert, &server.key).start().await.unwrap();
    let tls = format!("{{ca: {ca:?}, cert: {:?}, key: {:?}}}", client.cert, client.key);
    let settings = format!("{{store: {{redis: {{server: {{address: '{}', tls: {tls}}}}}}}}}", redis.address());
    let house = house(&settings).await;
    let mut browser = house.logged_in().await;
    assert_eq!(browser.get("https://app.example/").await.status, 200);
    assert!(house.service.metric("oidc_store_seconds_count", &["call="]).await >= 2);
    assert_eq!(house.service.metric("oidc_store_failures_total", &[]).await, 0);
}
