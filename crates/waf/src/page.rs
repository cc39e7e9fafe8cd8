//! What a client is told when it is refused. Never anything of what it has sent.

use serde_json::json;

use crate::head::Head;
use crate::verdict::{Reason, Refusal};

/// A body and its type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Of the body.
    pub(crate) content_type: &'static str,
    /// The body.
    pub(crate) body: String,
}

/// Who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reader {
    /// By which logs and clients know the request.
    pub(crate) id: String,
    /// Whether it takes JSON.
    pub(crate) json: bool,
}

impl Reader {
    /// Who sent the request of that id.
    pub(crate) fn of(id: &str, request: &Head) -> Self {
        let takes = |value| String::from_utf8_lossy(value).to_ascii_lowercase().contains("json");
        Self { id: id.to_owned(), json: request.all("accept").any(takes) }
    }
}

/// The page for a refused request: JSON for clients that ask for it, plain text for all others. `rules` says whether rules are
/// named.
pub(crate) fn page(refusal: &Refusal, reader: &Reader, rules: bool) -> Page {
    let named: &[u32] = if rules { &refusal.rules } else { &[] };
    let what = sentence(refusal.reason);
    let id = &reader.id;
    if reader.json {
        let mut body = json!({ "error": what, "reason": refusal.reason.name(), "request": id });
        if !named.is_empty() {
            body["rules"] = json!(named);
        }
        return Page { content_type: "application/json", body: format!("{body}\n") };
    }
    let mut body = format!("{what}.\n");
    if !named.is_empty() {
        let named: Vec<String> = named.iter().map(ToString::to_string).collect();
        body += &format!("Rule: {}\n", named.join(", "));
    }
    body += &format!("Request: {id}\n");
    Page { content_type: "text/plain; charset=utf-8", body }
}

fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::Rule => "The firewall has refused this request",
        Reason::BodyTooLong => "The body is longer than the firewall takes",
        Reason::UnknownEncoding => "The body is encoded in a way that the firewall does not know",
        Reason::BrokenEncoding => "The body cannot be decoded",
        Reason::UpgradeWithBody => "A request for another protocol must have no body",
        Reason::BodyAfterResponse => "The body went on after its response had begun",
        Reason::Failure | Reason::NoProfile => "The firewall could not judge this request",
        Reason::Overload => "The firewall is busy, try again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_which_rule_and_which_request() {
        let refusal = Refusal { rules: vec![942_100, 942_190], ..Refusal::plain(Reason::Rule) };
        let text = page(&refusal, &Reader::of("a1", &Head::default()), true);
        assert_eq!(text.body, "The firewall has refused this request.\nRule: 942100, 942190\nRequest: a1\n");
        let json = page(&refusal, &Reader::of("a1", &Head::of([("accept", b"application/json".as_slice())])), true);
        let value: serde_json::Value = serde_json::from_str(&json.body).unwrap();
        assert_eq!((&value["rules"], &value["request"]), (&json!([942_100, 942_190]), &json!("a1")));
        assert!(!page(&refusal, &Reader::of("a1", &Head::default()), false).body.contains("942100"));
    }
}
