//! Entries as ModSecurity writes them: parts by letter between boundaries. A is the connection, B the request, F the response,
//! H what was found, Z the end.

use std::fmt::Write as _;

use super::entry::Entry;

pub(super) fn write(entry: &Entry) -> String {
    let boundary: String = entry.id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    let mut text = String::new();
    let mut part = |letter: char, body: &str| {
        let _ = write!(text, "--{boundary}-{letter}--\n{body}\n");
    };
    part('A', &format!("[{}] {} {} {}\n", entry.time, line(&entry.id), line(&entry.client), line(&entry.host)));
    let mut request = format!("{} {} {}\n", line(&entry.method), line(&entry.target), entry.protocol);
    for (name, value) in &entry.headers {
        let _ = writeln!(request, "{}: {}", line(name), line(value));
    }
    part('B', &request);
    if !entry.response_headers.is_empty() {
        let mut response = format!("{} {}\n", entry.protocol, entry.status.unwrap_or_default());
        for (name, value) in &entry.response_headers {
            let _ = writeln!(response, "{}: {}", line(name), line(value));
        }
        part('F', &response);
    }
    let mut found = String::new();
    for rule in &entry.rules {
        let places: Vec<String> = rule.places.iter().map(|place| quoted(&place.name)).collect();
        let _ = writeln!(
            found,
            "Message: [id \"{}\"] [msg \"{}\"] [severity \"{}\"] [at \"{}\"]",
            rule.rule,
            quoted(&rule.message),
            rule.severity,
            places.join(", ")
        );
    }
    let _ = writeln!(found, "Action: {} (profile {}, score {})", entry.verdict, entry.profile, entry.score);
    part('H', &found);
    part('Z', "");
    // The journal ends the last line.
    text.pop();
    text
}

/// What came from outside must not end its line, nor look like a boundary.
fn line(text: &str) -> String {
    text.chars()
        .flat_map(|letter| if letter.is_control() { letter.escape_default().collect() } else { vec![letter] })
        .collect()
}

/// The same between quotes, which it must not end either.
fn quoted(text: &str) -> String {
    line(&text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Found;

    #[test]
    fn a_quote_is_not_ended_from_within() {
        let place = crate::audit::Place { name: r#"ARGS:x"] [id "1\"#.to_owned(), value: None };
        let entry =
            Entry { rules: vec![Found { rule: 7, places: vec![place], ..Found::default() }], ..Entry::default() };
        let written = write(&entry);
        assert!(written.contains(r#"[at "ARGS:x\"] [id \"1\\"]"#), "{written}");
    }

    #[test]
    fn nothing_from_outside_ends_a_line_or_makes_a_part() {
        let evil = "a\r\n--ab12-Z--\n--ab12-A--\n[x]\u{85}\u{2028}\0";
        let text = || evil.to_owned();
        let entry = Entry {
            id: format!("ab12{evil}"),
            client: text(),
            host: text(),
            method: text(),
            target: text(),
            headers: [(text(), text())].into(),
            response_headers: [(text(), text())].into(),
            rules: vec![Found {
                message: text(),
                places: vec![crate::audit::Place { name: text(), value: None }],
                ..Found::default()
            }],
            ..Entry::default()
        };
        let written = write(&entry);
        let parts: Vec<&str> = written.lines().filter(|line| line.starts_with("--")).collect();
        assert_eq!(parts, ["A", "B", "F", "H", "Z"].map(|letter| format!("--ab12aab1-{letter}--")), "{written}");
        assert!(written.chars().all(|letter| letter == '\n' || !letter.is_control()), "{written:?}");
        assert_eq!(written.matches("--ab12-Z--").count(), written.matches("\\n--ab12-Z--").count(), "{written}");
    }
}
