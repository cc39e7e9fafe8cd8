//! What the controller serves to the cluster that it runs in, beside its Envoys: probes, metrics, and the webhook.

use api::config::{EnvoyGateway, KubernetesListen, ProviderType};
use kit::{
    Kit,
    admin::Part,
    incoming::Incoming,
    net::{Listener, Purpose},
    tasks::BoxError,
    tls::{PeerPolicy, Protocols, ServerSettings, follow_server},
};

use crate::{
    admission,
    xds_server::{Network, server_certificate},
};

const HEALTH: Purpose = Purpose { name: "health", setting: "the field provider.kubernetes.listen.health" };
const METRICS: Purpose = Purpose { name: "metrics", setting: "the field provider.kubernetes.listen.metrics" };
const WEBHOOK: Purpose = Purpose { name: "webhook", setting: "the field provider.kubernetes.listen.webhook" };

/// Serves what the configuration asks for; nothing where resources do not come from a cluster.
///
/// # Errors
/// An address is in use, or there is no certificate for the webhook.
pub async fn serve(kit: &Kit, config: &EnvoyGateway, network: Option<&Network>) -> Result<(), BoxError> {
    if config.provider.r#type != ProviderType::Kubernetes {
        return Ok(());
    }
    let kubernetes = config.provider.kubernetes.clone().unwrap_or_default();
    let KubernetesListen { health, metrics, webhook } = kubernetes.listen;
    kit.admin.listen(&health.parse()?, HEALTH, Part::Health).await?;
    if !config.telemetry.metrics.prometheus.disable {
        kit.admin.listen(&metrics.parse()?, METRICS, Part::Metrics).await?;
    }
    match webhook {
        Some(address) => serve_webhook(kit, &address, network).await,
        None => Ok(()),
    }
}

/// The API server speaks to nobody without TLS; our certificate is the xDS server's, which has the Service's names.
async fn serve_webhook(kit: &Kit, address: &str, network: Option<&Network>) -> Result<(), BoxError> {
    let directory = network.and_then(|network| network.certificates.as_deref());
    let directory =
        directory.ok_or("provider.kubernetes.listen.webhook needs certificates: name their directory with --certs")?;
    let (cert, key) = server_certificate(directory);
    let settings = ServerSettings { cert, key, client_ca: None, allowed_clients: PeerPolicy::default() };
    let tls = follow_server(&kit.reloader(), "webhook-tls", settings, Protocols::Http).await?;
    let listener = Listener::bind(&address.parse()?, WEBHOOK).await?;
    let incoming = Incoming::start(listener, Some(tls), &kit.shutdown);
    let shutdown = kit.shutdown.clone();
    kit.tasks.spawn("webhook", async move { kit::serve::http(incoming, admission::routes(), &shutdown).await });
    Ok(())
}
