//! What is refused, what is not, and what is told of it.

use http::StatusCode;
use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::client::Request;

use crate::envoy::{Edge, INJECTION};
use crate::house::Service;

#[tokio::test]
async fn an_injection_is_refused_and_the_page_says_which_rule() {
    let service = Service::start(&[], "").await;
    let mut edge = Edge::start(&service).await;
    assert_eq!(edge.get("/cats?color=grey").await.status, StatusCode::OK);
    let refused = edge.get(&format!("/cats?id={INJECTION}")).await;
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (StatusCode::FORBIDDEN, Some("text/plain; charset=utf-8"))
    );
    let text = refused.text();
    assert!(text.contains("Rule: 942100") && !text.contains("OR"), "{text}");
    let id = text.lines().find_map(|line| line.strip_prefix("Request: ")).unwrap().to_owned();
    assert_eq!(edge.backend.count(), 1);
    let asks = Request::get(&edge.url(&format!("/cats?id={INJECTION}"))).header("accept", "application/json");
    let json: Value = asks.send().await.unwrap().json().unwrap();
    assert!(json["rules"].as_array().unwrap().contains(&json!(942_100)), "{json}");
    let entry = service.entry("the refused request", |entry| entry["id"] == id.as_str()).await;
    assert_eq!(
        (&entry["verdict"], &entry["status"], &entry["profile"]),
        (&json!("block"), &json!(403), &json!("baseline"))
    );
    assert_eq!((&entry["client"], &entry["route"]), (&json!("127.0.0.1"), &json!("httproute/shop/cats/rule/0")));
    let found = entry["rules"].as_array().unwrap().iter().find(|found| found["rule"] == 942_100).unwrap();
    assert_eq!(found["places"][0], json!({ "name": "ARGS:id", "value": "1' OR '1'='1'-- -" }));
    let logged = |line: &str| line.contains("METADATA") && line.contains(&id);
    let line = edge.envoy.process().wait_for_line(PATIENCE, logged).await.unwrap();
    assert!(line.contains("\"verdict\":\"block\"") && line.contains("942100") && line.contains("waf_rule"), "{line}");
    service.reaches(r#"waf_transactions_total{profile="baseline",verdict="block"}"#, 2.0).await;
    service.reaches(r#"waf_rule_matches_total{rule="942100"}"#, 2.0).await;
    service.reaches(r#"waf_transactions_total{profile="baseline",verdict="pass"}"#, 1.0).await;
    service.reaches(r#"waf_phase_seconds_count{phase="request_headers"}"#, 3.0).await;
    service.reaches(r#"waf_anomaly_score_count{profile="baseline"}"#, 3.0).await;
}

#[tokio::test]
async fn rules_choose_status_redirect_and_drop() {
    let rules = "
name: own
coreRules: {version: none}
directives: |
  SecRule ARGS:a \"@streq status\" \"id:1,phase:1,deny,status:451\"
  SecRule ARGS:a \"@streq redirect\" \"id:2,phase:1,redirect:https://elsewhere.example/,status:307\"
  SecRule ARGS:a \"@streq drop\" \"id:3,phase:1,drop\"
  SecRule ARGS:a \"@streq success\" \"id:4,phase:1,deny,status:200\"
";
    let service = Service::start(&[("own.yaml", rules)], "defaultProfile: own\n").await;
    let edge = Edge::start(&service).await;
    assert_eq!(edge.get("/?a=status").await.status.as_u16(), 451);
    let redirect = edge.get("/?a=redirect").await;
    assert_eq!((redirect.status.as_u16(), redirect.header("location")), (307, Some("https://elsewhere.example/")));
    let drop = edge.get("/?a=drop").await;
    // Envoy gives a processor no way to end a connection.
    assert_eq!(drop.status, StatusCode::FORBIDDEN);
    assert_eq!(edge.get("/?a=success").await.status, StatusCode::FORBIDDEN);
    assert_eq!(edge.get("/?a=other").await.status, StatusCode::OK);
}

#[tokio::test]
async fn leaks_in_responses_are_withheld() {
    let service = Service::start(&[], "defaultProfile: strict\n").await;
    let edge = Edge::start(&service).await;
    assert_eq!(edge.get("/fine").await.status, StatusCode::OK);
    // The backend echoes as JSON what it was sent; a header's value is looked at by no rule of requests.
    let leak = "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version";
    let profile = "
name: leaks
response: {inspect: true, body: {inspect: true}}
directives: |
  SecRuleRemoveById 910000-949109
";
    service.rewrite("leaks.yaml", profile);
    service.reaches("waf_profiles", 4.0).await;
    let edge = Edge::with(
        &service,
        &json!({
            "grpc_service": {
                "envoy_grpc": { "cluster_name": "waf" },
                "initial_metadata": [{ "key": "portcullis-waf-profile", "value": "leaks" }],
            },
        }),
        &json!({}),
    )
    .await;
    let send = async |value: &str| Request::get(&edge.url("/")).header("x-note", value).send().await.unwrap();
    assert_eq!(send("fine").await.status, StatusCode::OK);
    let refused = send(leak).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text().contains("Rule: 951"), "{}", refused.text());
    // The upstream had the request: it is the answer that is withheld.
    assert_eq!(edge.backend.count(), 2);
}

#[tokio::test]
async fn the_path_that_is_judged_is_the_path_that_goes_on() {
    let rules = "
name: own
coreRules: {version: none}
directives: |
  SecRule REQUEST_FILENAME \"@beginsWith /admin\" \"id:1,phase:1,deny\"
";
    let service = Service::start(&[("own.yaml", rules)], "defaultProfile: own\n").await;
    let edge = Edge::start(&service).await;
    for path in ["/admin", "//admin", "/a/../admin", "/./admin", "/%61dmin", "/admin;x=1", "/x/%2e%2e/admin"] {
        let answer = edge.get(path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {}", answer.text());
    }
    for path in ["/a", "/b//c/../admin%2fx"] {
        let answer = edge.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(!answer.echoed().unwrap().path.starts_with("/admin"), "{}", answer.text());
    }
}

#[tokio::test]
async fn secrets_stay_out_of_the_log() {
    let service = Service::start(&[], "").await;
    let edge = Edge::start(&service).await;
    let url = edge.url(&format!("/?id={INJECTION}&password={INJECTION}canary1"));
    let request = Request::get(&url).header("cookie", "session=canary2").header("authorization", "Bearer canary3");
    assert_eq!(request.send().await.unwrap().status, StatusCode::FORBIDDEN);
    let entry = service.entry("the refused request", |entry| entry["verdict"] == "block").await.to_string();
    assert!(entry.contains("ARGS:password") && entry.contains("***"), "{entry}");
    assert!(!entry.contains("canary"), "{entry}");
}

#[tokio::test]
async fn what_envoy_answers_itself_is_let_be_and_a_stream_without_a_head_is_an_error() {
    use ::envoy::service::ext_proc::external_processor_client::ExternalProcessorClient;
    use ::envoy::service::ext_proc::processing_request::Request as Message;
    use ::envoy::service::ext_proc::{HttpBody, ProcessingRequest};
    let service = Service::start(&[], "").await;
    let filter = json!({ "processing_mode": { "request_header_mode": "SEND", "response_header_mode": "SEND" } });
    let edge = Edge::with(&service, &filter, &json!({})).await;
    // Envoy takes no fragments, and shows its own answer to the firewall, which has not seen the request.
    let line = testbed::client::tcp_line(edge.address, "GET /#fragment HTTP/1.1\r\nhost: a\r\n\r").await.unwrap();
    assert!(line.contains("400"), "{line}");
    let channel = kit::grpc::channel(&service.grpc.parse().unwrap(), None).unwrap();
    let message = ProcessingRequest { request: Some(Message::RequestBody(HttpBody::default())), ..Default::default() };
    let stream = futures::stream::iter([message]);
    let mut answers = ExternalProcessorClient::new(channel).process(stream).await.unwrap().into_inner();
    let status = answers.message().await.unwrap_err();
    assert!(status.message().contains("begin with request headers"), "{status}");
    service.reaches(r#"waf_malformed_streams_total{reason="no_headers"}"#, 1.0).await;
}
