//! The engine by itself, in this process, with its gate and without: what of a request's cost is the rules'.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coraza::{Request, Rules};
use waf::profile::Loader;

use crate::requests::{HOST, Kind};

/// How often a request is judged each time, and how often both take turns.
const REQUESTS: u32 = 200;
const TURNS: u32 = 3;

/// The processor time of a request with the gate, and without, in microseconds.
pub(crate) fn compare(kinds: &[Kind]) -> Result<Vec<(Kind, [f64; 2])>> {
    let rules = [true, false].map(rules).into_iter().collect::<Result<Vec<_>>>()?;
    kinds.iter().map(|kind| Ok((*kind, turns(*kind, &rules)?))).collect()
}

fn rules(gate: bool) -> Result<Rules> {
    let profiles = Loader::new(gate).load(&[])?.complete()?;
    Ok(profiles.get("baseline").context("the profile baseline")?.rules.clone())
}

fn turns(kind: Kind, rules: &[Rules]) -> Result<[f64; 2]> {
    let asked = Asked { kind, headers: kind.headers(), body: kind.body().map(|(_, body)| body) };
    let mut sums = [Duration::ZERO; 2];
    // The first turn only warms up.
    for turn in 0..=TURNS {
        for (rules, sum) in rules.iter().zip(&mut sums) {
            let before = processor_time()?;
            for _ in 0..REQUESTS {
                asked.judge(rules)?;
            }
            if turn > 0 {
                *sum += processor_time()? - before;
            }
        }
    }
    Ok(sums.map(|sum| sum.as_secs_f64() * 1e6 / f64::from(REQUESTS * TURNS)))
}

/// A request as the engine is told of it.
struct Asked {
    kind: Kind,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<Vec<u8>>,
}

impl Asked {
    fn judge(&self, rules: &Rules) -> Result<()> {
        let host = [("host", HOST)];
        let fields = host.iter().chain(&self.headers).map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let request = Request {
            id: "1",
            client: ("192.0.2.1", 40_000),
            server: ("192.0.2.2", 443),
            method: if self.body.is_some() { b"POST" } else { b"GET" },
            target: self.kind.target().as_bytes(),
            protocol: "HTTP/2.0",
            host: HOST.as_bytes(),
            headers: fields,
        };
        let mut transaction = rules.begin(request, self.body.is_none());
        if let Some(body) = &self.body {
            transaction.request_body(body, true).map_err(Clone::clone)?;
        }
        let step = transaction.finish().map_err(Clone::clone)?;
        ensure!(step.interruption.is_none(), "{} is refused: {:?}", self.kind.name(), step.interruption);
        Ok(())
    }
}

/// Of all threads of this process: Go collects garbage on others.
fn processor_time() -> Result<Duration> {
    testbed::proc::processor_time("self")
}
