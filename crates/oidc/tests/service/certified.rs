//! The certified provider of npm: the whole way with a provider that others wrote.

use std::time::Duration;

use serde_json::json;
use testbed::PATIENCE;
use testbed::echo::Echo;
use testbed::idp::Certified;
use testbed::wait::wait_until;
use tokio::net::{TcpListener, TcpStream};

use crate::edge;
use crate::house::{Service, WEB};
use testbed::client::Browser;

/// An address that is known before what it leads to.
struct Passage {
    address: String,
    to: tokio::sync::watch::Sender<String>,
}

impl Passage {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (to, target) = tokio::sync::watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let to = target.borrow().clone();
                tokio::spawn(async move {
                    let mut to = TcpStream::connect(to).await?;
                    tokio::io::copy_bidirectional(&mut from, &mut to).await
                });
            }
        });
        Self { address, to }
    }
}

#[tokio::test]
async fn login_refresh_and_logout_with_a_certified_provider() {
    let passage = Passage::open().await;
    let secret = "s3cret: +/=% and long enough";
    let clients = json!([{
        "client_id": "edge",
        "client_secret": secret,
        "redirect_uris": ["https://app.example/oauth2/callback"],
        "post_logout_redirect_uris": ["https://app.example/oauth2/signed-out"],
        "backchannel_logout_uri": format!("http://{}/oauth2/backchannel", passage.address),
        "backchannel_logout_session_required": true,
        "grant_types": ["authorization_code", "refresh_token"],
        "userinfo_signed_response_alg": "RS256",
    }]);
    let provider = Certified::start(&clients, Duration::from_secs(2)).await.unwrap();
    let settings = format!(
        "providers:\n  main: {{issuer: '{}', clientId: edge, clientSecret: '{secret}', insecure: true, userInfo: true}}\n\
         defaultProfile: web\n{WEB}sessions: {{refreshAhead: 1s}}\n",
        provider.issuer()
    );
    let service = Service::start(&settings).await.reached().await;
    passage.to.send(service.http.clone()).unwrap();
    let backend = Echo::http().spawn().await.unwrap();
    let (_envoy, address) = edge::start(&service.grpc, backend.address()).await;

    let mut browser = Browser::new(address);
    let answer = browser.open("https://app.example/page?x=1").await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), provider.log());
    let seen = answer.echoed().unwrap();
    assert_eq!(
        (seen.path.as_str(), seen.header("x-user"), seen.header("x-email"), seen.header("x-groups")),
        ("/page?x=1", Some("ann"), Some("ann@example.com"), Some("people,ops"))
    );

    // Refresh tokens of this provider rotate, and one that is used twice ends all.
    let renewed = async || {
        assert_eq!(browser.clone().get("https://app.example/").await.status, 200, "{}", provider.log());
        service.metric("oidc_refreshes_total", &["outcome=\"renewed\""]).await >= 2
    };
    wait_until("tokens to be renewed twice", PATIENCE, renewed).await.unwrap();

    // Another browser of the same person, which is not logged out.
    let mut other = Browser::new(address);
    assert_eq!(other.open("https://app.example/").await.status, 200);
    let stolen = browser.clone();
    let page = browser.open("https://app.example/oauth2/logout").await;
    let text = page.text();
    assert_eq!(page.status, 200, "{text}\n{}", provider.log());
    let xsrf = text.split("name=\"xsrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let confirm = format!("{}/session/end/confirm", provider.issuer());
    let request = browser.request("POST", &confirm).header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(format!("xsrf={xsrf}&logout=yes")).send().await.unwrap();
    assert!(
        answer.header("location").is_some_and(|to| to.starts_with("https://app.example/oauth2/signed-out")),
        "{answer:?}"
    );
    assert_eq!(stolen.clone().get("https://app.example/").await.status, 302);
    assert_eq!(other.get("https://app.example/").await.status, 200, "another session of the provider");

    // A logout at the provider, of which we hear by the back channel.
    let mut third = Browser::new(address);
    assert_eq!(third.open("https://app.example/").await.status, 200);
    let page = third.get(&format!("{}/session/end", provider.issuer())).await.text();
    let xsrf = page.split("name=\"xsrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let request = third.request("POST", &confirm).header("content-type", "application/x-www-form-urlencoded");
    request.body(format!("xsrf={xsrf}&logout=yes")).send().await.unwrap();
    let ended = async || third.clone().get("https://app.example/").await.status == 302;
    wait_until("the back channel", PATIENCE, ended).await.unwrap();
    assert_eq!(other.get("https://app.example/").await.status, 200);
}
