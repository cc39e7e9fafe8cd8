//! Calls that count, of so many descriptors.

use anyhow::{Result, ensure};
use envoy::Message as _;
use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use envoy::ext::shared::ratelimit::rate_limit_descriptor::Entry;
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use testbed::calls::{self, Unary};

use crate::services::Service;

/// Different values of each key, so that counters come and go.
const VALUES: u32 = 10_000;
/// Calls in flight while keys are filled in.
const FILLERS: u32 = 32;
/// Descriptors of a call that fills keys in.
const FILLED: u32 = 100;

/// Calls with one value after the other.
pub(crate) struct Caller {
    client: Unary,
    descriptors: usize,
    value: u32,
}

impl Caller {
    pub(crate) fn new(service: &Service, descriptors: usize, number: u32) -> Result<Self> {
        Ok(Self { client: client(service)?, descriptors, value: number.wrapping_mul(7919) })
    }
}

impl calls::Caller for Caller {
    type Call = Vec<u8>;

    fn next(&mut self) -> Vec<u8> {
        self.value = (self.value + 1) % VALUES;
        request(self.descriptors, self.value).encode_to_vec()
    }

    async fn call(&mut self, call: Vec<u8>) -> Result<()> {
        let answer = RateLimitResponse::decode(self.client.call(&call).await?)?;
        ensure!(answer.statuses.len() == self.descriptors, "an answer of something else: {answer:?}");
        Ok(())
    }
}

fn client(service: &Service) -> Result<Unary> {
    Unary::new(&service.socket, "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit")
}

fn request(descriptors: usize, value: u32) -> RateLimitRequest {
    let descriptor = |index: usize| descriptor(&format!("key{index}"), value);
    RateLimitRequest {
        domain: "edge".to_owned(),
        descriptors: (0..descriptors).map(descriptor).collect(),
        hits_addend: 0,
    }
}

fn descriptor(key: &str, value: u32) -> RateLimitDescriptor {
    let entries = vec![Entry { key: key.to_owned(), value: format!("value-{value}") }];
    RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }
}

/// Makes so many counters.
pub(crate) async fn fill(service: &Service, keys: u32) -> Result<()> {
    let mut fillers = Vec::new();
    for filler in 0..FILLERS {
        let mut client = client(service)?;
        fillers.push(tokio::spawn(async move {
            for call in (filler..keys / FILLED).step_by(FILLERS as usize) {
                let descriptors = (0..FILLED).map(|index| descriptor("key0", call * FILLED + index)).collect();
                let request = RateLimitRequest { domain: "edge".to_owned(), descriptors, hits_addend: 0 };
                client.call(&request.encode_to_vec()).await?;
            }
            anyhow::Ok(())
        }));
    }
    for filler in fillers {
        filler.await??;
    }
    Ok(())
}
