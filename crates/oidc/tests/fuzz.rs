//! The bodies of the fuzz targets (`fuzz/`) with bounded random input: bytes of any kind, and valid ones with some of them changed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy::Message as _;
use envoy::service::auth::attribute_context::{HttpRequest, Request};
use envoy::service::auth::{AttributeContext, CheckRequest};
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

/// A change of some bytes: they are replaced by others, by none, or put before what is there.
#[derive(Debug, Clone)]
struct Change {
    at: Index,
    length: usize,
    with: Vec<u8>,
}

impl Change {
    fn of(&self, seed: &mut Vec<u8>) {
        let at = self.at.index(seed.len() + 1);
        let end = (at + self.length).min(seed.len());
        seed.splice(at..end, self.with.iter().copied());
    }
}

/// Pieces that decoders may trip over.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "",
        ";",
        ",",
        "=",
        "~",
        "2~",
        "8~",
        ".",
        "..",
        "/",
        "//",
        "\\",
        "%2e",
        "%c0%ae",
        "#",
        "?",
        "\0",
        "\r\n",
        "@",
        "__Host-portcullis=",
        "__Host-portcullis-1=",
        "__Host-portcullis-login-0=",
        "__Secure-portcullis=",
        "x_user",
        "X-USER",
        "x-user",
        "https://",
        "eyJ",
        "authorization",
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ]
}

/// Bytes of any kind, or one of these with a few changes.
fn bytes(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), 0_usize..6, pieces()).prop_map(|(at, length, with)| Change { at, length, with });
    let changed = (prop::sample::select(seeds), prop::collection::vec(change, 1..5)).prop_map(|(mut seed, changes)| {
        changes.iter().for_each(|change| change.of(&mut seed));
        seed
    });
    prop_oneof![1 => prop::collection::vec(any::<u8>(), 0..300), 4 => changed]
}

fn cookies() -> Vec<Vec<u8>> {
    let whole = format!("a=1; __Host-portcullis=s{0}; __Host-portcullis-login-3={0}; b=2,3", "A".repeat(43));
    let parts = "__Secure-portcullis=3~cAAAA; __Secure-portcullis-1=BBBB; __Secure-portcullis-2=CCCC";
    vec![whole.into_bytes(), parts.into()]
}

/// A token that holds, signed by the example key of RFC 7517.
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let pem = "-----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAGhRANC\n\
        AAQwoEJM0hwpRIOKLXXJKzfnbqINnwCJOjtO7oo8Cq/sPuBLZekkVtmIi1Kzeb371R7oae8fD8ZbZllpW2zOCBcj\n\
        -----END PRIVATE KEY-----\n";
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    let header = json!({ "alg": "ES256", "kid": "1", "typ": "JWT" });
    let claims = json!({ "iss": "https://id.example", "aud": "edge", "sub": "ann", "exp": 1_000_300 });
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    format!("{text}.{}", jsonwebtoken::crypto::sign(text.as_bytes(), &key, Algorithm::ES256).unwrap())
});

fn checks() -> Vec<Vec<u8>> {
    let headers =
        [("cookie", "a=1; __Host-portcullis=x"), ("x-user", "root"), ("x_user", "root"), ("authorization", "Bearer x")];
    let check = |target: &str| {
        let http = HttpRequest {
            method: "GET".into(),
            host: "app.example".into(),
            path: target.into(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..HttpRequest::default()
        };
        let request = Some(Request { http: Some(http), ..Request::default() });
        let attributes = Some(AttributeContext { request, ..AttributeContext::default() });
        CheckRequest { attributes }.encode_to_vec()
    };
    ["/shop/cart?item=1&state=0.x", "/public/%c3%a4/a%20b", "//evil.example/..;/x#y", "https://app.example/x"]
        .map(check)
        .to_vec()
}

#[test]
fn the_token_that_is_changed_holds_as_it_is() {
    assert_eq!(oidc::fuzz::verified(&TOKEN).unwrap()["sub"], "ann");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn cookies_of_any_kind(header in bytes(cookies())) {
        oidc::fuzz::cookies(&header);
    }

    #[test]
    fn tokens_of_any_kind(token in bytes(vec![TOKEN.as_bytes().to_vec()])) {
        prop_assume!(token != TOKEN.as_bytes());
        oidc::fuzz::tokens(&token);
    }

    #[test]
    fn check_requests_of_any_kind(check in bytes(checks())) {
        oidc::fuzz::check_requests(&check);
    }
}
