//! Which of several controllers writes: whoever holds a Lease (`coordination.k8s.io/v1`). All of them serve Envoys.
//!
//! A holder that is not heard of for the lease's duration has lost it, by the clock of whoever waits: clocks of different
//! machines are never compared. A holder that cannot renew stops earlier, so there are never two.

use std::{fs, time::Instant};

use api::config::LeaderTimes;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::Api;
use tokio::{sync::watch, time::timeout};

use crate::{
    api_server::{ApiServer, code, spread, words, writes},
    metrics::Metrics,
};

/// The name of the Lease, as Envoy Gateway's: the two never write at once.
pub const LEASE: &str = "5b9825d2.gateway.envoyproxy.io";

/// One that may become leader.
#[derive(Debug)]
pub struct Candidate {
    leases: Api<Lease>,
    identity: String,
    times: LeaderTimes,
    observed: Option<Observed>,
}

/// The state of the Lease that was seen last, and when it was seen first.
#[derive(Debug)]
struct Observed {
    holder: Option<String>,
    renewed: Option<MicroTime>,
    since: Instant,
}

impl Candidate {
    /// One for the Lease in the controller's namespace.
    pub fn new(server: &ApiServer, times: LeaderTimes) -> Self {
        let leases = Api::namespaced(server.lease.clone(), &server.namespace);
        Self { leases, identity: identity(), times, observed: None }
    }

    /// The name that stands in the Lease.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Becomes leader whenever it can, and says so. Never returns.
    pub async fn run(&mut self, leads: &watch::Sender<bool>, metrics: &Metrics) {
        let mut renewed: Option<Instant> = None;
        loop {
            // A renewal counts from before it was sent: the others count from after.
            let began = Instant::now();
            let until = renewed.unwrap_or(began) + self.times.renew;
            let left = until.saturating_duration_since(began);
            match timeout(left, self.attempt()).await {
                Ok(Ok(true)) => renewed = Some(began),
                Ok(Ok(false)) => renewed = None,
                Ok(Err(error)) => {
                    tracing::warn!(component = "provider", error = words(&error), "the Lease {LEASE} cannot be had");
                }
                Err(_) => {
                    tracing::warn!(component = "provider", "the API server does not answer about the Lease {LEASE}")
                }
            }
            renewed = renewed.filter(|at| at.elapsed() < self.times.renew);
            say(leads, renewed.is_some(), &self.identity);
            metrics.leader(renewed.is_some());
            let left = renewed.map(|at| (at + self.times.renew).saturating_duration_since(Instant::now()));
            tokio::time::sleep(spread(self.times.retry).min(left.unwrap_or(self.times.retry))).await;
        }
    }

    /// Gives the Lease up, so that another one need not wait for its end.
    pub async fn release(&mut self, leads: &watch::Sender<bool>) {
        let led = *leads.borrow();
        say(leads, false, &self.identity);
        if !led {
            return;
        }
        if let Err(error) = timeout(self.times.retry, self.give_up()).await.unwrap_or(Ok(())) {
            tracing::warn!(component = "provider", %error, "the Lease {LEASE} was not released, it ends by itself");
        }
    }

    async fn give_up(&self) -> Result<(), kube::Error> {
        let mut lease = self.leases.get(LEASE).await?;
        let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity))
        else {
            return Ok(());
        };
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        self.leases.replace(LEASE, &writes(), &lease).await.map(drop)
    }

    /// Takes or renews the Lease if that is possible. Whether it's ours.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let Some(mut lease) = self.leases.get_opt(LEASE).await? else {
            let metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() };
            let spec = self.claim(&LeaseSpec::default(), Instant::now());
            return ours(self.leases.create(&writes(), &Lease { metadata, spec }).await);
        };
        let Some(spec) = self.claim(&lease.spec.unwrap_or_default(), Instant::now()) else { return Ok(false) };
        lease.spec = Some(spec);
        // It bears the version that was read: of two who take it at once one fails.
        ours(self.leases.replace(LEASE, &writes(), &lease).await)
    }

    /// What the Lease has to say for us to hold it; `None` while another one does.
    fn claim(&mut self, lease: &LeaseSpec, now: Instant) -> Option<LeaseSpec> {
        let holder = lease.holder_identity.as_ref().filter(|holder| !holder.is_empty());
        let is_ours = holder == Some(&self.identity);
        if holder.is_some() && !is_ours && !self.is_over(lease, now) {
            return None;
        }
        let clock = MicroTime(k8s_openapi::jiff::Timestamp::now());
        let seconds = i32::try_from(self.times.lease.as_secs()).unwrap_or(i32::MAX);
        let mut claim = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(seconds),
            renew_time: Some(clock.clone()),
            ..lease.clone()
        };
        if !is_ours {
            claim.acquire_time = Some(clock);
            claim.lease_transitions = Some(lease.lease_transitions.unwrap_or_default().saturating_add(1));
        }
        Some(claim)
    }

    /// Whether another one's Lease is over: it did not change for as long as it said.
    fn is_over(&mut self, lease: &LeaseSpec, now: Instant) -> bool {
        let same = |seen: &&Observed| seen.holder == lease.holder_identity && seen.renewed == lease.renew_time;
        let Some(observed) = self.observed.as_ref().filter(same) else {
            let (holder, renewed) = (lease.holder_identity.clone(), lease.renew_time.clone());
            self.observed = Some(Observed { holder, renewed, since: now });
            return false;
        };
        let seconds = lease.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(self.times.lease, std::time::Duration::from_secs);
        now.saturating_duration_since(observed.since) >= duration
    }
}

/// Whether a write made the Lease ours: not when another one was faster.
fn ours(written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(error) if code(&error) == Some(409) => Ok(false),
        Err(error) => Err(error),
    }
}

fn say(leads: &watch::Sender<bool>, now: bool, identity: &str) {
    leads.send_if_modified(|leads| {
        let changed = *leads != now;
        *leads = now;
        match (changed, now) {
            (true, true) => {
                tracing::info!(component = "provider", identity, "this controller is the leader now and writes")
            }
            (true, false) => {
                tracing::info!(component = "provider", identity, "this controller is not the leader any more")
            }
            (false, _) => {}
        }
        changed
    });
}

/// The host's name, which is the pod's, and something of this process alone.
fn identity() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let chance = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    format!("{}_{chance:016x}", host.trim())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn candidate(name: &str) -> Candidate {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("nobody is asked"))
        });
        let leases = Api::namespaced(kube::Client::new(service, "default"), "default");
        let times = api::config::LeaderElection::default().times();
        Candidate { leases, identity: name.to_owned(), times, observed: None }
    }

    #[tokio::test]
    async fn a_lease_is_held_by_one_until_it_is_over() {
        let (mut a, mut b) = (candidate("a"), candidate("b"));
        let start = Instant::now();
        let lease = a.claim(&LeaseSpec::default(), start).unwrap();
        assert_eq!((lease.holder_identity.as_deref(), lease.lease_transitions), (Some("a"), Some(1)));
        // b looks: not over, however long ago a took it by a's clock.
        assert!(b.claim(&lease, start).is_none());
        assert!(b.claim(&lease, start + Duration::from_secs(14)).is_none());
        // a renews: b waits anew.
        let renewed = a.claim(&lease, start + Duration::from_secs(14)).unwrap();
        assert_eq!(renewed.acquire_time, lease.acquire_time);
        assert!(b.claim(&renewed, start + Duration::from_secs(15)).is_none());
        assert!(b.claim(&renewed, start + Duration::from_secs(29)).is_none());
        let taken = b.claim(&renewed, start + Duration::from_secs(30)).unwrap();
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("b"), Some(2)));
        assert!(a.claim(&taken, start + Duration::from_secs(30)).is_none());
    }

    #[tokio::test]
    async fn a_released_lease_is_taken_at_once() {
        let released = LeaseSpec { holder_identity: Some(String::new()), ..LeaseSpec::default() };
        assert!(candidate("b").claim(&released, Instant::now()).is_some());
    }
}
