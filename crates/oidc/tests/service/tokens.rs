//! ID tokens and access tokens that do not hold.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testbed::idp::{Algorithm, Claims, Forge};

use crate::house::{House, WEB};

fn forge(change: impl Fn(&mut Value, &mut Claims) + Send + Sync + 'static) -> Option<Forge> {
    Some(Arc::new(change))
}

fn claim(name: &'static str, value: Value) -> Option<Forge> {
    forge(move |_, claims| {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.to_owned(), value.clone());
        }
    })
}

fn header(name: &'static str, value: Value) -> Option<Forge> {
    forge(move |header, _| header[name] = value.clone())
}

/// Nobody logs in with any of these ID tokens, nor with those that are what they are; with one that holds somebody does.
async fn refused<const N: usize>(house: &House, forged: [(&str, Option<Forge>); N], whole: &[String]) {
    for (name, forge) in forged {
        house.provider.turn(|knobs| knobs.forge = forge);
        not_in(house, name).await;
    }
    house.provider.turn(|knobs| knobs.forge = None);
    for token in whole {
        house.provider.turn(|knobs| knobs.id_token = Some(token.clone()));
        not_in(house, &token[..token.len().min(60)]).await;
    }
    assert_eq!(house.backend.count(), 0);
    println!("forged ID tokens: 0 of {} accepted", N + whole.len());
    house.provider.turn(|knobs| knobs.id_token = None);
    house.logged_in().await;
}

async fn not_in(house: &House, name: &str) {
    let mut browser = house.browser();
    let answer = browser.open("https://app.example/").await;
    assert_eq!(answer.status, 502, "{name}: {}", answer.text());
    assert!(!browser.names("app.example").contains(&"__Host-portcullis"), "{name}");
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The claims of somebody who would have everything.
fn root(house: &House) -> Value {
    json!({ "iss": house.provider.issuer(), "aud": "edge", "sub": "root", "exp": now() + 300, "iat": now() })
}

#[tokio::test]
async fn nonce_missing_or_wrong() {
    let house = House::start(WEB).await;
    let forged = [
        ("wrong", claim("nonce", json!("another"))),
        ("empty", claim("nonce", json!(""))),
        ("a list", claim("nonce", json!(["another"]))),
        ("missing", claim("nonce", Value::Null)),
    ];
    refused(&house, forged, &[]).await;
}

#[tokio::test]
async fn nonce_of_another_login() {
    let house = House::start(WEB).await;
    let other = house.browser().until("https://app.example/", &house.provider.issuer()).await;
    let nonce =
        url::Url::parse(&other).unwrap().query_pairs().find(|(name, _)| name == "nonce").unwrap().1.into_owned();
    refused(&house, [("of another login", claim("nonce", json!(nonce)))], &[]).await;
}

#[tokio::test]
async fn an_audience_that_is_not_ours() {
    let house = House::start(WEB).await;
    let forged = [
        ("wrong", claim("aud", json!("another"))),
        ("missing", claim("aud", Value::Null)),
        ("with strangers", claim("aud", json!(["edge", "stranger"]))),
        ("with a tail", claim("aud", json!("edge2"))),
        ("a part", claim("aud", json!("edg"))),
        ("none", claim("aud", json!([]))),
    ];
    refused(&house, forged, &[]).await;
}

#[tokio::test]
async fn an_authorized_party_that_is_not_us() {
    let house = House::start(WEB).await;
    let forged = [("wrong", claim("azp", json!("another"))), ("a list", claim("azp", json!(["edge"])))];
    refused(&house, forged, &[]).await;
    house.provider.turn(|knobs| knobs.forge = claim("azp", json!("edge")));
    house.logged_in().await;
}

#[tokio::test]
async fn an_issuer_that_is_not_the_providers() {
    let house = House::start(WEB).await;
    let issuer = house.provider.issuer();
    let forged = [
        ("wrong", claim("iss", json!("https://evil.example"))),
        ("with a slash at the end", claim("iss", json!(format!("{issuer}/")))),
        ("a prefix", claim("iss", json!(issuer[..issuer.len() - 1].to_owned()))),
        ("a host below", claim("iss", json!(format!("{issuer}.evil.example")))),
        ("in capitals", claim("iss", json!(issuer.to_uppercase()))),
        ("missing", claim("iss", Value::Null)),
    ];
    refused(&house, forged, &[]).await;
}

#[tokio::test]
async fn a_token_that_has_expired() {
    let house = House::start(WEB).await;
    let forged = [
        ("an hour ago", claim("exp", json!(now() - 3600))),
        ("never", claim("exp", Value::Null)),
        ("before all time", claim("exp", json!(-1))),
        ("as text", claim("exp", json!("99999999999"))),
    ];
    refused(&house, forged, &[]).await;
}

#[tokio::test]
async fn a_token_that_is_not_valid_yet() {
    let house = House::start(WEB).await;
    let forged = [
        ("nbf", claim("nbf", json!(now() + 3600))),
        ("nbf as text", claim("nbf", json!("soon"))),
        ("iat", claim("iat", json!(now() + 3600))),
    ];
    refused(&house, forged, &[]).await;
}

#[tokio::test]
async fn a_token_about_nobody() {
    let house = House::start(WEB).await;
    refused(&house, [("missing", claim("sub", Value::Null)), ("empty", claim("sub", json!("")))], &[]).await;
}

#[tokio::test]
async fn algorithm_none() {
    let house = House::start(WEB).await;
    let forged = [
        ("none", header("alg", json!("none"))),
        ("nOnE", header("alg", json!("nOnE"))),
        ("empty", header("alg", json!(""))),
        ("null", header("alg", Value::Null)),
    ];
    let none = |name: &str| part(&json!({ "alg": name }));
    let claims = part(&root(&house));
    let whole = ["none", "None", "NONE"]
        .iter()
        .flat_map(|name| [format!("{}.{claims}.", none(name)), format!("{}.{claims}", none(name))]);
    refused(&house, forged, &whole.collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_public_key_as_a_shared_secret() {
    use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, Key, sign};
    let house = House::start(WEB).await;
    house.provider.rotate(Algorithm::Rs256).unwrap();
    house.logged_in().await;
    house.backend.clear();
    let key = house.provider.published()["keys"][0].clone();
    let modulus = key["n"].as_str().unwrap();
    let exponent = URL_SAFE_NO_PAD.decode(key["e"].as_str().unwrap()).unwrap();
    let der = spki(&URL_SAFE_NO_PAD.decode(modulus).unwrap(), &exponent);
    let pem = pem(&der);
    let secrets: Vec<Vec<u8>> = vec![
        key.to_string().into(),
        modulus.into(),
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        pem.trim_end().into(),
        pem.into(),
        der,
        // What we share with the provider signs nothing either.
        b"s3cret".to_vec(),
        Vec::new(),
    ];
    let algorithms = [("HS256", HMAC_SHA256), ("HS384", HMAC_SHA384), ("HS512", HMAC_SHA512)];
    let forged = algorithms.iter().flat_map(|(name, algorithm)| {
        let text = format!("{}.{}", part(&json!({ "alg": name, "kid": key["kid"] })), part(&root(&house)));
        secrets.iter().map(move |secret| {
            let signature = sign(&Key::new(*algorithm, secret), text.as_bytes());
            format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
        })
    });
    let forged: Vec<String> = forged.collect();
    refused(&house, [("HS256", header("alg", json!("HS256")))], &forged).await;
}

/// An RSA key as its PEM holds it.
fn spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let tagged = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    };
    let number = |bytes: &[u8]| tagged(2, &[&[0], bytes].concat());
    let key = tagged(0x30, &[number(modulus), number(exponent)].concat());
    let rsa = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    tagged(0x30, &[&rsa[..], &tagged(3, &[&[0], &key[..]].concat())].concat())
}

fn pem(key: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(key);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[tokio::test]
async fn an_algorithm_of_another_kind_of_key() {
    let house = House::start(WEB).await;
    let forged = ["RS256", "PS256", "EdDSA", "ES384", "es256"].map(|name| (name, header("alg", json!(name))));
    refused(&house, forged, &[]).await;
}

#[tokio::test]
async fn a_key_that_nobody_knows_or_a_name_that_is_a_path() {
    let house = House::start(WEB).await;
    let names = ["another", "../../../../dev/null", "/dev/null", "' OR 1=1 --", "https://evil.example/key", ""];
    refused(&house, names.map(|name| (name, header("kid", json!(name)))), &[]).await;
}

#[tokio::test]
async fn a_key_that_the_token_brings() {
    let house = House::start(WEB).await;
    let evil = testbed::idp::Keys::new(Algorithm::Es256).unwrap();
    let own = evil.published()["keys"][0].clone();
    let kid = house.provider.published()["keys"][0]["kid"].clone();
    let headers = [
        json!({ "alg": "ES256", "jwk": own }),
        json!({ "alg": "ES256", "kid": kid, "jwk": own }),
        json!({ "alg": "ES256", "kid": own["kid"], "jku": "https://evil.example/keys" }),
        json!({ "alg": "ES256", "kid": kid, "x5u": "https://evil.example/certificate" }),
        json!({ "alg": "ES256", "kid": kid }),
    ];
    let tokens = headers.map(|header| evil.sign(&header, &root(&house)).unwrap());
    refused(&house, [], &tokens).await;
}

#[tokio::test]
async fn an_unknown_critical_header() {
    let house = House::start(WEB).await;
    let unsigned = forge(|header, _| {
        header["crit"] = json!(["b64"]);
        header["b64"] = json!(false);
    });
    let named = forge(|header, _| {
        header["crit"] = json!(["portcullis"]);
        header["portcullis"] = json!(1);
    });
    let forged = [("b64", unsigned), ("of its own", named), ("exp", header("crit", json!(["exp"])))];
    refused(&house, forged, &[]).await;
}

#[tokio::test]
async fn what_is_no_token() {
    let house = House::start(WEB).await;
    refused(&house, [], &["a.b.c".to_owned(), String::new(), ".".repeat(1000), "x".repeat(100_000)]).await;
}

#[tokio::test]
async fn a_key_with_the_name_of_another_does_not_count() {
    let house = House::start(WEB).await;
    // Signed with a new key that is not published: the name is that of the old one.
    let kid = house.provider.published()["keys"][0]["kid"].clone();
    let old = house.provider.published();
    house.provider.rotate(Algorithm::Es256).unwrap();
    house.provider.turn(|knobs| {
        knobs.forge = forge(move |header, _| header["kid"] = kid.clone());
        let _ = old;
    });
    assert_eq!(house.browser().open("https://app.example/").await.status, 502);
}
