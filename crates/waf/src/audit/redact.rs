//! Secrets that stay out of the log.

use kit::redact::MASK;

use super::Redact;

/// A value of this length and more is cut.
const LONGEST: usize = 512;
/// Names are shorter; tokens are not.
const LONGEST_NAME: usize = 128;
/// Collections that hold whole bodies.
const BODIES: [&str; 6] = ["REQUEST_BODY", "RESPONSE_BODY", "FULL_REQUEST", "FILES_TMP_CONTENT", "XML", "RESPONSE_XML"];

/// Masks what must not be read.
#[derive(Debug)]
pub(super) struct Redactor {
    headers: Vec<String>,
    parameters: Vec<String>,
}

impl Redactor {
    pub(super) fn new(redact: &Redact) -> Self {
        let small = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { headers: small(&redact.headers), parameters: small(&redact.parameters) }
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str, value: &[u8]) -> String {
        let value = String::from_utf8_lossy(value);
        match name {
            _ if self.hides_header(name) => MASK.to_owned(),
            // Addresses, with the parameters of other requests.
            "referer" | "location" => self.target(&value),
            _ => cut(&value),
        }
    }

    /// Whether a value that a rule matched on must not be read.
    pub(super) fn hides(&self, variable: &str, key: &str) -> bool {
        BODIES.contains(&variable)
            || match variable {
                "REQUEST_HEADERS" | "RESPONSE_HEADERS" => {
                    ["referer", "location"].contains(&key.to_ascii_lowercase().as_str()) || self.hides_header(key)
                }
                "REQUEST_COOKIES" => self.hides_header("cookie") || self.hides_parameter(key),
                // Names in the key, values that hold names of others: a line has all.
                "QUERY_STRING" | "REQUEST_URI" | "REQUEST_URI_RAW" | "REQUEST_LINE" => true,
                _ => self.hides_parameter(key),
            }
    }

    /// A request target, with the values of secret parameters masked.
    pub(super) fn target(&self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else { return cut(target) };
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if self.hides_parameter(&decoded(name)) => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        });
        cut(&format!("{path}?{}", pairs.collect::<Vec<_>>().join("&")))
    }

    fn hides_header(&self, name: &str) -> bool {
        self.headers.contains(&name.to_ascii_lowercase())
    }

    fn hides_parameter(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.parameters.iter().any(|part| name.contains(part.as_str()))
    }
}

/// A name as applications read it: without percent signs.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a variable holds what a rule found elsewhere: in another place of the same match.
pub(super) fn is_copy(variable: &str) -> bool {
    variable == "TX" || variable.starts_with("MATCHED_VAR")
}

/// Whether a key is a name, as exclusions have them or as some frameworks make them, and no longer than names are. Nothing of it
/// stands for a body or for credentials, which have blanks, braces, quotes, colons, or at signs.
pub(super) fn is_name(key: &str) -> bool {
    key.len() <= LONGEST_NAME && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.[]-$".contains(&byte))
}

/// The beginning of a long value.
pub(super) fn cut(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} bytes)", &value[..end], value.len()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let redactor = Redactor::new(&Redact::default());
        assert_eq!(redactor.header("Authorization", b"Bearer x"), MASK);
        assert_eq!(redactor.header("accept", b"*/*"), "*/*");
        assert_eq!(
            redactor.header("referer", b"https://a.example/?token=x"),
            format!("https://a.example/?token={MASK}")
        );
        assert_eq!(redactor.target("/a?pass%77ord=x&100%=y"), format!("/a?pass%77ord={MASK}&100%=y"));
        assert_eq!(redactor.target("/a?user=ann&new_Password=x&q=1"), format!("/a?user=ann&new_Password={MASK}&q=1"));
        for (variable, key, hidden) in [
            ("ARGS", "password", true),
            ("ARGS_POST", "json.card.number", true),
            ("ARGS", "comment", false),
            ("REQUEST_HEADERS", "Cookie", true),
            ("REQUEST_HEADERS", "Referer", true),
            ("REQUEST_COOKIES", "session", true),
            ("REQUEST_BODY", "", true),
            ("XML", "/*", true),
            ("REQUEST_URI", "", true),
            ("REQUEST_FILENAME", "", false),
        ] {
            assert_eq!(redactor.hides(variable, key), hidden, "{variable}:{key}");
        }
        assert_eq!(cut(&"é".repeat(600)).chars().filter(|letter| *letter == 'é').count(), LONGEST);
    }
}
