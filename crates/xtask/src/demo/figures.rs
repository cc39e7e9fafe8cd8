//! What the exporter counts of the demo's requests: it has to be what was sent.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testbed::client::Request;
use testbed::service::page;
use testbed::wait::wait_for;

use super::house::House;

/// How long an entry may take from Envoy, which sends them each second, to a figure.
const ARRIVAL: Duration = Duration::from_secs(20);

/// The demo has fewer routes.
const MOST_ROUTES: usize = 50;

/// Figures of the exporter: requests by status, and those that Envoy answered itself by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Figures {
    by_status: BTreeMap<u16, u64>,
    by_reason: BTreeMap<String, u64>,
}

/// What the exporter knows before the requests of the demo: there were others, until everything served.
#[derive(Debug)]
pub(super) struct Before {
    figures: Figures,
    promise: Promise,
}

/// Requests that the promise of a route is about, and those for which it was not kept.
#[derive(Debug, Clone, Copy)]
struct Promise {
    all: u64,
    bad: u64,
}

impl Figures {
    fn total(&self) -> u64 {
        self.by_status.values().sum()
    }
}

/// The figures when nothing is on its way any more: of so many requests at least, and of as many as Envoy has told.
async fn settled(house: &House, least: u64) -> Result<Figures> {
    let arrived = async || {
        let figures = figures(house).await.ok()?;
        let written = written(house).await.ok()?;
        let counted = figures.total();
        (counted >= least && counted == written).then_some(figures)
    };
    wait_for("all entries of the access log", ARRIVAL, arrived).await
}

/// What there is to compare with later.
pub(super) async fn before(house: &House) -> Result<Before> {
    Ok(Before { figures: settled(house, 1).await?, promise: promise(house).await? })
}

/// Whether what was counted since then is what was sent.
pub(super) async fn check(house: &House, before: &Before, sent: &BTreeMap<u16, u64>) -> Result<()> {
    let Before { figures: before, promise } = before;
    let after = settled(house, before.total() + sent.values().sum::<u64>()).await?;
    let more = |now: u64, then: Option<&u64>| now - then.copied().unwrap_or_default();
    let statuses = after.by_status.iter().map(|(status, count)| (*status, more(*count, before.by_status.get(status))));
    let statuses: BTreeMap<u16, u64> = statuses.filter(|(_, count)| *count > 0).collect();
    let reasons =
        after.by_reason.iter().map(|(reason, count)| (reason.as_str(), more(*count, before.by_reason.get(reason))));
    let reasons: BTreeMap<&str, u64> = reasons.filter(|(_, count)| *count > 0).collect();
    println!("# what the exporter counted of that\n{statuses:?}\n{reasons:?}");
    let wanted = BTreeMap::from([("login", 1), ("no_route", 1), ("rate_limited", 1), ("waf", 1)]);
    if statuses != *sent || reasons != wanted {
        bail!("→ WRONG: wanted {sent:?} and {wanted:?}");
    }
    println!("→ as it should be");
    check_promise(house, *promise).await
}

/// Whether what the route promises has come by its requests, and none of them took from the budget for answers.
async fn check_promise(house: &House, before: Promise) -> Result<()> {
    let after = promise(house).await?;
    let (all, bad) = (after.all - before.all, after.bad - before.bad);
    println!("# what took from the route's error budget of that\n{bad} of {all}");
    if all == 0 || bad > 0 {
        bail!("→ WRONG: wanted some requests, and none that did");
    }
    println!("→ as it should be");
    Ok(())
}

/// What the exporter knows of the demo's promise.
async fn promise(house: &House) -> Result<Promise> {
    let address = format!("127.0.0.1:{}", house.ports().page);
    for id in 0..MOST_ROUTES {
        let Ok(text) = page(&address, &format!("/live/routes/{id}")).await else { continue };
        let detail: Value = serde_json::from_str(&text).unwrap_or_default();
        let objective = &detail["promise"]["objectives"][0];
        if objective["objective"] == "99.9% availability" {
            let count = |name: &str| objective[name].as_u64().with_context(|| format!("no {name} in {objective}"));
            return Ok(Promise { all: count("all")?, bad: count("bad")? });
        }
    }
    bail!("the exporter knows of no route that promises something")
}

async fn figures(house: &House) -> Result<Figures> {
    let text = page(&format!("127.0.0.1:{}", house.ports().page), "/metrics").await?;
    let mut figures = Figures::default();
    for line in text.lines() {
        let Some((labels, value)) = line.split_once("} ") else { continue };
        let label = |name: &str| Some(labels.split_once(&format!(",{name}=\""))?.1.split('"').next()?.to_owned());
        if labels.starts_with("gateway_requests_total{") {
            let status = label("code").context("a request has a status")?.parse()?;
            *figures.by_status.entry(status).or_default() += value.parse::<u64>()?;
        } else if labels.starts_with("gateway_local_replies_total{") {
            let reason = label("reason").context("a reply has a reason")?;
            *figures.by_reason.entry(reason).or_default() += value.parse::<u64>()?;
        }
    }
    Ok(figures)
}

/// How many entries Envoy has sent.
async fn written(house: &House) -> Result<u64> {
    let stats = Request::get("http://localhost/stats?filter=logs_written").to(house.envoy_admin()).send().await?.text();
    let value = stats.lines().find_map(|line| line.strip_prefix("access_logs.grpc_access_log.logs_written: "));
    Ok(value.context("Envoy counts what it sends")?.parse()?)
}
