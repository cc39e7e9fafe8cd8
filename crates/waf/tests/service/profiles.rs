//! Profiles: which one, what they may do, and how they change while running.

use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::client::{Request, tcp_line};
use testbed::load::Load;
use testbed::wait::wait_until;

use crate::envoy::{Edge, INJECTION};
use crate::house::Service;

#[tokio::test]
async fn detecting_refuses_nothing_and_tells_everything() {
    let service = Service::start(&[], "defaultProfile: detect\n").await;
    let edge = Edge::start(&service).await;
    assert_eq!(edge.get(&format!("/?id={INJECTION}")).await.status, StatusCode::OK);
    assert_eq!(edge.form(format!("id={INJECTION}")).await, StatusCode::OK);
    let entry = service.entry("the detected request", |entry| entry["verdict"] == "detect").await;
    assert!(entry["score"].as_i64().unwrap() >= 5, "{entry}");
    service.reaches(r#"waf_transactions_total{profile="detect",verdict="detect"}"#, 2.0).await;
}

#[tokio::test]
async fn a_gate_is_before_the_rules_unless_it_is_put_off() {
    for (settings, gated) in [("", true), ("engine: {gate: false}\n", false)] {
        let mut service = Service::start(&[], settings).await;
        let of_baseline = |line: &str| line.contains("the gate judges") && line.contains(r#""profile":"baseline""#);
        let line = service.process.wait_for_line(PATIENCE, of_baseline).await.unwrap();
        assert_eq!(!line.contains(r#""judged":0"#), gated, "{line}");
        let edge = Edge::start(&service).await;
        assert_eq!(edge.get(&format!("/?id={INJECTION}")).await.status, StatusCode::FORBIDDEN);
        assert_eq!(edge.get("/?id=7").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_candidate_looks_on_beside_the_profile_in_force() {
    let profile = "name: now\ncoreRules: {version: none}\nshadow: baseline\n";
    let service = Service::start(&[("now.yaml", profile)], "defaultProfile: now\n").await;
    let edge = Edge::start(&service).await;
    assert_eq!(edge.get(&format!("/?id={INJECTION}")).await.status, StatusCode::OK);
    assert_eq!(edge.form("a=b").await, StatusCode::OK);
    service.reaches(r#"waf_shadow_total{profile="baseline",verdict="block"}"#, 1.0).await;
    service.reaches(r#"waf_shadow_total{profile="baseline",verdict="pass"}"#, 1.0).await;
    service.reaches(r#"waf_transactions_total{profile="now",verdict="pass"}"#, 2.0).await;
}

#[tokio::test]
async fn a_candidate_is_told_by_its_own_limits_and_what_it_was_not_shown_is_unknown() {
    let rule = |parameter: &str, phase: u8| {
        format!("directives: |\n  SecRule ARGS:{parameter} \"@streq x\" \"id:10001,phase:{phase},deny\"\n")
    };
    let profile = |name: &str, rest: &str| format!("name: {name}\ncoreRules: {{version: none}}\n{rest}");
    let (of_now, of_next) = (rule("now", 1), rule("next", 2));
    let types = "contentTypes: [application/x-www-form-urlencoded";
    let files = [
        profile("now", &format!("shadow: next\nrequestBody: {{{types}]}}\nresponse: {{inspect: true}}\n{of_now}")),
        profile("next", &format!("requestBody: {{limit: 100, {types}, application/json]}}\n{of_next}")),
        profile("plain", "shadow: leaks\n"),
        profile("leaks", &format!("response: {{inspect: true}}\n{of_next}")),
    ];
    let names = ["now.yaml", "next.yaml", "plain.yaml", "leaks.yaml"];
    let files: Vec<(&str, &str)> = names.into_iter().zip(files.iter().map(String::as_str)).collect();
    let settings = "defaultProfile: now\nselect: [{profile: plain, hosts: [plain.example]}]\n";
    let service = Service::start(&files, settings).await;
    let edge = Edge::start(&service).await;
    let (form, long) = ("application/x-www-form-urlencoded", format!("a={}", "a".repeat(200)));
    let send = async |target: &str, kind: &str, body: &str| {
        let url = format!("http://shop.example{target}");
        let request = Request::post(&url, body.to_owned()).to(edge.address).header("content-type", kind);
        request.send().await.unwrap().status.as_u16()
    };
    let mut counts = [("block", 0.0), ("pass", 0.0), ("unknown", 0.0)];
    for (target, kind, body, status, verdict) in [
        ("/", form, "next=y", 200, "pass"),
        ("/", form, "next=x", 200, "block"),
        ("/?next=x", form, "a=b", 200, "block"),
        // Its own limit, announced.
        ("/", form, &long, 200, "block"),
        // What the profile in force does not read.
        ("/", "application/json", r#"{"next": "x"}"#, 200, "unknown"),
        ("/", "image/png", "x", 200, "pass"),
        // What it refused, with the body and before it had come.
        ("/?now=x", form, "next=y", 403, "unknown"),
        ("/?now=x&next=x", "image/png", "x", 403, "block"),
        ("/?now=x", "image/png", "x", 403, "pass"),
    ] {
        assert_eq!(send(target, kind, body).await, status, "{target} {kind} {body}");
        let count = counts.iter_mut().find(|(name, _)| *name == verdict).unwrap();
        count.1 += 1.0;
        service.reaches(&format!("waf_shadow_total{{profile=\"next\",verdict=\"{verdict}\"}}"), count.1).await;
    }
    let chunks = format!(
        "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-type: {form}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    let answer = tcp_line(edge.address, &chunks).await.unwrap();
    assert!(answer.contains("200"), "{answer}");
    service.reaches(r#"waf_shadow_total{profile="next",verdict="block"}"#, counts[0].1 + 1.0).await;
    let entry = service.entry("of what was refused", |entry| entry["target"] == "/?now=x").await;
    assert_eq!((&entry["shadow"]["profile"], &entry["shadow"]["refuses"]), (&json!("next"), &Value::Null), "{entry}");
    // A response that only the candidate would see.
    let plain = async |target: &str| {
        let request = Request::get(&format!("http://plain.example{target}")).to(edge.address);
        request.send().await.unwrap().status.as_u16()
    };
    assert_eq!((plain("/").await, plain("/?next=x").await), (200, 200));
    service.reaches(r#"waf_shadow_total{profile="leaks",verdict="unknown"}"#, 1.0).await;
    service.reaches(r#"waf_shadow_total{profile="leaks",verdict="block"}"#, 1.0).await;
}

#[tokio::test]
async fn routes_have_profiles_of_their_own() {
    let teapot = |status: u16| {
        format!(
            "name: p{status}\ncoreRules: {{version: none}}\ndirectives: |\n  SecAction \"id:1,phase:1,deny,status:{status}\"\n"
        )
    };
    let (shop, named) = (teapot(418), teapot(451));
    let settings = "select: [{profile: p418, namespaces: [shop], hosts: ['*.shop.example']}, \
                    {profile: p418, gateways: [infra/edge]}]\n";
    let service = Service::start(&[("a.yaml", &shop), ("b.yaml", &named)], settings).await;
    let called = |name: &str| {
        let metadata = json!([{ "key": "portcullis-waf-profile", "value": name }]);
        json!({ "grpc_service": { "envoy_grpc": { "cluster_name": "waf" }, "initial_metadata": metadata } })
    };
    let through = |name: &str| {
        let metadata = json!([{ "key": "portcullis-gateway", "value": name }]);
        json!({ "grpc_service": { "envoy_grpc": { "cluster_name": "waf" }, "initial_metadata": metadata } })
    };
    let (usual, of_blog) = (json!({}), json!({ "name": "httproute/blog/cats/rule/0" }));
    for (filter, route, host, status) in [
        (&usual, &usual, "a.shop.example", 418),
        (&usual, &of_blog, "a.shop.example", 200),
        (&usual, &usual, "blog.example", 200),
        (&called("p451"), &usual, "blog.example", 451),
        (&called("p451"), &usual, "a.shop.example", 418),
        (&called("nobody"), &usual, "blog.example", 500),
        (&through("infra/edge"), &usual, "blog.example", 418),
        (&through("infra/edges"), &usual, "blog.example", 200),
    ] {
        let edge = Edge::with(&service, filter, route).await;
        let request = Request::get(&format!("http://{host}/")).to(edge.address).header("user-agent", "tests");
        assert_eq!(request.send().await.unwrap().status.as_u16(), status, "{filter} {route} {host}");
    }
    service.reaches("waf_unknown_profile_total", 1.0).await;
}

#[tokio::test]
async fn the_core_rules_are_of_the_version_that_is_named_or_one_s_own() {
    let older = "name: older\ncoreRules: {version: 4.22.0}\n";
    // The one that is inside stands for one's own: it has to find its settings.
    let mounted = "name: mounted\ncoreRules: {version: files}\n\
                   directives: |\n  Include @owasp_crs/*.conf\n  Include mounted.conf\n";
    let rules = "SecRule ARGS:word \"@pmFromFile words.data\" \"id:10001,phase:1,deny,status:418\"\n";
    let files = [("older.yaml", older), ("mounted.yaml", mounted), ("mounted.conf", rules), ("words.data", "teapot\n")];
    let settings = "defaultProfile: older\nselect: [{profile: mounted, hosts: [mounted.example]}]\n";
    let service = Service::start(&files, settings).await;
    let edge = Edge::start(&service).await;
    let ask = async |host: &str, target: &str| {
        let request = Request::get(&format!("http://{host}{target}")).to(edge.address).header("user-agent", "tests");
        request.send().await.unwrap().status.as_u16()
    };
    let attack = format!("/?id={INJECTION}");
    assert_eq!((ask("shop.example", "/").await, ask("shop.example", &attack).await), (200, 403));
    assert_eq!((ask("mounted.example", "/").await, ask("mounted.example", &attack).await), (200, 403));
    assert_eq!(ask("mounted.example", "/?word=teapot").await, 418);
    let shown: Value = serde_json::from_str(&service.page("/profiles").await).unwrap();
    let version = |name: &str| {
        let profile = shown.as_array().unwrap().iter().find(|profile| profile["name"] == name).unwrap();
        profile["coreRules"].as_str().unwrap().to_owned()
    };
    assert_eq!([version("older"), version("mounted"), version("baseline")], ["4.22.0", "files", "4.25.0"]);
}

const OWN: &str = "name: own\ncoreRules: {version: none}\ndirectives: |\n  SecRule ARGS:a \"@streq x\" \
    \"id:1,phase:1,deny,status:STATUS\"\n";

#[tokio::test]
async fn profiles_change_while_running_and_a_wrong_one_changes_only_itself() {
    let first = OWN.replace("STATUS", "418");
    let other = |status: u16| {
        format!(
            "name: other\ncoreRules: {{version: none}}\ndirectives: |\n  SecAction \"id:1,phase:1,deny,status:{status}\"\n"
        )
    };
    let files = [("other.yaml", other(410)), ("own.yaml", first)];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let settings = "defaultProfile: own\nselect: [{profile: other, hosts: [other.example]}]\n";
    let mut service = Service::start(&files, settings).await;
    let edge = Edge::start(&service).await;
    let status = async || edge.get("/?a=x").await.status.as_u16();
    assert_eq!(status().await, 418);
    let load = Load::start(&Request::get(&edge.url("/?a=y")));
    service.rewrite("own.yaml", &OWN.replace("STATUS", "451"));
    wait_until("the new rule", PATIENCE, async || status().await == 451).await.unwrap();
    service.rewrite("own.yaml", &OWN.replace("@streq", "@rx ("));
    let said = |line: &str| line.contains("own.yaml:4: ");
    service.process.wait_for_line(PATIENCE, said).await.unwrap();
    service.reaches(r#"waf_unusable_profiles{profile="own"}"#, 1.0).await;
    assert_eq!(status().await, 451);
    let of_other = async || {
        let request = Request::get("http://other.example/").to(edge.address).header("user-agent", "tests");
        request.send().await.unwrap().status.as_u16()
    };
    assert_eq!(of_other().await, 410);
    service.rewrite("other.yaml", &other(418));
    wait_until("the other profile's new rule", PATIENCE, async || of_other().await == 418).await.unwrap();
    // Nobody knows which profile a file is that cannot be read; the one that it was stays.
    service.rewrite("own.yaml", "name: [");
    service
        .reaches(
            &format!("waf_unusable_profiles{{profile=\"{}\"}}", service.profiles().join("own.yaml").display()),
            1.0,
        )
        .await;
    assert_eq!((status().await, of_other().await), (451, 418));
    let ready: Value = serde_json::from_str(&service.page("/readyz").await).unwrap();
    assert_eq!(ready["ready"], true, "{ready}");
    load.stop_unharmed().await.unwrap();
    service.rewrite("own.yaml", &OWN.replace("STATUS", "422"));
    wait_until("the mended rule", PATIENCE, async || status().await == 422).await.unwrap();
    assert!(service.metric(r#"waf_unusable_profiles{profile="own"}"#).await < 1.0);
}

#[tokio::test]
async fn a_team_s_wrong_profile_neither_keeps_the_service_from_starting_nor_takes_another_s_name() {
    let teams = TempDir::with_prefix("teams-").unwrap();
    let write = |name: &str, text: &str| std::fs::write(teams.path().join(name), text).unwrap();
    let status = |status: u16| format!("directives: |\n  SecAction \"id:10001,phase:1,deny,status:{status}\"\n");
    write("b.yaml", &format!("name: shop\nextends: baseline\n{}", status(418)));
    write("c.yaml", "name: bad\nextends: baseline\ncoreRules: {version: none}\n");
    let settings = format!(
        "profiles: [{{path: {:?}, extends: baseline}}]\nselect: [{{profile: bad, hosts: [bad.example]}}]\ndefaultProfile: shop\n",
        teams.path()
    );
    let service = Service::start_bare(&settings).await;
    let edge = Edge::start(&service).await;
    let ask = async |host: &str| {
        let request = Request::get(&format!("http://{host}/")).to(edge.address).header("user-agent", "tests");
        request.send().await.unwrap().status.as_u16()
    };
    assert_eq!((ask("shop.example").await, ask("bad.example").await), (418, 500));
    service.reaches(r#"waf_unusable_profiles{profile="bad"}"#, 1.0).await;
    // Its file comes first by name, but the name is taken.
    let thief = teams.path().join("a.yaml");
    write("a.yaml", &format!("name: shop\nextends: baseline\n{}", status(451)));
    service.reaches(&format!("waf_unusable_profiles{{profile=\"{}\"}}", thief.display()), 1.0).await;
    assert_eq!(ask("shop.example").await, 418);
}

#[tokio::test]
async fn two_hundred_reloads_leave_no_memory_behind() {
    let profile = |round: usize| {
        format!(
            "name: own\ndirectives: |\n  SecRule ARGS:a \"@streq x\" \"id:1,phase:1,deny,status:{}\"\n",
            400 + round % 50
        )
    };
    let service = Service::start(&[("own.yaml", &profile(1))], "defaultProfile: own\n").await;
    let live = async || {
        let page: Value = serde_json::from_str(&service.page("/engine").await).unwrap();
        page["liveBytes"].as_f64().unwrap()
    };
    let reload = async |round: usize| {
        service.rewrite("own.yaml", &profile(round));
        service
            .reaches(r#"config_reloads_total{config="profiles"}"#, f64::from(u32::try_from(round).unwrap()) - 1.0)
            .await;
    };
    for round in 2..6 {
        reload(round).await;
    }
    let before = live().await;
    for round in 6..202 {
        reload(round).await;
    }
    let after = live().await;
    assert!(after < before * 1.1, "{before} bytes before, {after} after");
}
