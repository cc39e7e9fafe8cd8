//! What happens in a run beside ordinary requests: people log in and out, and one thing after the other breaks.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::PATIENCE;
use testbed::client::{Browser, Request};
use testbed::service::page;
use testbed::wait::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::figures::ATTACK;
use crate::house::{House, Service};

/// So many come at once for the firewall to have no room for some of them.
const CROWD: usize = 16;

/// One request of each kind: one that is answered, and those that Envoy answers itself.
pub(crate) async fn traffic(house: &House) -> Result<()> {
    for path in ["", "limited", "counted", "uncounted", "private", "guarded", ATTACK, "gone"] {
        house.request(path).send().await?;
    }
    // What a rule notes and nobody blocks: a host without a name.
    for _ in 0..3 {
        house.plain("http://127.0.0.1/guarded").send().await?;
    }
    // More than the firewall looks at.
    let long = house.request("guarded").header("content-type", "application/x-www-form-urlencoded");
    let long = long.body(format!("text={}", "word ".repeat(1000)));
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let long = long.clone();
        crowd.spawn(async move { long.send().await });
    }
    crowd.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    // Bytes, to somebody and to nobody.
    for address in house.passing_on {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(b"GET / HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n").await?;
        // Whoever is nobody ends it, in order or not.
        let _ = connection.read_to_end(&mut Vec::new()).await;
    }
    Ok(())
}

/// Somebody logs in, has tokens renewed and logs out; others fail at it. Gives the browser of one who stays.
pub(crate) async fn people(house: &House) -> Result<Browser> {
    let lasting = |span: u64| house.provider.turn(|knobs| knobs.lifetime = Duration::from_secs(span));
    house.provider.log_in_as(&json!({ "sub": "ann", "email": "ann@example.com", "email_verified": true }));
    let mut browser = house.browser();
    lasting(0);
    let callback = browser.until("https://app.example/private", "https://app.example/oauth2/callback").await;
    browser.get(&callback).await;
    lasting(7200);
    let inside = browser.get("https://app.example/private").await;
    ensure!(inside.status == 200, "logged in, and {} {}", inside.status, inside.text());
    browser.open("https://app.example/oauth2/logout").await;
    let mut staying = house.browser();
    staying.open("https://app.example/private").await;

    let foreign = "https://app.example/oauth2/callback?code=stolen&state=of-somebody-else";
    house.browser().get(foreign).await;
    house.request("private").header("authorization", "Bearer of.no.provider").send().await?;
    let mut unlucky = house.browser();
    let callback = unlucky.until("https://app.example/private", "https://app.example/oauth2/callback").await;
    house.provider.turn(|knobs| knobs.status = Some(500));
    unlucky.get(&callback).await;
    Ok(staying)
}

/// Files that make no sense, a call that makes none, an Envoy that ends, a store that is gone.
pub(crate) async fn faults(house: &mut House, mut inside: Browser) -> Result<()> {
    let House { limits, logins, firewall, exporter, controller, .. } = &*house;
    for Service { file, .. } in [limits, logins, firewall, exporter, controller] {
        fs::write(file, fs::read_to_string(file)? + "\nnonsense: [\n")?;
    }
    let http = limits.http.as_ref().context("it serves JSON, too")?;
    let senseless = r#"{"domain": "", "descriptors": []}"#;
    Request::post(&format!("http://{http}/json"), senseless).header("content-type", "application/json").send().await?;

    let quit = Request::post("http://localhost/quitquitquit", "").to(house.envoy_of_controller());
    let asked = async || quit.send().await.is_ok();
    wait_until("the controller's Envoy to be asked to end", PATIENCE, asked).await?;

    house.redis.kill()?;
    inside.get("https://app.example/private").await;
    let without_it = r#"ratelimit_fallback_total{answer="allow""#;
    let answered = async || {
        let asked = house.request("counted").send().await.is_ok();
        let told = page(&house.limits.admin, "/metrics").await;
        asked && told.is_ok_and(|text| text.contains(without_it))
    };
    wait_until("answers without the store", PATIENCE, answered).await
}
