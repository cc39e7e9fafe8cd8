//! A real browser without a screen, driven by its DevTools protocol.
//!
//! Hosts below `.example` lead to one address, whatever their port: there the gateway under test listens. Certificates are not
//! verified, for the test made them.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Target, WebSocket, websocket};
use crate::process::{Process, Spec};
use crate::wait::wait_for;
use crate::{PATIENCE, tools};

/// A running browser with one tab. Dropping it ends it.
#[derive(Debug)]
pub struct Chromium {
    socket: WebSocket,
    session: Option<String>,
    calls: u64,
    process: Process,
    _profile: TempDir,
}

/// A cookie that the browser keeps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The host, or the domain with a point before it.
    pub domain: String,
    /// Whether scripts do not see it.
    pub http_only: bool,
    /// Whether it goes over TLS only.
    pub secure: bool,
    /// With which requests from elsewhere it goes.
    #[serde(default)]
    pub same_site: String,
}

impl Chromium {
    /// Starts a browser for which hosts below `.example` are at this address.
    pub async fn start(gateway: SocketAddr) -> Result<Self> {
        let profile = TempDir::with_prefix("chromium-")?;
        let mut process = Spec::new(tools::chromium()?)
            .named("chromium")
            // As root there is no sandbox, and small machines have little shared memory.
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--ignore-certificate-errors"])
            .arg(format!("--host-resolver-rules=MAP *.example {gateway}"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--remote-debugging-port=0", "about:blank"])
            .env("HOME", profile.path())
            .start()?;
        let line = process.wait_for_line(PATIENCE, |line| line.contains("DevTools listening on ")).await?;
        let url = line.split_once("DevTools listening on ").context("it says where")?.1.trim();
        let address: SocketAddr = url.trim_start_matches("ws://").split('/').next().unwrap_or_default().parse()?;
        let socket = websocket(Target::from(address), url, &[]).await?;
        let mut browser = Self { socket, session: None, calls: 0, process, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await?;
        let tab = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", tab).await?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        Ok(browser)
    }

    /// Calls a method of the protocol and gives its result.
    pub async fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(&message.to_string()).await?;
        loop {
            // What is no answer to this call is an event.
            let mut answer: Value = serde_json::from_str(&self.socket.receive().await?)?;
            if answer["id"] == self.calls {
                if !answer["error"].is_null() {
                    bail!("{method}: {}", answer["error"]);
                }
                return Ok(answer["result"].take());
            }
        }
    }

    /// Opens a page, as by the address line.
    pub async fn open(&mut self, url: &str) -> Result<()> {
        self.call("Page.navigate", json!({ "url": url })).await.map(drop)
    }

    /// The value of an expression in the page; nothing while one page goes and another comes.
    pub async fn evaluate(&mut self, expression: &str) -> Option<Value> {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let mut result = self.call("Runtime.evaluate", asked).await.ok()?;
        result["exceptionDetails"].is_null().then(|| result["result"]["value"].take())
    }

    /// What a promise of the page comes to.
    pub async fn resolve(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut result = self.call("Runtime.evaluate", asked).await?;
        Ok(result["result"]["value"].take())
    }

    /// Waits until the page with this address is there, and gives its text.
    pub async fn wait_at(&mut self, url: &str) -> Result<String> {
        let look = r"document.readyState == 'complete' ? [location.href, document.body.innerText] : null";
        let (what, mut last) = (format!("the page {url}"), Value::Null);
        let found = wait_for(&what, PATIENCE, async || {
            last = self.evaluate(look).await.unwrap_or_default();
            let here = last[0].as_str().is_some_and(|here| here.starts_with(url));
            here.then(|| last[1].as_str().unwrap_or_default().to_owned())
        });
        let found = found.await;
        found.with_context(|| format!("the browser is at {last}\n{}", self.process.tail()))
    }

    /// Types into the field that a selector names.
    pub async fn type_into(&mut self, selector: &str, text: &str) -> Result<()> {
        self.evaluate(&format!("document.querySelector({}).focus()", json!(selector)))
            .await
            .context("no such field")?;
        self.call("Input.insertText", json!({ "text": text })).await.map(drop)
    }

    /// Clicks what a selector names.
    pub async fn click(&mut self, selector: &str) -> Result<()> {
        let clicked = self.evaluate(&format!("document.querySelector({}).click()", json!(selector))).await;
        clicked.map(drop).context("no such button")
    }

    /// Shows pages on a screen of this size, to somebody who likes colours `light` or `dark`.
    pub async fn look_as(&mut self, width: u32, height: u32, colours: &str) -> Result<()> {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", screen).await?;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": colours }] });
        self.call("Emulation.setEmulatedMedia", features).await.map(drop)
    }

    /// A picture of what is seen, as PNG.
    pub async fn picture(&mut self) -> Result<Vec<u8>> {
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" })).await?;
        Ok(STANDARD.decode(picture["data"].as_str().context("a picture is a text")?)?)
    }

    /// All cookies that the browser keeps.
    pub async fn cookies(&mut self) -> Result<Vec<Cookie>> {
        let mut found = self.call("Network.getAllCookies", json!({})).await?;
        Ok(serde_json::from_value(found["cookies"].take())?)
    }
}
