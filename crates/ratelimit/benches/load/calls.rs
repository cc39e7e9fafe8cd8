//! Calls that count, of so many descriptors.

use anyhow::Result;
use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use envoy::ext::shared::ratelimit::rate_limit_descriptor::Entry;
use envoy::service::ratelimit::RateLimitRequest;
use envoy::service::ratelimit::rate_limit_service_client::RateLimitServiceClient;
use testbed::calls;
use tonic::transport::Channel;

use crate::services::Service;

/// Different values of each key, so that counters come and go.
const VALUES: u32 = 10_000;
/// Calls in flight while keys are filled in.
const FILLERS: u32 = 32;
/// Descriptors of a call that fills keys in.
const FILLED: u32 = 100;

/// Calls with one value after the other.
pub(crate) struct Caller {
    client: RateLimitServiceClient<Channel>,
    descriptors: usize,
    value: u32,
}

impl Caller {
    pub(crate) fn new(service: &Service, descriptors: usize, number: u32) -> Result<Self> {
        Ok(Self { client: client(service)?, descriptors, value: number.wrapping_mul(7919) })
    }
}

impl calls::Caller for Caller {
    type Call = RateLimitRequest;

    fn next(&mut self) -> RateLimitRequest {
        self.value = (self.value + 1) % VALUES;
        request(self.descriptors, self.value)
    }

    async fn call(&mut self, call: RateLimitRequest) -> Result<()> {
        self.client.should_rate_limit(call).await?;
        Ok(())
    }
}

fn client(service: &Service) -> Result<RateLimitServiceClient<Channel>> {
    let channel = kit::grpc::channel(&service.address, None).map_err(|error| anyhow::anyhow!(error))?;
    Ok(RateLimitServiceClient::new(channel))
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
                client.should_rate_limit(request).await?;
            }
            anyhow::Ok(())
        }));
    }
    for filler in fillers {
        filler.await??;
    }
    Ok(())
}
