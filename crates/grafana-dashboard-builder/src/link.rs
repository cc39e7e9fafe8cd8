//! Links from a dashboard and from panels.

use serde_json::{Value, json};

/// A link at the top of a dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    title: String,
    to: To,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Tag(String),
    Url(String),
}

impl Link {
    /// A menu of all dashboards with this tag. Variables and the time range go along.
    pub fn to_tag(title: impl Into<String>, tag: impl Into<String>) -> Self {
        Self { title: title.into(), to: To::Tag(tag.into()) }
    }

    /// A page elsewhere.
    pub fn to_url(title: impl Into<String>, url: impl Into<String>) -> Self {
        Self { title: title.into(), to: To::Url(url.into()) }
    }

    pub(crate) fn json(&self) -> Value {
        let (kind, tags, url, along) = match &self.to {
            To::Tag(tag) => ("dashboards", vec![tag.as_str()], "", true),
            To::Url(url) => ("link", Vec::new(), url.as_str(), false),
        };
        json!({
            "title": self.title, "type": kind, "tags": tags, "url": url, "icon": "external link", "tooltip": "",
            "asDropdown": along, "includeVars": along, "keepTime": along, "targetBlank": !along,
        })
    }
}

/// A link from a panel, or from a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PanelLink {
    pub(crate) title: String,
    pub(crate) url: String,
}

impl PanelLink {
    pub(crate) fn json(&self) -> Value {
        json!({ "title": self.title, "url": self.url })
    }
}
