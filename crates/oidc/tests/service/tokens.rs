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

#[tokio::test]
async fn id_tokens_that_do_not_hold_log_nobody_in() {
    let house = House::start(WEB).await;
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let issuer = house.provider.issuer();
    let forged: Vec<(&str, Option<Forge>)> = vec![
        ("nonce wrong", claim("nonce", json!("another"))),
        ("nonce missing", claim("nonce", Value::Null)),
        ("aud wrong", claim("aud", json!("another"))),
        ("aud missing", claim("aud", Value::Null)),
        ("aud with strangers", claim("aud", json!(["edge", "stranger"]))),
        ("azp wrong", claim("azp", json!("another"))),
        ("iss wrong", claim("iss", json!("https://evil.example"))),
        ("iss with a tail", claim("iss", json!(format!("{issuer}/")))),
        ("iss a prefix", claim("iss", json!(issuer[..issuer.len() - 1].to_owned()))),
        ("iss missing", claim("iss", Value::Null)),
        ("expired", claim("exp", json!(now() - 3600))),
        ("without end", claim("exp", Value::Null)),
        ("not valid yet", claim("nbf", json!(now() + 3600))),
        ("made in the future", claim("iat", json!(now() + 3600))),
        ("about nobody", claim("sub", Value::Null)),
        ("alg none", header("alg", json!("none"))),
        ("alg None", header("alg", json!("nOnE"))),
        ("alg HS256", header("alg", json!("HS256"))),
        ("alg RS256 with an EC key", header("alg", json!("RS256"))),
        ("unknown kid", header("kid", json!("another"))),
        ("kid injection", header("kid", json!("../../../../dev/null"))),
        (
            "critical header",
            forge(|header, _| {
                header["crit"] = json!(["b64"]);
                header["b64"] = json!(false);
            }),
        ),
        ("unknown critical header", header("crit", json!(["exp"]))),
    ];
    for (name, forge) in forged {
        house.provider.turn(|knobs| knobs.forge = forge);
        let mut browser = house.browser();
        let answer = browser.open("https://app.example/").await;
        assert_eq!(answer.status, 502, "{name}: {}", answer.text());
        assert!(!browser.names("app.example").contains(&"__Host-portcullis"), "{name}");
    }
    assert_eq!(house.backend.count(), 0);
    house.provider.turn(|knobs| knobs.forge = forge(|_, claims| drop(claims.insert("azp".into(), json!("edge")))));
    house.logged_in().await;
}

#[tokio::test]
async fn whole_tokens_that_are_forged_log_nobody_in() {
    let house = House::start(WEB).await;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims =
        json!({ "iss": house.provider.issuer(), "aud": "edge", "sub": "root", "exp": 99_999_999_999_u64, "iat": 1 });
    let key = house.provider.published()["keys"][0].to_string();
    let signature = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_bytes()),
        format!("{}.{}", part(&json!({ "alg": "HS256" })), part(&claims)).as_bytes(),
    );
    for token in [
        format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims)),
        format!("{}.{}", part(&json!({ "alg": "none" })), part(&claims)),
        format!("{}.{}.{}", part(&json!({ "alg": "HS256" })), part(&claims), URL_SAFE_NO_PAD.encode(signature)),
        "a.b.c".to_owned(),
        String::new(),
        "x".repeat(100_000),
    ] {
        house.provider.turn(|knobs| knobs.id_token = Some(token.clone()));
        assert_eq!(house.browser().open("https://app.example/").await.status, 502, "{}", &token[..token.len().min(60)]);
    }
    assert_eq!(house.backend.count(), 0);
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

#[tokio::test]
async fn a_provider_with_a_thousand_keys_or_an_answer_of_ten_megabytes_is_bounded() {
    let house = House::start(WEB).await;
    house.provider.turn(|knobs| knobs.extra_keys = 40);
    house.provider.rotate(Algorithm::Es256).unwrap();
    house.logged_in().await;
    house.provider.turn(|knobs| knobs.padding = 10 << 20);
    let answer = house.browser().open("https://app.example/").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    let many = crate::house::provider().await;
    many.turn(|knobs| knobs.extra_keys = 1000);
    let service =
        House::with(Arc::clone(&many), &format!("{}defaultProfile: web\n{WEB}", crate::house::main_provider(&many)))
            .await;
    let answer = service.browser().open("https://app.example/").await;
    assert!(answer.status == 502 || answer.status == 200, "{}", answer.status);
    let mebibytes = service.service.process.resident_mebibytes().unwrap();
    assert!(mebibytes < 300.0, "{mebibytes}");
}
