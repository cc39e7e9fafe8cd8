//! Open redirects: every way to write "elsewhere" in each place from which people are led on.

#[path = "../../src/return_url/shapes.rs"]
mod shapes;

use testbed::client::Browser;
use url::Url;

use crate::edge::raw;
use crate::house::{House, WEB};
use shapes::{HOSTS, SHAPES};

/// What is alike to a host that may be returned to.
const ALIKE: &[&str] = &[
    "https://shop.example:8443/",
    "http://shop.example/",
    "https://shop.example\\@evil.example",
    "https://shop.example.evil.example/",
    "https://evilshop.example/",
    "https://user@shop.example/",
    "https://shop.example./",
    "//shop.example/",
];

fn corpus() -> Vec<String> {
    let made = SHAPES.iter().flat_map(|shape| HOSTS.iter().map(|host| shape.replace("HOST", host)));
    made.chain(ALIKE.iter().map(|text| (*text).to_owned())).collect()
}

/// Whether a browser was led to nobody but us and the provider.
fn stayed(house: &House, browser: &Browser) -> bool {
    let (ours, provider) = (Url::parse("https://app.example").unwrap(), Url::parse(&house.provider.issuer()).unwrap());
    browser.visited.iter().all(|visited| {
        let origin = Url::parse(visited).unwrap().origin();
        origin == ours.origin() || origin == provider.origin()
    })
}

/// Asks for this page of ours with each of the corpus, and says how many lead elsewhere.
async fn led_away_by(page: &str) -> (usize, Vec<String>) {
    let house = House::start(&format!("{WEB}returnHosts: [shop.example]\n")).await;
    let (mut away, mut tried) = (Vec::new(), 0);
    for target in corpus() {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", &target).finish();
        let mut browser = house.browser();
        browser.open(&format!("https://app.example{page}?{query}")).await;
        tried += 1;
        if !stayed(&house, &browser) {
            away.push(format!("{target:?}: {:?}", browser.visited.last()));
        }
    }
    println!("open redirects by {page}: {} of {tried}", away.len());
    let (mut browser, allowed) = (house.browser(), format!("https://app.example{page}?rd=https://shop.example/x"));
    let url = browser.until(&allowed, "https://shop.example/").await;
    assert_eq!(url, "https://shop.example/x", "where one may go");
    (tried, away)
}

#[tokio::test]
async fn open_redirect_by_the_login_link() {
    let (tried, away) = led_away_by("/oauth2/login").await;
    assert!(tried >= 500 && away.is_empty(), "{tried}: {away:#?}");
}

#[tokio::test]
async fn open_redirect_by_the_logout_link() {
    let (tried, away) = led_away_by("/oauth2/logout").await;
    assert!(tried >= 500 && away.is_empty(), "{tried}: {away:#?}");
}

#[tokio::test]
async fn open_redirect_by_the_path_that_was_asked_for() {
    let house = House::start(WEB).await;
    let (mut away, mut tried) = (Vec::new(), 0);
    // What can be the target of a request.
    let written = |target: &String| target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
    for target in corpus().into_iter().filter(written) {
        let text =
            format!("GET {target} HTTP/1.1\r\nhost: app.example\r\naccept: text/html\r\nconnection: close\r\n\r\n");
        let answer = raw(house.address, text.as_bytes()).await.unwrap();
        let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let (location, cookie) = (field("location: ").unwrap(), field("set-cookie: ").unwrap());
        let mut browser = house.browser();
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        browser.cookies.insert(("app.example".into(), name.into()), value.into());
        assert_eq!(browser.open(&location).await.status, 200, "{target}: {:?}", browser.visited);
        tried += 1;
        if !stayed(&house, &browser) {
            away.push(format!("{target:?}: {:?}", browser.visited.last()));
        }
    }
    println!("open redirects by the path: {} of {tried}", away.len());
    assert!(tried >= 36 && away.is_empty(), "{tried}: {away:#?}");
}
