//! Profiles: which rules a request is judged by, and what is done about what they find.
//!
//! ```text
//! files ─▶ Spec (YAML) ─▶ Plan (everything said, within guardrails) ─▶ SecLang ─▶ coraza::Rules ─▶ Profile
//! ```
//!
//! Each profile is loaded by itself: one that is wrong keeps its last good rules, and the others go on. Profiles whose rules come
//! out the same share one compiled set, and a set that is in force already is not compiled again.

mod check;
mod guardrails;
mod load;
mod plan;
mod read;
mod seclang;
mod source;
mod spec;
mod statements;

use std::collections::BTreeMap;
use std::sync::Arc;

use coraza::Rules;

pub use load::{Error, Failure, Loaded, Loader, as_directives};
pub use plan::{BodyPlan, Core, Plan};
pub use read::{Place, builtin};
pub use spec::{Body, CoreRules, Exclusion, Guardrails, Mode, OnFailure, OverLimit, Responses, RuleRange, Spec};

/// An exclusion as SecLang; `None` when what it names cannot be written there.
pub fn as_seclang(exclusion: &Exclusion) -> Option<String> {
    let spec = Spec { name: "x".to_owned(), exclusions: vec![exclusion.clone()], ..Spec::default() };
    let fine = check::wrong_values(&spec).is_empty();
    fine.then(|| seclang::exclusions_by_path(&spec.exclusions) + &seclang::exclusions_everywhere(&spec.exclusions))
}

/// A profile that requests can be judged by.
#[derive(Debug)]
pub struct Profile {
    /// What it says.
    pub plan: Plan,
    /// Its compiled rules.
    pub rules: Rules,
}

/// All profiles, by name.
#[derive(Debug, Default)]
pub struct Profiles(BTreeMap<String, Arc<Profile>>);

impl Profiles {
    /// The profile of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.0.values()
    }
}
