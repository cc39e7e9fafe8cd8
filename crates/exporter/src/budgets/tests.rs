use envoy::Message as _;
use envoy::accesslog_data::HttpAccessLogEntry;

use super::*;
use crate::entry::Request;
use crate::testing;
use crate::traffic::{Before, Traffic};

const DAY: Duration = Duration::from_secs(86_400);

/// A route that promises this.
fn promising(mut entry: HttpAccessLogEntry, promise: &str, second: i64) -> HttpAccessLogEntry {
    let common = entry.common_properties.as_mut().unwrap();
    common.custom_tags.insert("portcullis.slo".to_owned(), promise.to_owned());
    common.start_time.as_mut().unwrap().seconds += second;
    entry
}

fn take(traffic: &Traffic, entry: &HttpAccessLogEntry, times: usize) {
    let bytes = entry.encode_to_vec();
    let origin = traffic.origin("accesslog/edge/eg", "");
    for _ in 0..times {
        traffic.count(&origin).request(&Request::read(&bytes).unwrap());
    }
}

struct Watch {
    traffic: Arc<Traffic>,
    budgets: Budgets,
    now: Instant,
}

impl Watch {
    fn begin() -> Self {
        let now = Instant::now();
        Self { traffic: testing::traffic("{}").0, budgets: Budgets::new(now), now }
    }

    fn after(&mut self, time: Duration) -> Option<Told> {
        self.now += time;
        let snapshot = self.traffic.snapshot();
        self.budgets.look(&snapshot, &self.traffic.bounds.seconds, self.now);
        self.budgets.of(&snapshot.routes.first()?.1.place, self.now)
    }

    fn left(&mut self, time: Duration) -> Vec<(Option<f64>, u64, u64)> {
        match self.after(time) {
            Some(Told::Objectives(all)) => all.iter().map(|budget| (budget.left, budget.all, budget.bad)).collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_left_is_what_the_rules_say() {
    const PROMISE: &str = "99% availability; 90% < 10ms; 90% < 25ms; 1d";
    let mut watch = Watch::begin();
    take(&watch.traffic, &promising(testing::request(), PROMISE, 0), 199);
    take(&watch.traffic, &promising(testing::refused(503, "no_healthy_upstream"), PROMISE, 0), 1);
    // Half a percent of one percent; all took 20 ms, which is too long for the second.
    let close = |left: Option<f64>, wanted: f64| assert!((left.unwrap() - wanted).abs() < 1e-9, "{left:?} {wanted}");
    let left = watch.left(Duration::from_secs(1));
    close(left[0].0, 0.5);
    close(left[1].0, -9.0);
    close(left[2].0, 1.0);
    assert_eq!((left[0].1, left[0].2, left[1].2, left[2].2), (200, 1, 200, 0));
    // What was counted is counted once.
    assert_eq!(watch.left(Duration::from_secs(60)), left);
    take(&watch.traffic, &promising(testing::request(), PROMISE, 0), 200);
    close(watch.left(Duration::from_secs(60))[0].0, 0.75);
}

#[test]
fn the_window_forgets_and_silence_does_not() {
    const PROMISE: &str = "99% availability; 1d";
    let mut watch = Watch::begin();
    take(&watch.traffic, &promising(testing::refused(503, "no_healthy_upstream"), PROMISE, 0), 5);
    assert_eq!(watch.left(Duration::from_secs(1)), [(Some(-99.0), 5, 5)]);
    // Its labels are forgotten; when it comes back, its counters begin anew.
    let place = Arc::clone(&watch.traffic.snapshot().routes[0].1.place);
    let mut before = Before::default();
    (0..2).for_each(|_| watch.traffic.forget_idle(&mut before));
    assert!(watch.after(DAY / 4).is_none());
    assert_eq!(watch.budgets.least(&place), Some(-99.0));
    take(&watch.traffic, &promising(testing::request(), PROMISE, 1), 5);
    assert_eq!(watch.left(DAY / 4), [(Some(-49.0), 10, 5)]);
    // A day after the failures only the good ones are left, then nothing.
    assert_eq!(watch.left(DAY * 11 / 20), [(Some(1.0), 5, 0)]);
    assert_eq!(watch.left(DAY), [(None, 0, 0)]);
}

#[test]
fn a_promise_may_change_be_wrong_and_end() {
    let mut watch = Watch::begin();
    take(&watch.traffic, &testing::request(), 1);
    assert!(watch.after(DAY).is_none());
    take(&watch.traffic, &promising(testing::refused(500, "via_upstream"), "99% availability", 1), 1);
    // What the route did before it said so counts, too.
    assert_eq!(watch.left(DAY), [(Some(1.0 - 0.5 / 0.01), 2, 1)]);
    take(&watch.traffic, &promising(testing::request(), "always", 2), 1);
    let Some(Told::Wrong(wrong)) = watch.after(DAY) else { panic!("it is no objective") };
    assert!(wrong.starts_with("`always` is no objective"), "{wrong}");
    take(&watch.traffic, &promising(testing::request(), "50% availability", 3), 1);
    assert_eq!(watch.left(DAY)[0].1, 4);
    take(&watch.traffic, &promising(testing::request(), "", 4), 1);
    assert!(watch.after(DAY).is_none());
    assert!(watch.budgets.ledgers.is_empty());
}
