//! How the most lenient server would read a path: the judge of what is open to all.

/// Decoded twice, backslashes turned, parameters cut, slashes merged, dots resolved.
pub(crate) fn lenient(path: &str) -> String {
    let text = decoded(&decoded(path)).replace('\\', "/");
    let text = text.split(['?', '#', '\0']).next().unwrap_or_default();
    let mut resolved: Vec<&str> = Vec::new();
    for segment in text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()) {
        match segment {
            "" | "." => {}
            ".." => drop(resolved.pop()),
            segment => resolved.push(segment),
        }
    }
    format!("/{}", resolved.join("/"))
}

fn decoded(text: &str) -> String {
    let (mut rest, mut out) = (text.as_bytes(), Vec::new());
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let byte = (first == b'%').then(|| u8::try_from(digit(0)? * 16 + digit(1)?).ok()).flatten();
        out.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}
