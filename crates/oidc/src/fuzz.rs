//! What the fuzz targets do with what they are given: the three decoders that strangers reach. Each function panics when
//! something does not hold. `fuzz/` runs them under cargo-fuzz, `tests/fuzz.rs` with bounded random input in every test run.

use std::sync::LazyLock;

use envoy::Message as _;
use envoy::service::auth::CheckRequest;
use jsonwebtoken::Algorithm;

use crate::ask::Ask;
use crate::cookie::{Jar, SLOTS, Settings};
use crate::jwt::{self, Expected};
use crate::profile::Profile;
use crate::seal::{Keys, Purpose};
use crate::session::Session;
use crate::settings;
use crate::{grpc, return_url, upstream};

/// The example key of RFC 7517 (A.2), whose private part everybody knows.
const KEY: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// Cookies of a request: nothing that was not sealed here opens, and what is ours does not reach the server behind.
pub fn cookies(bytes: &[u8]) {
    static KEYS: LazyLock<Keys> = LazyLock::new(Keys::random);
    let header = String::from_utf8_lossy(bytes);
    for domain in [None, Some("example.com".to_owned())] {
        let jar = Jar::new(&Settings { domain, ..Settings::default() });
        let opens = |purpose, value: &str| KEYS.open_text::<Session>(purpose, jar.session_name(), value).is_some();
        for value in (0..SLOTS).flat_map(|slot| [false, true].map(|away| jar.logins(&header, slot, away))).flatten() {
            assert!(!opens(Purpose::Login, value), "it opened: {value}");
        }
        for value in jar.sessions(&header) {
            assert!(!opens(Purpose::Cookie, &value), "it opened: {value}");
        }
        if let Some(rest) = jar.without_ours(&header) {
            assert_eq!(jar.without_ours(&rest), None, "left of {header:?}: {rest:?}");
            assert!(jar.sessions(&rest).is_empty(), "left of {header:?}: {rest:?}");
        }
    }
}

/// A token that somebody brings: it does not hold. (Whoever calls this has signed none that does.)
pub fn tokens(bytes: &[u8]) {
    let token = String::from_utf8_lossy(bytes);
    assert!(verified(&token).is_none(), "it holds: {token}");
    // What is read before anything is verified.
    let _ = (jwt::issuer_of(&token), jwt::claims_of(&token));
}

/// The claims of a token by the example key, for `edge` from `https://id.example` at the time 1,000,000.
pub fn verified(token: &str) -> Option<jwt::Claims> {
    static PUBLISHED: LazyLock<jwt::Keys> =
        LazyLock::new(|| jwt::Keys::of(&serde_json::from_str(KEY).expect("the RFC has a valid key")));
    let expected = Expected {
        issuer: "https://id.example",
        audiences: &["edge".to_owned()],
        algorithms: &[Algorithm::ES256, Algorithm::RS256],
        types: &["jwt", ""],
        endless: false,
    };
    jwt::verify(token, &PUBLISHED, &expected, 1_000_000).ok()
}

/// A check of Envoy, with whatever a client sent in it: read, judged by its path, and let through as that of nobody.
pub fn check_requests(bytes: &[u8]) {
    let Some(ask) = CheckRequest::decode(bytes).ok().and_then(grpc::read) else { return };
    let _ = (ask.caller(), ask.bearer(), ask.parameter("state"), ask.field("logout_token"));
    if let Some(path) = ask.path().sure() {
        assert!(path.starts_with('/') && !path.contains("//") && !path.contains("/../"), "{path:?} is beyond doubt");
    }
    returns_home(&ask);
    static PROFILE: LazyLock<Profile> = LazyLock::new(|| {
        let headers = [("x-user".to_owned(), "sub".to_owned())].into();
        let upstream = settings::Upstream { headers, access_token: true, ..settings::Upstream::default() };
        let settings = settings::Profile { upstream, ..settings::Profile::default() };
        Profile::new("fuzz", &settings, |_| None).expect("it names no provider")
    });
    let pass = upstream::pass(&ask, &PROFILE, &Jar::new(&Settings::default()), None);
    let plain = |name: &str| name.to_ascii_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    for name in ask.headers.keys().filter(|name| ["x-user", "authorization"].contains(&&*plain(name))) {
        assert!(pass.remove.contains(name), "{name:?} passes");
    }
}

/// Where a login leads back to is where it began, for whoever reads URLs as browsers do.
fn returns_home(ask: &Ask) {
    let locations = [
        Some(format!("https://app.example{}", return_url::kept(&ask.target))),
        return_url::asked(&ask.target, "https", "app.example", &[]),
    ];
    for location in locations.into_iter().flatten() {
        let url = url::Url::parse(&location).expect("a location is a URL");
        assert_eq!(url.origin().ascii_serialization(), "https://app.example", "{:?}", ask.target);
    }
}
