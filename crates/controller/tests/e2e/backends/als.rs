//! A small access log service, and what Envoy tells it.

use std::collections::BTreeMap;

use envoy::accesslog_data::HttpAccessLogEntry;
use envoy::service::accesslog::access_log_service_server::{AccessLogService, AccessLogServiceServer};
use envoy::service::accesslog::{
    StreamAccessLogsMessage, StreamAccessLogsResponse, stream_access_logs_message::LogEntries,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request as Call, Response as Answer, Status, Streaming};

use super::telemetry::with_telemetry;
use super::*;
use crate::objects::{backend_at, to_backend};

/// Hands on every entry with the name of its log.
struct Double(mpsc::UnboundedSender<(String, HttpAccessLogEntry)>);

#[tonic::async_trait]
impl AccessLogService for Double {
    async fn stream_access_logs(
        &self,
        call: Call<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Answer<StreamAccessLogsResponse>, Status> {
        let mut messages = call.into_inner();
        let mut log = String::new();
        while let Some(message) = messages.message().await? {
            if let Some(identifier) = message.identifier {
                log = identifier.log_name;
            }
            if let Some(LogEntries::HttpLogs(entries)) = message.log_entries {
                for entry in entries.log_entry {
                    // The test has ended: nobody listens any more.
                    let _ = self.0.send((log.clone(), entry));
                }
            }
        }
        Ok(Answer::new(StreamAccessLogsResponse {}))
    }
}

#[tokio::test]
async fn access_logs_to_a_service() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (sender, mut entries) = mpsc::unbounded_channel();
    let server = tonic::transport::Server::builder().add_service(AccessLogServiceServer::new(Double(sender)));
    let server = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let to = to_backend("als", &format!(", port: {}", address.port()));
    let settings = format!(
        "{{accessLog: {{settings: [{{sinks: [{{type: ALS, als: {{type: HTTP, logName: house, backendRefs: [{to}], \
         http: {{requestHeaders: [x-color]}}}}}}]}}]}}}}"
    );
    let (_case, _echo, port) = with_telemetry(&settings, &backend_at("als", address, "")).await?;
    assert_eq!(get("a.org", port).header("x-color", "blue").send().await?.status, 200);
    let blue = BTreeMap::from([("x-color".to_owned(), "blue".to_owned())]);
    let told = async {
        while let Some((log, entry)) = entries.recv().await {
            let (request, response) = (entry.request.unwrap_or_default(), entry.response.unwrap_or_default());
            if request.request_headers == blue {
                return Some((log, request.authority, response.response_code));
            }
        }
        None
    };
    let told = tokio::time::timeout(testbed::PATIENCE, told).await?;
    assert_eq!(told, Some(("house".to_owned(), "a.org".to_owned(), Some(200))));
    server.abort();
    Ok(())
}
