//! Logins from a policy to a request of somebody known: the real single sign-on service, told by the controller, asked by Envoy,
//! and an identity provider.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::client::{Browser, Response};
use testbed::idp::{Client, Event, Provider};
use testbed::process::{Process, Spec};
use testbed::wait::wait_for;

use crate::harness::{Case, free_port, local};
use crate::objects::{gateway, listener, service_with, slice};
use crate::scene::{Scene, http_route};

/// The provider's secret for us.
const SECRET: &str = "s3cret";

/// A house with three routes, each with a host of its own.
struct House {
    scene: Scene,
    provider: Arc<Provider>,
    service: Option<Process>,
    port: u16,
}

impl House {
    /// Everything but the service, and no policy yet.
    async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// The same with more of `singleSignOn` in YAML's flow style.
    async fn start_with(more: &str) -> Result<Self> {
        let client = Client { id: "edge".into(), secret: Some(SECRET.into()), ..Client::default() };
        let provider = Arc::new(Provider::start(vec![client]).await?);
        provider.log_in_as(&json!({ "sub": "ann", "email": "ann@example.com", "email_verified": true }));
        let port = free_port();
        let config = format!("singleSignOn: {{service: {{host: 127.0.0.1, port: {port}}}{more}}}\n");
        let gateway = gateway(&[listener("http", "HTTP", free_port(), "")]);
        let route = |name: &str| {
            let fields =
                format!("hostnames: [{name}.shop.example]\n  rules: [{{backendRefs: [{{name: a, port: 80}}]}}]");
            http_route(name, &fields)
        };
        let routes = ["one", "two", "three"].map(route).concat();
        let scene = Scene::configured(&config, &gateway, &["a"], &routes).await?;
        let house = Self { scene, provider, service: None, port };
        house.secret(SECRET)?;
        Ok(house)
    }

    /// The service, which gets its profiles from the controller.
    fn serve(&mut self) -> Result<()> {
        self.settings("[127.0.0.1]")?;
        self.start_service()
    }

    /// The service, with the settings that it has.
    fn start_service(&mut self) -> Result<()> {
        let file = self.case().path().join("oidc.yaml");
        let program = testbed::binary::binary("oidc", "portcullis-oidc")?;
        self.service = Some(Spec::new(program).arg("--config-path").arg(file).start()?);
        Ok(())
    }

    /// Writes the service's settings: who may be inside.
    fn settings(&self, inside: &str) -> Result<()> {
        let socket = self.case().path().join("run/oidc.sock");
        self.write_settings(&format!(
            "xds: {{address: 'unix:{}'}}\ncookies: {{insecure: true}}\npolicyInternalHosts: {inside}\n",
            socket.display()
        ))
    }

    /// Writes the service's settings beside its ports.
    fn write_settings(&self, settings: &str) -> Result<()> {
        let ports = format!(
            "grpc: {{address: '{}'}}\nhttp: {{address: '127.0.0.1:0'}}\nadmin: {{address: '127.0.0.1:0'}}\n",
            local(self.port)
        );
        Ok(std::fs::write(self.case().path().join("oidc.yaml"), ports + settings)?)
    }

    /// Has Envoy ask the service about a route, by `extAuth`: with this item of `contextExtensions` in YAML's flow style.
    fn asks(&self, route: &str, context: &str) -> Result<()> {
        let text = format!(
            "apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {{name: {route}, namespace: default}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: {route}}}]
  extAuth: {{contextExtensions: [{context}], grpc: {{backendRefs: [{{name: sso, port: 80}}]}}}}
"
        );
        self.case().write(route, &text)
    }

    fn case(&self) -> &Case {
        &self.scene.case
    }

    fn secret(&self, value: &str) -> Result<()> {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: client, namespace: default}\n";
        self.case().write("secret", &format!("{secret}stringData: {{client-secret: '{value}'}}\n"))
    }

    /// Ten lines, and more of `oidc` in YAML's flow style.
    fn policy(&self, route: &str, more: &str) -> Result<()> {
        self.annotated(route, "portcullis.dev/oidc: service", more)
    }

    /// The same with these annotations.
    fn annotated(&self, route: &str, annotations: &str, more: &str) -> Result<()> {
        let issuer = self.provider.issuer();
        let text = format!(
            "apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {{name: {route}, namespace: default, annotations: {{{annotations}}}}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: {route}}}]
  oidc: {{provider: {{issuer: '{issuer}'}}, clientID: edge, clientSecret: {{name: client}}, forwardIDToken: {{header: x-id}}{more}}}
"
        );
        self.case().write(route, &text)
    }

    fn browser(&self) -> Browser {
        Browser::new(local(self.scene.port))
    }

    /// Opens a page with a new browser until somebody is known there. A page alone is not enough: a route whose policy
    /// Envoy does not have yet shows it to everybody.
    async fn logged_in(&self, url: &str) -> Result<Browser> {
        let open = async || {
            let mut browser = self.browser();
            let logins = self.provider.count(Event::Authorize);
            let answer = browser.open(url).await;
            (answer.status == 200 && self.provider.count(Event::Authorize) > logins).then_some(browser)
        };
        wait_for(&format!("a login at {url}"), PATIENCE, open).await.with_context(|| self.words())
    }

    /// Waits until a page that a browser opens has something.
    async fn until(&self, browser: &Browser, url: &str, what: &str, fits: impl Fn(&Response) -> bool) -> Result<()> {
        let look = async || fits(&browser.clone().open(url).await).then_some(());
        wait_for(&format!("{what} at {url}"), PATIENCE, look).await.with_context(|| self.words())
    }

    /// The end of both logs.
    fn words(&self) -> String {
        let tail = |process: &Option<Process>| process.as_ref().map(Process::tail).unwrap_or_default();
        format!("service:\n{}\ncontroller:\n{}", tail(&self.service), tail(&self.case().server))
    }
}

/// Who the back end was told, by the ID token in a header.
fn told(answer: &Response, header: &str) -> Option<Value> {
    let seen = answer.echoed().ok()?;
    let token = seen.header(header)?.split('.').nth(1)?.to_owned();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

const ONE: &str = "http://one.shop.example/basket?n=1";
const TWO: &str = "http://two.shop.example/orders";
const THREE: &str = "http://three.shop.example/open";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_has_people_log_in_until_it_is_gone() -> Result<()> {
    let mut house = House::start().await?;
    house.policy("one", "")?;
    house.case().condition("SecurityPolicy", "one", "Accepted", "True").await?;
    // Nobody can log in yet, nobody passes.
    house.scene.until("one.shop.example/basket", "503").await?;
    house.scene.expect(&[("two.shop.example/", "a")]).await?;
    house.serve()?;

    let browser = house.logged_in(ONE).await?;
    let answer = browser.clone().open(ONE).await;
    ensure!(told(&answer, "x-id").is_some_and(|claims| claims["sub"] == "ann"), "{}", answer.text());
    ensure!(answer.echoed()?.path == "/basket?n=1", "{}", answer.text());
    // Programs are told, and nobody passes for somebody.
    house.scene.expect(&[("one.shop.example/", "401")]).await?;
    house.scene.expect_of(house.scene.get("one.shop.example/").header("x-id", "a.b.c"), "401").await?;

    // A change is live while all go on, and whoever is logged in stays so.
    house.policy("one", ", forwardAccessToken: true, cookieNames: {idToken: id}, logoutPath: /bye")?;
    let seen = |answer: &Response| {
        let Ok(seen) = answer.echoed() else { return false };
        let has = |name: &str, what: &str| seen.header(name).is_some_and(|value| value.contains(what));
        has("authorization", "Bearer ") && has("cookie", "id=ey")
    };
    house.until(&browser, ONE, "both tokens", seen).await?;
    ensure!(browser.clone().open(ONE).await.status == 200);

    // The controller goes: what it said stays in force.
    house.scene.case.server = None;
    house.logged_in(ONE).await?;
    house.scene.case.restart()?;

    let mut leaving = browser.clone();
    leaving.get("http://one.shop.example/bye").await;
    ensure!(leaving.get(ONE).await.status == 302, "the session has not ended");

    // Without the annotation nobody serves it, and nobody passes.
    house.annotated("one", "", "")?;
    house.case().condition("SecurityPolicy", "one", "Accepted", "False").await?;
    house.scene.until("one.shop.example/", "500").await?;
    house.case().remove("one")?;
    house.scene.until("one.shop.example/", "a").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_that_know_nothing_of_the_service_are_served_where_it_serves_all() -> Result<()> {
    let mut house = House::start_with(", policies: All").await?;
    let more = ", refreshToken: false, cookieNames: {idToken: IdToken}, redirectURL: 'http://one.shop.example/back'";
    house.annotated("one", "", more)?;
    house.case().condition("SecurityPolicy", "one", "Accepted", "True").await?;
    house.serve()?;
    let mut browser = house.logged_in(ONE).await?;
    let answer = browser.get(ONE).await;
    ensure!(told(&answer, "x-id").is_some_and(|claims| claims["sub"] == "ann"), "{}", answer.text());
    ensure!(answer.echoed()?.header("cookie").is_some_and(|cookie| cookie.contains("IdToken=ey")), "{}", answer.text());
    // What nobody serves is nobody's.
    house.annotated("two", "portcullis.dev/oidc: envoy", "")?;
    house.case().condition("SecurityPolicy", "two", "Accepted", "False").await?;
    house.scene.until("two.shop.example/", "500").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_login_is_good_for_all_policies_of_a_provider_and_domain() -> Result<()> {
    let mut house = House::start().await?;
    house.policy("one", ", cookieDomain: shop.example")?;
    house.policy("two", ", cookieDomain: shop.example, redirectURL: 'http://%REQ(:authority)%/back'")?;
    house.serve()?;
    let browser = house.logged_in(ONE).await?;
    let logins = house.provider.count(Event::Authorize);
    house.until(&browser, TWO, "the same login", |answer| told(answer, "x-id").is_some()).await?;
    ensure!(house.provider.count(Event::Authorize) == logins, "somebody had to log in again");
    // The other way round, by a callback of one's own.
    let other = house.logged_in(TWO).await?;
    let logins = house.provider.count(Event::Authorize);
    ensure!(told(&other.clone().open(ONE).await, "x-id").is_some());
    ensure!(house.provider.count(Event::Authorize) == logins, "somebody had to log in again");

    // All may come back by one host.
    let back = "http://one.shop.example/oauth2/callback";
    house.policy("two", &format!(", cookieDomain: shop.example, redirectURL: '{back}'"))?;
    let by_one = async || {
        let mut browser = house.browser();
        let answer = browser.open(TWO).await;
        (told(&answer, "x-id").is_some() && browser.visited.iter().any(|url| url.starts_with(back))).then_some(())
    };
    wait_for("a login that comes back by another host", PATIENCE, by_one).await.with_context(|| house.words())?;

    // What is asked for differently is another login, beside the first one.
    house.policy("two", ", cookieDomain: shop.example, scopes: [email]")?;
    let logins = house.provider.count(Event::Authorize);
    house.until(&browser, TWO, "another login", |_| house.provider.count(Event::Authorize) > logins).await?;
    let mut both = browser.clone();
    ensure!(both.open(TWO).await.status == 200 && both.get(ONE).await.status == 200, "{}", house.words());
    ensure!(both.get(TWO).await.status == 200, "one login took the place of the other");
    Ok(())
}

/// The controller takes this expression for one; the service finds it too large.
const TOO_LARGE: &str = ", denyRedirect: {headers: [{name: x-a, type: RegularExpression, value: '((a{99}){99}){99}'}]}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_refuses_is_said_by_the_policy_and_harms_no_other() -> Result<()> {
    let mut house = House::start().await?;
    house.policy("one", "")?;
    house.policy("two", "")?;
    house.serve()?;
    let browser = house.logged_in(TWO).await?;
    house.policy("two", TOO_LARGE)?;
    house.case().condition("SecurityPolicy", "two", "Accepted", "False").await?;
    let status = house.case().status("SecurityPolicy", "two").await?.to_string();
    ensure!(status.contains("the single sign-on service refused it: noRedirect[0]"), "{status}");
    // What it said before stays in force, and others go on and may change.
    ensure!(browser.clone().get(TWO).await.status == 200);
    house.policy("one", ", logoutPath: /bye")?;
    let left = |answer: &Response| answer.echoed().is_err();
    house.until(&house.logged_in(ONE).await?, "http://one.shop.example/bye", "the new path", left).await?;
    house.policy("two", "")?;
    house.case().condition("SecurityPolicy", "two", "Accepted", "True").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_names_nothing_inside_that_the_operator_does_not_allow() -> Result<()> {
    let mut house = House::start().await?;
    house.policy("one", "")?;
    house.serve()?;
    let browser = house.logged_in(ONE).await?;
    // What listens inside: whoever comes there was sent by the service.
    let inside = tokio::net::TcpListener::bind("127.0.0.2:0").await?;
    let endpoint = format!("http://{}/token", inside.local_addr()?);
    house.policy("two", "")?;
    let two = std::fs::read_to_string(house.case().file("two"))?;
    let issuer = format!("issuer: '{}'", house.provider.issuer());
    house.case().write("two", &two.replace(&issuer, &format!("{issuer}, tokenEndpoint: '{endpoint}'")))?;
    house.case().condition("SecurityPolicy", "two", "Accepted", "False").await?;
    let status = house.case().status("SecurityPolicy", "two").await?.to_string();
    ensure!(
        status.contains("endpoints.token: `127.0.0.2` is inside") && status.contains("policyInternalHosts"),
        "{status}"
    );
    ensure!(browser.clone().get(ONE).await.status == 200, "{}", house.words());
    // The operator takes back what was allowed: no more logins there, for nobody is asked any more.
    house.settings("[192.0.2.0/24]")?;
    house.until(&browser, ONE, "a login that does not count", |answer| answer.status == 403).await?;
    ensure!(house.words().contains("default/one: provider.issuer: `127.0.0.1` is inside"), "{}", house.words());
    house.settings("[127.0.0.0/8]")?;
    house.until(&browser, ONE, "the login, which counts again", |answer| answer.status == 200).await?;
    let nobody = tokio::time::timeout(std::time::Duration::ZERO, inside.accept()).await;
    ensure!(nobody.is_err(), "the service went where it must not");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_rotated_under_those_who_are_logged_in() -> Result<()> {
    let mut house = House::start().await?;
    house.policy("one", "")?;
    house.serve()?;
    let browser = house.logged_in(ONE).await?;
    house.secret("another")?;
    house.until(&house.browser(), ONE, "a refused client", |answer| answer.status == 502).await?;
    ensure!(browser.clone().get(ONE).await.status == 200, "a session ended with the secret");
    house.secret(SECRET)?;
    house.logged_in(ONE).await?;
    let log = house.words();
    ensure!(!log.contains(SECRET) && !log.contains("another"), "{log}");
    let shown = house.case().ask("/config_dump").await.map(|shown| shown.to_string()).unwrap_or_default();
    ensure!(!shown.contains(SECRET), "{shown}");
    Ok(())
}

/// A house whose service has profiles of its own, for all who have logged in and for operators; routes name them by
/// `contextExtensions`.
async fn with_profiles() -> Result<House> {
    let mut house = House::start().await?;
    house.write_settings(&format!(
        "providers:\n  main: {{issuer: '{}', clientId: edge, clientSecret: {SECRET}, insecure: true}}\n\
         cookies: {{insecure: true, domain: shop.example}}\n\
         profiles:\n  all: {{providers: [main], upstream: {{headers: {{x-user: sub, x-groups: groups}}}}}}\n  \
         operators:\n    providers: [main]\n    upstream: {{headers: {{x-user: sub}}}}\n    \
         rules: [{{name: operators, allow: \"'ops' in groups\"}}]\n",
        house.provider.issuer()
    ))?;
    house.start_service()?;
    let service = service_with("default", "sso", "{name: p, port: 80, appProtocol: kubernetes.io/h2c}", "");
    house.case().write("sso", &(service + &slice("default", "sso", 0, local(house.port), "ready: true")))?;
    // One of the two names stands in a ConfigMap.
    let named = "{name: profile, type: ValueRef, valueRef: {group: '', kind: ConfigMap, name: sso, key: profile}}";
    house.case().write("named", &profile_in_map("operators"))?;
    house.asks("one", "{name: profile, type: Value, value: all}")?;
    house.asks("two", named)?;
    for route in ["one", "two"] {
        house.case().condition("SecurityPolicy", route, "Accepted", "True").await?;
        // Envoy has it, and the service its settings.
        house.scene.until(&format!("{route}.shop.example/"), "401").await?;
    }
    Ok(house)
}

fn profile_in_map(profile: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: sso, namespace: default}}\ndata: {{profile: {profile}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_route_has_the_profile_that_its_policy_names() -> Result<()> {
    let house = with_profiles().await?;
    house.provider.log_in_as(&json!({ "sub": "ann", "groups": ["people"] }));
    let ann = house.logged_in(ONE).await?;
    let seen = ann.clone().get(ONE).await.echoed()?;
    ensure!((seen.header("x-user"), seen.header("x-groups")) == (Some("ann"), Some("people")), "{seen:?}");
    // The same login, and another profile.
    let logins = house.provider.count(Event::Authorize);
    let refused = ann.clone().open(TWO).await;
    ensure!(refused.status == 403 && refused.text().contains("not allowed"), "{} {}", refused.status, refused.text());
    ensure!(house.provider.count(Event::Authorize) == logins, "somebody had to log in again");
    house.provider.log_in_as(&json!({ "sub": "bob", "groups": ["people", "ops"] }));
    let bob = house.logged_in(TWO).await?;
    for url in [ONE, TWO] {
        let seen = bob.clone().get(url).await.echoed()?;
        ensure!(seen.header("x-user") == Some("bob"), "{url}: {seen:?}");
    }
    house.scene.expect(&[("one.shop.example/", "401"), ("two.shop.example/", "401")]).await?;

    // A route without a policy is not touched: what comes is what was sent, our cookie and headers of our names included.
    let seen = ann.clone().get_with(THREE, &[("x-user", "whoever")]).await.echoed()?;
    let cookies = seen.header("cookie").unwrap_or_default();
    ensure!(cookies.contains("portcullis=") && seen.header("x-user") == Some("whoever"), "{seen:?}");
    house.scene.expect(&[("three.shop.example/", "a")]).await?;
    let seen = ann.clone().get_with(ONE, &[("x-user", "whoever")]).await.echoed()?;
    ensure!(seen.header("cookie").is_none() && seen.all("x-user") == ["ann"], "{seen:?}");

    // No client says which profile its request has.
    for name in ["profile", "x-profile", "x-envoy-auth-profile"] {
        let answer = ann.clone().get_with(TWO, &[(name, "all")]).await;
        ensure!(answer.status == 403, "{name}: {}", answer.status);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_profile_of_a_route_changes_with_its_policy() -> Result<()> {
    let house = with_profiles().await?;
    house.provider.log_in_as(&json!({ "sub": "ann", "groups": ["people"] }));
    let ann = house.logged_in(ONE).await?;
    house.until(&ann, TWO, "the operators' page", |answer| answer.status == 403).await?;
    // By the policy, and by what its reference leads to.
    house.asks("one", "{name: profile, type: Value, value: operators}")?;
    house.until(&ann, ONE, "the operators' rule", |answer| answer.status == 403).await?;
    house.case().write("named", &profile_in_map("all"))?;
    house.until(&ann, TWO, "no rule", |answer| answer.status == 200).await?;
    // One that is not there lets nobody pass, nor does none: there is no default.
    house.asks("one", "{name: profile, type: Value, value: nobody}")?;
    let none = |answer: &Response| answer.status == 403 && answer.text().contains("no_profile");
    house.until(&ann, ONE, "a profile that is not there", none).await?;
    house.asks("one", "{name: other, type: Value, value: all}")?;
    house.until(&ann, ONE, "no profile", none).await?;
    house.asks("one", "{name: profile, type: Value, value: all}")?;
    house.until(&ann, ONE, "the profile", |answer| answer.status == 200).await?;
    house.case().remove("one")?;
    let untouched = |answer: &Response| answer.echoed().is_ok_and(|seen| seen.header("x-user").is_none());
    house.until(&ann, ONE, "the route without a policy", untouched).await
}
