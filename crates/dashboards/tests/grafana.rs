//! Grafana's own classes: what they do not keep of a dashboard, Grafana does not know.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;

use dashboards::boards;
use grafana_dashboard_builder::Unit;
use tempfile::TempDir;
use testbed::tools::grafana_classes;

/// Reads dashboards, writes them again, and says what became of each field. A class knows its fields only, so one that is
/// misspelt or out of place is gone.
const ROUND_TRIP: &str = r#"
import json, sys
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard, units

# Fields of the Prometheus plugin, which these classes do not go into.
OF_PLUGIN = {"definition", "titleFormat"}

def lost(ours, theirs, path):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key not in theirs:
                if value not in (None, [], {}, False, "") and key not in OF_PLUGIN:
                    yield f"{path}.{key} = {json.dumps(value)}"
            else:
                yield from lost(value, theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        for index, (one, other) in enumerate(zip(ours, theirs)):
            yield from lost(one, other, f"{path}[{index}]")
    elif ours != theirs and not (isinstance(ours, (int, float)) and ours == theirs):
        yield f"{path}: {json.dumps(ours)} became {json.dumps(theirs)}"

register_default_plugins()
known = {value for name, value in vars(units).items() if isinstance(value, str)}
problems = [f"no unit {unit}" for unit in json.load(open(sys.argv[1])) if unit not in known]
for path in sys.argv[2:]:
    ours = json.load(open(path))
    theirs = json.loads(json.dumps(dashboard.Dashboard.from_json(ours), cls=JSONEncoder))
    problems += lost(ours, theirs, ours["uid"])
print("\n".join(problems))
sys.exit(bool(problems))
"#;

#[test]
fn grafana_knows_every_field_and_unit() {
    let dir = TempDir::new().unwrap();
    let units = dir.path().join("units.json");
    std::fs::write(&units, serde_json::to_string(&Unit::ALL.map(Unit::id)).unwrap()).unwrap();
    let write = |board: &grafana_dashboard_builder::Dashboard| {
        let file = dir.path().join(format!("{}.json", board.uid()));
        std::fs::write(&file, board.to_text().unwrap()).unwrap();
        file
    };
    let files: Vec<_> = boards::all().iter().map(write).collect();
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", grafana_classes().unwrap()).args(["-c", ROUND_TRIP]).arg(units).args(&files);
    let output = python.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
