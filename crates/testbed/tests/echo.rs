//! The echo backend and the clients, face to face.

use std::time::Duration;

use http::Version;
use testbed::client::{Connection, GrpcRequest, Request, tcp_line, tls_line, udp_datagram, websocket};
use testbed::echo::Echo;
use testbed::pki::Ca;

#[tokio::test]
async fn http1_shows_what_arrived() {
    let echo = Echo::http().name("a").namespace("ns").service("svc").spawn().await.unwrap();
    let request = Request::post("http://www.example.com/cats?n=1", "meow").to(echo.address());
    let answer = request.header("x-color", "blue").header("x-color", "red").send().await.unwrap();
    assert_eq!(answer.status, 200);
    let seen = answer.echoed().unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str(), seen.host.as_str()),
        ("POST", "/cats?n=1", "www.example.com")
    );
    assert_eq!((seen.proto.as_str(), seen.body.as_str()), ("HTTP/1.1", "meow"));
    assert_eq!((seen.pod.as_str(), seen.namespace.as_str(), seen.service.as_str()), ("a", "ns", "svc"));
    assert_eq!(seen.all("X-COLOR"), ["blue", "red"]);
    assert_eq!(seen.headers["X-Color"], ["blue", "red"]);
    assert_eq!(echo.count(), 1);
    assert_eq!(echo.requests(), [seen]);
}

#[tokio::test]
async fn http2_by_prior_knowledge_over_ipv6() {
    let echo = Echo::http().ipv6().spawn().await.unwrap();
    let answer = Request::get("http://www.example.com/").to(echo.address()).http2().send().await.unwrap();
    assert_eq!(answer.version, Version::HTTP_2);
    let seen = answer.echoed().unwrap();
    assert_eq!((seen.proto.as_str(), seen.host.as_str()), ("HTTP/2.0", "www.example.com"));
}

#[tokio::test]
async fn a_unix_socket_serves_too() {
    let dir = tempfile::tempdir().unwrap();
    let echo = Echo::http().unix(dir.path().join("echo.sock")).spawn().await.unwrap();
    let answer = Request::get("http://www.example.com/").to(echo.target()).send().await.unwrap();
    assert_eq!(answer.echoed().unwrap().host, "www.example.com");
}

#[tokio::test]
async fn tls_needs_the_right_authority_and_client() {
    let (ca, clients) = (Ca::new("servers").unwrap(), Ca::new("clients").unwrap());
    let server = ca.server(&["secure.example.com"]).unwrap();
    let echo = Echo::http().tls(&server).client_ca(&clients.pem()).spawn().await.unwrap();
    let request = Request::get("https://secure.example.com/").to(echo.address()).http2().ca(ca.pem());

    let client = clients.client(&["spiffe://example.com/me"]).unwrap();
    let answer = request.clone().identity(&client).send().await.unwrap();
    assert!(answer.shown_by(&server));
    let tls = answer.echoed().unwrap().tls.unwrap();
    assert_eq!((tls.server_name.as_str(), tls.negotiated_protocol.as_str()), ("secure.example.com", "h2"));
    assert_eq!(tls.version, "TLSv1.3");
    assert_eq!(tls.peer_certificates.len(), 1);
    assert_eq!(tls.peer_certificates[0].replace(['\r', '\n'], ""), client.cert.replace(['\r', '\n'], ""));

    request.clone().send().await.expect_err("no client certificate was shown");
    request.identity(&client).ca(clients.pem()).send().await.expect_err("the server's authority is not trusted");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let ca = Ca::new("servers").unwrap();
    let echo = Echo::http().tls(&ca.expired_server(&["old.example.com"]).unwrap()).spawn().await.unwrap();
    let error = Request::get("https://old.example.com/").to(echo.address()).ca(ca.pem()).send().await.unwrap_err();
    assert!(format!("{error:#}").contains("expired"), "{error:#}");
}

#[tokio::test]
async fn a_grpc_call_ends_with_its_status() {
    let echo = Echo::http().name("g").spawn().await.unwrap();
    let call = GrpcRequest::new("http://grpc.example.com/pets.Shop/Buy").to(echo.address()).header("x-color", "blue");
    let answer = call.clone().message(b"hello").send().await.unwrap();
    assert_eq!((answer.code, answer.http_status.as_u16()), (Some(0), 200));
    let seen = answer.echoed().unwrap();
    assert_eq!((seen.path.as_str(), seen.header("x-color"), seen.pod.as_str()), ("/pets.Shop/Buy", Some("blue"), "g"));
    assert_eq!(call.header("x-echo-grpc-status", "5").send().await.unwrap().code, Some(5));
}

#[tokio::test]
async fn a_websocket_sends_texts_back() {
    let echo = Echo::http().name("w").spawn().await.unwrap();
    let mut socket = websocket(echo.address(), "ws://www.example.com/chat", &[("x-color", "blue")]).await.unwrap();
    assert_eq!(socket.exchange("hello").await.unwrap(), "w hello");
    assert_eq!(socket.exchange("again").await.unwrap(), "w again");
    assert_eq!(echo.requests()[0].header("x-color"), Some("blue"));
}

#[tokio::test]
async fn lines_and_datagrams_come_back() {
    let tcp = Echo::tcp().name("t").spawn().await.unwrap();
    assert_eq!(tcp_line(tcp.address(), "hello").await.unwrap(), "t hello");
    let udp = Echo::udp().name("u").spawn().await.unwrap();
    assert_eq!(udp_datagram(udp.address(), "hello").await.unwrap(), "u hello");
    let ca = Ca::new("servers").unwrap();
    let tls = Echo::tcp().tls(&ca.server(&["tls.example.com"]).unwrap()).spawn().await.unwrap();
    assert_eq!(tls_line(tls.address(), "tls.example.com", &ca.pem(), "hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn a_backend_can_be_made_to_fail_and_comes_back() {
    let echo = Echo::http().spawn().await.unwrap();
    let address = echo.address();
    let get = |path: &str| Request::get(&format!("http://www.example.com{path}")).to(address);
    echo.answer_with(Some(503));
    assert_eq!(get("/").send().await.unwrap().status, 503);
    echo.answer_with(None);
    assert_eq!(get("/").send().await.unwrap().status, 200);
    get("/?delay=60s").deadline(Duration::from_millis(50)).send().await.expect_err("it answers later");
    echo.stop().await;
    get("/").send().await.expect_err("nobody listens");
    let _again = Echo::http().bind(address).spawn().await.unwrap();
    assert_eq!(get("/").send().await.unwrap().status, 200);
}

#[tokio::test]
async fn one_connection_carries_several_requests() {
    let echo = Echo::http().spawn().await.unwrap();
    for request in [
        Request::get("http://a.example.com/").to(echo.address()),
        Request::get("http://a.example.com/").to(echo.address()).http2(),
    ] {
        let mut connection = Connection::open(&request).await.unwrap();
        assert_eq!(connection.send(&request).await.unwrap().echoed().unwrap().host, "a.example.com");
        let other = request.header("host", "b.example.com");
        assert_eq!(connection.send(&other).await.unwrap().echoed().unwrap().host, "b.example.com");
    }
    assert_eq!(echo.count(), 4);
}
