//! One login for hosts of several domains.

use testbed::idp::Event;
use url::Url;

use crate::house::{House, WEB};
use testbed::client::Browser;

async fn house() -> House {
    House::start(&format!("{WEB}loginHost: login.example\n")).await
}

#[tokio::test]
async fn three_hosts_under_one_session() {
    let house = house().await;
    let mut browser = house.browser();
    for host in ["one.example", "two.example", "three.example"] {
        let seen = browser.open(&format!("https://{host}/page?x=1")).await.echoed().unwrap();
        assert_eq!((seen.host.as_str(), seen.path.as_str(), seen.header("x-user")), (host, "/page?x=1", Some("ann")));
        assert_eq!(browser.names(host), ["__Host-portcullis"]);
    }
    assert_eq!(house.provider.count(Event::Authorize), 1, "one login");
    assert!(
        browser.visited.iter().any(|url| url.contains("redirect_uri=https%3A%2F%2Flogin.example%2Foauth2%2Fcallback"))
    );
    browser.open("https://two.example/oauth2/logout").await;
    for host in ["one.example", "two.example", "three.example"] {
        assert_eq!(browser.get(&format!("https://{host}/")).await.status, 302, "{host}: all have ended");
    }
}

/// A browser that is about to take a session over, and the URL where it would.
async fn about_to(house: &House) -> (Browser, String) {
    let mut browser = house.browser();
    let url = browser.until("https://one.example/", "https://one.example/oauth2/handover").await;
    (browser, url)
}

#[tokio::test]
async fn a_code_is_good_once_in_one_browser_and_at_one_host() {
    let house = house().await;
    let (mut browser, url) = about_to(&house).await;
    let before = browser.clone();
    assert_eq!(browser.get(&url).await.status, 302);
    assert_eq!(before.clone().get(&url).await.status, 400, "once");
    let (_, url) = about_to(&house).await;
    let mut stranger = house.browser();
    assert_eq!(stranger.get(&url).await.status, 400, "another browser");
    stranger.until("https://one.example/", "https://login.example/").await;
    assert_eq!(stranger.get(&url).await.status, 400, "another browser with a login of its own");
    let (mut browser, url) = about_to(&house).await;
    for (name, value) in browser.cookies.clone() {
        browser.cookies.insert(("two.example".into(), name.1), value);
    }
    assert_eq!(browser.get(&url.replace("one.example", "two.example")).await.status, 400, "another host");
    let (mut browser, url) = about_to(&house).await;
    let mut changed = Url::parse(&url).unwrap();
    let state = changed.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    changed.query_pairs_mut().clear().append_pair("code", "AAAA").append_pair("state", &state);
    assert_eq!(browser.get(changed.as_str()).await.status, 400, "a made up code");
}

#[tokio::test]
async fn an_errand_that_nobody_gave_is_not_done() {
    let house = house().await;
    for url in [
        "https://login.example/oauth2/start",
        "https://login.example/oauth2/start?to=AAAA",
        "https://one.example/oauth2/handover?code=x&state=0.x",
    ] {
        assert_eq!(house.browser().get(url).await.status, 400, "{url}");
    }
    let start = house.browser().until("https://one.example/", "https://login.example/oauth2/start").await;
    let elsewhere = start.replace("login.example", "two.example");
    assert_eq!(house.browser().get(&elsewhere).await.status, 400, "only the login host does errands");
}
