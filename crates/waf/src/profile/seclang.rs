//! A profile as SecLang: what the engine is told before, around and after the Core Rule Set.
//!
//! Our own rules have numbers from 190,000 to 199,999, which the registry of ModSecurity rule numbers gives to nobody.

use std::fmt::Write as _;

use super::plan::{Core, Plan};
use super::spec::{Exclusion, Mode};

/// The first number of exclusions that hold for some paths only.
const EXCLUSIONS: usize = 191_000;

/// How the engine reads requests and responses.
pub(super) fn engine(plan: &Plan) -> String {
    let mode = match plan.mode {
        Mode::Off => "Off",
        Mode::Detect => "DetectionOnly",
        Mode::Block => "On",
    };
    let on = |yes: bool| if yes { "On" } else { "Off" };
    let (request, response) = (&plan.request_body, &plan.response_body);
    let mut text = format!(
        "SecRuleEngine {mode}\nSecAuditEngine Off\nSecRxPreFilter Off\nSecRequestBodyAccess {}\nSecResponseBodyAccess {}\n",
        on(request.inspect),
        on(plan.responses && response.inspect),
    );
    // SecRxPreFilter would be quicker, and misses what it must not (942220-2 and 932311-7 of the regression tests).
    // A body of just the limit is read whole: the engine cuts one byte later than we do.
    let (most, most_back) = (request.limit + 1, response.limit + 1);
    let _ = writeln!(text, "SecRequestBodyLimit {most}\nSecRequestBodyInMemoryLimit {most}");
    let _ = writeln!(text, "SecResponseBodyLimit {most_back}");
    text += "SecRequestBodyLimitAction ProcessPartial\nSecResponseBodyLimitAction ProcessPartial\n";
    text + READING
}

/// How bodies are read (which are at all, our own lists say), and what is refused because it cannot be read: a body that the
/// engine reads otherwise than the application would is the way round all rules.
const READING: &str = r#"
SecArgumentsLimit 1000
SecRequestBodyJsonDepthLimit 512
SecResponseBodyJsonDepthLimit 512
SecDefaultAction "phase:1,log,auditlog,pass"
SecDefaultAction "phase:2,log,auditlog,pass"
SecDefaultAction "phase:3,log,auditlog,pass"
SecDefaultAction "phase:4,log,auditlog,pass"
SecDefaultAction "phase:5,log,auditlog,pass"
SecRule REQUEST_HEADERS:Content-Type "@rx (?i)^\s*(?:application/(?:[a-z0-9.-]+\+)?|text/)xml" "id:190001,phase:1,t:none,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx (?i)^\s*application/(?:(?:[a-z0-9.-]+\+)?json|csp-report)" "id:190002,phase:1,t:none,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx (?i)^\s*text/plain" "id:190003,phase:1,t:none,pass,nolog,ctl:forceRequestBodyVariable=On"
SecRule &REQUEST_HEADERS:Content-Type "@eq 0" "id:190004,phase:1,t:none,pass,nolog,ctl:forceRequestBodyVariable=On"
SecAction "id:190005,phase:3,t:none,pass,nolog,ctl:forceResponseBodyVariable=On"
SecRule URI_PARSE_ERROR "@eq 1" "id:190010,phase:1,t:none,log,deny,status:400,severity:CRITICAL,msg:'The request target cannot be read'"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:190011,phase:1,t:none,log,deny,status:400,severity:CRITICAL,msg:'Too many arguments'"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:190012,phase:2,t:none,log,deny,status:400,severity:CRITICAL,msg:'Too many arguments'"
SecRule REQBODY_ERROR "!@eq 0" "id:190013,phase:2,t:none,log,deny,status:400,severity:CRITICAL,msg:'The request body cannot be read',logdata:'%{REQBODY_ERROR_MSG}'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:190014,phase:2,t:none,log,deny,status:400,severity:CRITICAL,msg:'The multipart body is ambiguous'"
SecRule REQUEST_HEADERS:Content-Type "@rx (?i)^\s*application/grpc\s*(?:[+;,]|$)" "id:190015,phase:1,t:none,log,deny,status:415,severity:CRITICAL,msg:'gRPC needs HTTP/2',chain"
SecRule REQUEST_PROTOCOL "!@rx ^HTTP/[23]" "t:none"
"#;

/// The Core Rule Set's settings. It asks whether there is a version of them, and no more.
pub(super) fn setup(core: &Core) -> String {
    format!(
        "SecAction \"id:190020,phase:1,t:none,pass,nolog,\\\n setvar:tx.crs_setup_version={},\\\n \
         setvar:tx.blocking_paranoia_level={},\\\n setvar:tx.detection_paranoia_level={},\\\n \
         setvar:tx.inbound_anomaly_score_threshold={},\\\n setvar:tx.outbound_anomaly_score_threshold={}\"\n",
        core.version, core.paranoia, core.detect_paranoia, core.inbound_threshold, core.outbound_threshold
    )
}

/// Exclusions for some paths, which have to stand before the rules that they are about.
pub(super) fn exclusions_by_path(exclusions: &[Exclusion]) -> String {
    let mut text = String::new();
    for (index, exclusion) in exclusions.iter().filter(|exclusion| !exclusion.path.is_empty()).enumerate() {
        let mut actions = Vec::new();
        for what in targets(exclusion) {
            let (kind, what) = match what {
                Target::Rules(rules) => ("ById", rules),
                Target::Tag(tag) => ("ByTag", tag),
            };
            if exclusion.parameters.is_empty() {
                actions.push(format!("ctl:ruleRemove{kind}={what}"));
            }
            let parameters = exclusion.parameters.iter();
            actions.extend(parameters.map(|parameter| format!("ctl:ruleRemoveTarget{kind}={what};{parameter}")));
        }
        let (path, actions) = (regex::escape(exclusion.path.trim_end_matches('/')), actions.join(",\\\n "));
        let number = EXCLUSIONS + index;
        // Whole segments; and where the decoded path climbs, nobody knows what the application makes of it.
        let _ = writeln!(
            text,
            "SecRule REQUEST_FILENAME \"@rx ^{path}(?:/|$)\" \"id:{number},phase:1,t:none,pass,nolog,chain\"\n \
             SecRule REQUEST_FILENAME \"!@rx (?i)(?:\\.|%2e){{2}}\" \"t:none,{actions}\""
        );
    }
    text
}

/// Exclusions that hold everywhere, which have to stand after.
pub(super) fn exclusions_everywhere(exclusions: &[Exclusion]) -> String {
    let mut text = String::new();
    for exclusion in exclusions.iter().filter(|exclusion| exclusion.path.is_empty()) {
        for what in targets(exclusion) {
            let (kind, what) = match what {
                Target::Rules(rules) => ("ById", rules),
                Target::Tag(tag) => ("ByTag", tag),
            };
            if exclusion.parameters.is_empty() {
                let _ = writeln!(text, "SecRuleRemove{kind} {what}");
            }
            for parameter in &exclusion.parameters {
                let _ = writeln!(text, "SecRuleUpdateTarget{kind} {what} \"!{parameter}\"");
            }
        }
    }
    text
}

enum Target {
    Rules(String),
    Tag(String),
}

fn targets(exclusion: &Exclusion) -> impl Iterator<Item = Target> {
    let rules = exclusion.rules.iter().map(|rules| Target::Rules(rules.to_string()));
    rules.chain(exclusion.tags.iter().cloned().map(Target::Tag))
}
