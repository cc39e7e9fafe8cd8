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
        let places: Vec<String> = rule.places.iter().map(|place| line(&place.name)).collect();
        let _ = writeln!(
            found,
            "Message: [id \"{}\"] [msg \"{}\"] [severity \"{}\"] [at \"{}\"]",
            rule.rule,
            line(&rule.message),
            rule.severity,
            places.join(", ")
        );
    }
    let _ = writeln!(found, "Action: {} (profile {}, score {})", entry.verdict, entry.profile, entry.score);
    part('H', &found);
    part('Z', "");
    text
}

/// What came from outside must not end its line, nor look like a boundary.
fn line(text: &str) -> String {
    text.chars()
        .flat_map(|letter| if letter.is_control() { letter.escape_default().collect() } else { vec![letter] })
        .collect()
}
