//! What Envoy is asked to send: only what the rules of this request need.

use envoy::ext::http::ext_proc::ProcessingMode;
use envoy::ext::http::ext_proc::processing_mode::{BodySendMode, HeaderSendMode};
use envoy::service::ext_proc::ProtocolConfiguration;

use super::reply::Direction;
use crate::profile::{BodyPlan, OverLimit, Plan};

/// How a body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum BodyMode {
    /// Not at all.
    #[default]
    None,
    /// In pieces, each of which goes on once it is answered.
    Streamed,
    /// In one message.
    Buffered,
    /// In one message, with as much of it as Envoy could hold. It does not say whether that was all: a message that is not
    /// the last one comes before trailers, too.
    Part,
    /// In pieces that are handed over and back.
    Duplex,
}

/// How the messages of a stream come.
#[derive(Debug, Default)]
pub(super) struct Modes {
    configured: (BodySendMode, BodySendMode),
    asked: Option<ProcessingMode>,
}

fn skip() -> ProcessingMode {
    ProcessingMode {
        request_header_mode: HeaderSendMode::Send.into(),
        response_header_mode: HeaderSendMode::Skip.into(),
        request_body_mode: BodySendMode::None.into(),
        response_body_mode: BodySendMode::None.into(),
        request_trailer_mode: HeaderSendMode::Skip.into(),
        response_trailer_mode: HeaderSendMode::Skip.into(),
    }
}

impl Modes {
    /// What Envoy says of its configuration, in the first message.
    pub(super) fn learn(&mut self, configuration: Option<&ProtocolConfiguration>) {
        if let Some(configuration) = configuration {
            self.configured = (configuration.request_body_mode(), configuration.response_body_mode());
        }
    }

    /// Whether bodies of requests come unasked.
    pub(super) fn sends_bodies(&self) -> bool {
        self.configured.0 != BodySendMode::None
    }

    /// Bodies in full duplex cannot be turned off for a request.
    fn is_fixed(&self) -> bool {
        let duplex = BodySendMode::FullDuplexStreamed;
        self.configured.0 == duplex || self.configured.1 == duplex
    }

    /// What is asked for when nothing is to be looked at.
    pub(super) fn nothing(&mut self) -> ProcessingMode {
        let mode = skip();
        if !self.is_fixed() {
            self.asked = Some(mode);
        }
        mode
    }

    /// Asks for what a request needs: its body, and unless it has `ended` its trailers.
    pub(super) fn plan_request(&mut self, plan: &Plan, body: bool, ended: bool) {
        if self.is_fixed() {
            return;
        }
        let mut mode = skip();
        if body {
            mode.set_request_body_mode(send_mode(&plan.request_body, !plan.blocks()));
        }
        if !ended {
            // A body whose end comes with them would otherwise never end here.
            mode.set_request_trailer_mode(HeaderSendMode::Send);
        }
        if plan.responses {
            mode.set_response_header_mode(HeaderSendMode::Send);
        }
        self.asked = Some(mode);
    }

    /// Asks for what the response needs.
    pub(super) fn plan_response(&mut self, plan: &Plan, body: bool) {
        if let Some(mode) = self.asked.as_mut().filter(|_| body) {
            mode.set_response_body_mode(send_mode(&plan.response_body, !plan.blocks()));
            mode.set_response_trailer_mode(HeaderSendMode::Send);
        }
    }

    /// What to ask for now.
    pub(super) fn asked(&self) -> Option<ProcessingMode> {
        self.asked
    }

    /// How a body comes.
    pub(super) fn body(&self, direction: Direction) -> BodyMode {
        let request = direction == Direction::Request;
        let configured = if request { self.configured.0 } else { self.configured.1 };
        let asked = self.asked.as_ref();
        let asked = asked.map(|mode| if request { mode.request_body_mode() } else { mode.response_body_mode() });
        match asked.unwrap_or(configured) {
            // It may come in pieces after all: Envoy does not say whether it does as it was asked.
            BodySendMode::Buffered if configured == BodySendMode::Streamed => BodyMode::Streamed,
            BodySendMode::Buffered if configured == BodySendMode::BufferedPartial => BodyMode::Part,
            BodySendMode::None => BodyMode::None,
            BodySendMode::Streamed | BodySendMode::Grpc => BodyMode::Streamed,
            BodySendMode::Buffered => BodyMode::Buffered,
            BodySendMode::BufferedPartial => BodyMode::Part,
            BodySendMode::FullDuplexStreamed => BodyMode::Duplex,
        }
    }
}

/// A longer body than Envoy's own buffer takes is refused by it, unless longer ones may pass.
fn send_mode(plan: &BodyPlan, only_detects: bool) -> BodySendMode {
    if plan.stream || only_detects {
        BodySendMode::Streamed
    } else if plan.over_limit == OverLimit::Reject {
        BodySendMode::Buffered
    } else {
        BodySendMode::BufferedPartial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(configured: BodySendMode, body: bool, ended: bool) -> Modes {
        let mut modes = Modes { configured: (configured, BodySendMode::None), asked: None };
        modes.plan_request(&Plan::default(), body, ended);
        modes
    }

    #[test]
    fn a_body_may_come_in_pieces_although_all_of_it_was_asked_for() {
        let mode = |configured| modes(configured, true, false).body(Direction::Request);
        assert_eq!(mode(BodySendMode::None), BodyMode::Buffered);
        assert_eq!(mode(BodySendMode::Streamed), BodyMode::Streamed);
        assert_eq!(mode(BodySendMode::BufferedPartial), BodyMode::Part);
        assert_eq!(mode(BodySendMode::FullDuplexStreamed), BodyMode::Duplex);
    }

    #[test]
    fn trailers_are_asked_for_whenever_there_may_be_any() {
        let asked = |body, ended| modes(BodySendMode::None, body, ended).asked().unwrap().request_trailer_mode();
        assert_eq!((asked(true, false), asked(false, false)), (HeaderSendMode::Send, HeaderSendMode::Send));
        assert_eq!(asked(false, true), HeaderSendMode::Skip);
    }
}
