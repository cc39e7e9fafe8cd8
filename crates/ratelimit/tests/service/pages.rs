//! The other ways in: HTTP with JSON, the pages of the admin port, gRPC health and reflection, a control plane, commands.

use std::process::Command;

use http::StatusCode;
use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::process::Spec;
use testbed::service::listening;
use testbed::wait::wait_until;

use crate::house::{ONE_A_YEAR, Service, refused, request};

#[tokio::test]
async fn clients_without_grpc_ask_in_json() {
    let mut service = Service::start(ONE_A_YEAR, "").await;
    let http = listening(&mut service.process, "http").await.unwrap();
    let url = format!("http://{http}/json");
    let body = json!({ "domain": "edge", "descriptors": [{ "entries": [{ "key": "user", "value": "ann" }] }] });
    let first = Request::post(&url, body.to_string()).send().await.unwrap();
    let answer: Value = first.json().unwrap();
    assert_eq!((first.status, &answer["overallCode"]), (StatusCode::OK, &json!("OK")));
    assert_eq!(answer["statuses"][0]["currentLimit"], json!({ "requestsPerUnit": 1, "unit": "YEAR" }));
    let second = Request::post(&url, body.to_string()).send().await.unwrap();
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    for (wrong, wanted) in [("{", "EOF"), (r#"{"domian": "x"}"#, "domian"), (r#"{"domain": "x"}"#, "no descriptors")] {
        let answer = Request::post(&url, wrong).send().await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text().contains(wanted), "{}", answer.text());
    }
    let health = Request::get(&format!("http://{http}/healthcheck")).send().await.unwrap();
    assert_eq!((health.status, health.text().as_str()), (StatusCode::OK, "OK"));
}

#[tokio::test]
async fn operators_see_rules_and_numbers() {
    let service = Service::start(ONE_A_YEAR, "").await;
    service.ask(request("edge", &[("user", "ann")])).await;
    assert_eq!(
        service.page("/rlconfig").await,
        "edge.user: unit=YEAR requests_per_unit=1, shadow_mode: false, quota_mode: false\n"
    );
    let stats = service.page("/stats").await;
    assert!(stats.contains("ratelimit_hits_total{domain=\"edge\",rule=\"user\"}: 1\n"), "{stats}");
    assert_eq!(service.page("/top").await, "[]");
    for _ in 0..2 {
        service.ask(request("edge", &[("user", "ann")])).await;
    }
    // Between one refusal and the next the minute may have turned, which halves.
    let top: Value = serde_json::from_str(&service.page("/top").await).unwrap();
    assert_eq!((&top[0]["key"], &top[0]["error"]), (&json!("edge|user=ann|f31536000"), &json!(0)));
    assert!([1, 2].contains(&top[0]["hits"].as_u64().unwrap()), "{top}");
}

#[tokio::test]
async fn the_service_describes_itself() {
    use tonic::codegen::tokio_stream::once;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let service = Service::start(ONE_A_YEAR, "").await.ready().await;
    let channel = kit::grpc::channel(&service.grpc.parse().unwrap(), None).unwrap();
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(once(ask)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"envoy.service.ratelimit.v3.RateLimitService"), "{names:?}");
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let request =
        tonic_health::pb::HealthCheckRequest { service: "envoy.service.ratelimit.v3.RateLimitService".to_owned() };
    assert_eq!(health.check(request).await.unwrap().into_inner().status, 1);
}

#[tokio::test]
async fn the_reference_s_variables_are_enough_to_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("ratelimit/config")).unwrap();
    std::fs::write(dir.path().join("ratelimit/config/edge.yaml"), ONE_A_YEAR).unwrap();
    let mut process = Spec::new(env!("CARGO_BIN_EXE_portcullis-ratelimit"))
        .args(["--log-format", "json", "--log-level", "info"])
        .env("RUNTIME_ROOT", dir.path())
        .env("RUNTIME_SUBDIRECTORY", "ratelimit")
        .env("GRPC_UDS", dir.path().join("grpc.sock"))
        .env("HOST", "127.0.0.1")
        .env("PORT", "0")
        .env("DEBUG_HOST", "127.0.0.1")
        .env("DEBUG_PORT", "0")
        .start()
        .unwrap();
    let address = listening(&mut process, "grpc").await.unwrap();
    let channel = kit::grpc::channel(&address.parse().unwrap(), None).unwrap();
    let mut client = ::envoy::service::ratelimit::rate_limit_service_client::RateLimitServiceClient::new(channel);
    for wanted in [false, true] {
        let answer = client.should_rate_limit(request("edge", &[("user", "ann")])).await.unwrap().into_inner();
        assert_eq!(refused(&answer), wanted);
    }
    process.terminate(PATIENCE).await.unwrap();
}

#[test]
fn rules_can_be_checked_and_explained() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good.yaml"), dir.path().join("bad.yaml"));
    std::fs::write(&good, ONE_A_YEAR).unwrap();
    std::fs::write(&bad, ONE_A_YEAR.replace("year", "decade")).unwrap();
    let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_portcullis-ratelimit")).args(args).output().unwrap();
    let ok = run(&["check", good.to_str().unwrap()]);
    assert!(ok.status.success() && ok.stdout == b"ok: 1 rules in 1 domains\n", "{ok:?}");
    let wrong = run(&["check", bad.to_str().unwrap()]);
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text.contains("bad.yaml:5:16: descriptors[0].rate_limit.unit: `decade` is no unit"), "{text}");
    let explained = run(&["explain", "--domain", "edge", "--descriptor", "user=ann", good.to_str().unwrap()]);
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(text.contains("rule edge.user: 1 per year, fixed windows"), "{text}");
}

#[test]
fn a_record_can_be_played_against_other_rules() {
    let dir = tempfile::tempdir().unwrap();
    let (rules, record) = (dir.path().join("rules.yaml"), dir.path().join("record.jsonl"));
    std::fs::write(&rules, ONE_A_YEAR.replace("year", "second")).unwrap();
    let line = |time: u64| {
        let descriptors = json!([{ "entries": [{ "key": "user", "value": "ann" }] }]);
        json!({ "time": time, "request": { "domain": "edge", "descriptors": descriptors } }).to_string() + "\n"
    };
    std::fs::write(&record, [1_700_000_000_000, 1_700_000_000_900, 1_700_000_001_000].map(line).concat()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis-ratelimit"))
        .args(["replay", "--record"])
        .args([&record, &rules])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "edge user: 1 of 3 refused\n");
}

#[tokio::test]
async fn rules_of_a_control_plane_are_taken_or_refused_with_the_reason() {
    let plane = crate::plane::Plane::start().await;
    plane.send("1", &[("edge", 2)]);
    let service = Service::start_bare(&format!("rules: {{xds: {{address: '{}', nodeId: me}}}}\n", plane.address)).await;
    let service = service.ready().await;
    let acked =
        async || plane.answers().iter().any(|answer| answer.version_info == "1" && !answer.response_nonce.is_empty());
    wait_until("the first version to be acknowledged", PATIENCE, acked).await.unwrap();
    assert_eq!(plane.answers()[0].node.as_ref().unwrap().id, "me");
    plane.send("2", &[("edge", 2), ("edge", 3)]);
    let refused_second = async || plane.answers().iter().any(|answer| answer.error_detail.is_some());
    wait_until("the second version to be refused", PATIENCE, refused_second).await.unwrap();
    let answer = plane.answers().pop().unwrap();
    assert_eq!(answer.version_info, "1");
    let reason = answer.error_detail.unwrap().message;
    assert!(reason.contains("config1: descriptors[0]: the key `user` is there already"), "{reason}");
    for wanted in [false, false, true] {
        assert_eq!(refused(&service.ask(request("edge", &[("user", "ann")])).await), wanted);
    }
    plane.send("3", &[("edge", 5)]);
    let taken = async || service.page("/rlconfig").await.contains("requests_per_unit=5");
    wait_until("the third version to be in force", PATIENCE, taken).await.unwrap();
}

#[tokio::test]
async fn statsd_is_told_by_the_names_of_the_reference() {
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let service = Service::start(ONE_A_YEAR, &format!("statsd: {{address: '{address}', interval: 10ms}}\n")).await;
    for _ in 0..3 {
        service.ask(request("edge", &[("user", "ann")])).await;
    }
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    let mut datagram = [0; 1500];
    let mut told = async || {
        let length = server.recv(&mut datagram).await.unwrap();
        for line in str::from_utf8(&datagram[..length]).unwrap().lines() {
            let (name, grown) = line.strip_suffix("|c").unwrap().split_once(':').unwrap();
            *counts.entry(name.to_owned()).or_default() += grown.parse::<u64>().unwrap();
        }
        let of = |name: &str| counts.get(name).copied().unwrap_or_default();
        let rule = ["total_hits", "within_limit", "over_limit"]
            .map(|last| of(&format!("ratelimit.service.rate_limit.edge.user.{last}")));
        rule == [3, 1, 2] && of("ratelimit_server.ShouldRateLimit.total_requests") == 3
    };
    tokio::time::timeout(PATIENCE, async { while !told().await {} }).await.unwrap();
}

#[tokio::test]
async fn who_changes_the_configuration_is_told_to_restart() {
    let mut service = Service::start(ONE_A_YEAR, "keys: {secret: one}\n").await;
    let text = std::fs::read_to_string(service.settings()).unwrap();
    let rewrite = |text: &str| std::fs::write(service.settings(), text).unwrap();
    // Levels are taken over, which is no reason for a warning.
    rewrite(&format!("{text}telemetry: {{log: {{level: 'info,redis=off'}}}}\n"));
    let reloaded = async || service.metric(r#"config_reloads_total{config="config"}"#).await > 0.0;
    wait_until("the level to be taken over", PATIENCE, reloaded).await.unwrap();
    assert!(!service.process.log().contains("restart"), "{}", service.process.log());
    rewrite(&text.replace("secret: one", "secret: other"));
    service.process.wait_for_line(PATIENCE, |line| line.contains("takes a restart")).await.unwrap();
}
