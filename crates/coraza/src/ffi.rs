//! The border to Go: the only unsafe code of the workspace.
//!
//! What holds everywhere here: the functions are those of `go/main.go`, declared by bindgen from the header that Go wrote for
//! this very archive. Go copies what it keeps of a buffer, and keeps no pointer after a call. They may be called from any thread
//! and at any time: Go starts its runtime before `main` and waits for it. A panic does not leave them.

use std::ffi::c_void;
use std::panic::AssertUnwindSafe;
use std::sync::Once;
use std::time::{Duration, Instant};

use crate::error::{Broken, Problem};
use crate::matcher::Matcher;
use crate::transaction::{Action, Interruption, Reads, Step};
use crate::wire::Reader;

#[allow(
    missing_docs,
    non_camel_case_types,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated"
)]
mod declared {
    include!(concat!(env!("OUT_DIR"), "/declarations.rs"));
}

use declared::{coraza_bytes, coraza_outcome};

/// Memory that Go has handed out.
struct Given(coraza_bytes);

impl Given {
    fn bytes(&self) -> &[u8] {
        if self.0.data.is_null() {
            return &[];
        }
        // SAFETY: Go allocated `len` bytes at `data` with C.CBytes and wrote them; they are freed by our drop alone.
        unsafe { std::slice::from_raw_parts(self.0.data, self.0.len) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if !self.0.data.is_null() {
            // SAFETY: it is from Go, and freed once.
            unsafe { declared::coraza_free_bytes(self.0) }
        }
    }
}

/// A buffer for the time of a call; Go does not write to it. An empty one is at no address: that of an empty slice is a small
/// number, and Go ends the process when it moves a stack that holds one.
fn lent(buffer: &[u8]) -> *mut u8 {
    if buffer.is_empty() { std::ptr::null_mut() } else { buffer.as_ptr().cast_mut() }
}

/// What the Go runtime takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in live values, after a collection.
    pub live: u64,
    /// Bytes that the runtime holds of the system.
    pub held: u64,
}

/// Bounds the Go runtime: threads that compute at a time, bytes that its memory shall not exceed (the collector works harder
/// near it; it is no hard limit), and how much the heap may grow between collections, in percent. A step of a transaction that
/// takes longer than `step` is ended at the next rule, or the next value that a rule looks at. Zeros change nothing.
pub fn limit(threads: u16, memory: u64, growth: u16, step: Duration) {
    let memory = i64::try_from(memory).unwrap_or(i64::MAX);
    let step = u32::try_from(step.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: takes numbers only.
    unsafe { declared::coraza_limits(threads.into(), memory, growth.into(), step) }
}

/// Makes the handlers of signals that this process has by now run on the signal stacks of threads, as Go wants it (`SA_ONSTACK`),
/// and says for how many that was new. To be called once they are all there: a handler that runs on one of Go's small stacks
/// writes over whatever lies below it.
pub fn adopt_signal_handlers() -> u32 {
    // SAFETY: takes nothing. A handler stays what it is, and where a thread has no signal stack nothing changes.
    unsafe { declared::coraza_signals() }
}

/// Collects garbage, gives memory back to the system, and says what is left. Takes some milliseconds.
pub fn memory() -> Memory {
    let (mut live, mut held) = (0, 0);
    // SAFETY: both pointers are to live numbers of ours.
    unsafe { declared::coraza_memory(&raw mut live, &raw mut held) }
    Memory { live, held }
}

/// The engine's version, and those of the Core Rule Sets inside, the newest first.
pub fn versions() -> (String, Vec<String>) {
    // SAFETY: takes nothing; Given frees what it gives.
    let text = Given(unsafe { declared::coraza_versions() }).text();
    let of =
        |name: &str| text.lines().filter_map(|line| line.strip_prefix(name)).map(str::to_owned).collect::<Vec<_>>();
    (of("coraza ").concat(), of("crs "))
}

/// A rule set on the Go side.
#[derive(Debug)]
pub(crate) struct Rules {
    number: usize,
    count: u64,
    judged: u64,
}

impl Rules {
    pub(crate) fn compile(source: &[u8]) -> Result<Self, Problem> {
        give_matcher();
        let (mut count, mut judged, mut problem) = (0, 0, coraza_bytes::default());
        // SAFETY: the pointers are to live values of ours, and the length is that of the buffer.
        let number = unsafe {
            declared::coraza_compile(lent(source), source.len(), &raw mut count, &raw mut judged, &raw mut problem)
        };
        let problem = Given(problem);
        if number != 0 {
            return Ok(Self { number, count, judged });
        }
        let mut batch = Reader(problem.bytes());
        Err(Problem { file: batch.text(), line: batch.number(), directive: batch.text(), what: batch.text() })
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn judged(&self) -> u64 {
        self.judged
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        // SAFETY: the number is from coraza_compile, and let go of once.
        unsafe { declared::coraza_free_rules(self.number) }
    }
}

/// A transaction on the Go side. `&mut self` in every step: Go wants one at a time.
#[derive(Debug)]
pub(crate) struct Transaction(usize);

impl Transaction {
    pub(crate) fn begin(rules: &Rules, request: &[u8], done: bool) -> (Self, Result<Step, Broken>) {
        let mut outcome = coraza_outcome::default();
        // SAFETY: the rules live; the pointers are to live values of ours, and the length is that of the buffer.
        let number = unsafe {
            declared::coraza_begin(rules.number, lent(request), request.len(), done.into(), &raw mut outcome)
        };
        (Self(number), step(outcome))
    }

    pub(crate) fn request_body(&mut self, body: &[u8], done: bool) -> Result<Step, Broken> {
        self.step(declared::coraza_request_body, body, done)
    }

    pub(crate) fn response(&mut self, response: &[u8], done: bool) -> Result<Step, Broken> {
        self.step(declared::coraza_response, response, done)
    }

    pub(crate) fn response_body(&mut self, body: &[u8], done: bool) -> Result<Step, Broken> {
        self.step(declared::coraza_response_body, body, done)
    }

    pub(crate) fn finish(&mut self) -> Result<Step, Broken> {
        let mut outcome = coraza_outcome::default();
        // SAFETY: the number is from coraza_begin and not let go of; the pointer is to a live value of ours.
        unsafe { declared::coraza_finish(self.0, &raw mut outcome) }
        step(outcome)
    }

    pub(crate) fn matches(&self) -> Vec<u8> {
        // SAFETY: the number is from coraza_begin and not let go of; Given frees what it gives.
        Given(unsafe { declared::coraza_matches(self.0) }).bytes().to_vec()
    }

    fn step(&mut self, run: StepFunction, data: &[u8], done: bool) -> Result<Step, Broken> {
        let mut outcome = coraza_outcome::default();
        // SAFETY: the number is from coraza_begin and not let go of; the pointers are to live values of ours, and the length is
        // that of the buffer, which Go does not write to.
        unsafe { run(self.0, lent(data), data.len(), done.into(), &raw mut outcome) }
        step(outcome)
    }
}

type StepFunction = unsafe extern "C" fn(usize, *mut u8, usize, u8, *mut coraza_outcome);

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: the number is from coraza_begin, and let go of once.
        unsafe { declared::coraza_end(self.0) }
    }
}

/// The numbers of `go/main.go` as values.
fn step(outcome: coraza_outcome) -> Result<Step, Broken> {
    let text = Given(outcome.text);
    match outcome.state {
        2 => return Err(Broken::Failed(text.text())),
        4 => return Err(Broken::Late),
        _ => {}
    }
    let decided = || Interruption {
        rule: outcome.rule,
        status: Some(outcome.status).filter(|status| *status != 0),
        action: match outcome.action {
            0 => Action::Deny,
            1 => Action::Redirect(text.text()),
            2 => Action::Drop,
            _ => Action::Other,
        },
    };
    let reads = |bit: u8| outcome.reads & bit != 0;
    Ok(Step {
        interruption: (outcome.state == 1).then(decided),
        detection: (outcome.state == 3).then(decided),
        reads: Reads {
            request_bodies: reads(1),
            response_bodies: reads(2),
            this_response: reads(4),
            nothing: reads(8),
        },
        inbound: outcome.inbound,
        outbound: outcome.outbound,
        matches: outcome.matches,
    })
}

/// Tells Go, once, who looks for the patterns of its gate (`go/matcher.c`).
fn give_matcher() {
    static GIVEN: Once = Once::new();
    GIVEN.call_once(|| {
        let (compile, scan, free) = (matcher_compile as Compile, matcher_scan as Scan, matcher_free as Free);
        // SAFETY: takes pointers to functions of the types that matcher.c declares.
        unsafe { declared::coraza_use_matcher(compile as *mut c_void, scan as *mut c_void, free as *mut c_void) }
    });
}

type Compile = extern "C" fn(*const u8, usize) -> usize;
type Scan = extern "C" fn(usize, *const u8, usize, *mut u64, u64);
type Free = extern "C" fn(usize);

/// Go's memory for the time of a call.
///
/// # Safety
///
/// `size` bytes at `data` stay as they are while the slice is used.
unsafe fn borrowed<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: as the caller says.
    unsafe { std::slice::from_raw_parts(data, size) }
}

/// 0 is none: Go then has no gate.
extern "C" fn matcher_compile(patterns: *const u8, size: usize) -> usize {
    // SAFETY: Go keeps the buffer until this returns.
    let patterns = unsafe { borrowed(patterns, size) };
    let matcher = std::panic::catch_unwind(|| Matcher::new(patterns)).ok();
    matcher.map_or(0, |matcher| Box::into_raw(Box::new(matcher)).expose_provenance())
}

/// `time` is in nanoseconds, 0 for as long as it takes. When it is up, or this panics, everything counts as found.
extern "C" fn matcher_scan(number: usize, texts: *const u8, size: usize, found: *mut u64, time: u64) {
    // SAFETY: the number is from matcher_compile, and matcher_free was not called with it: transactions keep their rules.
    let matcher = unsafe { &*std::ptr::with_exposed_provenance::<Matcher>(number) };
    // SAFETY: Go keeps the buffers until this returns, and gives a word for each 64 patterns.
    let (texts, found) = unsafe { (borrowed(texts, size), std::slice::from_raw_parts_mut(found, matcher.words())) };
    let until = (time > 0).then(|| Instant::now() + Duration::from_nanos(time));
    let scanned = std::panic::catch_unwind(AssertUnwindSafe(|| matcher.scan(texts, &mut *found, until)));
    if !matches!(scanned, Ok(Ok(()))) {
        found.fill(u64::MAX);
    }
}

extern "C" fn matcher_free(number: usize) {
    // SAFETY: the number is from matcher_compile, and let go of once.
    drop(unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut::<Matcher>(number)) });
}
