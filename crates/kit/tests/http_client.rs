//! The outward client keeps its bounds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Redirect;
use axum::routing::get;
use kit::http_client::{Client, Error, Settings};
use kit::testing::HttpDouble;

async fn double() -> HttpDouble {
    let chunks = || tokio_stream::iter((0..64).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1024])));
    HttpDouble::start(
        Router::new()
            .route("/small", get(|| async { "small" }))
            .route("/announced", get(|| async { vec![0_u8; 2048] }))
            .route("/streamed", get(move || async move { Body::from_stream(chunks()) }))
            .route("/away", get(|| async { Redirect::to("/small") }))
            .route("/never", get(std::future::pending::<()>)),
    )
    .await
}

#[tokio::test]
async fn bodies_redirects_and_time_are_bounded() {
    let double = double().await;
    let settings = Settings { max_body: 1024, timeout: Duration::from_millis(300), ..Settings::default() };
    let client = Client::new("test", &settings).unwrap();
    assert_eq!(client.get(&double.url("/small")).await.unwrap().body, "small");
    assert!(matches!(client.get(&double.url("/announced")).await, Err(Error::TooLarge(1024))));
    assert!(matches!(client.get(&double.url("/streamed")).await, Err(Error::TooLarge(1024))));
    assert_eq!(client.get(&double.url("/away")).await.unwrap().status, 303);
    assert!(matches!(client.get(&double.url("/never")).await, Err(Error::Request(error)) if error.is_timeout()));
    let follows = Client::new("test", &Settings { max_redirects: 1, ..settings }).unwrap();
    assert_eq!(follows.get(&double.url("/away")).await.unwrap().body, "small");
}

#[tokio::test]
async fn a_guarded_client_goes_where_it_may() {
    let double = double().await;
    let port = double.address.rsplit_once(':').unwrap().1.to_owned();
    let guarded = |allowed: &'static str| {
        let guard = std::sync::Arc::new(move |host: &str, _| host == allowed);
        Client::guarded("test", &Settings::default(), guard).unwrap()
    };
    assert_eq!(guarded("127.0.0.1").get(&double.url("/small")).await.unwrap().body, "small");
    assert_eq!(guarded("localhost").get(&format!("http://localhost:{port}/small")).await.unwrap().body, "small");
    let numbers = ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]"];
    for host in numbers {
        let refused = guarded("elsewhere").get(&format!("http://{host}:{port}/small")).await.unwrap_err();
        assert!(matches!(refused, Error::Guarded(_)), "{host}: {refused}");
    }
    let refused = guarded("elsewhere").get(&format!("http://localhost:{port}/small")).await.unwrap_err();
    assert_eq!(refused.guarded(), Some("localhost"), "{refused}");
    let nobody = guarded("127.0.0.1").get("http://127.0.0.1:1/").await.unwrap_err();
    assert_eq!(nobody.guarded(), None, "{nobody}");
}

/// Small images have no certificate authorities. Where they are looked for is a matter of the environment, which belongs to a
/// process: so this test runs once more in one of its own.
#[tokio::test]
async fn without_authorities_plain_http_is_still_asked() {
    const INSIDE: &str = "WITHOUT_AUTHORITIES";
    if std::env::var_os(INSIDE).is_none() {
        let nowhere = tempfile::tempdir().unwrap();
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "without_authorities_plain_http_is_still_asked"]).env(INSIDE, "1");
        again.env("SSL_CERT_DIR", nowhere.path()).env("SSL_CERT_FILE", nowhere.path().join("none"));
        let output = again.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let double = double().await;
    let client = Client::new("test", &Settings::default()).unwrap();
    assert_eq!(client.get(&double.url("/small")).await.unwrap().body, "small");
}
