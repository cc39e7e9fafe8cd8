//! Paths, as far as they may decide something.
//!
//! A path decides only when everybody who may see it (Envoy, this service, the server behind) reads it alike. Where they may
//! not, the path is in doubt: it is no anonymous path and it fulfils no rule that names a path.

use std::borrow::Cow;

/// The path of a request, without query and fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<'a> {
    text: &'a str,
    doubtful: bool,
}

impl<'a> Path<'a> {
    /// The path of a request's target.
    pub fn of(target: &'a str) -> Self {
        // A fragment has no place in a request, and servers differ in what they do with it.
        let fragment = target.contains('#');
        let end = target.find(['?', '#']).unwrap_or(target.len());
        let text = &target[..end];
        Self { text, doubtful: fragment || is_doubtful(text) }
    }

    /// The path, when it is beyond doubt.
    pub fn sure(self) -> Option<&'a str> {
        (!self.doubtful).then_some(self.text)
    }

    /// The path as it was sent, for people.
    pub fn raw(self) -> &'a str {
        self.text
    }
}

fn is_doubtful(path: &str) -> bool {
    // Parameters of segments (`/a;x/b`) are cut off by some servers, backslashes are slashes for some.
    let plain = |byte: u8| byte.is_ascii_graphic() && !b";\\".contains(&byte);
    if !path.starts_with('/') || path.contains("//") || !path.bytes().all(plain) {
        return true;
    }
    // Some servers leave out spaces and points at the end of a segment.
    let climbs = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| b". ".contains(&byte));
    decoded(path).is_none_or(|text| text.split('/').any(climbs) || text.chars().any(is_folded))
}

/// The path with its encoded letters decoded; nothing where servers may differ in that: encoded ASCII (some decode it, some do
/// not) and what is no UTF-8 (a dot or a slash in too many bytes, as `%c0%ae`).
fn decoded(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let byte = hexadecimal(rest).filter(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_control())?;
            bytes.push(byte);
            rest = &rest[2..];
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Whether some servers turn this letter into one of ASCII: full-width and small forms, and what looks like a point or a slash.
fn is_folded(letter: char) -> bool {
    let alike = matches!(letter, '\u{2024}'..='\u{2026}' | '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{3002}');
    let forms = matches!(letter, '\u{29f5}'..='\u{29f9}' | '\u{fe50}'..='\u{fe6b}' | '\u{ff01}'..='\u{ff65}');
    alike || forms || letter.is_control()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(*digits.first()?)? * 16 + digit(*digits.get(1)?)?;
    u8::try_from(value).ok()
}

/// A pattern of paths: `/exact`, or `/below/*` for that path and all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    base: String,
    below: bool,
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (base, below) = match text.strip_suffix("/*") {
            Some(base) => (base, true),
            None => (text, false),
        };
        let plain = (base.is_empty() && below) || (Path::of(base).sure() == Some(base) && !base.contains('*'));
        let closed = below && base.ends_with('/');
        if plain && !closed {
            Ok(Self { base: base.to_owned(), below })
        } else {
            Err(format!("`{text}` is no path, allowed: /exact, or /below/* for it and all below it"))
        }
    }

    /// Whether it means this path. One in doubt is meant by none.
    pub fn matches(&self, path: Path<'_>) -> bool {
        let Some(path) = path.sure() else { return false };
        match path.strip_prefix(self.base.as_str()) {
            Some("") => true,
            Some(rest) => self.below && rest.starts_with('/'),
            None => false,
        }
    }
}

#[cfg(test)]
mod lenient;

#[cfg(test)]
mod tests {
    use super::lenient::lenient;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tricks_are_in_doubt() {
        let tricks = [
            "",
            "public",
            "//public",
            "/public//x",
            "/public/../admin",
            "/public/..",
            "/./public",
            "/public/%2e%2e/admin",
            "/public/%2E./admin",
            "/public/..;/admin",
            "/public;/admin",
            "/public%2fadmin",
            "/public%2Fadmin",
            "/public%5cadmin",
            "/public\\..\\admin",
            "/public%00",
            "/public\0",
            "/public#/admin",
            "/public%23/admin",
            "/public%3f/admin",
            "/public%",
            "/public%2",
            "/public%zz",
            "/p%75blic",
            "/public/%252e",
            "/public/\u{202e}",
            "/public ",
            "/public\t",
            "/public%0a",
            "/public%3b/x",
            "/public%7f",
            "/public/..%20/admin",
            "/public/.%20./admin",
            "/public/.../admin",
            "/public/%c0%ae%c0%ae/admin",
            "/public/%c0%af..%c0%afadmin",
            "/public/%e0%80%ae%e0%80%ae/admin",
            "/public/%ef%bc%8e%ef%bc%8e/admin",
            "/public%ef%bc%8fadmin",
            "/public/%e2%80%a5%e2%81%84admin",
            "/public/%c2%85",
            "/public/%ff",
            "/public/%c3",
        ];
        let public = Pattern::parse("/public/*").unwrap();
        for trick in tricks {
            assert_eq!(Path::of(trick).sure(), None, "{trick:?}");
            assert!(!public.matches(Path::of(trick)), "{trick:?}");
        }
    }

    #[test]
    fn plain_paths_match() {
        let (exact, below, all) =
            (Pattern::parse("/health").unwrap(), Pattern::parse("/public/*").unwrap(), Pattern::parse("/*").unwrap());
        for (path, exactly, under) in [
            ("/health", true, false),
            ("/health?deep=/public/", true, false),
            ("/healthy", false, false),
            ("/health/", false, false),
            ("/Health", false, false),
            ("/public", false, true),
            ("/public/", false, true),
            ("/public/a.css?x#", false, false),
            ("/public/a%20b/%C3%A4.css", false, true),
            ("/publicity", false, false),
            ("/x?/public/", false, false),
        ] {
            assert_eq!(exact.matches(Path::of(path)), exactly, "{path}");
            assert_eq!(below.matches(Path::of(path)), under, "{path}");
        }
        assert!(all.matches(Path::of("/")) && all.matches(Path::of("/a/b")));
        for wrong in ["", "a", "/a/../b", "/a//*", "/a*", "*", "/%2e"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn what_is_anonymous_here_is_so_for_the_most_lenient_server(
            parts in prop::collection::vec(prop::sample::select(vec![
                "/", "public", "admin", "..", ".", ";", "%2e", "%2f", "%5c", "\\", "%00", "#", "%23", "?", "%25", "2e", "2f",
                "//", "%", "a", "%c3%a4", " ", "%20", "\t",
            ]), 0..10),
        ) {
            let target = format!("/{}", parts.concat());
            if Pattern::parse("/public/*").unwrap().matches(Path::of(&target)) {
                let read = lenient(target.split('?').next().unwrap());
                prop_assert!(read == "/public" || read.starts_with("/public/"), "{target} is {read}");
            }
        }
    }
}
