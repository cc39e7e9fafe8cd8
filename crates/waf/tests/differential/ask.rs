//! The firewall is shown a transaction as Envoy shows one: what it asks for, and no more.

use ::envoy::ext::http::ext_proc::ProcessingMode;
use ::envoy::ext::http::ext_proc::processing_mode::{BodySendMode, HeaderSendMode};
use ::envoy::service::ext_proc::external_processor_client::ExternalProcessorClient;
use ::envoy::service::ext_proc::processing_request::Request as Message;
use ::envoy::service::ext_proc::processing_response::Response as Answer;
use ::envoy::service::ext_proc::{HttpBody, HttpHeaders, ProcessingRequest, ProcessingResponse};
use ::envoy::{Struct, Value, ValueKind};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::{Stream, StreamExt as _};

use crate::transaction::Transaction;

/// Odd, so that what belongs together is cut in two.
const PIECE: usize = 997;

/// One stream of external processing.
struct Call<S> {
    say: UnboundedSender<ProcessingRequest>,
    answers: S,
    /// What the firewall wants to see.
    mode: ProcessingMode,
}

/// Shows transactions to the firewall at an address, one after the other.
pub(crate) async fn ask_all(address: &kit::net::Address, transactions: impl Iterator<Item = &Transaction>) {
    let channel = kit::grpc::channel(address, None).unwrap();
    for transaction in transactions {
        let (say, said) = unbounded();
        say.unbounded_send(headers(transaction)).unwrap();
        let mut client = ExternalProcessorClient::new(channel.clone());
        let answers = client.process(said).await.unwrap().into_inner();
        let answers = answers.map(|answer| answer.unwrap());
        Call { say, answers: Box::pin(answers), mode: ProcessingMode::default() }.run(transaction).await;
    }
}

/// The first message: the head, and what Envoy says beside it.
fn headers(transaction: &Transaction) -> ProcessingRequest {
    let text = |text: &str| Value { kind: Some(ValueKind::StringValue(text.to_owned())) };
    let fields = |fields: &[(&str, &str)]| Struct {
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect(),
    };
    let attributes = fields(&[
        ("source.address", "192.0.2.1:12345"),
        ("destination.address", "192.0.2.2:80"),
        ("request.protocol", &transaction.protocol),
    ]);
    let profile = fields(&[("profile", transaction.profile)]);
    let head = HttpHeaders {
        headers: Some(transaction.shown()),
        end_of_stream: transaction.body.is_empty(),
        ..HttpHeaders::default()
    };
    let mut request =
        ProcessingRequest { request: Some(Message::RequestHeaders(head)), ..ProcessingRequest::default() };
    request.attributes.insert("envoy.filters.http.ext_proc".to_owned(), attributes);
    request.metadata_context.get_or_insert_default().filter_metadata.insert("portcullis.waf".to_owned(), profile);
    request
}

impl<S: Stream<Item = ProcessingResponse> + Unpin> Call<S> {
    /// To the end of the transaction, or a refusal.
    async fn run(mut self, transaction: &Transaction) {
        if !self.answered().await {
            return;
        }
        let mode = self.mode.request_body_mode();
        if !self.body(&transaction.body, mode, Message::RequestBody).await
            || self.mode.response_header_mode() != HeaderSendMode::Send
        {
            return;
        }
        let response = &transaction.response;
        self.say(Message::ResponseHeaders(HttpHeaders {
            headers: Some(response.shown()),
            end_of_stream: response.body.is_empty(),
            ..HttpHeaders::default()
        }));
        if self.answered().await {
            let mode = self.mode.response_body_mode();
            self.body(&response.body, mode, Message::ResponseBody).await;
        }
    }

    fn say(&self, message: Message) {
        let request = ProcessingRequest { request: Some(message), ..ProcessingRequest::default() };
        // A stream that has ended says so by its next answer.
        let _ = self.say.unbounded_send(request);
    }

    /// Takes an answer; false where it ends the request.
    async fn answered(&mut self) -> bool {
        let answer = self.answers.next().await.expect("every message is answered");
        if let Some(mode) = answer.mode_override {
            self.mode = mode;
        }
        !matches!(answer.response, Some(Answer::ImmediateResponse(_)))
    }

    /// Shows a body as it is wanted; false where that ends the request.
    async fn body(&mut self, body: &[u8], mode: BodySendMode, message: fn(HttpBody) -> Message) -> bool {
        if mode == BodySendMode::None || body.is_empty() {
            return true;
        }
        let size = if mode == BodySendMode::Streamed { PIECE } else { body.len() };
        let pieces = body.chunks(size).count();
        for (index, piece) in body.chunks(size).enumerate() {
            let body = HttpBody { body: piece.to_vec(), end_of_stream: index + 1 == pieces, ..HttpBody::default() };
            self.say(message(body));
            if !self.answered().await {
                return false;
            }
        }
        true
    }
}
