//! A running service, and entries for it.

use std::fs;
use std::path::PathBuf;

use ::envoy::accesslog_data::http_access_log_entry::HttpVersion;
use ::envoy::accesslog_data::{AccessLogCommon, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties};
use ::envoy::core::RequestMethod;
use ::envoy::service::accesslog::access_log_service_client::AccessLogServiceClient;
use ::envoy::service::accesslog::stream_access_logs_message::{HttpAccessLogEntries, Identifier, LogEntries};
use ::envoy::service::accesslog::{StreamAccessLogsMessage, StreamAccessLogsResponse};
use ::envoy::{Duration, Timestamp};
use bytes::{BufMut as _, Bytes};
use kit::net::Address;
use kit::reload::Reloading;
use kit::tls::{ClientSettings, Protocols, client_config};
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::process::Process;
use testbed::service::{self, configuration, listening};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic_prost::ProstDecoder;

/// A running service. Dropping it ends it.
pub(crate) struct Service {
    pub(crate) process: Process,
    /// Where Envoys send to.
    pub(crate) grpc: String,
    /// Its admin port.
    pub(crate) admin: String,
    dir: TempDir,
}

impl Service {
    /// Starts it with more settings (YAML lines), in which `DIR` is a directory of its own.
    pub(crate) async fn start(settings: &str) -> Self {
        Self::start_in(TempDir::with_prefix("exp-").unwrap(), settings).await
    }

    pub(crate) async fn start_in(dir: TempDir, settings: &str) -> Self {
        let file = dir.path().join("exporter.yaml");
        fs::write(&file, configuration(dir.path(), settings, &["grpc", "admin"])).unwrap();
        let mut process = service::start(env!("CARGO_BIN_EXE_portcullis-exporter"), &file, &[]).unwrap();
        let admin = listening(&mut process, "admin").await.unwrap();
        let grpc = listening(&mut process, "grpc").await.unwrap();
        Self { process, grpc, admin, dir }
    }

    /// A file of its directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A client with a connection of its own.
    pub(crate) fn client(&self, tls: Option<&ClientSettings>) -> AccessLogServiceClient<Channel> {
        let tls = tls.map(|tls| Reloading::fixed(client_config(tls, Protocols::Http2).unwrap()));
        let address: Address = self.grpc.parse().unwrap();
        AccessLogServiceClient::new(kit::grpc::channel(&address, tls).unwrap())
    }

    /// A stream of entries, open until the sender is dropped.
    pub(crate) fn stream(&self) -> mpsc::Sender<StreamAccessLogsMessage> {
        let (sender, messages) = mpsc::channel(16);
        let mut client = self.client(None);
        tokio::spawn(async move { client.stream_access_logs(ReceiverStream::new(messages)).await });
        sender
    }

    /// The same of messages that are encoded already, or are none.
    pub(crate) fn raw_stream(&self) -> mpsc::Sender<Bytes> {
        let (sender, messages) = mpsc::channel(16);
        let address: Address = self.grpc.parse().unwrap();
        let mut client = tonic::client::Grpc::new(kit::grpc::channel(&address, None).unwrap());
        tokio::spawn(async move {
            client.ready().await.unwrap();
            let request = tonic::Request::new(ReceiverStream::new(messages));
            let path = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
            client.client_streaming(request, path.parse().unwrap(), Raw).await
        });
        sender
    }

    /// The text of a page of the admin port.
    pub(crate) async fn page(&self, path: &str) -> String {
        service::page(&self.admin, path).await.unwrap()
    }

    /// The value of a metric, with its labels as they are written; 0 when it is not there yet.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        service::metric(&self.admin, series).await.unwrap()
    }

    /// Waits until a metric has this value.
    pub(crate) async fn reaches(&self, series: &str, value: f64) {
        let reached = async || (self.metric(series).await - value).abs() < f64::EPSILON;
        testbed::wait::wait_until(&format!("{series} to be {value}"), PATIENCE, reached).await.unwrap();
    }
}

/// Messages go as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = StreamAccessLogsResponse;
    type Encoder = Self;
    type Decoder = ProstDecoder<StreamAccessLogsResponse>;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::default()
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

/// A GET of the route `shop/cart` that was answered with this status, for this reason.
pub(crate) fn entry(code: u32, details: &str) -> HttpAccessLogEntry {
    let time = |millis: i32| Some(Duration { seconds: 0, nanos: millis * 1_000_000 });
    HttpAccessLogEntry {
        common_properties: Some(AccessLogCommon {
            start_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            time_to_first_upstream_tx_byte: time(2),
            time_to_last_upstream_rx_byte: time(18),
            time_to_last_downstream_tx_byte: time(20),
            upstream_cluster: "service/shop/cart/8080".to_owned(),
            route_name: "httproute/shop/cart/rule/0/match/0".to_owned(),
            custom_tags: [("portcullis.listener".to_owned(), "edge/eg/http".to_owned())].into(),
            ..AccessLogCommon::default()
        }),
        protocol_version: HttpVersion::Http11.into(),
        request: Some(HttpRequestProperties {
            request_method: RequestMethod::Get.into(),
            authority: "shop.example".to_owned(),
            path: "/cart".to_owned(),
            request_id: "id-1".to_owned(),
            ..HttpRequestProperties::default()
        }),
        response: Some(HttpResponseProperties {
            response_code: Some(code),
            response_code_details: details.to_owned(),
            ..HttpResponseProperties::default()
        }),
    }
}

/// A message of the gateway `edge/eg`.
pub(crate) fn message(entries: Vec<HttpAccessLogEntry>) -> StreamAccessLogsMessage {
    StreamAccessLogsMessage {
        identifier: Some(Identifier { node: None, log_name: "accesslog/edge/eg".to_owned() }),
        log_entries: Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry: entries })),
    }
}

/// A series of requests of that route.
pub(crate) fn requests(code: u32) -> String {
    let class = code / 100;
    format!(
        "gateway_requests_total{{gateway=\"edge/eg\",listener=\"http\",route_kind=\"HTTPRoute\",route_namespace=\"shop\",\
         route=\"cart\",rule=\"0\",backend=\"service/shop/cart/8080\",method=\"GET\",code=\"{code}\",code_class=\"{class}xx\",\
         protocol=\"HTTP/1.1\"}}"
    )
}
