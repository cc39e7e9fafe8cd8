//! A real browser: what it keeps, sends and shows decides, not what we think of browsers.

use serde_json::json;
use testbed::chromium::Chromium;
use testbed::echo::Echo;
use testbed::idp::Certified;
use testbed::pki::Ca;

use crate::edge;
use crate::house::Service;

const HOSTS: [&str; 3] = ["one.example", "two.example", "three.example"];

fn settings(issuer: &str, more: &str) -> String {
    format!(
        "providers: {{main: {{issuer: '{issuer}', clientId: edge, clientSecret: s3cret, insecure: true, userInfo: true}}}}\n\
         defaultProfile: web\n\
         profiles:\n  web: {{providers: [main], upstream: {{headers: {{x-user: sub}}}}, anonymous: [{{path: /public/*}}]}}\n\
         {more}"
    )
}

#[tokio::test]
async fn a_browser_logs_in_once_for_three_hosts_and_logs_out_of_all() {
    let clients = json!([{
        "client_id": "edge",
        "client_secret": "s3cret",
        "redirect_uris": ["https://login.example/oauth2/callback"],
        "post_logout_redirect_uris": HOSTS.map(|host| format!("https://{host}/oauth2/signed-out")),
        "grant_types": ["authorization_code", "refresh_token"],
    }]);
    let provider = Certified::with_form(&clients).await.unwrap();
    let more = format!("loginHost: login.example\nreturnHosts: [{}]\n", HOSTS.join(", "));
    let service = Service::start(&settings(provider.issuer(), &more)).await.reached().await;
    let backend = Echo::http().name("app").spawn().await.unwrap();
    let identity = Ca::new("edge").unwrap().server(&["*.example"]).unwrap();
    let (_envoy, address) = edge::start_tls(&service.grpc, backend.address(), &identity).await;
    let mut browser = Chromium::start(address).await.unwrap();

    browser.open("https://one.example/page?x=1").await.unwrap();
    browser.wait_at(&format!("{}/interaction/", provider.issuer())).await.unwrap();
    browser.type_into("input[name=user]", "ann").await.unwrap();
    browser.click("button").await.unwrap();
    let seen = browser.wait_at("https://one.example/page?x=1").await.unwrap();
    assert!(seen.contains("\"ann\"") && !seen.contains("__Host-portcullis"), "{seen}");

    // The other hosts take the session over: nobody is asked again.
    for host in HOSTS {
        browser.open(&format!("https://{host}/again")).await.unwrap();
        let seen = browser.wait_at(&format!("https://{host}/again")).await.unwrap();
        assert!(seen.contains("\"ann\""), "{host}: {seen}");
    }
    assert_eq!(service.metric("oidc_logins_total", &["outcome=\"done\""]).await, 1);

    // What the browser keeps: a session a host, bound to it, and nothing of the logins that are done.
    let cookies = browser.cookies().await.unwrap();
    let ours: Vec<_> = cookies.iter().filter(|cookie| cookie.domain.ends_with(".example")).collect();
    assert_eq!(ours.len(), 4, "{ours:?}");
    for cookie in &ours {
        assert_eq!((&*cookie.name, &*cookie.same_site), ("__Host-portcullis", "Lax"), "{cookie:?}");
        assert!(cookie.secure && cookie.http_only && !cookie.domain.starts_with('.'), "{cookie:?}");
    }
    assert_eq!(browser.evaluate("document.cookie").await.unwrap(), "", "scripts see none");

    // A script is told, not sent away; one of another site brings no session.
    let fetch = |url: &str| {
        format!(
            "fetch('{url}', {{credentials: 'include', mode: 'no-cors'}}).then(a => a.status + a.type, e => 'failed')"
        )
    };
    assert_eq!(browser.resolve(&fetch("https://three.example/api")).await.unwrap(), "200basic");
    let before = backend.count();
    browser.resolve(&fetch("https://one.example/api")).await.unwrap();
    assert_eq!(backend.count(), before, "from another site without a session: not passed");

    browser.open("https://two.example/oauth2/logout").await.unwrap();
    browser.wait_at(&format!("{}/session/end", provider.issuer())).await.unwrap();
    browser.click("button[name=logout]").await.unwrap();
    let page = browser.wait_at("https://two.example/oauth2/signed-out").await.unwrap();
    assert!(page.contains("Logged out"), "{page}");
    for host in HOSTS {
        browser.open(&format!("https://{host}/after")).await.unwrap();
        browser.wait_at(&format!("{}/interaction/", provider.issuer())).await.unwrap();
    }
}
