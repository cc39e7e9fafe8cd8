//! TLS towards back ends: BackendTLSPolicy, a Gateway's client certificate, and a Backend's own settings.

use testbed::echo::EchoedTls;

use super::*;
use crate::objects::{authority, backend, gateway_with, service, to_service};

fn policy(name: &str, target: &str, ca: &str, more: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: {name}}}\n\
         spec:\n  targetRefs: [{target}]\n  \
         validation: {{caCertificateRefs: [{{group: '', kind: ConfigMap, name: {ca}}}], hostname: back.org{more}}}\n"
    )
}

/// A policy for a Service.
fn for_service(service: &str, ca: &str, more: &str) -> String {
    policy(service, &format!("{{group: '', kind: Service, name: {service}}}"), ca, more)
}

/// A route for `name.org` to a Service of that name.
fn to(name: &str) -> String {
    http_route(name, "{name: gw}", &[&format!("{name}.org")], &to_service(name, ""))
}

fn ask(name: &str, port: u16) -> Request {
    Request::get(&format!("http://{name}.org/")).to(local(port))
}

/// The TLS session that the back end saw.
async fn session(request: &Request) -> Result<EchoedTls> {
    Ok(request.send().await?.echoed()?.tls.unwrap_or_default())
}

#[tokio::test]
async fn backend_tls_policy() -> Result<()> {
    let (port, ca, other) = (free_port(), Ca::new("test")?, Ca::new("other")?);
    let echo = Echo::http().tls(&ca.server(&["back.org"])?).spawn().await?;
    let misnamed = Echo::http().tls(&ca.server(&["somebody-else.org"])?).spawn().await?;
    let case = Case::start(&[
        class(),
        gateway(&[listener("http", "HTTP", port, "")]),
        authority("ca", &ca.pem()),
        authority("other", &other.pem()),
        service("default", "good", &[echo.address()]) + &to("good") + &for_service("good", "ca", ""),
        service("default", "stranger", &[echo.address()]) + &to("stranger") + &for_service("stranger", "other", ""),
        service("default", "misnamed", &[misnamed.address()]) + &to("misnamed") + &for_service("misnamed", "ca", ""),
        // Any of several authorities may have signed it.
        service("default", "two", &[echo.address()])
            + &to("two")
            + &for_service("two", "other}, {group: '', kind: ConfigMap, name: ca", ""),
        // BackendTLSPolicyInvalidCACertificateRef
        service("default", "broken", &[echo.address()]) + &to("broken") + &for_service("broken", "nothing", ""),
    ])
    .await?;
    answers(&case, &ask("good", port), 200).await?;
    answers(&case, &ask("two", port), 200).await?;
    assert_eq!(session(&ask("good", port)).await?.server_name, "back.org");
    case.condition("BackendTLSPolicy", "good", "Accepted", "True").await?;
    // An authority that did not sign it, a name that is not its own: no request reaches it.
    for name in ["stranger", "misnamed"] {
        answers(&case, &ask(name, port), 503).await?;
    }
    answers(&case, &ask("broken", port), 500).await?;
    case.reason("BackendTLSPolicy", "broken", "ResolvedRefs", "InvalidCACertificateRef").await?;
    case.reason("BackendTLSPolicy", "broken", "Accepted", "NoValidCACertificate").await?;
    assert_eq!(misnamed.count(), 0);
    Ok(())
}

#[tokio::test]
async fn backend_tls_policy_san_validation() -> Result<()> {
    let (port, ca) = (free_port(), Ca::new("test")?);
    let echo = Echo::http().tls(&ca.server(&["inner.back.org", "spiffe://back/inner"])?).spawn().await?;
    let sans = |sans: &str| format!(", subjectAltNames: [{sans}]");
    let case = Case::start(&[
        class(),
        gateway(&[listener("http", "HTTP", port, "")]),
        authority("ca", &ca.pem()),
        service("default", "name", &[echo.address()])
            + &to("name")
            + &for_service("name", "ca", &sans("{type: Hostname, hostname: inner.back.org}")),
        service("default", "uri", &[echo.address()])
            + &to("uri")
            + &for_service(
                "uri",
                "ca",
                &sans("{type: Hostname, hostname: no.org}, {type: URI, uri: 'spiffe://back/inner'}"),
            ),
        service("default", "none", &[echo.address()])
            + &to("none")
            + &for_service("none", "ca", &sans("{type: URI, uri: 'spiffe://back/outer'}")),
        service("default", "wild", &[echo.address()])
            + &to("wild")
            + &for_service("wild", "ca", &sans("{type: Hostname, hostname: '*.back.org'}")),
        // A wildcard stands for one label.
        service("default", "wider", &[echo.address()])
            + &to("wider")
            + &for_service("wider", "ca", &sans("{type: Hostname, hostname: '*.org'}")),
    ])
    .await?;
    for name in ["name", "uri", "wild"] {
        answers(&case, &ask(name, port), 200).await?;
        assert_eq!(session(&ask(name, port)).await?.server_name, "back.org", "the SNI is the hostname all the same");
    }
    for name in ["none", "wider"] {
        answers(&case, &ask(name, port), 503).await?;
    }
    Ok(())
}

#[tokio::test]
async fn backend_tls_policy_conflict_resolution() -> Result<()> {
    let (port, ca, other) = (free_port(), Ca::new("test")?, Ca::new("other")?);
    let echo = Echo::http().tls(&ca.server(&["back.org"])?).spawn().await?;
    let target = "{group: '', kind: Service, name: good}";
    let case = Case::start(&[
        class(),
        gateway(&[listener("http", "HTTP", port, "")]),
        authority("ca", &ca.pem()) + &authority("other", &other.pem()),
        service("default", "good", &[echo.address()]) + &to("good"),
        policy("a-first", target, "ca", ""),
        policy("b-second", target, "other", ""),
    ])
    .await?;
    answers(&case, &ask("good", port), 200).await?;
    case.reason("BackendTLSPolicy", "b-second", "Accepted", "Conflicted").await?;
    case.condition("BackendTLSPolicy", "a-first", "Accepted", "True").await
}

#[tokio::test]
async fn gateway_tls_backend_client_certificate() -> Result<()> {
    let (port, ca, clients) = (free_port(), Ca::new("test")?, Ca::new("clients")?);
    let echo = Echo::http().tls(&ca.server(&["back.org"])?).client_ca(&clients.pem()).spawn().await?;
    let own = clients.client(&["gateway"])?;
    let fields = "  tls: {backend: {clientCertificateRef: {group: '', kind: Secret, name: own}}}\n";
    let case = Case::start(&[
        class(),
        gateway_with("gw", &[listener("http", "HTTP", port, "")], fields),
        authority("ca", &ca.pem()),
        secret("own", &own),
        service("default", "good", &[echo.address()]) + &to("good") + &for_service("good", "ca", ""),
    ])
    .await?;
    answers(&case, &ask("good", port), 200).await?;
    let bare = |pem: &str| pem.split_whitespace().collect::<String>();
    assert_eq!(bare(&session(&ask("good", port)).await?.peer_certificates[0]), bare(&own.cert));
    Ok(())
}

#[tokio::test]
async fn gateway_invalid_tls_backend_configuration() -> Result<()> {
    let port = free_port();
    let fields = "  tls: {backend: {clientCertificateRef: {group: '', kind: Secret, name: missing}}}\n";
    let echo = web("web").await?;
    let case = Case::start(&[
        class(),
        gateway_with("gw", &[listener("http", "HTTP", port, "")], fields),
        everything_to(&echo),
    ])
    .await?;
    case.reason("Gateway", "gw", "ResolvedRefs", "InvalidClientCertificateRef").await?;
    // What needs no certificate goes on.
    answers(&case, &ask("any", port), 200).await
}

#[tokio::test]
async fn a_backends_own_tls() -> Result<()> {
    let (port, ca) = (free_port(), Ca::new("test")?);
    let echo = Echo::http().tls(&ca.server(&["back.org"])?).spawn().await?;
    let (ip, number) = (echo.address().ip(), echo.port());
    let at = |tls: &str| format!("{{endpoints: [{{ip: {{address: {ip}, port: {number}}}}}], tls: {tls}}}");
    let case = Case::start(&[
        class(),
        gateway(&[listener("http", "HTTP", port, "")]),
        authority("ca", &ca.pem()),
        backend("checked", &at("{caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}], sni: back.org}")),
        backend("misnamed", &at("{caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}], sni: front.org}")),
        backend("blind", &at("{insecureSkipVerify: true, sni: whoever.org}")),
        backend("system", &at("{wellKnownCACertificates: System, sni: back.org}")),
        ["checked", "misnamed", "blind", "system"]
            .map(|name| http_route(name, "{name: gw}", &[&format!("{name}.org")], &to_backend(name, "")))
            .concat(),
    ])
    .await?;
    answers(&case, &ask("checked", port), 200).await?;
    answers(&case, &ask("blind", port), 200).await?;
    assert_eq!(session(&ask("checked", port)).await?.server_name, "back.org");
    assert_eq!(session(&ask("blind", port)).await?.server_name, "whoever.org");
    answers(&case, &ask("misnamed", port), 503).await?;
    answers(&case, &ask("system", port), 503).await
}
