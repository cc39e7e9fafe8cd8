//! TLS on both sides: certificates by server name, clients' certificates, passthrough, and TLS towards back ends.

mod backend;
mod clients;
mod routes;

use anyhow::Result;
use testbed::client::{Connection, Request};
use testbed::echo::Echo;
use testbed::pki::{Ca, Identity};

use crate::harness::{Case, free_port, local};
use crate::objects::{backend_at, class, gateway, http_route, listener, to_backend};

/// A Secret as a document.
fn secret(name: &str, identity: &Identity) -> String {
    format!("---\n{}", identity.secret_manifest("default", name))
}

/// What an HTTPS listener says of its certificates and its host.
fn certificates(names: &[&str], host: &str) -> String {
    let refs: Vec<String> = names.iter().map(|name| format!("{{name: {name}}}")).collect();
    let host = if host.is_empty() { String::new() } else { format!(", hostname: '{host}'") };
    format!(", tls: {{certificateRefs: [{}]}}{host}", refs.join(", "))
}

/// A request to a port of this machine by HTTPS.
fn https(host: &str, port: u16, ca: &Ca) -> Request {
    Request::get(&format!("https://{host}/")).to(local(port)).ca(ca.pem())
}

/// Waits until a request is answered with this status.
async fn answers(case: &Case, request: &Request, status: u16) -> Result<()> {
    case.until(&format!("{status}"), async || Ok(request.send().await?.status == status)).await
}

async fn web(name: &str) -> Result<Echo> {
    Echo::http().name(name).spawn().await
}

/// A backend with a route to it for all hosts.
fn everything_to(echo: &Echo) -> String {
    backend_at("web", echo.address(), "") + &http_route("web", "{name: gw}", &[], &to_backend("web", ""))
}

#[tokio::test]
async fn http_route_https_listener() -> Result<()> {
    let (echo, port, ca) = (web("web").await?, free_port(), Ca::new("test")?);
    let (a, b) = (ca.server(&["a.org", "*.a.org"])?, ca.server(&["b.org"])?);
    let case = Case::start(&[
        class(),
        gateway(&[listener("https", "HTTPS", port, &certificates(&["a", "b"], ""))]),
        secret("a", &a),
        secret("b", &b),
        everything_to(&echo),
    ])
    .await?;
    answers(&case, &https("a.org", port, &ca), 200).await?;
    // Of several certificates of one listener the server name chooses.
    for (host, identity) in [("a.org", &a), ("x.a.org", &a), ("b.org", &b)] {
        let answer = https(host, port, &ca).send().await?;
        assert!(answer.status == 200 && answer.shown_by(identity), "{host}");
        assert_eq!(answer.echoed()?.header("x-forwarded-proto"), Some("https"));
    }
    // ALPN: each client gets the HTTP it asks for.
    let answer = https("a.org", port, &ca).http2().send().await?;
    assert_eq!((answer.status.as_u16(), answer.version), (200, http::Version::HTTP_2));
    Ok(())
}

#[tokio::test]
async fn several_https_listeners_on_one_port() -> Result<()> {
    let (echo, port, ca) = (web("web").await?, free_port(), Ca::new("test")?);
    let (a, b, rest) = (ca.server(&["a.org"])?, ca.server(&["*.b.org"])?, ca.server(&["a.org", "x.b.org", "c.org"])?);
    let case = Case::start(&[
        class(),
        gateway(&[
            listener("a", "HTTPS", port, &certificates(&["a"], "a.org")),
            listener("b", "HTTPS", port, &certificates(&["b"], "*.b.org")),
            listener("rest", "HTTPS", port, &certificates(&["rest"], "")),
        ]),
        secret("a", &a),
        secret("b", &b),
        secret("rest", &rest),
        everything_to(&echo),
    ])
    .await?;
    for (host, identity) in [("a.org", &a), ("x.b.org", &b), ("c.org", &rest)] {
        answers(&case, &https(host, port, &ca), 200).await?;
        assert!(https(host, port, &ca).send().await?.shown_by(identity), "{host}");
    }
    Ok(())
}

#[tokio::test]
async fn http_route_https_listener_detect_misdirected_requests() -> Result<()> {
    let (echo, port, ca) = (web("web").await?, free_port(), Ca::new("test")?);
    let case = Case::start(&[
        class(),
        gateway(&[
            listener("a", "HTTPS", port, &certificates(&["both"], "a.org")),
            listener("b", "HTTPS", port, &certificates(&["both"], "b.org")),
        ]),
        secret("both", &ca.server(&["a.org", "b.org"])?),
        everything_to(&echo),
    ])
    .await?;
    answers(&case, &https("a.org", port, &ca), 200).await?;
    answers(&case, &https("b.org", port, &ca), 200).await?;
    // A browser may use one connection for all names of the certificate: it is told to open another one.
    let opening = https("a.org", port, &ca).http2();
    let mut connection = Connection::open(&opening).await?;
    for (host, status) in [("a.org", 200), ("b.org", 421), ("unknown.org", 404), ("a.org", 200)] {
        let answer = connection.send(&https(host, port, &ca).http2()).await?;
        assert_eq!(answer.status, status, "{host}");
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_exchanged_under_open_connections() -> Result<()> {
    let (echo, port, ca) = (web("web").await?, free_port(), Ca::new("test")?);
    let (old, new) = (ca.server(&["a.org"])?, ca.server(&["a.org"])?);
    let case = Case::start(&[
        class(),
        gateway(&[listener("https", "HTTPS", port, &certificates(&["cert"], "a.org"))]),
        everything_to(&echo),
    ])
    .await?;
    case.write("secret", &secret("cert", &old))?;
    let request = https("a.org", port, &ca);
    answers(&case, &request, 200).await?;
    let mut connection = Connection::open(&request).await?;
    assert_eq!(connection.send(&request).await?.status, 200);
    case.write("secret", &secret("cert", &new))?;
    case.until("the new certificate", async || Ok(request.send().await?.shown_by(&new))).await?;
    let answer = connection.send(&request).await?;
    assert!(answer.status == 200 && answer.shown_by(&old));
    Ok(())
}

#[tokio::test]
async fn gateway_invalid_tls_configuration() -> Result<()> {
    let (echo, port, ca) = (web("web").await?, free_port(), Ca::new("test")?);
    let broken = Identity { cert: "no certificate".to_owned(), key: "no key".to_owned() };
    let unfit = Identity { cert: ca.server(&["unfit.org"])?.cert, key: ca.server(&["unfit.org"])?.key };
    let elsewhere = ", tls: {certificateRefs: [{name: cert, namespace: other}]}, hostname: other.org";
    let case = Case::start(&[
        class(),
        gateway(&[
            listener("good", "HTTPS", port, &certificates(&["good"], "good.org")),
            listener("missing", "HTTPS", port, &certificates(&["missing"], "missing.org")),
            listener("broken", "HTTPS", port, &certificates(&["broken"], "broken.org")),
            listener("unfit", "HTTPS", port, &certificates(&["unfit"], "unfit.org")),
            listener("elsewhere", "HTTPS", port, elsewhere),
        ]),
        secret("good", &ca.server(&["good.org"])?),
        secret("broken", &broken),
        secret("unfit", &unfit),
        format!("---\n{}", ca.server(&["other.org"])?.secret_manifest("other", "cert")),
        everything_to(&echo),
    ])
    .await?;
    answers(&case, &https("good.org", port, &ca), 200).await?;
    for (listener, reason) in [
        ("good", "ResolvedRefs"),
        ("missing", "InvalidCertificateRef"),
        ("broken", "InvalidCertificateRef"),
        ("unfit", "InvalidCertificateRef"),
        ("elsewhere", "RefNotPermitted"),
    ] {
        assert_eq!(listener_reason(&case, listener, "ResolvedRefs").await?, reason, "{listener}");
    }
    for host in ["missing.org", "broken.org", "unfit.org", "other.org"] {
        assert!(https(host, port, &ca).send().await.is_err(), "{host}");
    }
    // GatewaySecretReferenceGrantSpecific; and what was missing comes.
    let grant = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: other}\n\
                 spec:\n  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: default}]\n  to: [{group: '', \
                 kind: Secret, name: cert}]\n";
    case.write("mended", &(grant.to_owned() + &secret("missing", &ca.server(&["missing.org"])?)))?;
    answers(&case, &https("other.org", port, &ca), 200).await?;
    answers(&case, &https("missing.org", port, &ca), 200).await
}

/// The reason of a listener's condition.
async fn listener_reason(case: &Case, listener: &str, condition: &str) -> Result<String> {
    let status = case.status("Gateway", "gw").await?;
    let listeners = status["listeners"].as_array().into_iter().flatten().filter(|found| found["name"] == listener);
    let conditions = listeners.flat_map(|found| found["conditions"].as_array().into_iter().flatten());
    let mut reasons = conditions.filter(|found| found["type"] == condition).map(|found| &found["reason"]);
    Ok(reasons.next().and_then(|reason| reason.as_str()).unwrap_or_default().to_owned())
}
