//! The admin page: one page of HTML, made on the server, that renews itself.

use std::fmt::Write as _;

use serde_json::Value;

use super::View;
use crate::conditions;

/// How the page looks.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top }
th { font-weight: 600 } code, pre { font-size: .9em } pre { white-space: pre-wrap }
.bad { color: #c62828 } .good { color: #2e7d32 }
@media (prefers-color-scheme: dark) { .bad { color: #ef9a9a } .good { color: #a5d6a7 } }
";

/// The page as it is now.
pub(super) fn render(view: &View) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Portcullis</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"5\">\
         <link rel=\"stylesheet\" href=\"/style.css\"></head><body><h1>Portcullis</h1>",
    );
    let resources = view.resources(None);
    problems(&mut page, &resources["problems"]);
    gateways(&mut page, &view.gateways());
    envoys(&mut page, &view.envoys());
    statuses(&mut page, &resources["items"]);
    page.push_str(
        "<p>More: <a href=\"/config_dump\">configuration of Envoys</a>, <a href=\"/api/resources\">resources</a>, \
         <a href=\"/api/envoys\">Envoys</a>, <a href=\"/metrics\">metrics</a>, <a href=\"/config\">own configuration</a>, \
         <a href=\"/readyz\">readiness</a></p></body></html>",
    );
    page
}

fn problems(page: &mut String, problems: &Value) {
    let all = list(problems);
    if all.is_empty() {
        return;
    }
    page.push_str("<h2 class=\"bad\">Problems of documents</h2>");
    let rows = all.iter().map(|problem| {
        let place = match problem["file"].as_str() {
            Some(file) => format!("{file}:{}", problem["line"]),
            None => "the cluster".to_owned(),
        };
        vec![
            code(&place),
            escape(&text(&problem["object"])),
            escape(&text(&problem["field"])),
            escape(&text(&problem["what"])),
        ]
    });
    table(page, &["Place", "Resource", "Field", "What"], rows);
}

fn gateways(page: &mut String, gateways: &Value) {
    page.push_str("<h2>Gateways</h2>");
    let rows = list(gateways).iter().map(|gateway| {
        let ports: Vec<_> = list(&gateway["listeners"]).iter().map(|listener| text(&listener["name"])).collect();
        let up_to_date = gateway["acknowledged"].as_u64() >= gateway["revision"].as_u64();
        let state = if up_to_date { mark("good", "up to date") } else { mark("bad", "waiting for Envoy") };
        vec![
            code(&text(&gateway["name"])),
            escape(&ports.join(", ")),
            text(&gateway["clusters"]),
            text(&gateway["envoys"]),
            state,
        ]
    });
    table(page, &["Name", "Sockets", "Clusters", "Envoys", "State"], rows);
}

fn envoys(page: &mut String, envoys: &Value) {
    page.push_str("<h2>Envoys</h2>");
    let rows = list(&envoys["connected"]).iter().map(|stream| {
        let nack = list(&stream["types"]).iter().filter_map(|kind| kind["lastNack"].as_object());
        let nack: Vec<_> = nack.map(|nack| format!("{} {}", text(&nack["at"]), text(&nack["message"]))).collect();
        let fleet = text(&stream["fleet"]);
        let process = &envoys["processes"][&fleet];
        vec![
            code(&fleet),
            text(&process["pid"]),
            text(&process["restarts"]),
            escape(&text(&stream["since"])),
            text(&stream["acknowledged"]),
            mark("bad", &nack.join("; ")),
        ]
    });
    table(
        page,
        &["Gateway", "Process", "Restarts", "Connected since", "Last acknowledged revision", "Last refusals"],
        rows,
    );
}

fn statuses(page: &mut String, items: &Value) {
    page.push_str("<h2>Resources</h2>");
    let rows = list(items).iter().flat_map(|item| {
        conditions::parts(item).into_iter().map(|part| {
            let marks = part.conditions.iter().map(|condition| {
                let class = if condition.is_good() { "good" } else { "bad" };
                mark(class, &condition.to_string())
            });
            let messages = part
                .conditions
                .iter()
                .filter(|condition| !condition.is_good())
                .map(|condition| escape(&condition.message));
            vec![
                escape(&text(&item["kind"])),
                code(&conditions::name(item)),
                escape(&part.of),
                marks.collect::<Vec<_>>().join(" "),
                messages.collect::<Vec<_>>().join("<br>"),
            ]
        })
    });
    table(page, &["Kind", "Name", "Of", "Conditions", "Why"], rows);
}

/// Cells are HTML already.
fn table(page: &mut String, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    page.push_str("<table><tr>");
    heads.iter().for_each(|head| page.push_str(&format!("<th>{head}</th>")));
    page.push_str("</tr>");
    for row in rows {
        page.push_str("<tr>");
        for cell in row {
            // Writing to a string does not fail.
            let _ = write!(page, "<td>{cell}</td>");
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

fn mark(class: &str, text: &str) -> String {
    format!("<span class=\"{class}\">{}</span>", escape(text))
}

/// Text as HTML that shows it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        let mut page = String::new();
        problems(&mut page, &serde_json::json!([{"file": "<script>", "line": 1, "what": "<b>"}]));
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
    }
}
