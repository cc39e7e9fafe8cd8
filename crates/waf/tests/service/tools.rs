//! `check` and `explain`.

use std::fs;
use std::process::{Command, Output};

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
