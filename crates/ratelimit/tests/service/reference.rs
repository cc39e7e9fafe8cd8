//! The same random rules and requests for this service and for the reference, on one Redis: every field of every answer is
//! equal where the language is the same. Where it is not, `docs/rate-limiting.md` says why.

mod generate;

use ::envoy::service::ratelimit::rate_limit_service_client::RateLimitServiceClient;
use ::envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use ::envoy::{Struct, ValueKind};
use tempfile::TempDir;
use testbed::process::{Process, Spec};
use testbed::redis::{self, Redis};
use testbed::wait::wait_for;
use testbed::{PATIENCE, tools};
use tonic::transport::Channel;

use crate::house::Service;
use generate::Random;

/// The reference, on a socket.
struct Reference {
    client: RateLimitServiceClient<Channel>,
    _process: Process,
    _dir: TempDir,
}

impl Reference {
    async fn start(redis: &Redis, rules: &str, env: &[(&str, &str)]) -> Self {
        let dir = TempDir::with_prefix("reference-").unwrap();
        let config = dir.path().join("rules/config");
        std::fs::create_dir_all(&config).unwrap();
        for (number, text) in rules.split("---\n").filter(|text| !text.is_empty()).enumerate() {
            std::fs::write(config.join(format!("{number:05}.yaml")), text).unwrap();
        }
        let socket = dir.path().join("grpc.sock");
        let process = Spec::new(tools::ratelimit().unwrap())
            .env("RUNTIME_ROOT", dir.path())
            .env("RUNTIME_SUBDIRECTORY", "rules")
            .env("RUNTIME_WATCH_ROOT", "false")
            .env("GRPC_UDS", &socket)
            .env("REDIS_URL", redis.address().to_string());
        let fixed = [
            ("USE_STATSD", "false"),
            ("LOG_LEVEL", "error"),
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("DEBUG_HOST", "127.0.0.1"),
            ("DEBUG_PORT", "0"),
            ("REDIS_SOCKET_TYPE", "tcp"),
            ("CACHE_KEY_PREFIX", "reference "),
            ("MERGE_DOMAIN_CONFIG", "true"),
            ("LIMIT_RESPONSE_HEADERS_ENABLED", "true"),
            ("RESPONSE_DYNAMIC_METADATA", "true"),
        ];
        let with = |spec: Spec, (name, value): &(&str, &str)| spec.env(name, value);
        let process = fixed.iter().chain(env).fold(process, with).start().unwrap();
        let address = format!("unix:{}", socket.display()).parse().unwrap();
        let client = RateLimitServiceClient::new(kit::grpc::channel(&address, None).unwrap());
        let probe = crate::house::request("no such domain", &[("a", "b")]);
        let up = async || client.clone().should_rate_limit(probe.clone()).await.ok();
        wait_for("the reference to answer", PATIENCE, up).await.unwrap();
        Self { client, _process: process, _dir: dir }
    }
}

/// What may differ although nothing is wrong: a second may pass between two questions, and the reference prints the limit of a
/// request in a form that its library changes on purpose.
fn normalized(mut response: RateLimitResponse, other: &RateLimitResponse) -> RateLimitResponse {
    for (status, other) in response.statuses.iter_mut().zip(&other.statuses) {
        if let (Some(own), Some(other)) = (&mut status.duration_until_reset, &other.duration_until_reset)
            && (own.seconds - other.seconds).abs() <= 1
        {
            *own = *other;
        }
    }
    for (header, other) in response.response_headers_to_add.iter_mut().zip(&other.response_headers_to_add) {
        let numbers = header.value.parse::<i64>().ok().zip(other.value.parse::<i64>().ok());
        if header.key == "RateLimit-Reset" && numbers.is_some_and(|(own, other)| (own - other).abs() <= 1) {
            header.value.clone_from(&other.value);
        }
    }
    if let Some(metadata) = &mut response.dynamic_metadata {
        without_limits(metadata);
    }
    response
}

fn without_limits(metadata: &mut Struct) {
    metadata.fields.remove("limit");
    for value in metadata.fields.values_mut() {
        let Some(ValueKind::ListValue(list)) = &mut value.kind else { continue };
        for item in &mut list.values {
            if let Some(ValueKind::StructValue(inner)) = &mut item.kind {
                without_limits(inner);
            }
        }
    }
}

/// Hours since the epoch: in another one, counters are others.
fn hour() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 3600
}

async fn compare(seed: u64, domains: usize, settings: &str, env: &[(&str, &str)]) {
    let mut random = Random::new(seed);
    let rules: Vec<generate::Domain> = (0..domains).map(|number| generate::domain(&mut random, number)).collect();
    let text: String = rules.iter().map(|domain| domain.text.as_str()).collect();
    let redis = redis::Spec::new().start().await.unwrap();
    let settings = format!(
        "store: {{redis: {{deadline: 5s, server: {{address: '{}'}}}}}}\nlocalCache: {{maxKeys: 0}}\ndynamicMetadata: true\n\
         headers: {{standard: names, retryAfter: false}}\n{settings}",
        redis.address()
    );
    let service = Service::start(&text, &settings).await.ready().await;
    let reference = Reference::start(&redis, &text, env).await;
    let (mut ours, mut theirs) = (service.client(), reference.client.clone());
    let (mut compared, mut reached, mut refused) = (0, 0, 0);
    for domain in &rules {
        let begun = hour();
        for _ in 0..6 {
            let request = generate::request(&mut random, domain);
            let (own, other) = both(&mut ours, &mut theirs, &request).await;
            if hour() != begun {
                break;
            }
            compared += 1;
            reached += usize::from(reaches(&other));
            refused += usize::from(crate::house::refused(&other));
            let (own, other) = (normalized(own, &other), normalized(other.clone(), &other));
            assert_eq!(own, other, "ours, then the reference (seed {seed})\n{request:#?}\n{}", domain.text);
        }
    }
    // Limits were reached, or the comparison would say little; the global modes refuse nothing.
    assert!(compared > domains * 3 && reached > compared / 20, "{compared} {reached}");
    assert!(if env.is_empty() { refused > compared / 20 } else { refused == 0 }, "{compared} {refused}");
}

/// Whether nothing is left of a limit.
fn reaches(response: &RateLimitResponse) -> bool {
    response.statuses.iter().any(|status| status.current_limit.is_some() && status.limit_remaining == 0)
}

async fn both(
    ours: &mut RateLimitServiceClient<Channel>,
    theirs: &mut RateLimitServiceClient<Channel>,
    request: &RateLimitRequest,
) -> (RateLimitResponse, RateLimitResponse) {
    let own = ours.should_rate_limit(request.clone()).await.unwrap().into_inner();
    let other = theirs.should_rate_limit(request.clone()).await.unwrap().into_inner();
    (own, other)
}

#[tokio::test]
async fn every_field_is_that_of_the_reference() {
    compare(1, 1000, "", &[]).await;
}

#[tokio::test]
async fn the_global_modes_are_those_of_the_reference() {
    compare(2, 200, "shadowMode: true\n", &[("SHADOW_MODE", "true")]).await;
    compare(3, 200, "quotaMode: true\n", &[("QUOTA_MODE", "true")]).await;
}

const SHARED: &str = "
domain: edge
descriptors:
- key: user
  rate_limit: {unit: year, requests_per_unit: 3}
- key: tenant
  value: acme
  descriptors:
  - key: path
    rate_limit: {unit: day, requests_per_unit: 3}
- key: file
  value: img*
  share_threshold: true
  rate_limit: {unit: month, requests_per_unit: 3}
";

#[tokio::test]
async fn with_its_keys_both_count_together() {
    let redis = redis::Spec::new().start().await.unwrap();
    let settings = format!(
        "store: {{redis: {{deadline: 5s, server: {{address: '{}'}}}}}}\nlocalCache: {{maxKeys: 0}}\n\
         keys: {{legacy: true, prefix: 'reference '}}\n",
        redis.address()
    );
    let service = Service::start(SHARED, &settings).await.ready().await;
    let reference = Reference::start(&redis, SHARED, &[]).await;
    let (mut ours, mut theirs) = (service.client(), reference.client.clone());
    for [first, second] in [
        [vec![("user", "ann_b|c")], vec![("user", "ann_b|c")]],
        [vec![("tenant", "acme"), ("path", "/a_b")], vec![("tenant", "acme"), ("path", "/a_b")]],
        [vec![("file", "img1")], vec![("file", "img2")]],
    ] {
        redis.command(&["FLUSHALL"]).await.unwrap();
        let [first, second] = [first, second].map(|entries| crate::house::request("edge", &entries));
        let mut left = Vec::new();
        for _ in 0..2 {
            let (own, _) = both(&mut ours, &mut theirs, &first).await;
            let own_again = ours.should_rate_limit(second.clone()).await.unwrap().into_inner();
            left.extend([own, own_again].map(|answer| answer.statuses[0].limit_remaining));
        }
        // The other one's hits lie between each two: 3 were allowed, 6 came.
        let keys = redis.command(&["KEYS", "*"]).await.unwrap();
        assert_eq!((keys.lines().count(), left), (1, vec![2, 0, 0, 0]), "{keys}");
        assert_eq!(redis.command(&["GET", keys.trim_end()]).await.unwrap(), "6", "{keys}");
        let theirs = theirs.should_rate_limit(first).await.unwrap().into_inner();
        assert!(crate::house::refused(&theirs), "{keys}");
    }
}
