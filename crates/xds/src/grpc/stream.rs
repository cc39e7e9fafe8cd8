//! One stream: requests and snapshots into the session, its responses out, its records into the ledger.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures::FutureExt;
use kit::incoming::Peer;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::Ads;
use super::wire::Wire;
use crate::cache::Watch;
use crate::ledger::{Event, LedgerBook, Outcome, StreamId, StreamRecord, acked_in_all};
use crate::session::{Moment, Session};

type Out<W> = mpsc::Sender<Result<<W as Wire>::Response, Status>>;

/// Serves a stream to its end; an error of ours is the stream's status.
pub(super) async fn run<W: Wire>(ads: Ads, peer: Peer, mut inbound: Streaming<W::Request>, out: Out<W>) {
    let shutdown = ads.shutdown.clone();
    let serve = async {
        let Some(first) = inbound.message().await? else { return Ok(()) };
        Stream::<W>::open(&ads, &peer, &first, &out)?.serve(first, inbound).await
    };
    if let Some(Err(status)) = shutdown.unless_stopping(serve).await {
        tracing::debug!(%status, ?peer, "stream ends");
        // The client may be gone already.
        let _ = out.send(Err(status)).await;
    }
}

struct Stream<'a, W: Wire> {
    session: Session,
    snapshots: Watch,
    book: &'a LedgerBook,
    record: StreamRecord,
    out: &'a Out<W>,
}

impl<'a, W: Wire> Stream<'a, W> {
    fn open(ads: &'a Ads, peer: &Peer, first: &W::Request, out: &'a Out<W>) -> Result<Self, Status> {
        let node = W::node(first).ok_or_else(|| Status::invalid_argument("the first request names no node"))?;
        let group = (ads.admission)(peer, node).map_err(|refusal| {
            tracing::warn!(node = node.id, cluster = node.cluster, ?peer, %refusal, "refused");
            Status::permission_denied(refusal.to_string())
        })?;
        tracing::info!(node = node.id, %group, protocol = ?W::PROTOCOL, "connected");
        let record = StreamRecord {
            id: ads.book.open(),
            node_id: node.id.clone(),
            group: Arc::clone(&group),
            protocol: W::PROTOCOL,
            connected_since: SystemTime::now(),
            types: Default::default(),
            acked: None,
        };
        let session = Session::new(W::PROTOCOL, ads.hold);
        Ok(Self { session, snapshots: ads.cache.watch(&group), book: &ads.book, record, out })
    }

    async fn serve(mut self, first: W::Request, mut inbound: Streaming<W::Request>) -> Result<(), Status> {
        self.receive(first);
        loop {
            // What has come in together is looked at together: a client that connects again asks for all types at once,
            // in any order.
            while let Some(request) = inbound.message().now_or_never() {
                match request? {
                    Some(request) => self.receive(request),
                    None => return Ok(()),
                }
            }
            let snapshot = self.snapshots.borrow_and_update().clone();
            if let Some(snapshot) = snapshot {
                self.session.set_snapshot(snapshot);
            }
            for response in self.session.poll(Moment::now()) {
                if self.out.send(Ok(W::response(response))).await.is_err() {
                    return Ok(());
                }
            }
            self.write();
            tokio::select! {
                request = inbound.message() => match request? {
                    Some(request) => self.receive(request),
                    None => return Ok(()),
                },
                changed = self.snapshots.changed() => if changed.is_err() { return Ok(()) },
                () = sleep_until(self.session.wake()) => {}
            }
        }
    }

    fn receive(&mut self, request: W::Request) {
        let now = Moment::now();
        let Some(answer) = self.session.receive(&W::request(request), now) else { return };
        if let Outcome::Nacked(message) = &answer.outcome {
            let (node, group, type_url) = (&self.record.node_id, &self.record.group, &answer.type_url);
            tracing::warn!(node, %group, %type_url, revision = answer.revision, %message, "a response is rejected");
        }
        self.book.announce(Event {
            group: Arc::clone(&self.record.group),
            stream: self.record.id,
            type_url: answer.type_url,
            revision: answer.revision,
            sent_at: answer.sent_at,
            answered_at: now.instant,
            outcome: answer.outcome,
        });
    }

    fn write(&mut self) {
        self.record.types = self.session.records();
        self.record.acked = acked_in_all(&self.record.types);
        self.book.write(self.record.clone());
    }
}

/// However a stream ends, the ledger must not show it any longer.
impl<W: Wire> Drop for Stream<'_, W> {
    fn drop(&mut self) {
        let id: StreamId = self.record.id;
        tracing::info!(node = self.record.node_id, group = %self.record.group, "disconnected");
        self.book.close(id);
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
