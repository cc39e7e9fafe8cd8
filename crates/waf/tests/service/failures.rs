//! What cannot be judged: panics, deadlines, overload.

use futures::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::wait::{wait_for, wait_until};

use crate::envoy::Edge;
use crate::house::Service;

#[tokio::test]
async fn a_panic_in_the_engine_ends_one_request_alone() {
    let profile = |name: &str, more: &str| {
        format!(
            "name: {name}\ncoreRules: {{version: none}}\n{more}directives: |\n  SecRule ARGS:a \"@panic\" \"id:1,phase:1,deny\"\n"
        )
    };
    let (closed, open) = (profile("closed", ""), profile("open", "onFailure: open\n"));
    let settings = "defaultProfile: closed\nselect: [{profile: open, namespaces: [open]}]\n";
    let service = Service::start(&[("closed.yaml", &closed), ("open.yaml", &open)], settings).await;
    let edge = Edge::start(&service).await;
    let lenient = Edge::with(&service, &json!({}), &json!({ "name": "httproute/open/cats/rule/0" })).await;
    for _ in 0..20 {
        // By hand, and by reading through a null pointer.
        for how in ["/?a=panic", "/?a=null"] {
            let (broken, fine, passed) = tokio::join!(edge.get(how), edge.get("/?a=fine"), lenient.get(how));
            assert_eq!(broken.status, StatusCode::INTERNAL_SERVER_ERROR, "{how}");
            assert!(broken.text().contains("could not judge"), "{}", broken.text());
            assert_eq!((fine.status, passed.status), (StatusCode::OK, StatusCode::OK), "{how}");
        }
    }
    service.reaches(r#"waf_failures_total{answer="closed",profile="closed",reason="engine"}"#, 40.0).await;
    service.reaches(r#"waf_failures_total{answer="open",profile="open",reason="engine"}"#, 40.0).await;
    service.reaches(r#"waf_transactions_total{profile="closed",verdict="failure"}"#, 40.0).await;
    service.reaches(r#"waf_transactions_total{profile="closed",verdict="pass"}"#, 40.0).await;
}

#[tokio::test]
async fn what_is_not_judged_in_time_has_its_profile_s_answer() {
    for (on_failure, status) in [("closed", StatusCode::INTERNAL_SERVER_ERROR), ("open", StatusCode::OK)] {
        let profile = format!(
            "name: p\nonFailure: {on_failure}\ncoreRules: {{version: none}}\n\
             directives: |\n  SecRule ARGS:a \"@panic\" \"id:1,phase:1,deny\"\n"
        );
        let settings = "defaultProfile: p\nengine: {deadline: 100ms}\n";
        let service = Service::start(&[("p.yaml", &profile)], settings).await;
        let edge = Edge::start(&service).await;
        let id = "4a6f8c1e-0000-4000-8000-00000000a1b2";
        let asks = Request::get(&edge.url("/?a=slow")).header("x-request-id", id).header("accept", "application/json");
        let answer = asks.send().await.unwrap();
        assert_eq!(answer.status, status, "{on_failure}");
        if on_failure == "closed" {
            let page: Value = answer.json().unwrap();
            assert!(page["request"].as_str().is_some_and(|id| id.len() > 8), "{page}");
        }
        let series = format!(r#"waf_failures_total{{answer="{on_failure}",profile="p",reason="deadline"}}"#);
        service.reaches(&series, 1.0).await;
        // The rules run to their end all the same, and what they find decides nothing any more.
        service.reaches(r#"waf_transactions_total{profile="p",verdict="failure"}"#, 1.0).await;
    }
}

#[tokio::test]
async fn a_shadow_that_takes_its_time_keeps_nobody_waiting() {
    let profile = |name: &str, rest: &str| format!("name: {name}\ncoreRules: {{version: none}}\n{rest}");
    // The engine looks at the clock after some of the rules.
    let others: String = (10..60).map(|id| format!("  SecAction \"id:{id},phase:1,pass,nolog\"\n")).collect();
    let slow = format!("directives: |\n  SecRule ARGS:a \"@panic\" \"id:1,phase:1,deny\"\n{others}");
    let (now, slow) = (profile("now", "shadow: slow\n"), profile("slow", &slow));
    let settings = "defaultProfile: now\nengine: {deadline: 700ms}\n";
    let profiles = [("now.yaml", &*now), ("slow.yaml", &slow)];
    let service = Service::start_with_audit(&profiles, settings, "when: always").await;
    let edge = Edge::start(&service).await;
    for how in ["/?a=slow", "/?a=panic"] {
        assert_eq!(edge.get(how).await.status, StatusCode::OK, "{how}");
    }
    service.reaches(r#"waf_transactions_total{profile="now",verdict="pass"}"#, 2.0).await;
    service.reaches(r#"waf_shadow_total{profile="slow",verdict="unknown"}"#, 2.0).await;
    // What looked on took all its time, which is not the request's.
    let entry = service.entry("the slow one", |entry| entry["target"] == "/?a=slow").await;
    assert!(entry["took_ms"].as_f64().is_some_and(|took| took < 700.0), "{entry}");
    assert_eq!(edge.get("/?a=fine").await.status, StatusCode::OK);
    service.reaches(r#"waf_shadow_total{profile="slow",verdict="pass"}"#, 1.0).await;
}

#[tokio::test]
async fn beyond_what_may_wait_clients_are_told_to_come_again() {
    let service = Service::start(&[], "engine: {deadline: 20s, threads: 1, maxWaiting: 0}\n").await;
    let edge = Edge::start(&service).await;
    let turned_away = async || {
        let answers = join_all((0..16).map(|_| edge.get("/"))).await;
        answers.into_iter().find(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE)
    };
    let answer = wait_for("an overload", PATIENCE, turned_away).await.unwrap();
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.text().contains("busy, try again"), "{}", answer.text());
    service.reaches("waf_overload_total", 1.0).await;
    // The last rules of those before may still be running.
    let room = async || edge.get("/").await.status == StatusCode::OK;
    wait_until("room again", PATIENCE, room).await.unwrap();
}
