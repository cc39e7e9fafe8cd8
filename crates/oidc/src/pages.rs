//! Pages for people: plain, readable by all, and without anything that a client sent but for what is escaped.

use std::fmt::Write as _;
use std::path::Path;

use crate::settings;
use crate::verdict::Answer;

/// What a page looks like unless the configuration has one of its own.
const PAGE: &str = include_str!("page.html");

/// Pages load nothing from elsewhere, run nothing, and are shown in no frame.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// What no page of one's own can do without.
const NEEDED: &str = "{{content}}";

/// The pages of a service.
#[derive(Debug)]
pub(crate) struct Pages {
    template: String,
    site: String,
}

impl Pages {
    /// The pages as configured; the error says what is wrong with them.
    pub(crate) fn load(settings: &settings::Pages) -> Result<Self, String> {
        let template = match &settings.directory {
            Some(directory) => read(&directory.join("page.html"))?,
            None => PAGE.to_owned(),
        };
        Ok(Self { template, site: settings.site.clone().unwrap_or_else(|| "this site".to_owned()) })
    }

    /// A page. `content` is HTML, all else is text.
    pub(crate) fn page(&self, status: u16, title: &str, text: &str, content: &str, request: &str) -> Answer {
        let filled = fill(&self.template, |name| match name {
            "title" => Some(escaped(title)),
            "text" => Some(escaped(text)),
            "site" => Some(escaped(&self.site)),
            "request" => Some(escaped(request)),
            "content" => Some(content.to_owned()),
            _ => None,
        });
        let mut answer = Answer::new(status)
            .header("content-type", "text/html; charset=utf-8")
            .header("content-security-policy", POLICY)
            .header("x-content-type-options", "nosniff")
            .header("referrer-policy", "no-referrer");
        answer.body = filled;
        answer
    }

    /// The page on which a person says where to log in: names and where each leads.
    pub(crate) fn chooser(&self, choices: &[(String, String)], request: &str) -> Answer {
        let mut list = String::from("<ul>");
        for (title, link) in choices {
            // Writing to a text does not fail.
            let _ = write!(list, "<li><a href=\"{}\">{}</a></li>", escaped(link), escaped(title));
        }
        list.push_str("</ul>");
        let text = format!("Choose where you log in to {}.", self.site);
        self.page(200, "Log in", &text, &list, request)
    }

    /// The page of somebody who may not do this.
    pub(crate) fn denied(&self, request: &str) -> Answer {
        let text = format!("You are logged in, but you are not allowed to do this on {}.", self.site);
        self.page(403, "Not allowed", &text, "", request)
    }

    /// The page of somebody who has logged out.
    pub(crate) fn signed_out(&self, request: &str) -> Answer {
        self.page(200, "Logged out", &format!("You are logged out of {}.", self.site), "", request)
    }

    /// A page that says what went wrong, and leads back.
    pub(crate) fn error(&self, status: u16, text: &str, again: Option<&str>, request: &str) -> Answer {
        let link = again.map(|link| format!("<p><a href=\"{}\">Try again</a></p>", escaped(link))).unwrap_or_default();
        self.page(status, "This did not work", text, &link, request)
    }
}

/// An error for programs.
pub(crate) fn json(status: u16, error: &str, text: &str, request: &str) -> Answer {
    let mut answer =
        Answer::new(status).header("content-type", "application/json").header("x-content-type-options", "nosniff");
    answer.body = serde_json::json!({ "error": error, "message": text, "request": request }).to_string();
    answer
}

fn read(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    if text.contains(NEEDED) { Ok(text) } else { Err(format!("{} has no {NEEDED}", file.display())) }
}

/// Replaces `{{name}}`, once: what is filled in is not looked at again.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        match after.split_once("}}").and_then(|(name, after)| Some((value(name.trim())?, after))) {
            Some((value, after)) => {
                out.push_str(&value);
                rest = after;
            }
            None => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_text() {
        let pages = Pages::load(&settings::Pages::default()).unwrap();
        let page = pages.error(400, "<script>{{content}}", Some("/?\"onload=x"), "<b>'id'</b>");
        assert!(
            !page.body.contains("<script") && !page.body.contains("<b>") && !page.body.contains("\"onload"),
            "{}",
            page.body
        );
        assert!(page.body.contains("&lt;script&gt;{{content}}"), "{}", page.body);
        let chooser = pages.chooser(&[("<i>A</i>".into(), "/oauth2/login?provider=a&rd=%2F".into())], "");
        assert!(chooser.body.contains("<a href=\"/oauth2/login?provider=a&amp;rd=%2F\">&lt;i&gt;A&lt;/i&gt;</a>"));
    }

    #[test]
    fn a_page_of_ones_own_is_used() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("page.html"), "<h1>{{title}}</h1>{{ content }}{{content}}{{odd}}").unwrap();
        let settings = settings::Pages { directory: Some(dir.path().to_owned()), site: None };
        let page = Pages::load(&settings).unwrap().signed_out("1");
        assert_eq!(page.body, "<h1>Logged out</h1>{{odd}}");
        std::fs::write(dir.path().join("page.html"), "empty").unwrap();
        assert!(Pages::load(&settings).unwrap_err().contains("has no {{content}}"));
    }
}
