//! Clients that must, or may, show a certificate.

use super::*;
use crate::objects::{authority, gateway_with};

/// Validation by the authority of this ConfigMap.
fn validation(name: &str, more: &str) -> String {
    format!("{{validation: {{caCertificateRefs: [{{group: '', kind: ConfigMap, name: {name}}}]{more}}}}}")
}

#[tokio::test]
async fn gateway_frontend_client_certificate_validation() -> Result<()> {
    let (echo, port, other) = (web("web").await?, free_port(), free_port());
    let (ca, theirs, partners) = (Ca::new("test")?, Ca::new("theirs")?, Ca::new("partners")?);
    let fields = format!(
        "  tls:\n    frontend:\n      default: {}\n      perPort: [{{port: {other}, tls: {}}}]\n",
        validation("theirs", ""),
        validation("partners", "")
    );
    let case = Case::start(&[
        class(),
        gateway_with(
            "gw",
            &[
                listener("https", "HTTPS", port, &certificates(&["cert"], "")),
                listener("partners", "HTTPS", other, &certificates(&["cert"], "")),
            ],
            &fields,
        ),
        authority("theirs", &theirs.pem()),
        authority("partners", &partners.pem()),
        secret("cert", &ca.server(&["a.org"])?),
        everything_to(&echo),
    ])
    .await?;
    let (one, partner) = (theirs.client(&["one"])?, partners.client(&["partner"])?);
    for (port, good, bad) in [(port, &one, &partner), (other, &partner, &one)] {
        answers(&case, &https("a.org", port, &ca).identity(good), 200).await?;
        assert!(https("a.org", port, &ca).identity(bad).send().await.is_err());
        assert!(https("a.org", port, &ca).send().await.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn gateway_frontend_client_certificate_validation_insecure_fallback() -> Result<()> {
    let (echo, port) = (web("web").await?, free_port());
    let (ca, theirs, strangers) = (Ca::new("test")?, Ca::new("theirs")?, Ca::new("strangers")?);
    let fields =
        format!("  tls: {{frontend: {{default: {}}}}}\n", validation("theirs", ", mode: AllowInsecureFallback"));
    let case = Case::start(&[
        class(),
        gateway_with("gw", &[listener("https", "HTTPS", port, &certificates(&["cert"], ""))], &fields),
        authority("theirs", &theirs.pem()),
        secret("cert", &ca.server(&["a.org"])?),
        everything_to(&echo),
    ])
    .await?;
    let request = https("a.org", port, &ca);
    answers(&case, &request, 200).await?;
    for identity in [theirs.client(&["one"])?, strangers.client(&["stranger"])?] {
        assert_eq!(request.clone().identity(&identity).send().await?.status, 200);
    }
    // The Gateway says that it is less strict than it looks.
    case.condition("Gateway", "gw", "InsecureFrontendValidationMode", "True").await
}

#[tokio::test]
async fn gateway_frontend_invalid_default_client_certificate_validation() -> Result<()> {
    let (echo, port, other) = (web("web").await?, free_port(), free_port());
    let (ca, theirs) = (Ca::new("test")?, Ca::new("theirs")?);
    let fields = format!(
        "  tls:\n    frontend:\n      default: {}\n      perPort: [{{port: {other}, tls: {}}}]\n",
        validation("missing", ""),
        validation("theirs", "")
    );
    let case = Case::start(&[
        class(),
        gateway_with(
            "gw",
            &[
                listener("https", "HTTPS", port, &certificates(&["cert"], "")),
                listener("other", "HTTPS", other, &certificates(&["cert"], "")),
            ],
            &fields,
        ),
        authority("theirs", &theirs.pem()),
        secret("cert", &ca.server(&["a.org"])?),
        everything_to(&echo),
    ])
    .await?;
    answers(&case, &https("a.org", other, &ca).identity(&theirs.client(&["one"])?), 200).await?;
    assert_eq!(listener_reason(&case, "https", "ResolvedRefs").await?, "InvalidCACertificateRef");
    assert_eq!(listener_reason(&case, "https", "Accepted").await?, "NoValidCACertificate");
    assert_eq!(listener_reason(&case, "other", "Accepted").await?, "Accepted");
    // Nobody gets in where nobody could be checked.
    assert!(https("a.org", port, &ca).identity(&theirs.client(&["one"])?).send().await.is_err());
    Ok(())
}
