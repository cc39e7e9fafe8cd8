//! Checks by HTTP, for those who cannot ask by gRPC.

use testbed::echo::Echo;

use crate::edge;
use crate::house::{House, WEB};
use testbed::client::Browser;

#[tokio::test]
async fn envoy_asks_by_http() {
    let house = House::start(WEB).await;
    let backend = Echo::http().spawn().await.unwrap();
    let (_envoy, address) = edge::start_http(&house.service.http, "web", backend.address()).await;
    let mut browser = Browser::new(address);
    let answer = browser.open("https://app.example/a/b?c=d").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = answer.echoed().unwrap();
    assert_eq!((seen.path.as_str(), seen.header("x-user"), seen.header("cookie")), ("/a/b?c=d", Some("ann"), None));
    let spoofed =
        browser.get_with("https://app.example/", &[("x-user", "root"), ("x_user", "root")]).await.echoed().unwrap();
    assert_eq!(spoofed.header("x-user"), Some("ann"));
    assert!(
        !spoofed
            .headers
            .iter()
            .any(|(name, values)| name.to_lowercase().starts_with('x') && values.contains(&"root".to_owned())),
        "{spoofed:?}"
    );
    let program = Browser::new(address).request("POST", "https://app.example/").send().await.unwrap();
    assert_eq!(program.status, 401);
    assert!(program.header("www-authenticate").is_some());
    assert_eq!(backend.count(), 2);
}
