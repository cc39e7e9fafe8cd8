//! The gate before the engine: rules that cannot match are left out, and nothing else changes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use coraza::{Match, Request, Rules, Source, Step, Transaction};

const ON: &str = "SecRuleEngine On\nSecRequestBodyAccess On\n";

/// Rules, behind the gate and without one.
struct Pair([Rules; 2]);

impl Pair {
    fn new(text: &str) -> Self {
        let source = Source::new(coraza::versions().1.remove(0))
            .provide("words.data", "# one a line\nSecret\n\n  spaced out  \n")
            .load("rules.conf", format!("{ON}{text}"));
        Self([Rules::compile(&source).unwrap(), Rules::compile(&source.without_gate()).unwrap()])
    }

    fn core(paranoia: u8) -> Self {
        Self::new(&format!(
            "SecDefaultAction \"phase:1,log,auditlog,pass\"\nSecDefaultAction \"phase:2,log,auditlog,pass\"\n\
             SecAction \"id:1,phase:1,pass,nolog,setvar:tx.crs_setup_version=4250,\
             setvar:tx.blocking_paranoia_level={paranoia}\"\nInclude @owasp_crs/*.conf\n"
        ))
    }

    fn judged(&self) -> [u64; 2] {
        self.0.each_ref().map(Rules::judged)
    }

    /// The rules that match a request, after it was seen that both say the same of it.
    fn matches(&self, target: &[u8], headers: &[(&[u8], &[u8])], body: &[u8]) -> Vec<u32> {
        let [(step, found), (plain_step, plain)] = self.0.each_ref().map(|rules| run(rules, target, headers, body));
        assert_eq!(step, plain_step, "{}", String::from_utf8_lossy(target));
        assert_eq!(in_order(&found), in_order(&plain), "{}", String::from_utf8_lossy(target));
        found.iter().map(|found| found.rule).collect()
    }

    fn get(&self, target: &str) -> Vec<u32> {
        self.matches(target.as_bytes(), &[(b"host", b"shop.example")], b"")
    }
}

/// What matched on what. Go decides the order of parameters anew each time, and with it that of places, and what messages tell.
fn in_order(found: &[Match]) -> Vec<(u32, Vec<String>)> {
    let places = |found: &Match| {
        let mut places: Vec<_> = found.places.iter().map(|place| format!("{place}={}", place.value)).collect();
        places.sort();
        places
    };
    found.iter().map(|found| (found.rule, places(found))).collect()
}

fn run(rules: &Rules, target: &[u8], headers: &[(&[u8], &[u8])], body: &[u8]) -> (Step, Vec<Match>) {
    let request = Request {
        id: "1",
        client: ("192.0.2.1", 40_000),
        server: ("192.0.2.2", 443),
        method: if body.is_empty() { b"GET".as_slice() } else { b"POST".as_slice() },
        target,
        protocol: "HTTP/1.1",
        host: b"shop.example",
        headers: headers.iter().copied(),
    };
    let mut transaction: Transaction = rules.begin(request, body.is_empty());
    if !body.is_empty() {
        let _ = transaction.request_body(body, true);
    }
    let step = transaction.last().unwrap().clone();
    (step, transaction.matches())
}

fn rule(id: u32, targets: &str, operator: &str, actions: &str) -> String {
    format!("SecRule {targets} \"{operator}\" \"id:{id},phase:1,pass,log,{actions}\"\n")
}

#[test]
fn most_of_the_core_rule_set_is_judged() {
    let pair = Pair::core(4);
    let [judged, plain] = pair.judged();
    assert!(judged > 150, "{judged}");
    assert_eq!(plain, 0);
    assert_eq!(pair.0[0].count(), pair.0[1].count());
}

#[test]
fn the_core_rule_set_says_the_same_with_it() {
    let pairs = [1, 4].map(Pair::core);
    let browser: [(&[u8], &[u8]); 5] = [
        (b"host", b"shop.example"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"),
        (b"accept", b"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
        (b"cookie", b"session=8f14e45fceea167a; theme=dark"),
        (b"content-type", b"application/x-www-form-urlencoded"),
    ];
    let tool: [(&[u8], &[u8]); 2] = [(b"host", b"shop.example"), (b"user-agent", b"sqlmap/1.8#stable")];
    let values = [
        "grey cats",
        "1' OR '1'='1'-- -",
        "<script>alert(1)</script>",
        "../../../../etc/passwd",
        "; cat /etc/shadow",
        "${jndi:ldap://a.example/x}",
        "Grüße aus Köln",
        "\u{212A}ernel ſelect",
        "%00",
        "file:///proc/self/environ",
        "<?php system($_GET[0]) ?>",
        "O:8:\"stdClass\":0:{}",
        "http://169.254.169.254/",
        "a\r\nSet-Cookie: b",
        "{{7*7}}",
        "",
    ];
    let mut hits = 0;
    for pair in &pairs {
        for headers in [browser.as_slice(), tool.as_slice()] {
            for value in values {
                let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
                hits += pair.matches(format!("/search?q={encoded}&page=2").as_bytes(), headers, b"").len();
                hits += pair.matches(b"/search", headers, format!("q={encoded}&sort=name").as_bytes()).len();
            }
            pair.matches(b"/search?q=%ff%fe%80&r=\xc3\x28", headers, b"");
        }
    }
    assert!(hits > 100, "{hits}");
}

#[test]
fn it_reads_expressions_as_the_engine_does() {
    let text = [
        rule(1, "ARGS", r"@rx <a\>", "t:none"),
        rule(2, "ARGS", r"@rx ^[[&&x]+$", "t:none"),
        rule(3, "ARGS", r"@rx (?i)\bkiss\b", "t:none"),
        rule(4, "ARGS", "@rx a.c$", "t:none"),
        rule(5, "ARGS", r"@rx x{,3}y", "t:none"),
        rule(6, "ARGS", r"@rx \xe4", "t:none"),
        rule(7, "ARGS", "@rx ä", "t:none"),
        rule(8, "ARGS", "@rx (?i)mask", "t:none"),
    ];
    let pair = Pair::new(&text.concat());
    for (value, expected) in [
        ("<a>", &[1][..]),
        ("[[%26x", &[2]),
        ("%26", &[2]),
        ("a KISS.", &[3]),
        ("ma%c5%bf%e2%84%aa", &[8]),
        ("ä kiss", &[3, 7]),
        ("äkiss", &[3, 7]),
        ("a%0ac%0ad", &[4]),
        ("x{,3}y", &[5]),
        ("%e4", &[6]),
        ("nothing", &[]),
    ] {
        let target = format!("/?q={}", value.replace('ä', "%c3%a4"));
        assert_eq!(pair.get(&target), expected, "{value}");
    }
}

#[test]
fn it_knows_phrases_transformations_and_targets() {
    let text = [
        rule(1, "ARGS", "@pm Needle pin", "t:none"),
        rule(2, "ARGS", "@pmFromFile words.data", "t:none,t:urlDecodeUni,t:lowercase"),
        rule(3, "REQUEST_HEADERS:User-Agent|ARGS_NAMES", "@rx ^bot", "t:none,t:lowercase"),
        rule(4, "ARGS:/^a/", "@rx zeta", "t:none"),
        rule(5, "REQUEST_COOKIES|!REQUEST_COOKIES:free", "@rx zeta", "t:none,t:removeWhitespace"),
        rule(6, "ARGS:only", "@rx theta", "t:none"),
        "SecRuleUpdateTargetById 6 \"ARGS:more\"\n".to_owned(),
        rule(7, "ARGS", "@rx %2e|=eta=", "t:none,t:urlDecodeUni,t:lowercase,multiMatch"),
    ];
    let pair = Pair::new(&text.concat());
    assert_eq!(pair.judged(), [7, 0]);
    assert_eq!(pair.get("/?q=%252e"), [7]);
    assert_eq!(pair.get("/?q=%2532e"), [] as [u32; 0]);
    assert_eq!(pair.get("/?q=%253dETA%3d"), [7]);
    assert_eq!(pair.get("/?q=a+NEEDLE+here"), [1]);
    assert_eq!(pair.get("/?q=%2553ecret"), [2]);
    assert_eq!(pair.get("/?q=spaced+out"), [2]);
    assert_eq!(pair.get("/?BOT=1"), [3]);
    assert_eq!(pair.get("/?ab=zeta&b=zeta"), [4]);
    assert_eq!(pair.get("/?b=zeta"), [] as [u32; 0]);
    assert_eq!(pair.get("/?more=theta"), [6]);
    assert_eq!(pair.get("/?other=theta"), [] as [u32; 0]);
    let cookies = |text: &[u8]| pair.matches(b"/", &[(b"cookie", text)], b"");
    assert_eq!(cookies(b"a=ze ta"), [5]);
    assert_eq!(cookies(b"free=zeta"), [] as [u32; 0]);
}

#[test]
fn rules_that_miss_something_are_judged() {
    let text = [rule(1, "ARGS", "!@rx ^[a-z]*$", "t:none"), rule(2, "ARGS:q", "!@rx ^.{2,4}$", "t:none,t:lowercase")];
    let pair = Pair::new(&text.concat());
    assert_eq!(pair.judged(), [2, 0]);
    assert_eq!(pair.get("/?q=abc&r=def"), [] as [u32; 0]);
    assert_eq!(pair.get("/?q=abc&r=9"), [1]);
    assert_eq!(pair.get("/?q=abcde"), [2]);
    assert_eq!(pair.get("/?q=%c3%a4%c3%a4%c3%a4"), [1]);
    assert_eq!(pair.get("/?q=%ff%ff%ff%ff%ff"), [1, 2]);
    assert_eq!(pair.get("/"), [] as [u32; 0]);
}

#[test]
fn what_depends_on_other_rules_is_left_alone() {
    let text = [
        rule(1, "ARGS:q", "@rx ^(.*)$", "t:none,capture,setvar:tx.seen=%{tx.1}"),
        rule(2, "TX:seen", "@rx needle", "t:none"),
        rule(3, "ARGS", "!@rx ^[a-z]*$", "t:none,capture"),
        rule(4, "&ARGS", "@rx ^2$", "t:none"),
        rule(5, "ARGS", "@rx left", "t:none,chain") + "SecRule ARGS \"@rx right\" \"t:none\"\n",
    ];
    let pair = Pair::new(&text.concat());
    assert_eq!(pair.judged(), [2, 0]);
    assert_eq!(pair.get("/?q=needle"), [1, 2]);
    assert_eq!(pair.get("/?q=9&r=a"), [1, 3, 4]);
    assert_eq!(pair.get("/?r=left&s=right"), [4, 5]);
    assert_eq!(pair.get("/?r=left"), [] as [u32; 0]);
}

#[test]
fn rules_that_skip_count_those_that_cannot_match() {
    let text = [
        "SecRule REQUEST_HEADERS:Free \"@streq yes\" \"id:10,phase:1,pass,nolog,ctl:ruleRemoveById=3\"\n".to_owned(),
        rule(1, "ARGS", "@rx jump", "t:none,skip:1"),
        rule(3, "ARGS", "@rx absent", "t:none"),
        rule(4, "ARGS", "@rx jump", "t:none"),
        rule(5, "ARGS", "@rx jump", "t:none"),
    ];
    let pair = Pair::new(&text.concat());
    // 3, and 4 in its place.
    assert_eq!(pair.judged(), [2, 0]);
    assert_eq!(pair.get("/?q=jump"), [1, 4, 5]);
    assert_eq!(pair.matches(b"/?q=jump", &[(b"free", b"yes")], b""), [1, 5]);
}
