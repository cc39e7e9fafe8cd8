//! Streams as a client meets them: who is let in, who waits, and how a stream ends.

use crate::plane::{GROUP, Plane, cluster, socket};
use anyhow::{Context, Result};
use envoy::core::Node;
use envoy::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use envoy::service::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy::type_url::CLUSTER;
use kit::net::Address;
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::wait::wait_for_value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use xds::{Outcome, Snapshot};

/// A client that speaks delta.
struct Client {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Client {
    async fn connect(dir: &TempDir, node: Option<Node>) -> Result<Self> {
        let channel =
            kit::grpc::channel(&Address::Unix(socket(dir.path())), None).map_err(anyhow::Error::from_boxed)?;
        let (requests, receiver) = mpsc::channel(4);
        requests.send(DeltaDiscoveryRequest { node, type_url: CLUSTER.to_owned(), ..Default::default() }).await?;
        let stream = ReceiverStream::new(receiver);
        let response = AggregatedDiscoveryServiceClient::new(channel).delta_aggregated_resources(stream).await?;
        Ok(Self { requests, responses: response.into_inner() })
    }

    async fn next(&mut self) -> Result<Option<DeltaDiscoveryResponse>, Status> {
        tokio::time::timeout(PATIENCE, self.responses.message())
            .await
            .unwrap_or_else(|_| Err(Status::cancelled("late")))
    }

    async fn ack(&self, response: &DeltaDiscoveryResponse) -> Result<()> {
        let response_nonce = response.nonce.clone();
        let request = DeltaDiscoveryRequest { type_url: CLUSTER.to_owned(), response_nonce, ..Default::default() };
        Ok(self.requests.send(request).await?)
    }
}

fn node(cluster: &str) -> Option<Node> {
    Some(Node { id: "test".to_owned(), cluster: cluster.to_owned(), ..Node::default() })
}

#[tokio::test]
async fn strangers_are_turned_away() -> Result<()> {
    let dir = TempDir::new()?;
    let plane = Plane::start(&socket(dir.path())).await?;
    let refused = Client::connect(&dir, node("")).await?.next().await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("--service-cluster"));
    let nameless = Client::connect(&dir, None).await?.next().await.unwrap_err();
    assert_eq!(nameless.code(), Code::InvalidArgument);
    assert_eq!(plane.book.watch().borrow().streams().count(), 0);
    Ok(())
}

#[tokio::test]
async fn a_client_waits_for_its_group_and_is_in_the_ledger_meanwhile() -> Result<()> {
    let dir = TempDir::new()?;
    let plane = Plane::start(&socket(dir.path())).await?;
    let (ledger, mut events) = (plane.book.watch(), plane.book.events());
    let mut client = Client::connect(&dir, node(GROUP)).await?;
    wait_for_value("the client", PATIENCE, &1, async || ledger.borrow().group(GROUP).count()).await?;
    assert_eq!(ledger.borrow().acked(GROUP), None);

    plane.set(&Snapshot::builder(7).set(CLUSTER, [cluster("c", "1s")]).build());
    let response = client.next().await?.context("a response")?;
    assert_eq!((response.resources[0].name.as_str(), response.system_version_info.as_str()), ("c", "7"));
    client.ack(&response).await?;
    let event = events.recv().await?;
    assert_eq!((event.revision, &event.outcome, &*event.group), (7, &Outcome::Acked, GROUP));
    assert!(event.sent_at <= event.answered_at);
    let acked = async || ledger.borrow().group(GROUP).next().and_then(|stream| stream.types[CLUSTER].acked);
    wait_for_value("the ACK", PATIENCE, &Some(7), acked).await?;

    drop(client);
    wait_for_value("the client's end", PATIENCE, &0, async || ledger.borrow().streams().count()).await
}

#[tokio::test]
async fn equal_output_is_not_sent() -> Result<()> {
    let dir = TempDir::new()?;
    let plane = Plane::start(&socket(dir.path())).await?;
    plane.set(&Snapshot::builder(1).set(CLUSTER, [cluster("c", "1s")]).build());
    let mut client = Client::connect(&dir, node(GROUP)).await?;
    let first = client.next().await?.context("a response")?;
    client.ack(&first).await?;
    plane.set(&Snapshot::builder(2).set(CLUSTER, [cluster("c", "1s")]).build());
    plane.set(&Snapshot::builder(3).set(CLUSTER, [cluster("c", "1s"), cluster("d", "1s")]).build());
    let second = client.next().await?.context("a response")?;
    assert_eq!(second.resources.iter().map(|resource| resource.name.as_str()).collect::<Vec<_>>(), ["d"]);
    Ok(())
}

#[tokio::test]
async fn streams_end_with_the_process() -> Result<()> {
    let dir = TempDir::new()?;
    let plane = Plane::start(&socket(dir.path())).await?;
    plane.set(&Snapshot::builder(1).build());
    let mut client = Client::connect(&dir, node(GROUP)).await?;
    let first = client.next().await?.context("a response")?;
    client.ack(&first).await?;
    plane.stop().await?;
    assert!(client.next().await?.is_none(), "a clean end, so that the client connects again");
    Ok(())
}
