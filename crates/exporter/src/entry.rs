//! Entries of access logs (`envoy.data.accesslog.v3`), as far as they are counted or told. Nothing is copied.

use std::num::NonZeroU128;

use crate::wire::{Fields, Malformed, Value, field, pair};

/// What a custom tag has to be called for the exporter to know the listener: `namespace/gateway/listener`.
pub(crate) const LISTENER_TAG: &[u8] = b"portcullis.listener";
/// The same for the trace of a request.
pub(crate) const TRACE_TAG: &[u8] = b"portcullis.trace";
/// The same for the JA4 of the client: entries have no field of it.
pub(crate) const JA4_TAG: &[u8] = b"portcullis.ja4";
/// The same for what the route promises, as its annotation has it.
pub(crate) const OBJECTIVES_TAG: &[u8] = b"portcullis.slo";

/// What entries of requests and of connections have in common.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Common<'a> {
    /// The client's address, as far as Envoy trusts what it was told.
    pub(crate) client: &'a [u8],
    /// The port that it came to.
    pub(crate) port: u32,
    /// Seconds of the Unix epoch.
    pub(crate) start: f64,
    /// Until the first byte went to the back end, in seconds, as all of these.
    pub(crate) to_upstream: Option<f64>,
    /// Until the last byte came from it.
    pub(crate) from_upstream: Option<f64>,
    /// Until the last byte went to the client.
    pub(crate) to_client: Option<f64>,
    /// Until all was over.
    pub(crate) duration: Option<f64>,
    pub(crate) cluster: &'a [u8],
    /// One bit for each flag, by the number of its field.
    pub(crate) flags: u32,
    /// The message of dynamic metadata.
    pub(crate) metadata: &'a [u8],
    pub(crate) route: &'a [u8],
    /// `namespace/gateway/listener`, where Envoy was told to say so.
    pub(crate) listener: &'a [u8],
    pub(crate) trace: &'a [u8],
    /// Fingerprints of the client's TLS, where Envoy was told to compute them.
    pub(crate) ja3: &'a [u8],
    pub(crate) ja4: &'a [u8],
    pub(crate) objectives: &'a [u8],
    /// Bytes to and from the client, as on the wire.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) moment: Moment,
}

/// When in the life of a request an entry is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Moment {
    /// At its end.
    #[default]
    End,
    /// At the end of one try at a back end.
    Try,
    /// Before its end.
    Interim,
}

/// A request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Request<'a> {
    pub(crate) common: Common<'a>,
    /// `HTTPVersion`.
    pub(crate) protocol: u8,
    /// `RequestMethod`.
    pub(crate) method: u8,
    pub(crate) host: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) id: &'a [u8],
    pub(crate) user_agent: &'a [u8],
    pub(crate) request_bytes: u64,
    /// 0 when the client got none.
    pub(crate) code: u16,
    pub(crate) response_bytes: u64,
    pub(crate) details: &'a [u8],
}

/// A connection that was passed on as bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Connection<'a> {
    pub(crate) common: Common<'a>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl<'a> Request<'a> {
    /// Reads an `HTTPAccessLogEntry`.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut entry = Self::default();
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => entry.common = Common::read(value.bytes())?,
                2 => entry.protocol = small(value),
                3 => entry.read_request(value.bytes())?,
                4 => entry.read_response(value.bytes())?,
                _ => {}
            }
        }
        Ok(entry)
    }

    fn read_request(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let mut fields = Fields::new(message);
        let mut original = &[][..];
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.method = small(value),
                3 => self.host = value.bytes(),
                5 => self.path = value.bytes(),
                6 => self.user_agent = value.bytes(),
                9 => self.id = value.bytes(),
                10 => original = value.bytes(),
                12 => self.request_bytes = value.number(),
                _ => {}
            }
        }
        // What the client asked for, not what a filter has made of it.
        if !original.is_empty() {
            self.path = original;
        }
        Ok(())
    }

    fn read_response(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.code = field(value.bytes(), 1).map_or(0, |code| code.number().try_into().unwrap_or(0)),
                3 => self.response_bytes = value.number(),
                6 => self.details = value.bytes(),
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> Connection<'a> {
    /// Reads a `TCPAccessLogEntry`.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut entry = Self::default();
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => entry.common = Common::read(value.bytes())?,
                2 => {
                    let number = |wanted| field(value.bytes(), wanted).map_or(0, Value::number);
                    (entry.received, entry.sent) = (number(1), number(2));
                }
                _ => {}
            }
        }
        Ok(entry)
    }
}

impl<'a> Common<'a> {
    /// The trace, if it is one.
    pub(crate) fn trace(&self) -> Option<NonZeroU128> {
        let is_one = self.trace.len() == 32 && self.trace.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(self.trace).ok().filter(|_| is_one)?;
        NonZeroU128::new(u128::from_str_radix(digits, 16).ok()?)
    }

    fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut common = Self::default();
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                2 => common.client = address(value.bytes()).0,
                3 => common.port = address(value.bytes()).1,
                4 => common.ja3 = field(value.bytes(), 7).map(Value::bytes).unwrap_or_default(),
                5 => common.start = seconds(value.bytes()).unwrap_or_default(),
                7 => common.to_upstream = seconds(value.bytes()),
                10 => common.from_upstream = seconds(value.bytes()),
                12 => common.to_client = seconds(value.bytes()),
                15 => common.cluster = value.bytes(),
                16 => common.flags = flags(value.bytes())?,
                17 => common.metadata = value.bytes(),
                19 => common.route = value.bytes(),
                22 => common.read_tag(value.bytes()),
                23 => common.duration = seconds(value.bytes()),
                27 if value.number() != 0 => common.moment = Moment::Interim,
                29 => common.sent = value.number(),
                30 => common.received = value.number(),
                33 => common.read_type(value.number()),
                _ => {}
            }
        }
        Ok(common)
    }

    fn read_tag(&mut self, entry: &'a [u8]) {
        match pair(entry) {
            // How Envoy writes that there is nothing to say.
            (_, b"-") => {}
            (LISTENER_TAG, listener) => self.listener = listener,
            (TRACE_TAG, trace) => self.trace = trace,
            (JA4_TAG, ja4) => self.ja4 = ja4,
            (OBJECTIVES_TAG, objectives) => self.objectives = objectives,
            _ => {}
        }
    }

    /// `AccessLogType`. What is not written at the end must not be counted as a request.
    fn read_type(&mut self, number: u64) {
        match number {
            // NotSet, TcpConnectionEnd, DownstreamEnd, UdpSessionEnd.
            0 | 3 | 6 | 13 => {}
            9 => self.moment = Moment::Try,
            _ => self.moment = Moment::Interim,
        }
    }
}

fn small(value: Value<'_>) -> u8 {
    u8::try_from(value.number()).unwrap_or_default()
}

/// Host and port of a socket address.
fn address(message: &[u8]) -> (&[u8], u32) {
    let socket = field(message, 1).map(Value::bytes).unwrap_or_default();
    let host = field(socket, 2).map(Value::bytes).unwrap_or_default();
    (host, field(socket, 3).map_or(0, |port| port.number().try_into().unwrap_or_default()))
}

/// A duration or a time. A negative one is an error of Envoy's clock, and told by nobody.
fn seconds(message: &[u8]) -> Option<f64> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Fields::new(message);
    while let Ok(Some((number, value))) = fields.next() {
        match number {
            1 => seconds = value.number().cast_signed(),
            2 => nanos = value.number().cast_signed(),
            _ => {}
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "a time needs no more than 52 bits")]
    let time = nanos as f64 / 1e9 + seconds as f64;
    (time >= 0.0).then_some(time)
}

fn flags(message: &[u8]) -> Result<u32, Malformed> {
    let (mut flags, mut fields) = (0, Fields::new(message));
    while let Some((number, value)) = fields.next()? {
        // The field of the unauthorized is a message, all others are booleans.
        let set = matches!(value, Value::Bytes(_)) || value.number() != 0;
        if set && number < 32 {
            flags |= 1 << number;
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests;
