//! Small services that Envoy asks: external authorization, external processing, rate limits.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use envoy::core::{HeaderValue, HeaderValueOption};
use envoy::service::auth::authorization_server::{Authorization, AuthorizationServer};
use envoy::service::auth::check_response::HttpResponse;
use envoy::service::auth::{CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse};
use envoy::service::ext_proc::external_processor_server::{ExternalProcessor, ExternalProcessorServer};
use envoy::service::ext_proc::processing_request::Request as Phase;
use envoy::service::ext_proc::processing_response::Response as Word;
use envoy::service::ext_proc::{
    CommonResponse, HeaderMutation, HeadersResponse, HttpHeaders, ImmediateResponse, ProcessingRequest,
    ProcessingResponse,
};
use envoy::service::ratelimit::rate_limit_response::Code;
use envoy::service::ratelimit::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use envoy::types::HttpStatus;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::{Request, Response, Status, Streaming};

/// A running service, in a runtime of its own, so that its connections end with it. Dropping it ends it.
pub(crate) struct Double {
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Double {
    fn start(router: Router) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        runtime.spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
        Ok(Self { address, runtime: Some(runtime) })
    }

    /// Lets those pass who say `x-allow: yes`, and tells the backend who they are.
    pub(crate) fn authorization() -> Result<Self> {
        Self::start(Server::builder().add_service(AuthorizationServer::new(Auth)))
    }

    /// Adds headers on both ways, with the Gateway that it is told; refuses those who say `x-deny`.
    pub(crate) fn processor() -> Result<Self> {
        Self::start(Server::builder().add_service(ExternalProcessorServer::new(Processor)))
    }

    /// Counts, and keeps what it was asked.
    pub(crate) fn limiter(limiter: &Limiter) -> Result<Self> {
        Self::start(Server::builder().add_service(RateLimitServiceServer::new(limiter.clone())))
    }

    /// Ends it and breaks its connections, soon.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn set(name: &str, value: &str) -> HeaderValueOption {
    let header = HeaderValue { key: name.to_owned(), value: value.to_owned(), ..Default::default() };
    HeaderValueOption { header: Some(header), ..Default::default() }
}

/// External processing takes values as bytes only.
fn set_raw(name: &str, value: &str) -> HeaderValueOption {
    let header = HeaderValue { key: name.to_owned(), raw_value: value.into(), ..Default::default() };
    HeaderValueOption { header: Some(header), ..Default::default() }
}

struct Auth;

#[tonic::async_trait]
impl Authorization for Auth {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let asked = attributes.request.and_then(|request| request.http).unwrap_or_default();
        let allowed = asked.headers.get("x-allow").is_some_and(|value| value == "yes");
        let role = attributes.context_extensions.get("role").cloned().unwrap_or_default();
        let (code, answer) = if allowed {
            let headers = vec![set("x-user", "alice"), set("x-role", &role), set("x-seen-body", &asked.body)];
            (0, HttpResponse::OkResponse(OkHttpResponse { headers, ..Default::default() }))
        } else {
            let denied = DeniedHttpResponse {
                status: Some(HttpStatus { code: 401 }),
                headers: vec![set("www-authenticate", "Double")],
                body: "not you".to_owned(),
            };
            (16, HttpResponse::DeniedResponse(denied))
        };
        let status = envoy::rpc::Status { code, ..Default::default() };
        Ok(Response::new(CheckResponse { status: Some(status), http_response: Some(answer), ..Default::default() }))
    }
}

struct Processor;

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = BoxStream<'static, Result<ProcessingResponse, Status>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let gateway = request.metadata().get("portcullis-gateway").and_then(|name| name.to_str().ok());
        let gateway = gateway.unwrap_or("unknown").to_owned();
        let answers = request.into_inner().map(move |message| {
            let word = match message?.request {
                Some(Phase::RequestHeaders(headers)) if has(&headers, "x-deny") => denied(),
                Some(Phase::RequestHeaders(_)) => Word::RequestHeaders(changed("x-processed", &gateway)),
                Some(Phase::ResponseHeaders(_)) => Word::ResponseHeaders(changed("y-processed", &gateway)),
                other => return Err(Status::unimplemented(format!("{other:?}"))),
            };
            Ok(ProcessingResponse { response: Some(word), ..Default::default() })
        });
        Ok(Response::new(answers.boxed()))
    }
}

fn has(headers: &HttpHeaders, name: &str) -> bool {
    headers.headers.iter().flat_map(|map| &map.headers).any(|header| header.key == name)
}

fn changed(name: &str, gateway: &str) -> HeadersResponse {
    let mutation = HeaderMutation { set_headers: vec![set_raw(name, gateway)], ..Default::default() };
    HeadersResponse { response: Some(CommonResponse { header_mutation: Some(mutation), ..Default::default() }) }
}

fn denied() -> Word {
    let body = b"processed away".to_vec();
    Word::ImmediateResponse(ImmediateResponse { status: Some(HttpStatus { code: 403 }), body, ..Default::default() })
}

/// Descriptors as text, `key=value` joined by `;`.
#[derive(Default)]
struct Asked {
    /// In the order in which they were asked.
    all: Vec<String>,
    counts: BTreeMap<String, u32>,
}

/// A rate limit service that counts for ever.
#[derive(Clone, Default)]
pub(crate) struct Limiter {
    /// How many requests of each descriptor pass.
    pub(crate) limit: u32,
    asked: Arc<Mutex<Asked>>,
}

impl Limiter {
    /// One that lets so many requests of each descriptor pass.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }

    /// All descriptors so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic while held").all.clone()
    }
}

#[tonic::async_trait]
impl RateLimitService for Limiter {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let request = request.into_inner();
        let mut asked = self.asked.lock().expect("no panic while held");
        let mut over = false;
        for descriptor in &request.descriptors {
            let entries: Vec<_> =
                descriptor.entries.iter().map(|entry| format!("{}={}", entry.key, entry.value)).collect();
            let text = format!("{}: {}", request.domain, entries.join(";"));
            let count = asked.counts.entry(text.clone()).or_default();
            *count += 1;
            over |= *count > self.limit;
            asked.all.push(text);
        }
        let code = if over { Code::OverLimit } else { Code::Ok };
        Ok(Response::new(RateLimitResponse { overall_code: code.into(), ..Default::default() }))
    }
}
