//! Checks as Envoy sends them.

use envoy::Message as _;
use proptest::prelude::*;

use super::*;

#[test]
fn host_path_and_method_are_those_of_the_attributes() {
    let http = HttpRequest {
        method: "GET".into(),
        host: "App.Example".into(),
        path: "/a?b".into(),
        headers: [
            (":path", "/evil"),
            (":authority", "evil"),
            ("x-forwarded-host", "evil"),
            ("x-original-url", "/public"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        ..HttpRequest::default()
    };
    let attributes = envoy::service::auth::AttributeContext {
        request: Some(envoy::service::auth::attribute_context::Request { http: Some(http), ..Default::default() }),
        context_extensions: [("profile".to_owned(), "web".to_owned())].into(),
        ..Default::default()
    };
    let ask = read(CheckRequest { attributes: Some(attributes) }).unwrap();
    assert_eq!((&*ask.method, &*ask.host, &*ask.target), ("GET", "app.example", "/a?b"));
    assert_eq!(ask.header(":path"), None);
    assert_eq!(ask.context["profile"], "web");
}

#[test]
fn raw_headers_are_joined() {
    let header =
        |key: &str, value: &str| HeaderValue { key: key.into(), raw_value: value.into(), ..HeaderValue::default() };
    let map = HeaderMap {
        headers: vec![header("cookie", "a=1"), header("cookie", "b=2"), header("x", "1"), header("x", "2")],
    };
    let headers = listed(map);
    assert_eq!((&*headers["cookie"], &*headers["x"]), ("a=1; b=2", "1,2"));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_a_check_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(check) = CheckRequest::decode(bytes.as_slice()) {
            read(check);
        }
    }
}
