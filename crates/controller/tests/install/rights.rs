use anyhow::Result;
use controller::install::Options;

use super::site::Site;

impl Site {
    /// Whether an account may do something: `list pods`, `get secrets/some --namespace default`.
    async fn may(&self, account: &str, what: &str) -> bool {
        let who = format!("--as=system:serviceaccount:{}:{account}", self.options.namespace);
        let args: Vec<&str> = ["auth", "can-i", &who].into_iter().chain(what.split(' ')).collect();
        self.cluster.kubectl(&args).await.is_ok_and(|answer| answer.trim() == "yes")
    }

    async fn check(&self, account: &str, allowed: &[&str], forbidden: &[&str]) {
        for what in allowed {
            assert!(self.may(account, what).await, "{account} may not {what}");
        }
        for what in forbidden {
            assert!(!self.may(account, what).await, "{account} may {what}");
        }
    }
}

#[tokio::test]
async fn an_installation_has_no_more_rights_than_it_needs() -> Result<()> {
    let site = Site::install(Options::default()).await?;
    let allowed = [
        "watch httproutes.gateway.networking.k8s.io --all-namespaces",
        "patch httproutes.gateway.networking.k8s.io/x --subresource=status --namespace default",
        "get secrets/x --namespace default",
        "create deployments.apps --namespace envoy-gateway-system",
        "update leases.coordination.k8s.io/5b9825d2.gateway.envoyproxy.io --namespace envoy-gateway-system",
    ];
    let forbidden = [
        "patch httproutes.gateway.networking.k8s.io/x --namespace default",
        "get services/x --namespace default",
        "create secrets --namespace default",
        "create deployments.apps --namespace default",
        "update leases.coordination.k8s.io/other --namespace envoy-gateway-system",
        "list pods --all-namespaces",
        "create clusterroles.rbac.authorization.k8s.io",
    ];
    site.check("envoy-gateway", &allowed, &forbidden).await;
    let forbidden = ["get secrets/x --namespace envoy-gateway-system", "get secrets/envoy-gateway --namespace default"];
    let allowed = ["update secrets/envoy-gateway --namespace envoy-gateway-system"];
    site.check("envoy-gateway-certgen", &allowed, &forbidden).await;

    // Again, as at an upgrade, and as the file has it.
    site.cluster.apply(include_str!("../../../../install/install.yaml")).await
}

#[tokio::test]
async fn an_installation_for_namespaces_has_rights_in_these_only() -> Result<()> {
    let site = Site::install(Options { watched: vec!["team-a".to_owned()], ..Options::default() }).await?;
    let allowed = [
        "watch httproutes.gateway.networking.k8s.io --namespace team-a",
        "get secrets/x --namespace team-a",
        "list gatewayclasses.gateway.networking.k8s.io",
        "list namespaces/team-a",
    ];
    let forbidden = [
        "watch httproutes.gateway.networking.k8s.io --namespace default",
        "get secrets/x --namespace default",
        "list namespaces",
        "list nodes",
        "create deployments.apps --namespace team-a",
    ];
    site.check("envoy-gateway", &allowed, &forbidden).await;
    site.certgen(&[]).await?;
    // It is ready once it was allowed to read all that it asks for.
    site.serve().await?.ready().await
}
