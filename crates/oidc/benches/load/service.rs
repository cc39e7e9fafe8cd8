//! The service as a process, a provider beside it, and people who are logged in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use envoy::service::auth::attribute_context::{HttpRequest, Request};
use envoy::service::auth::authorization_client::AuthorizationClient;
use envoy::service::auth::check_response::HttpResponse;
use envoy::service::auth::{AttributeContext, CheckRequest};
use kit::net::Address;
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::client::Request as HttpCall;
use testbed::idp::{Client, Provider};
use testbed::process::{Process, Spec};
use testbed::redis::Redis;
use testbed::wait::wait_for;
use tonic::transport::Channel;

/// Where what decides lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// Nothing is decided: what a call costs at the least.
    Nothing,
    Memory,
    Redis,
    Cookie,
    Bearer,
}

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "a call that does nothing",
            Self::Memory => "sessions in memory",
            Self::Redis => "sessions in Redis",
            Self::Cookie => "sessions in cookies",
            Self::Bearer => "bearer tokens",
        }
    }
}

/// The argument with which this program is the service that does nothing, on the socket that follows.
pub(crate) const NOTHING: &str = "--nothing";

/// A running service, on a Unix socket.
pub(crate) struct Service {
    pub(crate) socket: PathBuf,
    store: Store,
    process: Process,
    /// At which people log in; nobody does where nothing is decided.
    provider: Option<Provider>,
    _redis: Option<Redis>,
    _dir: TempDir,
}

/// What the provider says of a person: what usual ones do.
pub(crate) fn claims(number: u32) -> Value {
    json!({
        "sub": format!("person-{number}"), "name": "Ann Example", "given_name": "Ann", "family_name": "Example",
        "email": format!("person-{number}@example.com"), "email_verified": true, "preferred_username": "ann",
        "groups": ["people", "developers", "operators", "a-group-with-a-long-name"], "locale": "en", "amr": ["pwd", "otp"],
    })
}

impl Service {
    pub(crate) async fn start(store: Store) -> Result<Self> {
        let dir = TempDir::with_prefix("load-")?;
        if store == Store::Nothing {
            let socket = dir.path().join("grpc.sock");
            let process = Spec::new(std::env::current_exe()?).arg(NOTHING).arg(&socket).start()?;
            listening(&socket, &process).await?;
            return Ok(Self { socket, store, process, provider: None, _redis: None, _dir: dir });
        }
        let client = Client { id: "edge".into(), secret: Some("s3cret".into()), ..Client::default() };
        let provider = Provider::start(vec![client]).await?;
        provider.turn(|knobs| knobs.lifetime = Duration::from_secs(3600));
        let redis = match store {
            Store::Redis => Some(testbed::redis::Spec::new().start().await?),
            _ => None,
        };
        let kept = match &redis {
            Some(redis) => format!("redis: {{deadline: 1s, server: {{address: '{}'}}}}", redis.address()),
            None if store == Store::Cookie => "cookie: {}".to_owned(),
            None => "memory: {}".to_owned(),
        };
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("key"), "0123456789abcdef0123456789abcdef0123456789abcdef")?;
        let config = format!(
            "grpc: {{address: 'unix:{}'}}\nhttp: {{address: '127.0.0.1:0'}}\nadmin: {{address: '127.0.0.1:0'}}\nkeys: [{:?}]\n\
             sessions: {{store: {{{kept}}}}}\ndefaultProfile: web\n\
             providers: {{main: {{issuer: '{}', clientId: edge, clientSecret: s3cret, insecure: true}}}}\n\
             profiles:\n  web:\n    providers: [main]\n    bearer: {{audiences: [api]}}\n    \
             rules: [{{allow: \"bearer || 'operators' in groups\"}}]\n    \
             upstream: {{headers: {{x-user: sub, x-email: email, x-groups: groups}}}}\n",
            path("grpc.sock").display(),
            path("key"),
            provider.issuer()
        );
        std::fs::write(path("config.yaml"), config)?;
        let process = Spec::new(env!("CARGO_BIN_EXE_portcullis-oidc"))
            .args(["--log-level", "warn", "--config-path"])
            .arg(path("config.yaml"))
            .start()?;
        let socket = path("grpc.sock");
        listening(&socket, &process).await?;
        Ok(Self { socket, store, process, provider: Some(provider), _redis: redis, _dir: dir })
    }

    /// Logs people in and gives the headers that they come with.
    pub(crate) async fn log_in(&self, people: usize) -> Result<Vec<(String, String)>> {
        let Some(provider) = &self.provider else { return Ok(vec![("cookie".to_owned(), "a=1".to_owned()); people]) };
        let address = Address::Unix(self.socket.clone());
        let channel = kit::grpc::channel(&address, None).map_err(|error| anyhow::anyhow!(error))?;
        let mut client = AuthorizationClient::new(channel);
        let mut all = Vec::new();
        for number in 0..u32::try_from(people)? {
            let claims = claims(number);
            if self.store == Store::Bearer {
                let mut token = claims.clone();
                token["iss"] = provider.issuer().into();
                token["aud"] = "api".into();
                token["exp"] = 99_999_999_999_u64.into();
                all.push(("authorization".to_owned(), format!("Bearer {}", provider.sign(Some("at+jwt"), &token)?)));
            } else {
                provider.log_in_as(&claims);
                all.push(("cookie".to_owned(), self.one(&mut client).await?));
            }
        }
        // Whoever comes first after a start has the keys read.
        let ready = async || {
            let (name, value) = all.first()?;
            let answer = client.clone().check(check("/", name, value)).await.ok()?.into_inner();
            matches!(answer.http_response, Some(HttpResponse::OkResponse(_))).then_some(())
        };
        wait_for("a person to pass", PATIENCE, ready).await?;
        Ok(all)
    }

    async fn one(&self, client: &mut AuthorizationClient<Channel>) -> Result<String> {
        let sent = async || {
            let (to, cookies) = denied(&mut client.clone(), check("/", "accept", "text/html")).await.ok()?;
            (!to.is_empty()).then_some((to, cookies))
        };
        let (to, begun) = wait_for("the provider to be known", PATIENCE, sent).await?;
        let back = HttpCall::get(&to).send().await?;
        let back = back.header("location").context("the provider leads back")?.to_owned();
        let target = back.split_once("app.example").context("to us")?.1.to_owned();
        let (_, cookies) = denied(client, check(&target, "cookie", &begun)).await?;
        Ok(cookies)
    }

    pub(crate) fn processor_time(&self) -> Result<Duration> {
        self.process.processor_time()
    }
}

async fn listening(socket: &Path, process: &Process) -> Result<()> {
    let connect = async || tokio::net::UnixStream::connect(socket).await.ok();
    wait_for("the service to listen", PATIENCE, connect).await.with_context(|| process.tail()).map(drop)
}

/// Where an answer leads and the cookies that it sets.
async fn denied(client: &mut AuthorizationClient<Channel>, request: CheckRequest) -> Result<(String, String)> {
    let answer = client.check(request).await?.into_inner();
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else { bail!("it passed") };
    let headers: Vec<_> = denied.headers.into_iter().filter_map(|option| option.header).collect();
    let of = |name: &str| {
        headers.iter().filter(|header| header.key == name).map(|header| header.value.clone()).collect::<Vec<_>>()
    };
    let cookies = of("set-cookie").into_iter().filter(|cookie| !cookie.contains("Max-Age=0;"));
    let cookies: Vec<String> = cookies.filter_map(|cookie| cookie.split(';').next().map(str::to_owned)).collect();
    Ok((of("location").pop().unwrap_or_default(), cookies.join("; ")))
}

/// A check as Envoy sends it.
pub(crate) fn check(target: &str, name: &str, value: &str) -> CheckRequest {
    let headers = [
        (name, value),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
        ),
        ("accept-language", "en-US,en;q=0.9"),
        ("accept-encoding", "gzip, br"),
        ("x-request-id", "6b9a4dc2-7a4e-4f0b-9a60-0d5f1c4b7f11"),
        ("x-forwarded-proto", "https"),
    ];
    let http = HttpRequest {
        method: "GET".into(),
        host: "app.example".into(),
        path: target.to_owned(),
        scheme: "https".into(),
        protocol: "HTTP/2".into(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request { http: Some(http), ..Request::default() }),
            ..AttributeContext::default()
        }),
    }
}
