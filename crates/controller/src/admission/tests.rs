use serde_json::json;

use super::*;

fn gateway(listener: &Value) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "eg", "namespace": "a"},
        "spec": {"gatewayClassName": "eg", "listeners": [listener]}})
}

fn good() -> Value {
    gateway(&json!({"name": "http", "port": 80, "protocol": "HTTP"}))
}

fn bad() -> Value {
    gateway(&json!({"name": "http", "port": 0, "protocol": "HTTP"}))
}

fn asked(operation: &str, object: Value, old_object: Value) -> Response {
    decide(&mut Request { uid: "1".to_owned(), operation: operation.to_owned(), object, old_object })
}

#[test]
fn a_bad_resource_is_refused_in_the_words_of_validate() {
    let answer = asked("CREATE", bad(), Value::Null);
    let file = "{\"apiVersion\": \"gateway.networking.k8s.io/v1\", \"kind\": \"Gateway\", \"metadata\": {\"name\": \"eg\", \
                \"namespace\": \"a\"}, \"spec\": {\"gatewayClassName\": \"eg\", \"listeners\": [{\"name\": \"http\", \"port\": 0, \
                \"protocol\": \"HTTP\"}]}}";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), file).unwrap();
    let once = crate::source::file::read_once(&[dir.path().join("a.yaml")]).unwrap();
    let said = Problem { file: None, ..once.seen.problems[0].clone() }.to_string();
    assert!(said.starts_with("Gateway a/eg: spec.listeners[0].port: "), "{said}");
    assert_eq!(answer.status.map(|status| status.message), Some(said));
    assert!(!answer.allowed);
    assert_eq!(answer.uid, "1");
}

#[test]
fn a_good_resource_is_allowed_and_what_it_does_not_have_is_told() {
    assert_eq!(
        asked("CREATE", good(), Value::Null),
        Response { uid: "1".into(), allowed: true, ..Response::default() }
    );
    let odd = gateway(&json!({"name": "http", "port": 80, "protocol": "HTTP", "x".repeat(300): 1}));
    let answer = asked("CREATE", odd, Value::Null);
    assert!(answer.allowed && answer.warnings[0].starts_with("Gateway a/eg: spec.listeners[0].xxx"), "{answer:?}");
    assert!(answer.warnings[0].len() <= WARNING);
}

#[test]
fn what_stands_there_already_may_be_labelled_and_deleted() {
    let with = |field: &str, value: Value| {
        let mut object = bad();
        object["metadata"][field] = value;
        object
    };
    assert!(!asked("UPDATE", bad(), good()).allowed);
    assert!(asked("UPDATE", with("labels", json!({"a": "b"})), bad()).allowed);
    assert!(asked("UPDATE", with("deletionTimestamp", json!("2026-01-01T00:00:00Z")), good()).allowed);
    assert!(asked("DELETE", Value::Null, bad()).allowed);
}

#[test]
fn others_resources_and_versions_are_allowed() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    assert!(asked("CREATE", pod, Value::Null).allowed);
    let mut newer = bad();
    newer["apiVersion"] = json!("gateway.networking.k8s.io/v9");
    assert!(asked("CREATE", newer, Value::Null).allowed);
}

#[tokio::test]
async fn a_review_is_answered_with_a_review() {
    use tower::ServiceExt as _;
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "7", "operation": "CREATE", "object": bad(), "oldObject": null, "dryRun": false}});
    let request = http::Request::post(PATH).header("content-type", "application/json");
    let request = request.body(axum::body::Body::from(review.to_string())).unwrap();
    let answer = routes().oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), MOST).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&answer["kind"], &answer["apiVersion"]), (&json!("AdmissionReview"), &json!("admission.k8s.io/v1")));
    assert_eq!((&answer["response"]["uid"], &answer["response"]["allowed"]), (&json!("7"), &json!(false)));
    assert!(answer.get("request").is_none());
}
