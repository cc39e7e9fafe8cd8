//! What our services say of a request by dynamic metadata: the firewall its verdict, single sign-on who is logged in.

use envoy::{Message as _, Struct, Value, ValueKind};

use crate::wire::{Fields, field, pair};

/// Where the firewall writes.
const FIREWALL: &[u8] = b"portcullis.waf";
/// Where Envoy puts what an authorization service says.
const AUTHORIZATION: &[u8] = b"envoy.filters.http.ext_authz";

/// What is known of a request.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    /// The firewall's verdict, where it is not that all is well.
    pub(crate) firewall: Option<Verdict>,
    /// Who is logged in.
    pub(crate) subject: Option<&'a str>,
    /// What single sign-on did: `login`, `logout`, `denied`.
    pub(crate) sign_on: Option<&'a str>,
}

/// What the firewall says.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Verdict {
    /// Whether it refused the request, and did not only look on.
    pub(crate) blocks: bool,
    pub(crate) profile: String,
    pub(crate) score: f64,
    pub(crate) rules: Vec<u64>,
}

impl<'a> Facts<'a> {
    /// Reads a message of metadata. What cannot be read says nothing.
    pub(crate) fn read(metadata: &'a [u8]) -> Self {
        let (mut facts, mut fields) = (Self::default(), Fields::new(metadata));
        while let Ok(Some((number, value))) = fields.next() {
            if number != 1 {
                continue;
            }
            match pair(value.bytes()) {
                (FIREWALL, fields) => facts.firewall = verdict(fields),
                (AUTHORIZATION, fields) => {
                    facts.subject = text(fields, b"subject");
                    facts.sign_on = text(fields, b"event");
                }
                _ => {}
            }
        }
        facts
    }

    /// The rules that matched.
    pub(crate) fn rules(&self) -> impl Iterator<Item = String> {
        self.firewall.iter().flat_map(|verdict| &verdict.rules).map(u64::to_string)
    }
}

/// A text of a `Struct`, in place: it is asked of each request of people who are logged in.
fn text<'a>(structure: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let mut fields = Fields::new(structure);
    while let Ok(Some((number, value))) = fields.next() {
        if let (1, (key, value)) = (number, pair(value.bytes()))
            && key == name
        {
            return std::str::from_utf8(field(value, 3)?.bytes()).ok();
        }
    }
    None
}

/// Nothing when the request passed and no rule matched.
fn verdict(message: &[u8]) -> Option<Verdict> {
    let said = Struct::decode(message).ok()?.fields;
    let get = |name: &str| said.get(name)?.kind.as_ref();
    let text = |name: &str| match get(name) {
        Some(ValueKind::StringValue(text)) => text.as_str(),
        _ => "",
    };
    let rules = match get("rules") {
        Some(ValueKind::ListValue(list)) => list.values.iter().filter_map(number).collect(),
        _ => Vec::new(),
    };
    let blocks = text("verdict") == "block";
    if !blocks && text("verdict") != "detect" && rules.is_empty() {
        return None;
    }
    let score = said.get("score").and_then(|value| match value.kind {
        Some(ValueKind::NumberValue(score)) => Some(score),
        _ => None,
    });
    Some(Verdict { blocks, profile: text("profile").to_owned(), score: score.unwrap_or_default(), rules })
}

fn number(value: &Value) -> Option<u64> {
    match value.kind {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rules are whole and below 2^32")]
        Some(ValueKind::NumberValue(number)) if (0.0..4.3e9).contains(&number) => Some(number as u64),
        _ => None,
    }
}
