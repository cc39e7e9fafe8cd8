//! A profile with everything said: its own values over those that it extends.

use super::spec::{Body, Exclusion, Guardrails, Mode, OnFailure, OverLimit, Spec};

/// Longer bodies than these are usual only for uploads of files.
const BODY_LIMIT: u64 = 128 << 10;

/// What request bodies are written in that rules can read.
const REQUEST_TYPES: [&str; 9] = [
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/json",
    "+json",
    "application/csp-report",
    "application/xml",
    "text/xml",
    "+xml",
    "text/plain",
];

/// Stands for all content types.
const ANY: &str = "*/*";

/// Where leaks show.
const RESPONSE_TYPES: [&str; 4] = ["text/html", "text/plain", "text/xml", "application/json"];

/// A profile with everything said.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What is done about what is found.
    pub mode: Mode,
    /// The Core Rule Set.
    pub core: Core,
    /// Request bodies.
    pub request_body: BodyPlan,
    /// Whether rules see response headers.
    pub responses: bool,
    /// Response bodies; looked at only with their headers.
    pub response_body: BodyPlan,
    /// What rules shall not look at.
    pub exclusions: Vec<Exclusion>,
    /// What happens to a request that cannot be judged.
    pub on_failure: OnFailure,
    /// The profile that looks on.
    pub shadow: Option<String>,
    /// What those who extend this may do.
    pub guardrails: Guardrails,
}

/// The Core Rule Set of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// Its version, `none` or `files`.
    pub version: String,
    /// What counts for blocking.
    pub paranoia: u8,
    /// What is run.
    pub detect_paranoia: u8,
    /// From which score on a request is refused.
    pub inbound_threshold: u32,
    /// From which score on a response is withheld.
    pub outbound_threshold: u32,
}

/// Which bodies are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyPlan {
    /// Whether any is.
    pub inspect: bool,
    /// How much of one.
    pub limit: u64,
    /// What happens to a longer one.
    pub over_limit: OverLimit,
    /// The content types.
    pub content_types: Vec<String>,
    /// Whether they are passed on while they are read.
    pub stream: bool,
}

impl Default for Plan {
    fn default() -> Self {
        let types = |types: &[&str]| types.iter().map(|name| (*name).to_owned()).collect();
        let body = BodyPlan {
            inspect: true,
            limit: BODY_LIMIT,
            over_limit: OverLimit::Reject,
            content_types: types(&REQUEST_TYPES),
            stream: false,
        };
        Self {
            name: String::new(),
            mode: Mode::Block,
            core: Core {
                version: coraza::versions().1.into_iter().next().unwrap_or_default(),
                paranoia: 1,
                detect_paranoia: 1,
                inbound_threshold: 5,
                outbound_threshold: 4,
            },
            responses: false,
            response_body: BodyPlan {
                inspect: false,
                over_limit: OverLimit::Partial,
                content_types: types(&RESPONSE_TYPES),
                ..body.clone()
            },
            request_body: body,
            exclusions: Vec::new(),
            on_failure: OnFailure::Closed,
            shadow: None,
            guardrails: Guardrails::default(),
        }
    }
}

impl Plan {
    /// `spec` over `base`.
    pub(super) fn of(spec: &Spec, base: &Self) -> Self {
        let (core, under) = (&spec.core_rules, &base.core);
        let paranoia = core.paranoia.unwrap_or(under.paranoia);
        Self {
            name: spec.name.clone(),
            mode: spec.mode.unwrap_or(base.mode),
            core: Core {
                version: core.version.clone().unwrap_or_else(|| under.version.clone()),
                paranoia,
                detect_paranoia: core.detect_paranoia.unwrap_or(under.detect_paranoia).max(paranoia),
                inbound_threshold: core.inbound_threshold.unwrap_or(under.inbound_threshold),
                outbound_threshold: core.outbound_threshold.unwrap_or(under.outbound_threshold),
            },
            request_body: base.request_body.with(&spec.request_body),
            responses: spec.response.inspect.unwrap_or(base.responses),
            response_body: base.response_body.with(&spec.response.body),
            exclusions: base.exclusions.iter().chain(&spec.exclusions).cloned().collect(),
            on_failure: spec.on_failure.unwrap_or(base.on_failure),
            shadow: spec.shadow.clone().or_else(|| base.shadow.clone()),
            guardrails: spec.guardrails.clone().unwrap_or_default(),
        }
    }

    /// Whether what is found is acted upon.
    pub fn blocks(&self) -> bool {
        self.mode == Mode::Block
    }
}

impl BodyPlan {
    fn with(&self, spec: &Body) -> Self {
        Self {
            inspect: spec.inspect.unwrap_or(self.inspect),
            limit: spec.limit.unwrap_or(self.limit),
            over_limit: spec.over_limit.unwrap_or(self.over_limit),
            content_types: spec.content_types.clone().unwrap_or_else(|| self.content_types.clone()),
            stream: spec.stream.unwrap_or(self.stream),
        }
    }

    /// Whether bodies of a content type are looked at. One without a type is: it may be anything. Of several types, the
    /// application may take any.
    pub fn wants(&self, content_type: &[u8]) -> bool {
        if !self.inspect {
            return false;
        }
        let text = String::from_utf8_lossy(content_type).to_ascii_lowercase();
        text.split(',').map(|one| one.split(';').next().unwrap_or_default().trim()).any(|kind| {
            let is = |wanted: &String| match wanted.strip_prefix('+') {
                Some(_) => kind.ends_with(wanted.as_str()),
                None => kind == wanted || wanted == ANY,
            };
            kind.is_empty() || self.content_types.iter().any(is)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Loader, Place};

    /// The content types that a version of the Core Rule Set lets in, as its rules say once they have run.
    fn let_in(version: &str) -> Vec<String> {
        let dir = tempfile::TempDir::with_prefix("waf-").unwrap();
        let rule = "SecRule TX:allowed_request_content_type \"@rx .\" \"id:10001,phase:2,pass,log\"";
        let text = format!("name: types\ncoreRules: {{version: {version}}}\ndirectives: |\n  {rule}\n");
        std::fs::write(dir.path().join("types.yaml"), text).unwrap();
        let place = Place { path: dir.path().to_owned(), extends: None };
        let profiles = Loader::default().load(&[place]).unwrap().complete().unwrap();
        let request = coraza::Request {
            id: "1",
            client: ("192.0.2.1", 1),
            server: ("192.0.2.2", 80),
            method: b"GET",
            target: b"/",
            protocol: "HTTP/1.1",
            host: b"shop.example",
            headers: [(b"host".as_slice(), b"shop.example".as_slice())],
        };
        let transaction = profiles.get("types").unwrap().rules.begin(request, true);
        let matches = transaction.matches();
        let list = &matches.iter().find(|found| found.rule == 10_001).unwrap().places[0].value;
        list.split('|').map(|kind| kind.trim().to_owned()).filter(|kind| !kind.is_empty()).collect()
    }

    #[test]
    fn what_the_core_rules_let_in_is_read() {
        for version in coraza::versions().1 {
            let types = let_in(&version);
            assert!(types.contains(&"application/json".to_owned()), "{version}: {types:?}");
            let unread: Vec<&String> =
                types.iter().filter(|kind| !Plan::default().request_body.wants(kind.as_bytes())).collect();
            assert!(unread.is_empty(), "{version}: {unread:?}");
        }
    }
}
