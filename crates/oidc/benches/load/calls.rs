//! Checks of people who may pass.

use std::sync::Arc;

use anyhow::{Result, ensure};
use envoy::service::auth::CheckRequest;
use envoy::service::auth::authorization_client::AuthorizationClient;
use envoy::service::auth::check_response::HttpResponse;
use testbed::calls;
use tonic::transport::Channel;

use crate::service::{Service, check};

/// Checks one person after the other.
pub(crate) struct Caller {
    client: AuthorizationClient<Channel>,
    /// The header by which each person is known.
    people: Arc<Vec<(String, String)>>,
    person: usize,
}

impl Caller {
    pub(crate) fn new(service: &Service, people: &Arc<Vec<(String, String)>>, number: u32) -> Result<Self> {
        let channel = kit::grpc::channel(&service.address, None).map_err(|error| anyhow::anyhow!(error))?;
        let client = AuthorizationClient::new(channel);
        Ok(Self { client, people: Arc::clone(people), person: usize::try_from(number)? })
    }
}

impl calls::Caller for Caller {
    type Call = CheckRequest;

    fn next(&mut self) -> CheckRequest {
        self.person = (self.person + 1) % self.people.len();
        let (name, value) = &self.people[self.person];
        check("/shop/cart?item=1", name, value)
    }

    async fn call(&mut self, call: CheckRequest) -> Result<()> {
        let answer = self.client.check(call).await?.into_inner();
        let passed = matches!(answer.http_response, Some(HttpResponse::OkResponse(_)));
        ensure!(passed, "a check did not pass: {answer:?}");
        Ok(())
    }
}
