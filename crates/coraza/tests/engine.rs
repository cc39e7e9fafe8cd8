//! The engine through the border: what is decided, what is told, what is freed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use coraza::{Action, Problem, Request, Response, Rules, Source};

type Field = (&'static [u8], &'static [u8]);

const HEADERS: [Field; 3] =
    [(b"host", b"shop.example"), (b"user-agent", b"tests"), (b"content-type", b"application/x-www-form-urlencoded")];

fn newest() -> String {
    coraza::versions().1.remove(0)
}

fn rules(text: &str) -> Rules {
    Rules::compile(&Source::new(newest()).load("rules.conf", text)).unwrap()
}

fn get(target: &str) -> Request<'_, [Field; 3]> {
    Request {
        id: "1",
        client: ("192.0.2.1", 40_000),
        server: ("192.0.2.2", 443),
        method: b"GET",
        target: target.as_bytes(),
        protocol: "HTTP/1.1",
        host: b"shop.example",
        headers: HEADERS,
    }
}

fn core_rules() -> Source {
    Source::new(newest()).load(
        "engine.conf",
        "SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess On\nSecResponseBodyMimeType text/html\n\
         SecDefaultAction \"phase:1,log,auditlog,pass\"\nSecDefaultAction \"phase:2,log,auditlog,pass\"\n\
         SecAction \"id:1,phase:1,pass,nolog,setvar:tx.crs_setup_version=4250\"\nInclude @owasp_crs/*.conf\n",
    )
}

#[test]
fn the_core_rule_set_blocks_an_injection_and_says_why() {
    let rules = Rules::compile(&core_rules()).unwrap();
    assert!(rules.count() > 500, "{}", rules.count());
    let benign = rules.begin(get("/cats?color=grey"), true);
    assert_eq!(benign.last().unwrap().interruption, None);
    let attack = rules.begin(get("/cats?id=1%27%20OR%20%271%27%3D%271%27--%20-"), true);
    let step = attack.last().unwrap();
    let interruption = step.interruption.as_ref().unwrap();
    assert_eq!((interruption.rule, &interruption.action, interruption.status), (949_110, &Action::Deny, Some(403)));
    assert!(step.inbound >= 5, "{step:?}");
    let matches = attack.matches();
    assert_eq!(matches.len(), step.matches as usize);
    let injection = matches.iter().find(|found| found.rule == 942_100).unwrap();
    assert_eq!((injection.severity.unwrap().name(), injection.version.as_str()), ("CRITICAL", "OWASP_CRS/4.25.0"));
    let place = &injection.places[0];
    assert_eq!((place.to_string().as_str(), place.value.as_str()), ("ARGS:id", "1' OR '1'='1'-- -"));
}

#[test]
fn bodies_are_read_in_pieces_with_zeros_in_them() {
    let rules = rules(
        "SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess On\nSecResponseBodyMimeType text/html\n\
         SecRule ARGS_POST:x \"@rx ^a\\x00b$\" \"id:1,phase:2,deny,status:418\"\n\
         SecRule RESPONSE_BODY \"@contains secret\" \"id:2,phase:4,redirect:https://a.example/\"",
    );
    let mut upload = rules.begin(get("/"), false);
    assert!(upload.last().unwrap().reads.request_bodies);
    for piece in ["x", "=", "a%0", "0"] {
        assert_eq!(upload.request_body(piece.as_bytes(), false).unwrap().interruption, None);
    }
    let decided = upload.request_body(b"b", true).unwrap().interruption.clone().unwrap();
    assert_eq!((decided.rule, decided.status), (1, Some(418)));
    let mut download = rules.begin(get("/"), true);
    let html: [Field; 1] = [(b"content-type", b"text/html; charset=utf-8")];
    let response = Response { protocol: "HTTP/1.1", status: 200, headers: html };
    assert!(download.response(response, false).unwrap().reads.this_response);
    let decided = download.response_body(b"a secret", true).unwrap().interruption.clone().unwrap();
    assert_eq!((decided.rule, decided.action), (2, Action::Redirect("https://a.example/".to_owned())));
    download.finish().unwrap();
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_directive() {
    let broken = |files: &[(&str, &str)]| -> Problem {
        let mut source = Source::new(newest()).load(files[0].0, files[0].1);
        for (name, content) in &files[1..] {
            source = source.provide(name, *content);
        }
        Rules::compile(&source).unwrap_err()
    };
    let text = |files: &[(&str, &str)]| broken(files).to_string();
    let first = broken(&[(
        "team.conf",
        "# mine\nSecRuleEngine On\n\nSecRule ARGS \\\n  \"@rx (\" \\\n  \"id:1,deny\"\nSecRuleEngine Off\n",
    )]);
    assert_eq!((first.file.as_str(), first.line, first.directive.as_str()), ("team.conf", 4, "SecRule"), "{first:?}");
    let unknown = text(&[("a.conf", "SecRuleEngine On\nSecNonsense On\n")]);
    assert!(unknown.starts_with("a.conf:2: ") && unknown.contains("secnonsense"), "{unknown}");
    let included = text(&[("a.conf", "Include sub/b.conf\n"), ("sub/b.conf", "\n\nSecRule X\n")]);
    assert!(included.starts_with("sub/b.conf:3: "), "{included}");
    let missing = text(&[("a.conf", "SecRuleEngine On\nInclude /etc/passwd\n")]);
    assert!(missing.contains("etc/passwd") && missing.contains("not exist"), "{missing}");
    let twice = text(&[("a.conf", "SecAction \"id:1,pass\"\nSecAction \"id:2,pass\"\nSecAction \"id:1,pass\"\n")]);
    assert!(twice.starts_with("a.conf:3: "), "{twice}");
    let version = Rules::compile(&Source::new("3.0.0")).unwrap_err().to_string();
    assert_eq!(version, "there is no Core Rule Set \"3.0.0\" inside");
}

#[test]
fn rules_run_no_programs_and_ask_no_network() {
    for operator in ["@inspectFile /bin/true", "@rbl rbl.example"] {
        let text = format!("SecRule ARGS \"{operator}\" \"id:1,phase:1,deny\"\n");
        let problem = Rules::compile(&Source::new(newest()).load("a.conf", text)).unwrap_err().to_string();
        assert!(problem.starts_with("a.conf:1: ") && problem.contains("operator"), "{problem}");
    }
}

#[test]
fn a_body_may_be_empty() {
    let rules =
        rules("SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess On\nSecAction \"id:1,phase:4,deny\"");
    let mut transaction = rules.begin(get("/"), false);
    assert_eq!(transaction.request_body(b"", true).unwrap().interruption, None);
    let response = Response { protocol: "HTTP/1.1", status: 204, headers: [] as [Field; 0] };
    assert_eq!(transaction.response(response, false).unwrap().interruption, None);
    assert!(transaction.response_body(b"", true).unwrap().interruption.is_some());
}

#[test]
fn both_core_rule_sets_compile() {
    let versions = coraza::versions().1;
    assert_eq!(versions, ["4.25.0", "4.22.0"]);
    for version in versions {
        let source =
            Source::new(version).load("all.conf", "Include @crs-setup.conf.example\nInclude @owasp_crs/*.conf\n");
        assert!(Rules::compile(&source).unwrap().count() > 500);
    }
}

#[test]
fn rules_that_are_gone_leave_no_memory_behind() {
    let once = || {
        let rules = Rules::compile(&core_rules()).unwrap();
        let transaction = rules.begin(get("/?a=b"), true);
        // A transaction may outlive the last handle of its rules.
        drop(rules);
        assert!(transaction.last().is_ok());
    };
    once();
    once();
    let before = coraza::memory().live;
    for _ in 0..4 {
        once();
    }
    let after = coraza::memory().live;
    // One set takes tens of megabytes.
    assert!(after < before + (8 << 20), "{before} bytes before, {after} after");
}
