//! What most tests of HTTP need: a [`Case`] with a Gateway `gw`, one HTTP listener, and backends by name.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use http::Method;
use testbed::client::{GrpcRequest, Request, Response};
use testbed::echo::{Echo, Echoed};
use tokio::net::TcpStream;

use crate::harness::{Case, free_port, local};
use crate::objects::{class, gateway, listener, service};

/// A Service `both` whose end points are `a` and `b`.
pub(crate) const BOTH: &str = "---
apiVersion: v1
kind: Service
metadata: {name: both, namespace: default}
spec: {ports: [{name: p, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: both-1, namespace: default, labels: {kubernetes.io/service-name: both}}
addressType: IPv4
ports: [{name: p, port: ${a}}]
endpoints: [{addresses: [127.0.0.1]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: both-2, namespace: default, labels: {kubernetes.io/service-name: both}}
addressType: IPv4
ports: [{name: p, port: ${b}}]
endpoints: [{addresses: [127.0.0.1]}]
";

/// A running case and its backends.
pub(crate) struct Scene {
    pub(crate) case: Case,
    pub(crate) port: u16,
    backends: BTreeMap<String, Echo>,
}

impl Scene {
    /// A listener for all hosts and namespaces, a Service (with its EndpointSlice) of each of these names with a backend
    /// behind it, and manifests, in which `${PORT}` is the listener's port and `${name}` that of a backend.
    /// Waits until Envoy has all of it.
    pub(crate) async fn start(backends: &[&str], manifests: &str) -> Result<Self> {
        let gateway = gateway(&[listener("http", "HTTP", free_port(), "")]);
        Self::with(&gateway, backends, manifests).await
    }

    /// The same with a Gateway (or several documents) of one's own; the first `port:` in it is the one that is asked.
    pub(crate) async fn with(gateway: &str, backends: &[&str], manifests: &str) -> Result<Self> {
        Self::configured("", gateway, backends, manifests).await
    }

    /// The same with further fields of the server's configuration.
    pub(crate) async fn configured(config: &str, gateway: &str, backends: &[&str], manifests: &str) -> Result<Self> {
        let port = gateway.split_once(" port: ").context("no port")?.1;
        let port = port.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse()?;
        let mut echoes = BTreeMap::new();
        let mut text = manifests.replace("${PORT}", &format!("{port}"));
        for name in backends {
            let echo = Echo::http().name(name).spawn().await?;
            text = text.replace(&format!("${{{name}}}"), &format!("{}", echo.port()));
            text += &service("default", name, &[echo.address()]);
            echoes.insert((*name).to_owned(), echo);
        }
        let case = Case::configured(config, &[class(), gateway.to_owned(), text])?;
        let scene = Self { case, port, backends: echoes };
        scene.served().await?;
        Ok(scene)
    }

    async fn served(&self) -> Result<()> {
        self.case.programmed("gw").await?;
        self.case.until("a listener", async || Ok(TcpStream::connect(local(self.port)).await.is_ok())).await
    }

    /// A backend.
    pub(crate) fn backend(&self, name: &str) -> &Echo {
        &self.backends[name]
    }

    /// Breaks a backend's connections and closes its socket.
    pub(crate) async fn stop_backend(&mut self, name: &str) -> Result<()> {
        self.backends.remove(name).context("no such backend")?.stop().await;
        Ok(())
    }

    /// Waits until the routes of a listener have so many routes, and Envoy has them.
    pub(crate) async fn attached(&self, listener: &str, routes: u64) -> Result<()> {
        self.case.attached("gw", listener, routes).await?;
        self.case.programmed("gw").await
    }

    /// `GET host/path` through the Gateway; a host alone is the same as with `/`.
    pub(crate) fn get(&self, url: &str) -> Request {
        self.request(Method::GET, url)
    }

    /// A request of any method through the Gateway.
    pub(crate) fn request(&self, method: Method, url: &str) -> Request {
        Request::new(method, &format!("http://{url}")).to(local(self.port))
    }

    /// A gRPC call through the Gateway.
    pub(crate) fn call(&self, url: &str) -> GrpcRequest {
        GrpcRequest::new(&format!("http://{url}")).to(local(self.port))
    }

    /// The answer to `GET`.
    pub(crate) async fn ask(&self, url: &str) -> Result<Response> {
        self.get(url).send().await
    }

    /// What the backend saw of a request.
    pub(crate) async fn seen(&self, request: Request) -> Result<Echoed> {
        request.send().await?.echoed()
    }

    /// Sends `GET` requests, each with the [`outcome`] that it should have.
    pub(crate) async fn expect(&self, cases: &[(&str, &str)]) -> Result<()> {
        for (url, wanted) in cases {
            self.expect_of(self.get(url), wanted).await?;
        }
        Ok(())
    }

    /// Sends a request with the [`outcome`] that it should have.
    pub(crate) async fn expect_of(&self, request: Request, wanted: &str) -> Result<()> {
        let found = outcome(&request.send().await?);
        ensure!(found == wanted, "wanted {wanted}, got {found} for {request:?}\n{}", self.case.state().await);
        Ok(())
    }

    /// Waits until a `GET` request has this [`outcome`].
    pub(crate) async fn until(&self, url: &str, wanted: &str) -> Result<()> {
        self.until_of(self.get(url), wanted).await
    }

    /// Waits until a request has this [`outcome`].
    pub(crate) async fn until_of(&self, request: Request, wanted: &str) -> Result<()> {
        let found = async || Ok(outcome(&request.send().await?) == wanted);
        self.case.until(&format!("{wanted} for {request:?}"), found).await
    }

    /// Sends a request many times and counts the outcomes.
    pub(crate) async fn count(&self, url: &str, times: usize) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for _ in 0..times {
            *counts.entry(outcome(&self.ask(url).await?)).or_default() += 1;
        }
        Ok(counts)
    }
}

/// The name of the backend that answered 200, or else the status.
pub(crate) fn outcome(answer: &Response) -> String {
    match answer.echoed() {
        Ok(seen) if answer.status == 200 => seen.pod,
        _ => answer.status.as_str().to_owned(),
    }
}

/// An HTTPRoute of the Gateway `gw`: the rest of its `spec`, indented by two after its first line.
pub(crate) fn http_route(name: &str, fields: &str) -> String {
    crate::objects::route("HTTPRoute", "default", name, "{name: gw}", fields)
}
