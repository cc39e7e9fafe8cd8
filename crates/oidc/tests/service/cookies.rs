//! Cookies that somebody else has set, that come in several headers, or that do not hold.

use testbed::client::{Browser, Request, Response};
use testbed::echo::Echo;
use testbed::idp::Event;

use crate::edge;
use crate::house::{House, WEB, ann};

const SHARED: &str = "cookies: {domain: example}\n";

/// The page of an Envoy, asked with these cookie headers.
async fn page(address: std::net::SocketAddr, http2: bool, cookies: &[&str]) -> Response {
    let request = Request::get("http://app.example/").to(address).header("accept", "text/html");
    let request = cookies.iter().fold(request, |request, cookie| request.header("cookie", cookie));
    let request = if http2 { request.http2() } else { request };
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_tossed_cookie_that_opens_nothing_is_not_in_the_way() {
    let house = House::start(&format!("{WEB}{SHARED}")).await;
    let own = house.logged_in().await.header("app.example");
    let name = own.split_once('=').unwrap().0;
    assert_eq!(name, "__Secure-portcullis");
    let made_up = format!("{name}=sAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let many: String = (0..50).map(|count| format!("{name}={count}; ")).collect();
    for tossed in [
        format!("{made_up}; {own}"),
        format!("{own}; {made_up}"),
        format!("{name}=; {name}=2~x; {own}; {name}=cAAAA"),
        format!("{many}{own}"),
    ] {
        let answer = page(house.address, false, &[&tossed]).await;
        assert_eq!(answer.status, 200, "{tossed}");
        let seen = answer.echoed().unwrap();
        assert_eq!((seen.header("x-user"), seen.header("cookie")), (Some("ann"), None), "{tossed}");
    }
}

#[tokio::test]
async fn of_two_sessions_the_next_login_is_the_one_that_counts() {
    let house = House::start(&format!("{WEB}{SHARED}")).await;
    house.provider.log_in_as(&serde_json::json!({ "sub": "eve" }));
    let thief = house.logged_in().await;
    house.provider.log_in_as(&ann());
    let mut victim = house.logged_in().await;
    // A cookie for the longer path goes before the other one, and no answer of ours reaches it.
    let theirs = thief.cookies.values().next().unwrap().clone();
    victim.cookies.insert(("app.example".into(), "__Secure-portcullis".into()), theirs);
    assert_eq!(victim.get("https://app.example/").await.status, 302, "nobody knows whose the request is");
    let answer = victim.open("https://app.example/").await;
    assert_eq!(answer.echoed().unwrap().header("x-user"), Some("ann"), "{:?}", victim.visited);
    assert_eq!(house.service.metric("oidc_login_loops_total", &[]).await, 0);
    assert_eq!(thief.clone().get("https://app.example/").await.status, 302, "what was tossed opens nothing any more");
}

#[tokio::test]
async fn a_login_that_brings_no_session_ends_on_a_page() {
    // No browser keeps such a cookie.
    let settings = format!("{WEB}cookies: {{domain: elsewhere.example}}\n");
    for (more, host) in
        [("", "app.example"), ("loginHost: login.example\nreturnHosts: [app.example]\n", "login.example")]
    {
        let house = House::start(&format!("{settings}{more}")).await;
        let mut browser = house.browser();
        for round in 1..=2 {
            let answer = browser.open("https://app.example/page").await;
            assert_eq!(answer.status, 500, "{:?}", browser.visited);
            let text = answer.text();
            assert!(text.contains("does not know you afterwards") && text.contains("href="), "{text}");
            assert_eq!(house.provider.count(Event::Authorize), 2 * round, "{host}: {:?}", browser.visited);
            assert_eq!(house.service.metric("oidc_login_loops_total", &[]).await, round);
        }
        assert!(house.service.log().contains("brings no session"), "{}", house.service.log());
    }
}

#[tokio::test]
async fn whoever_is_let_pass_may_log_in_as_often_as_they_like() {
    let house = House::start(WEB).await;
    let mut browser = house.browser();
    for round in 1..=5 {
        assert_eq!(browser.open("https://app.example/").await.status, 200);
        assert_eq!(browser.names("app.example"), ["__Host-portcullis"], "nothing of the login is left");
        assert_eq!(house.provider.count(Event::Authorize), round);
        browser.cookies.clear();
    }
}

#[tokio::test]
async fn cookies_may_come_in_several_headers() {
    let house = House::start(WEB).await;
    let session = house.logged_in().await.header("app.example");
    let backend = Echo::http().spawn().await.unwrap();
    let (_http, http) = edge::start_http(&house.service.http, "web", backend.address()).await;
    let (_raw, raw) = edge::start_raw(&house.service.grpc, backend.address()).await;
    let orders: [&[&str]; 4] = [
        &["a=1", &session, "b=2"],
        &[&session, "a=1; b=2"],
        &["a=1; b=2", &session],
        &[&format!("a=1; {session}"), "b=2"],
    ];
    for (how, address) in [("grpc", house.address), ("http", http), ("raw", raw)] {
        for http2 in [false, true] {
            for cookies in orders {
                let answer = page(address, http2, cookies).await;
                let said = format!("{how}, HTTP/2: {http2}, {cookies:?}: {} {}", answer.status, answer.text());
                assert_eq!(answer.status, 200, "{said}");
                let seen = answer.echoed().unwrap();
                assert_eq!((seen.header("x-user"), seen.all("cookie")), (Some("ann"), vec!["a=1; b=2"]), "{said}");
            }
            let apart = page(raw, http2, &["a=1", "b=2", &session, "c=3,4"]).await.echoed().unwrap();
            assert_eq!(apart.all("cookie"), ["a=1; b=2; c=3,4"], "HTTP/2: {http2}");
            // Somebody else's values hide none of ours, wherever they end.
            let answer = page(address, http2, &["a=\"1", &session, "b=2,3"]).await;
            assert_eq!(answer.status, 200, "{how}, HTTP/2: {http2}: {}", answer.text());
            assert!(!answer.text().contains("__Host-portcullis"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_login_is_finished_with_cookies_in_several_headers() {
    let house = House::start(WEB).await;
    let mut browser = Browser::new(house.address);
    let url = browser.until("https://app.example/page", "https://app.example/oauth2/callback").await;
    let login = browser.header("app.example");
    let request = Request::get(&url.replacen("https://", "http://", 1)).to(house.address).header("accept", "text/html");
    let answer = request.header("cookie", "a=1").header("cookie", &login).header("cookie", "b=2").send().await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (302, Some("https://app.example/page")),
        "{}",
        answer.text()
    );
}
