//! Checks of people who may pass.

use std::sync::Arc;

use anyhow::{Result, ensure};
use envoy::Message as _;
use envoy::service::auth::CheckResponse;
use envoy::service::auth::check_response::HttpResponse;
use testbed::calls::{self, Unary};

use crate::service::{Service, check};

/// Checks one person after the other.
pub(crate) struct Caller {
    client: Unary,
    /// The header by which each person is known.
    people: Arc<Vec<(String, String)>>,
    person: usize,
}

impl Caller {
    pub(crate) fn new(service: &Service, people: &Arc<Vec<(String, String)>>, number: u32) -> Result<Self> {
        let client = Unary::new(&service.socket, "/envoy.service.auth.v3.Authorization/Check")?;
        Ok(Self { client, people: Arc::clone(people), person: usize::try_from(number)? })
    }
}

impl calls::Caller for Caller {
    type Call = Vec<u8>;

    fn next(&mut self) -> Vec<u8> {
        self.person = (self.person + 1) % self.people.len();
        let (name, value) = &self.people[self.person];
        check("/shop/cart?item=1", name, value).encode_to_vec()
    }

    async fn call(&mut self, call: Vec<u8>) -> Result<()> {
        let answer = CheckResponse::decode(self.client.call(&call).await?)?;
        let passed = matches!(answer.http_response, Some(HttpResponse::OkResponse(_)));
        ensure!(passed, "a check did not pass: {answer:?}");
        Ok(())
    }
}
