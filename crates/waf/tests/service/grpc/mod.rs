//! gRPC: no message waits for another one, whoever streams; a refused call has a status that gRPC knows, and one that is given up
//! leaves nothing behind.

mod shop;

use futures::channel::mpsc::unbounded;
use futures::{StreamExt as _, stream};
use serde_json::json;
use testbed::PATIENCE;
use testbed::wait::{wait_for_value, wait_until};
use tonic::{Code, Request, Response, Status};

use crate::house::Service;
use shop::{Shop, Texts, filters, fixed, path, soon};

/// Looks at all there is to look at. The Core Rule Set takes no gRPC, so it has to be told to.
const PROFILE: &str = "name: grpc
exclusions: [{rules: [920420]}]
requestBody: {contentTypes: ['*/*']}
response: {inspect: true, body: {inspect: true, contentTypes: ['*/*']}}
";

/// Messages of each side.
const MESSAGES: usize = 20;

async fn service() -> Service {
    Service::start(&[("grpc.yaml", PROFILE)], "defaultProfile: grpc\n").await
}

/// That so many calls were judged and passed, and that nothing is left of them.
async fn passed(service: &Service, calls: usize) {
    over(service, r#"waf_transactions_total{profile="grpc",verdict="pass"}"#, calls).await;
}

/// That so many calls ended so, and that no stream is left of them.
async fn over(service: &Service, series: &str, calls: usize) {
    let look = async || [service.metric(series).await.to_string(), service.metric("waf_streams").await.to_string()];
    wait_for_value(series, PATIENCE, &[calls.to_string(), "0".to_owned()], look).await.unwrap();
}

#[tokio::test]
async fn what_a_client_streams_is_not_held() {
    let service = service().await;
    for filter in filters() {
        let mut shop = Shop::start(&service, &filter).await;
        let mut client = shop.client().await;
        let (questions, messages) = unbounded();
        let listens =
            async move { client.client_streaming(Request::new(messages), path("Listen"), Texts::default()).await };
        let answer = tokio::spawn(listens);
        let mut call = shop.call().await;
        for number in 0..MESSAGES {
            questions.unbounded_send(format!("question {number}")).unwrap();
            assert_eq!(call.question().await.unwrap(), Some(format!("question {number}")), "{filter}");
        }
        assert!(!answer.is_finished());
        drop(questions);
        assert_eq!(call.question().await.unwrap(), None);
        call.answer("enough");
        drop(call);
        let answer = soon("the answer", answer).await.unwrap().map(Response::into_inner);
        assert_eq!(answer.unwrap(), "enough", "{filter}");
    }
    passed(&service, filters().len()).await;
}

#[tokio::test]
async fn what_a_server_streams_is_not_held_and_its_status_comes_through() {
    let service = service().await;
    for filter in filters() {
        let mut shop = Shop::start(&service, &filter).await;
        let mut client = shop.client().await;
        let question = Request::new("tell me".to_owned());
        let answers = client.server_streaming(question, path("Tell"), Texts::default());
        let mut answers = soon("the head of the answer", answers).await.unwrap().into_inner();
        let mut call = shop.call().await;
        assert_eq!(call.question().await.unwrap().as_deref(), Some("tell me"));
        assert_eq!(call.question().await.unwrap(), None);
        for number in 0..MESSAGES {
            call.answer(&format!("answer {number}"));
            let answer = soon("an answer", answers.message()).await.unwrap();
            assert_eq!(answer, Some(format!("answer {number}")), "{filter}");
        }
        call.fail(Status::failed_precondition("no more"));
        let end = soon("the end", answers.message()).await.unwrap_err();
        assert_eq!((end.code(), end.message()), (Code::FailedPrecondition, "no more"), "{filter}");
    }
    passed(&service, filters().len()).await;
}

#[tokio::test]
async fn of_a_talk_each_message_is_answered_before_the_next_is_sent() {
    let service = service().await;
    for filter in filters() {
        let mut shop = Shop::start(&service, &filter).await;
        let (questions, mut answers) = shop.talk().await;
        let mut call = shop.call().await;
        for number in 0..MESSAGES {
            questions.unbounded_send(format!("question {number}")).unwrap();
            assert_eq!(call.question().await.unwrap(), Some(format!("question {number}")), "{filter}");
            call.answer(&format!("answer {number}"));
            let answer = soon("an answer", answers.message()).await.unwrap();
            assert_eq!(answer, Some(format!("answer {number}")), "{filter}");
        }
        // One side is done, the other goes on.
        drop(questions);
        assert_eq!(call.question().await.unwrap(), None);
        call.answer("one more");
        assert_eq!(soon("an answer", answers.message()).await.unwrap().as_deref(), Some("one more"), "{filter}");
        drop(call);
        assert_eq!(soon("the end", answers.message()).await.unwrap(), None, "{filter}");
        if filter == filters()[0] {
            // Where the firewall may choose, no message is sent there at all.
            let bytes = async |way: &str| service.metric(&format!("waf_body_bytes_total{{direction=\"{way}\"}}")).await;
            passed(&service, 1).await;
            assert!(bytes("request").await + bytes("response").await < 1.0);
        }
    }
    passed(&service, filters().len()).await;
}

#[tokio::test]
async fn where_envoy_holds_bodies_calls_go_through_whose_sides_do_not_wait_for_each_other() {
    let service = service().await;
    for mode in ["BUFFERED", "BUFFERED_PARTIAL"] {
        let mut shop = Shop::start(&service, &fixed(mode)).await;
        let mut client = shop.client().await;
        let questions = stream::iter((0..MESSAGES).map(|number| format!("question {number}")));
        let asks = async move { client.streaming(Request::new(questions), path("Talk"), Texts::default()).await };
        let answers = tokio::spawn(asks);
        let mut call = shop.call().await;
        for number in 0..MESSAGES {
            assert_eq!(call.question().await.unwrap(), Some(format!("question {number}")), "{mode}");
            call.answer(&format!("answer {number}"));
        }
        drop(call);
        let answers = soon("the head of an answer", answers).await.unwrap().unwrap().into_inner();
        let answers: Vec<_> = soon("the answers", answers.map(Result::unwrap).collect()).await;
        assert!(answers.into_iter().eq((0..MESSAGES).map(|number| format!("answer {number}"))), "{mode}");
    }
    passed(&service, 2).await;
}

#[tokio::test]
async fn an_attack_in_the_metadata_of_a_call_is_permission_denied() {
    let service = service().await;
    for filter in filters() {
        let mut shop = Shop::start(&service, &filter).await;
        let (_questions, messages) = unbounded();
        let mut request = Request::new(messages);
        request.metadata_mut().insert("cookie", "id=1' OR '1'='1'-- -".parse().unwrap());
        let refused = shop.ask(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{filter}: {refused:?}");
        let page = refused.message();
        assert!(page.starts_with("The firewall has refused this request.\nRule: 942100"), "{page}");
        assert!(shop.is_idle(), "{filter}");
    }
    over(&service, r#"waf_transactions_total{profile="grpc",verdict="block"}"#, filters().len()).await;
}

/// What Envoy makes of the status of a refusal.
const STATUSES: [(u16, Code); 9] = [
    (400, Code::Internal),
    (401, Code::Unauthenticated),
    (403, Code::PermissionDenied),
    (404, Code::Unimplemented),
    (413, Code::Unknown),
    (415, Code::Unknown),
    (429, Code::Unavailable),
    (500, Code::Unknown),
    (503, Code::Unavailable),
];

#[tokio::test]
async fn each_status_of_a_refusal_has_one_of_grpc() {
    let rule = |status: u16| {
        format!(
            "  SecRule REQUEST_HEADERS:x-status \"@streq {status}\" \"id:{},phase:1,deny,status:{status}\"\n",
            10_000 + status
        )
    };
    let rules: String = STATUSES.iter().map(|(status, _)| rule(*status)).collect();
    let profile = format!("{PROFILE}directives: |\n{rules}");
    let service = Service::start(&[("grpc.yaml", &profile)], "defaultProfile: grpc\n").await;
    let mut shop = Shop::start(&service, &json!({})).await;
    for (status, code) in STATUSES {
        let (_questions, messages) = unbounded();
        let mut request = Request::new(messages);
        request.metadata_mut().insert("x-status", status.to_string().parse().unwrap());
        assert_eq!(shop.ask(request).await.unwrap_err().code(), code, "{status}");
    }
    assert!(shop.is_idle());
}

/// How many calls are given up at once.
const GIVEN_UP: usize = 8;

#[tokio::test]
async fn calls_that_their_client_gives_up_leave_nothing_behind() {
    let service = service().await;
    for (before, filter) in filters().iter().enumerate() {
        let mut shop = Shop::start(&service, filter).await;
        let mut talks = Vec::new();
        for number in 0..GIVEN_UP {
            let (questions, mut answers) = shop.talk().await;
            let mut call = shop.call().await;
            questions.unbounded_send(format!("question {number}")).unwrap();
            assert_eq!(call.question().await.unwrap(), Some(format!("question {number}")), "{filter}");
            call.answer(&format!("answer {number}"));
            assert!(soon("an answer", answers.message()).await.unwrap().is_some());
            talks.push((questions, answers, call));
        }
        let streams = async || service.metric("waf_streams").await.to_string();
        wait_for_value("open streams", PATIENCE, &GIVEN_UP.to_string(), streams).await.unwrap();
        for (questions, answers, call) in talks {
            drop((questions, answers));
            wait_until("the backend to learn of it", PATIENCE, async || call.is_given_up()).await.unwrap();
        }
        for gauge in
            ["http.http.downstream_rq_active", "cluster.waf.upstream_rq_active", "cluster.backend.upstream_rq_active"]
        {
            let active = async || shop.envoy.stat(gauge).await.unwrap();
            wait_for_value(gauge, PATIENCE, &0, active).await.unwrap();
        }
        passed(&service, before * (GIVEN_UP + 1) + GIVEN_UP).await;
        assert!(service.metric(r#"waf_malformed_streams_total{reason="undecodable"}"#).await < 1.0);
        // The same connections go on.
        let (questions, _answers) = shop.talk().await;
        questions.unbounded_send("still there?".to_owned()).unwrap();
        assert!(shop.call().await.question().await.unwrap().is_some(), "{filter}");
    }
}
