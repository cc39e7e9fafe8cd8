//! Logins in a cluster: the service that has people log in comes with the first policy that wants them, and goes with the last
//! one. The provider is a pod, too.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use controller::install::SINGLE_SIGN_ON_IMAGE;
use serde_json::{Value, json};
use testbed::{
    PATIENCE,
    binary::binary,
    client::{Request, Response},
    cluster::Image,
    wait::wait_for,
};

use super::installed::{HOST, Site, TAG};

/// A policy of ten lines, and its Secret.
const EXAMPLE: &str = include_str!("../../../../examples/kubernetes/single-sign-on.yaml");
/// The example's issuer, and the one that stands in for it.
const ISSUERS: (&str, &str) = ("https://id.example.com", "http://idp.default.svc:9000");
const PROVIDER_IMAGE: &str = "docker.io/portcullis/portcullis-idp:test";
const PODS: &str = "--selector=app.kubernetes.io/component=single-sign-on";

/// A provider that asks for no password, in front of which there is a load balancer for browsers.
fn provider() -> String {
    let labels = json!({"app": "idp"});
    let port = json!({"port": 9000});
    let container = json!({"name": "idp", "image": PROVIDER_IMAGE, "readinessProbe": {"tcpSocket": {"port": 9000}},
        "args": ["--listen=0.0.0.0:9000", format!("--issuer={}", ISSUERS.1), "--client=edge:s3cret"]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "idp", "labels": labels},
        "spec": {"containers": [container]}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "idp"},
        "spec": {"type": "LoadBalancer", "selector": labels, "ports": [port]}});
    format!("{pod}\n---\n{service}\n")
}

impl Site {
    /// Gives the node what logs people in, a provider too, and tells the controller to run the former.
    async fn with_logins(&self) -> Result<IpAddr> {
        let build =
            || Ok::<_, anyhow::Error>((binary("oidc", "portcullis-oidc")?, binary("testbed", "portcullis-idp")?));
        let (program, provider_program) = tokio::task::spawn_blocking(build).await??;
        self.cluster.import(&Image::of(SINGLE_SIGN_ON_IMAGE, program).user("65532:65532")).await?;
        self.cluster.import(&Image::of(PROVIDER_IMAGE, provider_program).user("65532:65532")).await?;
        self.cluster.apply(&provider()).await?;
        self.cluster.wait(&["--for=condition=Ready", "pod/idp"]).await?;
        let settings = json!({"cookies": {"insecure": true}, "policyInternalHosts": ["idp.default.svc"]});
        self.configure("singleSignOn", &json!({"run": {"settings": settings}})).await?;
        let service = self.cluster.kubectl(&["get", "service", "idp", "--output=json"]).await?;
        let service: Value = serde_json::from_str(&service)?;
        let address = &service["status"]["loadBalancer"]["ingress"][0]["ip"];
        Ok(address.as_str().context("the provider has an address")?.parse()?)
    }

    /// Which objects there are of the service, with its pods.
    async fn of_logins(&self) -> Result<String> {
        self.kubectl(&["get", "deployments,services,serviceaccounts,secrets,pods", PODS, "--output=name"]).await
    }

    /// What the policy's status and the service say, for messages.
    async fn state_of_logins(&self) -> Result<String> {
        let status = ["get", "securitypolicy", "login", "--output=jsonpath={.status}"];
        let (status, pods) = (self.cluster.kubectl(&status).await?, self.kubectl(&["get", "pods", PODS]).await?);
        Ok(format!("{status}\n{pods}\n{}", self.logs(PODS).await.unwrap_or_else(|error| error.to_string())))
    }
}

/// A page of the Gateway, as a browser with these cookies asks for it.
async fn open(gateway: IpAddr, path: &str, cookies: &[String]) -> Result<Response> {
    let request = Request::get(&format!("http://{HOST}{path}")).to(SocketAddr::new(gateway, 80));
    let request = request.header("accept", "text/html");
    let request = if cookies.is_empty() { request } else { request.header("cookie", &cookies.join("; ")) };
    request.send().await
}

/// The cookies that an answer sets.
fn cookies(answer: &Response) -> Vec<String> {
    let kept = answer.all("set-cookie").into_iter().filter(|cookie| !cookie.contains("Max-Age=0;"));
    kept.filter_map(|cookie| cookie.split(';').next()).map(str::to_owned).collect()
}

/// Logs in from a page on, by the provider's form. Gives the cookies that are left.
async fn log_in(gateway: IpAddr, provider: IpAddr, path: &str) -> Result<Vec<String>> {
    let sent = async || {
        let answer = open(gateway, path, &[]).await.ok()?;
        answer.header("location")?.starts_with(ISSUERS.1).then_some(answer)
    };
    let sent = wait_for("somebody to be sent to the provider", PATIENCE, sent).await?;
    ensure!(sent.status == 302, "{}", sent.status);
    let form = sent.header("location").and_then(|to| to.split_once('?')).context("it has parameters")?.1;
    let request = Request::post(&format!("{}/authorize", ISSUERS.1), format!("{form}&user=ann"));
    let request = request.to(SocketAddr::new(provider, 9000));
    let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await?;
    let back = answer.header("location").with_context(|| format!("{}: {}", answer.status, answer.text()))?;
    let callback = back.strip_prefix(&format!("http://{HOST}")).context("it leads back")?;
    let done = open(gateway, callback, &cookies(&sent)).await?;
    let to = format!("http://{HOST}{path}");
    ensure!(done.header("location") == Some(&*to), "{}: {}", done.status, done.text());
    Ok(cookies(&done))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_of_ten_lines_has_people_log_in_and_the_service_comes_and_goes_with_it() -> Result<()> {
    let site = Site::start().await?;
    site.install(TAG).await?;
    let address = site.quickstart().await?;
    let provider = site.with_logins().await?;
    ensure!(site.of_logins().await?.is_empty(), "nobody needs it yet");

    site.cluster.apply(&EXAMPLE.replace(ISSUERS.0, ISSUERS.1)).await?;
    let session = match log_in(address, provider, "/orders?n=1").await {
        Ok(session) => session,
        Err(error) => return Err(error.context(site.state_of_logins().await?)),
    };
    let answer = open(address, "/orders?n=1", &session).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    ensure!(answer.text().contains("Bearer "), "the back end has the token: {}", answer.text());
    ensure!(open(address, "/", &[]).await?.status == 302);
    site.speaks_tls_only("single-sign-on-service").await?;

    // A place inside that the operator does not name: the policy says so, and what it said before stays in force.
    site.cluster.apply(&EXAMPLE.replace(ISSUERS.0, "http://kubernetes.default.svc")).await?;
    let refused = async || {
        let policy = site.cluster.kubectl(&["get", "securitypolicy", "login", "--output=json"]).await.ok()?;
        policy.contains("`kubernetes.default.svc` is inside").then_some(())
    };
    wait_for("the policy to say that it is refused", PATIENCE, refused).await?;
    ensure!(open(address, "/", &session).await?.status == 200);

    site.cluster.kubectl(&["delete", "securitypolicy", "login"]).await?;
    site.answers(address, HOST, 200).await?;
    let nothing = async || site.of_logins().await.is_ok_and(|left| left.is_empty()).then_some(());
    wait_for("the service to be gone", PATIENCE, nothing).await?;
    site.cluster.stop().await
}
