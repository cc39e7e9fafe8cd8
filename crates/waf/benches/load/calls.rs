//! A connection that sends one request again and again.

use anyhow::{Result, ensure};
use testbed::calls::Caller;
use testbed::client::{Connection, Request};

/// A connection that sends one request again and again.
pub(crate) struct Client {
    request: Request,
    connection: Option<Connection>,
}

impl Client {
    pub(crate) fn new(request: &Request) -> Self {
        Self { request: request.clone(), connection: None }
    }
}

impl Caller for Client {
    type Call = ();

    fn next(&mut self) {}

    /// Every answer has to be 200.
    async fn call(&mut self, (): ()) -> Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(&self.request).await?),
        };
        let answer = connection.send(&self.request).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        Ok(())
    }
}
