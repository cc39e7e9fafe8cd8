//! A body on its way to the rules: collected, bounded, unpacked.

use bytes::{Bytes, BytesMut};

use super::decode::{self, Undecodable};
use crate::head::Head;
use crate::profile::{BodyPlan, OverLimit, Plan, Profile};
use crate::verdict::Reason;

/// A body.
#[derive(Debug, Default)]
pub(super) struct Body {
    collected: Collected,
    received: u64,
    state: State,
    keeps: bool,
    kept: Option<Kept>,
}

/// What of a request's body is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It is not looked at, or there is none.
    Nothing,
    /// Its announced length decides.
    TooLong,
    /// It must not be there.
    Never,
    /// It is looked at.
    Body,
}

impl Wanted {
    /// What a profile needs of the body of a request, which has none if it `ended` with its head.
    pub(crate) fn of(profile: &Profile, head: &Head, ended: bool) -> Self {
        let plan = &profile.plan.request_body;
        if plan.inspect && head.upgrades_with_body() {
            return Self::Never;
        }
        if ended || !plan.wants(&head.list("content-type")) || head.is_stream() {
            return Self::Nothing;
        }
        let too_long = head.content_length().is_some_and(|length| length > plan.limit);
        if too_long && plan.over_limit != OverLimit::Partial { Self::TooLong } else { Self::Body }
    }
}

/// What came of a body, as it came.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    bytes: Bytes,
    /// Whether that was all of it.
    whole: bool,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum State {
    #[default]
    Reading,
    /// Its rules have run, or it is not looked at.
    Done,
    /// Its rules have run before it had ended, and there must not be more of it.
    CutShort,
}

/// One chunk is passed through as it came; more are put together.
#[derive(Debug)]
enum Collected {
    One(Bytes),
    Many(BytesMut),
}

impl Default for Collected {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

/// What is to happen after a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more to come.
    Wait,
    /// The rules can run, on these bytes; `cut` when there was more than that.
    Judge { body: Bytes, cut: bool },
    /// It is refused. Where nothing is refused, the rules run on these bytes.
    Refuse { reason: Reason, body: Bytes },
    /// The rules have run already.
    Nothing,
    /// They have run already, as if there was no more of it.
    TooLate,
}

impl Body {
    /// One that keeps what it is judged by, for others.
    pub(super) fn keeping(keeps: bool) -> Self {
        Self { keeps, ..Self::default() }
    }

    /// What it was judged by.
    pub(super) fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// Bytes that came so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether its rules have run.
    pub(super) fn is_done(&self) -> bool {
        self.state != State::Reading
    }

    /// The rules have run, with or without it.
    pub(super) fn done(&mut self) {
        self.state = State::Done;
        self.collected = Collected::default();
    }

    /// The rules have run on what had come, and what still comes is refused.
    pub(super) fn cut_short(&mut self) {
        self.state = State::CutShort;
    }

    /// Takes a chunk; `last` when there is no more, `cut` when there is more that will not be sent here.
    pub(super) fn take(&mut self, chunk: Bytes, last: bool, cut: bool, plan: &BodyPlan, head: &Head) -> Next {
        self.received += chunk.len() as u64;
        match self.state {
            State::Reading => {}
            State::CutShort if !chunk.is_empty() => {
                self.kept = None;
                return Next::TooLate;
            }
            State::Done | State::CutShort => {
                if let Some(kept) = self.kept.as_mut().filter(|_| !chunk.is_empty()) {
                    kept.whole = false;
                }
                return Next::Nothing;
            }
        }
        self.collected.add(chunk);
        // One byte over tells a longer one.
        let over = cut || self.collected.len() > plan.limit;
        if !over && !last {
            return Next::Wait;
        }
        self.state = State::Done;
        let packed = std::mem::take(&mut self.collected).finish();
        if self.keeps {
            self.kept = Some(Kept { bytes: packed.clone(), whole: last });
        }
        let encodings = head.list("content-encoding");
        let (body, over) = if decode::is_encoded(&encodings) {
            match decode::decode(&encodings, &packed, plan.limit) {
                Ok(body) => (Bytes::from(body), over),
                // What was cut off cannot be unpacked.
                Err(_) if over => return over_limit(plan.over_limit.unless_in_part(), Bytes::new()),
                Err(why) => return Next::Refuse { reason: reason(why), body: Bytes::new() },
            }
        } else {
            (packed, over)
        };
        let over = over || body.len() as u64 > plan.limit;
        if !over {
            return Next::Judge { body, cut: false };
        }
        let what = if is_structured(head) { plan.over_limit.unless_in_part() } else { plan.over_limit };
        let most = usize::try_from(plan.limit + 1).unwrap_or(usize::MAX);
        let beginning = body.slice(..body.len().min(most));
        over_limit(what, beginning)
    }
}

impl Kept {
    /// What would have become of it in another plan; to wait where that takes more of it than there is.
    pub(super) fn judged_by(&self, plan: &BodyPlan, head: &Head) -> Next {
        Body::default().take(self.bytes.clone(), self.whole, false, plan, head)
    }
}

/// Whether the body of a response that has one is looked at.
pub(super) fn reads_response_body(plan: &Plan, request: &Head, response: &Head) -> bool {
    let stream = response.is_stream() || request.is_tunnel();
    plan.responses && !stream && plan.response_body.wants(&response.list("content-type"))
}

/// Whether a response is withheld for its body. What the application sends in a way that is not known here is its own affair.
pub(super) fn withholds(plan: &Plan, reason: Reason) -> bool {
    reason == Reason::BodyTooLong && plan.response_body.over_limit == OverLimit::Reject
}

fn over_limit(what: OverLimit, beginning: Bytes) -> Next {
    match what {
        OverLimit::Reject => Next::Refuse { reason: Reason::BodyTooLong, body: Bytes::new() },
        OverLimit::Partial => Next::Judge { body: beginning, cut: true },
        OverLimit::Pass => Next::Judge { body: Bytes::new(), cut: true },
    }
}

fn reason(why: Undecodable) -> Reason {
    match why {
        Undecodable::Unknown => Reason::UnknownEncoding,
        Undecodable::Broken => Reason::BrokenEncoding,
        Undecodable::Bomb => Reason::BodyTooLong,
    }
}

/// JSON and XML make no sense in part: the beginning of one is an error to the engine, and tells nothing of the rest.
fn is_structured(head: &Head) -> bool {
    let kind = head.text("content-type").to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
    kind.ends_with("json") || kind.ends_with("xml")
}

impl Collected {
    fn len(&self) -> u64 {
        match self {
            Self::One(bytes) => bytes.len() as u64,
            Self::Many(bytes) => bytes.len() as u64,
        }
    }

    fn add(&mut self, chunk: Bytes) {
        match self {
            Self::One(first) if first.is_empty() => *first = chunk,
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(2 * (first.len() + chunk.len()));
                all.extend_from_slice(first);
                all.extend_from_slice(&chunk);
                *self = Self::Many(all);
            }
            Self::Many(all) => all.extend_from_slice(&chunk),
        }
    }

    fn finish(self) -> Bytes {
        match self {
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(limit: u64, over_limit: OverLimit) -> BodyPlan {
        BodyPlan { limit, over_limit, ..Plan::default().request_body }
    }

    fn head(fields: &[(&str, &str)]) -> Head {
        Head::of(fields.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    /// What becomes of a body in chunks of a size.
    fn fate(body: &[u8], size: usize, plan: &BodyPlan, head: &Head) -> Next {
        let mut state = Body::default();
        let chunks: Vec<&[u8]> = body.chunks(size).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let last = index + 1 == chunks.len();
            let next = state.take(Bytes::copy_from_slice(chunk), last, false, plan, head);
            if next != Next::Wait {
                return next;
            }
        }
        Next::Nothing
    }

    #[test]
    fn a_limit_is_exact_whatever_the_chunks() {
        let form = head(&[("content-type", "application/x-www-form-urlencoded")]);
        let refused = Next::Refuse { reason: Reason::BodyTooLong, body: Bytes::new() };
        for size in [1, 2, 3, 7, 8, 100] {
            for length in [15, 16] {
                let body = vec![b'a'; length];
                let whole = Next::Judge { body: Bytes::from(body.clone()), cut: false };
                assert_eq!(fate(&body, size, &plan(16, OverLimit::Reject), &form), whole);
            }
            let long = [b'a'; 17];
            assert_eq!(fate(&long, size, &plan(16, OverLimit::Reject), &form), refused);
            let part = Next::Judge { body: Bytes::from(vec![b'a'; 17]), cut: true };
            assert_eq!(fate(&long, size, &plan(16, OverLimit::Partial), &form), part);
            let none = Next::Judge { body: Bytes::new(), cut: true };
            assert_eq!(fate(&long, size, &plan(16, OverLimit::Pass), &form), none);
        }
        let json = head(&[("content-type", "application/ld+json; charset=utf-8")]);
        assert_eq!(fate(&[b'['; 17], 4, &plan(16, OverLimit::Partial), &json), refused);
    }

    #[test]
    fn what_envoy_cut_is_over_the_limit() {
        let form = head(&[("content-type", "text/plain")]);
        let next = Body::default().take(Bytes::from_static(b"abc"), false, true, &plan(16, OverLimit::Partial), &form);
        assert_eq!(next, Next::Judge { body: Bytes::from_static(b"abc"), cut: true });
    }

    #[test]
    fn nothing_may_follow_what_was_cut_short() {
        let (plan, form) = (plan(16, OverLimit::Reject), head(&[("content-type", "text/plain")]));
        let mut body = Body::keeping(true);
        let mut next = |chunk: &'static [u8], last| body.take(Bytes::from_static(chunk), last, false, &plan, &form);
        assert_eq!(next(b"a=b", false), Next::Wait);
        assert_eq!(next(b"", true), Next::Judge { body: Bytes::from_static(b"a=b"), cut: false });
        body.cut_short();
        let mut next = |chunk: &'static [u8]| body.take(Bytes::from_static(chunk), true, false, &plan, &form);
        assert_eq!((next(b""), next(b"&"), next(b"")), (Next::Nothing, Next::TooLate, Next::Nothing));
        assert!(body.is_done() && body.kept().is_none());
    }

    #[test]
    fn what_is_kept_is_judged_by_another_plan_as_far_as_it_goes() {
        let form = head(&[("content-type", "text/plain")]);
        let mut body = Body::keeping(true);
        let seen = |body: &Body, limit| body.kept().unwrap().judged_by(&plan(limit, OverLimit::Reject), &form);
        let judged = |bytes: &'static [u8]| Next::Judge { body: Bytes::from_static(bytes), cut: false };
        let refused = Next::Refuse { reason: Reason::BodyTooLong, body: Bytes::new() };
        assert_eq!(
            body.take(Bytes::from_static(b"abcd"), true, false, &plan(16, OverLimit::Reject), &form),
            judged(b"abcd")
        );
        assert_eq!((seen(&body, 3), seen(&body, 4)), (refused.clone(), judged(b"abcd")));
        let mut body = Body::keeping(true);
        assert_eq!(body.take(Bytes::from_static(b"abcd"), false, false, &plan(3, OverLimit::Reject), &form), refused);
        assert_eq!((seen(&body, 3), seen(&body, 4)), (refused, Next::Wait));
    }

    #[test]
    fn what_is_kept_is_no_whole_when_more_of_it_comes() {
        let (plan, form) = (plan(16, OverLimit::Pass), head(&[("content-type", "text/plain")]));
        let mut body = Body::keeping(true);
        body.take(Bytes::from_static(b"abc"), false, false, &plan, &form);
        body.take(Bytes::new(), true, false, &plan, &form);
        let judged = Next::Judge { body: Bytes::from_static(b"abc"), cut: false };
        assert_eq!(body.kept().unwrap().judged_by(&plan, &form), judged);
        assert_eq!(body.take(Bytes::from_static(b"def"), true, false, &plan, &form), Next::Nothing);
        assert_eq!(body.kept().unwrap().judged_by(&plan, &form), Next::Wait);
    }

    #[test]
    fn an_unknown_encoding_is_refused() {
        let odd = head(&[("content-encoding", "compress")]);
        let next = fate(b"x", 1, &plan(16, OverLimit::Pass), &odd);
        let refused = Next::Refuse { reason: Reason::UnknownEncoding, body: Bytes::new() };
        assert_eq!(next, refused);
        let twice = head(&[("content-encoding", "identity"), ("content-encoding", "compress")]);
        assert_eq!(fate(b"x", 1, &plan(16, OverLimit::Pass), &twice), refused);
    }

    #[test]
    fn a_packed_body_that_was_cut_is_let_be_only_where_long_ones_are() {
        let packed = head(&[("content-encoding", "gzip")]);
        let next = |over_limit| Body::default().take(Bytes::new(), false, true, &plan(16, over_limit), &packed);
        let refused = Next::Refuse { reason: Reason::BodyTooLong, body: Bytes::new() };
        assert_eq!((next(OverLimit::Reject), next(OverLimit::Partial)), (refused.clone(), refused));
        assert_eq!(next(OverLimit::Pass), Next::Judge { body: Bytes::new(), cut: true });
    }
}
