//! The dashboards and alerts of Portcullis, which `cargo xtask gen` writes to `dashboards/`, and the page of all metrics.
//!
//! ```text
//! catalogues of the services ─▶ catalogue ─┬─▶ boards ─▶ dashboards/*.json
//!              └─▶ reference ─▶ docs/metrics.md
//!                                          ├─▶ alerts ─▶ dashboards/rules/*.yaml
//! envoy: what we use of Envoy's own ───────┘
//! ```
//!
//! A metric is named by the catalogue of the service that has it, so one that is renamed does not compile here, and labels are
//! checked when files are made.

pub mod alerts;
pub mod boards;
pub mod catalogue;
pub mod envoy;
mod reference;
mod select;

use grafana_dashboard_builder::Error;

/// All files: the path below the top of the tree, and what is in it.
pub fn files() -> Result<Vec<(String, String)>, Error> {
    let mut files = Vec::new();
    for board in boards::all() {
        files.push((format!("dashboards/{}.json", board.uid()), board.to_text()?));
    }
    for (name, rules) in alerts::all() {
        files.push((format!("dashboards/rules/{name}.yaml"), format!("{}{}", alerts::HEAD, rules.to_text()?)));
    }
    files.push(("docs/metrics.md".to_owned(), reference::page()));
    Ok(files)
}
