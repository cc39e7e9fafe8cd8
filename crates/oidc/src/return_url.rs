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
mod shapes;

#[cfg(test)]
mod tests {
    use super::shapes::{HOSTS, SHAPES};
    use super::*;

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
