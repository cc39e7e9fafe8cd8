//! The trace context of Zipkin: `b3: trace-span-sampled-parent`, or a header for each of its parts.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The context that headers carry; `get` finds one by its name in lower case. One that cannot be read is none.
pub(super) fn extract<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<SpanContext> {
    if let Some(single) = get("b3") {
        let mut parts = single.split('-');
        let (first, span) = (parts.next()?, parts.next());
        return match span {
            // Only a decision.
            None => decided_against(first),
            Some(span) => context(first, span, parts.next()),
        };
    }
    // Flags say that the trace is debugged, which goes before what is said of sampling.
    let sampled = if get("x-b3-flags") == Some("1") { Some("d") } else { get("x-b3-sampled") };
    match (get("x-b3-traceid"), get("x-b3-spanid")) {
        (Some(trace), Some(span)) => context(trace, span, sampled),
        _ => decided_against(sampled?),
    }
}

/// A decision that is not told is left to us, and we have been asked for this trace.
fn context(trace: &str, span: &str, sampled: Option<&str>) -> Option<SpanContext> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !matches!(trace.len(), 16 | 32) || span.len() != 16 || !is_hex(trace) || !is_hex(span) {
        return None;
    }
    let flags = match sampled {
        None | Some("1" | "d" | "true") => TraceFlags::SAMPLED,
        Some("0" | "false") => TraceFlags::default(),
        Some(_) => return None,
    };
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

/// "Not sampled" without a trace: whichever it is, nothing of it is recorded.
fn decided_against(sampled: &str) -> Option<SpanContext> {
    matches!(sampled, "0" | "false").then(|| {
        SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::default(), true, TraceState::default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    /// The trace, the span and whether it is sampled.
    fn read(headers: &[(&str, &str)]) -> Option<(String, String, bool)> {
        let get = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let context = extract(get)?;
        Some((context.trace_id().to_string(), context.span_id().to_string(), context.is_sampled()))
    }

    fn of(trace: &str, sampled: bool) -> Option<(String, String, bool)> {
        Some((trace.to_owned(), SPAN.to_owned(), sampled))
    }

    #[test]
    fn both_forms_are_read() {
        let single = |rest: &str| read(&[("b3", &format!("{TRACE}-{SPAN}{rest}"))]);
        for (rest, sampled) in [("", true), ("-1", true), ("-d", true), ("-0", false), ("-1-05e3ac9a4f6e3b90", true)] {
            assert_eq!(single(rest), of(TRACE, sampled), "{rest}");
        }
        let ids = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-parentspanid", "05e3ac9a4f6e3b90")];
        for (more, sampled) in [
            (("x", ""), true),
            (("x-b3-sampled", "1"), true),
            (("x-b3-sampled", "true"), true),
            (("x-b3-sampled", "0"), false),
            (("x-b3-flags", "1"), true),
        ] {
            assert_eq!(read(&[&ids[..], &[more]].concat()), of(TRACE, sampled), "{more:?}");
        }
        // Traces of 64 bits are those of 128 that begin with zeroes.
        let short = read(&[("x-b3-traceid", "64fe8b2a57d3eff7"), ("x-b3-spanid", SPAN)]);
        assert_eq!(short, of("000000000000000064fe8b2a57d3eff7", true));
    }

    #[test]
    fn a_decision_may_come_alone_and_nonsense_is_nothing() {
        for against in [[("b3", "0")], [("x-b3-sampled", "0")]] {
            assert_eq!(read(&against).map(|(.., sampled)| sampled), Some(false));
        }
        for nonsense in
            ["", "1", "x", "80f1-e457b5a2e4d86bd1", &format!("{TRACE}-{SPAN}-maybe"), &format!("+{TRACE}-{SPAN}")]
        {
            assert_eq!(read(&[("b3", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(read(&[("x-b3-traceid", &"0".repeat(32)), ("x-b3-spanid", SPAN)]), None);
    }
}
