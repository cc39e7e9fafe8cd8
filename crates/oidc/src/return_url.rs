//! Where a person goes after login or logout: a path of the same host, or a URL of a host that is allowed. Nothing else, however
//! it is written.

use url::Url;

/// The longest target that is kept: a longer one is its path, or the front page.
const LONGEST: usize = 1024;

/// The path and query to come back to after a login, from the request that needed it.
pub fn kept(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let best = [target.split('#').next().unwrap_or_default(), path].into_iter();
    best.filter(|target| target.len() <= LONGEST && is_local(target))
        .map(str::to_owned)
        .next()
        .unwrap_or("/".to_owned())
}

/// The target that a client asks for: a path of this host, or an absolute URL of an allowed host (`www.example.com`,
/// `*.example.com`) with this scheme. Nothing when it is anything else.
pub fn asked(target: &str, scheme: &str, host: &str, allowed: &[String]) -> Option<String> {
    if target.len() > LONGEST {
        return None;
    }
    if is_local(target) {
        return Some(format!("{scheme}://{host}{target}"));
    }
    if target.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return None;
    }
    let url = Url::parse(target).ok()?;
    let plain = url.scheme() == scheme && url.username().is_empty() && url.password().is_none();
    // What was parsed has to be what was written, so that nobody reads it otherwise.
    let written = target.strip_prefix(scheme)?.strip_prefix("://")?;
    let authority = written.split(['/', '?', '#']).next()?;
    let known = authority == host || url.port().is_none() && allowed.iter().any(|pattern| is_host(pattern, authority));
    (plain && known && url.host_str() == authority.split(':').next()).then(|| url.into())
}

/// Whether a host is the one that a pattern names, or one below it where the pattern begins with `*.`.
pub fn is_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => host.len() > suffix.len() && host.ends_with(suffix),
        _ => pattern == host,
    }
}

/// Whether a target is a path of the host it is asked from, for every browser.
fn is_local(target: &str) -> bool {
    let mut bytes = target.bytes();
    bytes.next() == Some(b'/')
        // Browsers read `//host` and `/\host` as another host, and leave out tabs and line ends first.
        && !target[1..].starts_with(['/', '\\'])
        && bytes.all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ways to write "not here", each of which is tried with several hosts.
    const SHAPES: &[&str] = &[
        "//HOST",
        "///HOST",
        "////HOST",
        "/\\HOST",
        "\\\\HOST",
        "\\/HOST",
        "/\\/HOST",
        "/\t/HOST",
        "/\n/HOST",
        "/\r/HOST",
        "\t//HOST",
        " //HOST",
        "/ /HOST",
        "\u{0}//HOST",
        "/\u{0}/HOST",
        "/\u{a0}/HOST",
        "/\u{3000}/HOST",
        "http://HOST",
        "http:HOST",
        "http:/HOST",
        "http:///HOST",
        "https://HOST",
        "https:HOST",
        "https:/HOST",
        "https:///HOST",
        "https:\\\\HOST",
        "https:/\\HOST",
        "HTTPS://HOST",
        "hTtPs://HOST",
        "ftp://HOST",
        "ws://HOST",
        "javascript:alert(1)//HOST",
        "data:text/html,HOST",
        "vbscript:HOST",
        "https://app.example@HOST",
        "https://app.example:443@HOST",
        "https://app.example%40HOST",
        "https://app.example\\@HOST",
        "https://app.example\\.HOST",
        "https://app.example#@HOST",
        "https://app.example?@HOST",
        "https://HOST#app.example",
        "https://HOST?app.example",
        "https://HOST/app.example",
        "https://HOST\\app.example",
        "https://app.example.HOST",
        "https://app.exampleHOST",
        "https://HOSTapp.example.HOST",
        "https://app.example%2eHOST",
        "https://app.example%00.HOST",
        "https://app.example%0a.HOST",
        "https://app.example\t.HOST",
        "https://ap\tp.HOST",
        "https://app\u{ff0e}example.HOST",
        "https://app.example\u{3002}HOST",
        "https://[HOST]",
        "https://HOST:443",
        "https://app.example:80@HOST:443",
        "https://:x@HOST",
        "https://@HOST",
        "https://x@app.example",
        "https://app.example@",
        "HOST",
        ".HOST",
        "@HOST",
        "?https://HOST",
        "#https://HOST",
        "./HOST",
        "../HOST",
        "%2f%2fHOST",
        "%5cHOST",
        "mailto:a@HOST",
        "blob:https://HOST",
        "view-source:https://HOST",
        "https://app.example\r\nLocation: https://HOST",
        "/\u{85}/HOST",
    ];
    const HOSTS: &[&str] =
        &["evil.example", "127.0.0.1", "0x7f.1", "2130706433", "::1", "evil.example.", "xn--evl-vma.example"];

    #[test]
    fn no_way_leads_off_the_site() {
        let allowed = vec!["shop.example".to_owned(), "*.apps.example".to_owned()];
        let mut tried = 0;
        for shape in SHAPES {
            for host in HOSTS {
                let target = shape.replace("HOST", host);
                tried += 1;
                let local = format!("https://app.example{}", kept(&target));
                for location in [Some(local), asked(&target, "https", "app.example", &allowed)].into_iter().flatten() {
                    let url = Url::parse(&location).unwrap();
                    assert_eq!(
                        (url.scheme(), url.host_str()),
                        ("https", Some("app.example")),
                        "{target:?} gives {location}"
                    );
                    assert!(url.username().is_empty() && url.password().is_none(), "{target:?} gives {location}");
                    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{target:?} gives {location}");
                }
            }
        }
        assert!(tried >= 490, "{tried}");
    }

    #[test]
    fn local_paths_and_allowed_hosts_are_kept() {
        let allowed = vec!["shop.example".to_owned(), "*.apps.example".to_owned()];
        let asked = |target| asked(target, "https", "app.example:8443", &allowed);
        assert_eq!(asked("/a?b=//c").as_deref(), Some("https://app.example:8443/a?b=//c"));
        assert_eq!(asked("https://app.example:8443/x").as_deref(), Some("https://app.example:8443/x"));
        assert_eq!(asked("https://shop.example/x?y").as_deref(), Some("https://shop.example/x?y"));
        assert_eq!(asked("https://a.apps.example/").as_deref(), Some("https://a.apps.example/"));
        for wrong in [
            "https://apps.example/",
            "https://.apps.example/",
            "https://xapps.example/",
            "https://shop.example:8443/",
            "http://shop.example/",
        ] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn long_targets_are_cut_to_what_is_sure() {
        assert_eq!(kept("/a/b?c=d#e"), "/a/b?c=d");
        assert_eq!(kept(&format!("/a?{}", "x".repeat(2000))), "/a");
        assert_eq!(kept(&format!("/{}", "x".repeat(2000))), "/");
        assert_eq!(kept("//evil.example"), "/");
    }
}
