//! What the kernel, the API server and Envoy have counted.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::client::Request;
use testbed::cluster::{Calls, Handle};
use testbed::proc;

/// Where version 1 of the control groups counts processor time.
const PROCESSOR: &str = "cpuacct";
/// What Envoys show their counters at.
const STATS_PORT: u16 = 19_001;

/// A container of a pod that runs.
#[derive(Debug)]
pub(super) struct Container {
    group: PathBuf,
    address: IpAddr,
}

impl Container {
    /// The container of that name in the only pod that the selector finds.
    pub(super) async fn find(cluster: &Handle, namespace: &str, selector: &str, name: &str) -> Result<Self> {
        let pods = cluster.kubectl(&["-n", namespace, "get", "pods", "-l", selector, "-o", "json"]).await?;
        let pods: Value = serde_json::from_str(&pods)?;
        let status = &pods["items"].as_array().and_then(|pods| pods.first()).context("no pod")?["status"];
        let containers = status["containerStatuses"].as_array().context("a pod without containers")?;
        let container = containers.iter().find(|one| one["name"] == name).with_context(|| format!("no {name}"))?;
        let id = container["containerID"].as_str().and_then(|id| id.split_once("://")).context("a container's id")?.1;
        let group = cluster.control_group(PROCESSOR, id)?;
        Ok(Self { group, address: status["podIP"].as_str().context("a pod's address")?.parse()? })
    }

    /// The processor time that it has used.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        let nanos = fs::read_to_string(self.group.join("cpuacct.usage")).context("the container is gone")?;
        Ok(Duration::from_nanos(nanos.trim().parse()?))
    }

    /// What its processes have in memory, in MiB.
    pub(super) fn memory(&self) -> Result<f64> {
        let mut sum = 0.0;
        for process in fs::read_to_string(self.group.join("cgroup.procs")).context("the container is gone")?.lines() {
            sum += proc::mebibytes(process, "VmRSS")?;
        }
        Ok(sum)
    }

    /// What an Envoy has received from its controller, in bytes.
    pub(super) async fn received(&self) -> Result<f64> {
        let stats = SocketAddr::new(self.address, STATS_PORT);
        let url = format!("http://{stats}/stats/prometheus?filter=upstream_cx_rx_bytes_total");
        let row = "envoy_cluster_upstream_cx_rx_bytes_total{envoy_cluster_name=\"xds_cluster\"}";
        let text = Request::get(&url).send().await?.text();
        let number = text.lines().find_map(|line| line.strip_prefix(row)).context("Envoy counts no bytes of xDS")?;
        Ok(number.trim().parse()?)
    }
}

/// How many writes of a route's or Gateway's status the API server has answered.
pub(super) async fn status_writes(calls: &mut Calls) -> Result<f64> {
    Ok(count_status_writes(&calls.text("/metrics").await?))
}

fn count_status_writes(metrics: &str) -> f64 {
    let is_one = |line: &&str| {
        let has =
            |label: &str, values: &[&str]| values.iter().any(|value| line.contains(&format!("{label}=\"{value}\"")));
        line.starts_with("apiserver_request_total{")
            && has("subresource", &["status"])
            && has("resource", &["httproutes", "gateways"])
            && has("verb", &["PATCH", "PUT", "APPLY"])
    };
    let number = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    metrics.lines().filter(is_one).filter_map(number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_of_a_status_count() {
        let row = |verb: &str, resource: &str, subresource: &str, count: u32| {
            let labels = format!("code=\"200\",resource=\"{resource}\",subresource=\"{subresource}\",verb=\"{verb}\"");
            format!("apiserver_request_total{{{labels}}} {count}\n")
        };
        let metrics = [
            row("PATCH", "httproutes", "status", 3),
            row("PUT", "gateways", "status", 4),
            row("GET", "httproutes", "status", 100),
            row("PATCH", "httproutes", "", 100),
            row("PATCH", "pods", "status", 100),
        ];
        assert!((count_status_writes(&metrics.concat()) - 7.0).abs() < f64::EPSILON);
    }
}
