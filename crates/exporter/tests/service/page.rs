//! The live page in a real browser. `PORTCULLIS_SCREENSHOTS` names a directory where pictures of it are kept.

use std::time::{Duration, SystemTime};

use ::envoy::accesslog_data::HttpAccessLogEntry;
use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::chromium::Chromium;
use testbed::wait::wait_until;
use tokio::task::JoinHandle;

use crate::house::{Service, entry, message};

/// What a client might send to those who look.
const MARKUP: &str = "/<img src=x onerror=\"window.harmed=1\">";

/// A request of a route that took so long, now.
fn routed(name: &str, millis: i32, (code, details): (u32, &str), path: &str) -> HttpAccessLogEntry {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut entry = entry(code, details);
    let common = entry.common_properties.as_mut().unwrap();
    common.route_name = format!("httproute/shop/{name}/rule/0/match/0");
    common.start_time.as_mut().unwrap().seconds = i64::try_from(now.as_secs()).unwrap();
    common.time_to_last_downstream_tx_byte.as_mut().unwrap().nanos = millis * 1_000_000;
    let promise = match name {
        "cart" => Some("99% availability; 90% < 250ms; 7d"),
        "search" => Some("99.9% availability"),
        _ => None,
    };
    common.custom_tags.extend(promise.map(|promise| ("portcullis.slo".to_owned(), promise.to_owned())));
    path.clone_into(&mut entry.request.as_mut().unwrap().path);
    entry
}

/// Entries of several routes, as long as the test runs.
fn feed(service: &Service) -> JoinHandle<()> {
    const FINE: (u32, &str) = (200, "via_upstream");
    let stream = service.stream();
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        for turn in 0_i32.. {
            pace.tick().await;
            let mut entries = vec![routed("cart", 15 + turn % 7, FINE, "/cart"); 12];
            entries.extend(vec![routed("search", 80 + turn % 40, FINE, "/search"); 4]);
            entries.push(routed("search", 400, (503, "via_upstream"), "/search"));
            entries.push(routed("account", 9, FINE, "/account"));
            match turn % 12 {
                0 => entries.push(routed("cart", 1, (429, "request_rate_limited"), "/cart/items/7")),
                4 => entries.push(routed("account", 2, (403, "ext_authz_denied"), "/account/keys")),
                6 => entries.push(routed("search", 1, (503, "no_healthy_upstream"), "/search/fast")),
                8 => entries.push(routed("search", 1, (403, "waf_rule"), "/search")),
                10 if turn % 60 == 10 => entries.push(routed("search", 1, (403, "waf_rule"), MARKUP)),
                _ => {}
            }
            if stream.send(message(entries)).await.is_err() {
                return;
            }
        }
    })
}

async fn holds(browser: &mut Chromium, what: &str, expression: &str) {
    let holds = async || browser.evaluate(expression).await == Some(json!(true));
    wait_until(what, PATIENCE, holds).await.unwrap();
}

async fn press(browser: &mut Chromium, key: &str) {
    // What a key means beside its name: Enter makes a click only with its text.
    let text = match key {
        "Enter" => Some("\r"),
        "/" | "p" => Some(key),
        _ => None,
    };
    let code = match key {
        "Enter" => 13,
        "Escape" => 27,
        _ => 0,
    };
    for kind in ["keyDown", "keyUp"] {
        let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
        if let (Some(text), "keyDown") = (text, kind) {
            event["text"] = json!(text);
        }
        browser.call("Input.dispatchKeyEvent", event).await.unwrap();
    }
}

async fn screenshot(browser: &mut Chromium, name: &str) {
    let Some(dir) = std::env::var_os("PORTCULLIS_SCREENSHOTS") else { return };
    std::fs::write(std::path::Path::new(&dir).join(format!("{name}.png")), browser.picture().await.unwrap()).unwrap();
}

#[tokio::test]
async fn routes_and_refusals_are_shown_as_they_happen() {
    let service = Service::start("").await;
    let feeding = feed(&service);
    let mut browser = Chromium::start("127.0.0.1:1".parse().unwrap()).await.unwrap();
    browser.look_as(1280, 900, "light").await.unwrap();
    browser.open(&format!("http://{}/", service.admin)).await.unwrap();
    holds(&mut browser, "three routes", "document.querySelectorAll('#routes tr').length === 3").await;
    holds(&mut browser, "the word live", "document.getElementById('state').textContent === 'live'").await;
    // 12 every 100 ms; on a busy machine they come less evenly.
    let rate = "(() => { const rate = Number(document.querySelector('#routes tr .number span').textContent); \
                return rate > 60 && rate < 240; })()";
    holds(&mut browser, "the rate of the busiest route", rate).await;
    let kinds =
        "['rate_limited', 'denied', 'waf_block', 'refused'].every(kind => document.querySelector('#events .' + kind))";
    holds(&mut browser, "all kinds of refusals", kinds).await;
    let errors = "[...document.querySelectorAll('#routes tr')].some(row => \
                  row.textContent.includes('shop/search') && row.querySelector('.bad'))";
    holds(&mut browser, "a route with errors", errors).await;
    let lines = "['#routes', '#gateways'].every(table => [0, 1, 2].every(line => \
                 document.querySelectorAll(table + ' polyline')[line].getAttribute('points').split(' ').length > 2))";
    holds(&mut browser, "lines of requests, errors and times", lines).await;
    holds(&mut browser, "the gateway", "document.getElementById('gateways').innerText.includes('edge/eg')").await;
    // Nothing of the first was bad; a fifth of the second, where one of a thousand may be; the third promises nothing.
    for (route, left) in [("cart", "100"), ("search", "spent"), ("account", "–")] {
        let cell = format!(
            "[...document.querySelectorAll('#routes tr')].find(row => row.textContent.includes('shop/{route}'))\
             .lastChild.textContent === '{left}'"
        );
        holds(&mut browser, &format!("what is left of the budget of {route}"), &cell).await;
    }
    assert_eq!(browser.evaluate("document.getElementById('sum-budget').textContent").await, Some(json!("spent")));
    let since = r"/ since .*\d\d:\d\d UTC/.test(document.getElementById('since').innerText)";
    holds(&mut browser, "since when", since).await;
    screenshot(&mut browser, "live-light").await;

    // What a client sent stands there as text, and nothing came from elsewhere.
    holds(&mut browser, "the path as text", &format!("document.body.innerText.includes({})", json!(MARKUP))).await;
    assert_eq!(
        browser.evaluate("window.harmed === undefined && !document.querySelector('img')").await,
        Some(json!(true))
    );
    let own = "performance.getEntriesByType('resource').every(entry => entry.name.startsWith(location.origin))";
    assert_eq!(browser.evaluate(own).await, Some(json!(true)));

    with_a_keyboard(&mut browser).await;

    browser.look_as(1280, 900, "dark").await.unwrap();
    screenshot(&mut browser, "live-dark").await;
    let dark = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.evaluate(dark).await, Some(json!("rgb(20, 23, 28)")));
    browser.look_as(360, 780, "dark").await.unwrap();
    holds(&mut browser, "nothing beside the edge", "document.documentElement.scrollWidth <= 360").await;
    screenshot(&mut browser, "live-360").await;

    // It says when nobody answers.
    feeding.abort();
    drop(service);
    holds(&mut browser, "that nobody answers", "document.getElementById('state').classList.contains('lost')").await;
}

async fn with_a_keyboard(browser: &mut Chromium) {
    let at = |row: &str, place: usize| {
        format!("document.activeElement === document.querySelectorAll('{row} .name')[{place}]")
    };
    press(browser, "ArrowDown").await;
    holds(browser, "the gateway", &at("#gateways", 0)).await;
    for place in [0, 1] {
        press(browser, "ArrowDown").await;
        holds(browser, "a route", &at("#routes", place)).await;
    }
    press(browser, "ArrowUp").await;
    press(browser, "Enter").await;
    holds(browser, "details", "document.getElementById('detail').open").await;
    holds(browser, "three lines", "document.querySelectorAll('#detail-pace polyline').length === 3").await;
    let objectives = "(text => ['99% availability', '90% < 250ms', '7 d, counted since '].every(part => text.includes(part)))\
                      (document.getElementById('objectives').innerText)";
    holds(browser, "objectives", objectives).await;
    // It goes on while one looks.
    let count = "Number(document.querySelector('#answers td:last-child').textContent.replaceAll(',', ''))";
    let before = browser.evaluate(count).await.unwrap();
    holds(browser, "more answers", &format!("{count} > {before}")).await;
    holds(browser, "answers", "document.getElementById('answers').innerText.includes('200')").await;
    holds(browser, "replies", "document.getElementById('replies').innerText.length > 0").await;
    screenshot(browser, "detail").await;
    press(browser, "Escape").await;
    holds(browser, "no details", "!document.getElementById('detail').open").await;
    press(browser, "/").await;
    holds(browser, "the search", "document.activeElement.id === 'find'").await;
    browser.type_into("#find", "account").await.unwrap();
    let one = "[...document.querySelectorAll('#routes tr')].filter(row => !row.hidden).length === 1";
    holds(browser, "one route", one).await;
    let emptied = "(field => { field.value = ''; field.dispatchEvent(new Event('input')); field.blur(); })\
                   (document.getElementById('find'))";
    browser.evaluate(emptied).await;
    press(browser, "p").await;
    holds(browser, "a pause", "document.getElementById('pause').getAttribute('aria-pressed') === 'true'").await;
    press(browser, "p").await;
}

#[tokio::test]
async fn the_page_may_load_only_what_is_its_own() {
    let service = Service::start("").await;
    for (path, kind) in [("/", "text/html"), ("/live/page.js", "text/javascript"), ("/live/page.css", "text/css")] {
        let answer = testbed::client::Request::get(&format!("http://{}{path}", service.admin)).send().await.unwrap();
        assert!(answer.header("content-type").unwrap().starts_with(kind));
        assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert!(!answer.text().contains("http:") || path == "/live/page.js", "{path} names another place");
    }
    let unknown: Value = json!(
        testbed::client::Request::get(&format!("http://{}/live/routes/7", service.admin))
            .send()
            .await
            .unwrap()
            .status
            .as_u16()
    );
    assert_eq!(unknown, json!(404));
}
