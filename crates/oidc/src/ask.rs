//! What Envoy asks: one request, as Envoy itself sees it.
//!
//! Host, path and method are those of the check's attributes, which Envoy makes of the request that it would forward. Headers
//! of the request that claim another host, path or scheme (`X-Forwarded-*`, `X-Original-*`, `Forwarded`) are never looked at.

use std::collections::BTreeMap;

use crate::path::Path;

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The method.
    pub method: String,
    /// Host and port as the client said them, in lower case.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Headers by name in lower case; several of one name are joined.
    pub headers: BTreeMap<String, String>,
    /// The body as far as it came with the check.
    pub body: Vec<u8>,
    /// What the route says of itself.
    pub context: BTreeMap<String, String>,
    /// Where the request comes from, for the audit log.
    pub client: String,
}

/// How a caller is told that a login is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A person's browser that shows what it gets: may be sent to a login.
    Browser,
    /// A script in a browser, or a program: gets 401.
    Program,
}

impl Ask {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The path, without query.
    pub fn path(&self) -> Path<'_> {
        Path::of(&self.target)
    }

    /// The query, without its question mark.
    pub fn query(&self) -> &str {
        let target = self.target.split('#').next().unwrap_or_default();
        target.split_once('?').map_or("", |(_, query)| query)
    }

    /// A parameter of the query; nothing when it is there twice, for then nobody knows which is meant.
    pub fn parameter(&self, name: &str) -> Option<String> {
        single(self.query().as_bytes(), name)
    }

    /// A field of the body, which is a form.
    pub fn field(&self, name: &str) -> Option<String> {
        single(&self.body, name)
    }

    /// The host without port and without a dot at its end: all spellings of it lead to the same route.
    pub fn host_name(&self) -> &str {
        host_name(&self.host)
    }

    /// Whether the host is one that can stand in a URL.
    pub fn has_plain_host(&self) -> bool {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]_".contains(&byte);
        !self.host.is_empty() && self.host.len() <= 255 && self.host.bytes().all(plain)
    }

    /// Whether this is a person's browser that may be sent elsewhere. Only a GET may: another method would lose its body.
    pub fn caller(&self) -> Caller {
        if self.method != "GET" || self.header("x-requested-with").is_some() || self.header("upgrade").is_some() {
            return Caller::Program;
        }
        if let Some(mode) = self.header("sec-fetch-mode") {
            // Frames are shown too, but a login page in a frame is what clickjacking needs.
            let shown = mode == "navigate" && self.header("sec-fetch-dest").is_none_or(|to| to == "document");
            return if shown { Caller::Browser } else { Caller::Program };
        }
        match self.header("accept") {
            Some(accept) if accept.contains("text/html") => Caller::Browser,
            _ => Caller::Program,
        }
    }

    /// The token of `Authorization: Bearer`. Servers behind may read it where it is spelled in another way, or one of several
    /// such headers: that is an empty one, which holds nowhere.
    pub fn bearer(&self) -> Option<&str> {
        let is_bearer = |text: &str| text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"));
        let value = self.header("authorization")?;
        if !value.split(',').any(|one| is_bearer(one.trim_start())) {
            return None;
        }
        let (scheme, token) = value.trim_start().split_once(char::is_whitespace).unwrap_or_default();
        Some(if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" })
    }

    /// The request's id, as Envoy gives it; what is too long is none.
    pub fn id(&self) -> &str {
        self.header("x-request-id").filter(|id| id.len() <= 128).unwrap_or_default()
    }
}

/// A host without port and without a dot at its end.
pub fn host_name(host: &str) -> &str {
    // An address of IPv6 has colons of its own, in brackets.
    let address = host.rfind(']').map_or(0, |at| at + 1);
    let end = host[address..].find(':').map_or(host.len(), |at| address + at);
    host[..end].trim_end_matches('.')
}

fn single(form: &[u8], name: &str) -> Option<String> {
    let mut values = url::form_urlencoded::parse(form).filter(|(key, _)| key == name);
    let value = values.next()?.1.into_owned();
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(headers: &[(&str, &str)]) -> Ask {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ask { method: "GET".into(), host: "a.example".into(), target: "/".into(), headers, ..Ask::default() }
    }

    #[test]
    fn browsers_and_programs() {
        let browser = [
            &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")][..],
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
        ];
        let program = [
            &[][..],
            &[("accept", "*/*")],
            &[("accept", "application/json")],
            &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")],
            &[("accept", "text/html"), ("sec-fetch-mode", "cors")],
            &[("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            &[("accept", "text/html"), ("upgrade", "websocket")],
            &[("content-type", "application/grpc")],
        ];
        browser.iter().for_each(|headers| assert_eq!(get(headers).caller(), Caller::Browser, "{headers:?}"));
        program.iter().for_each(|headers| assert_eq!(get(headers).caller(), Caller::Program, "{headers:?}"));
        let post = Ask { method: "POST".into(), ..get(browser[0]) };
        assert_eq!(post.caller(), Caller::Program);
    }

    #[test]
    fn a_host_has_one_name() {
        for (host, name) in [
            ("a.example", "a.example"),
            ("a.example:8443", "a.example"),
            ("a.example.", "a.example"),
            ("a.example.:80", "a.example"),
            ("a.example:", "a.example"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(host_name(host), name, "{host}");
        }
    }

    #[test]
    fn a_parameter_that_is_there_twice_is_none() {
        let ask = |target: &str| Ask { target: target.into(), ..Ask::default() };
        assert_eq!(ask("/?state=a%20b&x=1").parameter("state").as_deref(), Some("a b"));
        assert_eq!(ask("/?state=a&state=b").parameter("state"), None);
        assert_eq!(ask("/?x#state=a").parameter("state"), None);
    }

    #[test]
    fn bearer_tokens() {
        for (value, token) in [
            ("bearer abc", Some("abc")),
            ("BEARER \t abc ", Some("abc")),
            ("Bearer\tabc", Some("abc")),
            ("Bearer", Some("")),
            ("Bearer:abc", Some("")),
            ("Bearerabc", Some("")),
            ("Basic abc,Bearer abc", Some("")),
            ("Basic abc, bearer\tabc", Some("")),
            ("Bearer abc,Bearer def", Some("abc,Bearer def")),
            ("Basic abc", None),
            ("Digest realm=\"a\", nonce=\"bearer\"", None),
            ("Bear er", None),
            ("b\u{e9}\u{e9}\u{e9}\u{e9}", None),
            ("", None),
        ] {
            assert_eq!(get(&[("authorization", value)]).bearer(), token, "{value:?}");
        }
    }
}
