//! One login for hosts of several domains.

use testbed::idp::Event;
use url::Url;

use crate::attacks::{SHARED, toss};
use crate::house::{House, WEB};
use testbed::client::Browser;

async fn house() -> House {
    let hosts = "[one.example, two.example, three.example]";
    House::start(&format!("{WEB}loginHost: login.example\nreturnHosts: {hosts}\n")).await
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
async fn a_way_back_that_a_sibling_subdomain_sets_is_none() {
    for more in ["", SHARED] {
        let house = House::start(&format!("{WEB}{more}loginHost: login.example\nreturnHosts: [one.example]\n")).await;
        let (mut thief, url) = about_to(&house).await;
        let mut victim = house.browser();
        toss(&thief, "one.example", &mut victim);
        let answer = victim.get(&url).await;
        assert_eq!(answer.status, 400, "{more}: {}", answer.text());
        assert!(!victim.names("one.example").contains(&"__Host-portcullis"), "{more}");
        assert_eq!(thief.get(&url).await.status, 302, "{more}: where it began it is one");
    }
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

#[tokio::test]
async fn a_host_that_nobody_named_is_handed_no_session() {
    let house = house().await;
    // Envoy takes requests of any host: an attacker has an errand made for one of their own, and sends a victim with it.
    let mut attacker = house.browser();
    let answer = attacker.get("https://evil.example/").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (403, None), "{}", answer.text());
    assert!(attacker.cookies.is_empty() && house.service.log().contains("is not in returnHosts"));
    // One that was named when the errand was made and is not any more.
    let errand = house.browser().until("https://one.example/", "https://login.example/oauth2/start").await;
    let mut victim = house.browser();
    assert_eq!(victim.open("https://two.example/").await.status, 200);
    let others = format!("{WEB}loginHost: login.example\nreturnHosts: [two.example]\n");
    let settings = format!("{}defaultProfile: web\n{others}", crate::house::main_provider(&house.provider));
    house.service.configure(&settings);
    let refused = async || victim.clone().get(&errand).await.status == 400;
    testbed::wait::wait_until("the host to be handed nothing", testbed::PATIENCE, refused).await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_taken_over_ends_the_one_before_it() {
    let house = house().await;
    let mut browser = house.browser();
    assert_eq!(browser.open("https://one.example/").await.status, 200);
    let before = browser.clone();
    // The login host has forgotten, so that another session comes from there.
    browser.cookies.retain(|(host, _), _| host != "login.example");
    assert_eq!(browser.open("https://one.example/oauth2/login?rd=/again").await.status, 200);
    assert_eq!(before.clone().get("https://one.example/").await.status, 302);
    assert_eq!(browser.get("https://one.example/").await.status, 200);
}
