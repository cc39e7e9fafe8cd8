//! Finding variables in text.

/// A query in which something plain stands for each variable.
pub(super) struct Scanned {
    pub(super) query: String,
    pub(super) variables: Vec<String>,
}

/// Where in a query a place is.
#[derive(Default)]
struct Place {
    /// The quote of the string that it is in.
    quote: Option<char>,
    /// Whether it is between brackets.
    range: bool,
}

impl Place {
    /// After one more character.
    fn step(&mut self, letter: char, escaped: bool) {
        match (self.quote, letter) {
            (Some(quote), letter) if quote == letter && !(escaped && quote != '`') => self.quote = None,
            (None, '"' | '\'' | '`') => self.quote = Some(letter),
            (None, '[') => self.range = true,
            (None, ']') => self.range = false,
            _ => {}
        }
    }
}

/// Puts a duration, a name or a number in place of each variable outside of strings.
pub(super) fn replace(query: &str) -> Scanned {
    let mut scanned = Scanned { query: String::new(), variables: Vec::new() };
    let (mut place, mut rest, mut escaped) = (Place::default(), query, false);
    while let Some(letter) = rest.chars().next() {
        if let Some((name, length)) = variable(rest) {
            let after = &rest[length..];
            match place.quote {
                Some(_) => scanned.query += &rest[..length],
                None => scanned.query += substitute(&scanned.query, after, place.range),
            }
            scanned.variables.push(name.to_owned());
            rest = after;
            continue;
        }
        place.step(letter, escaped);
        escaped = letter == '\\' && !escaped;
        scanned.query.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    scanned
}

/// The names of the variables in any text.
pub(crate) fn variables(text: &str) -> Vec<&str> {
    let starts = text.char_indices().filter(|(_, letter)| matches!(letter, '$' | '['));
    starts.filter_map(|(start, _)| variable(&text[start..])).map(|(name, _)| name).collect()
}

/// The variable that the text begins with: its name, and how long it is with all that belongs to it.
fn variable(text: &str) -> Option<(&str, usize)> {
    if let Some(inside) = text.strip_prefix("[[") {
        let end = inside.find("]]")?;
        return named(&inside[..end]).map(|name| (name, end + 4));
    }
    if let Some(inside) = text.strip_prefix("${") {
        let end = inside.find('}')?;
        return named(&inside[..end]).map(|name| (name, end + 3));
    }
    let name = word(text.strip_prefix('$')?);
    // `$1` is of regular expressions.
    let variable = name.starts_with(|letter: char| letter == '_' || letter.is_ascii_alphabetic());
    variable.then_some((name, name.len() + 1))
}

/// The name before the format and the field of it.
fn named(inside: &str) -> Option<&str> {
    let name = word(inside);
    let rest = &inside[name.len()..];
    (!name.is_empty() && (rest.is_empty() || rest.starts_with([':', '.']))).then_some(name)
}

/// The letters, digits and underscores at the beginning.
fn word(text: &str) -> &str {
    &text[..text.find(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric()).unwrap_or(text.len())]
}

/// What can stand between these two parts of a query.
fn substitute(before: &str, after: &str, range: bool) -> &'static str {
    if range || before.trim_end().ends_with("offset") {
        "5m"
    } else if after.starts_with(['{', '[']) || in_label_list(before) {
        "variable"
    } else {
        "1"
    }
}

/// Whether a place is within the parentheses of `by (…)` and the like.
fn in_label_list(before: &str) -> bool {
    let Some((head, inside)) = before.rsplit_once('(') else { return false };
    let lists = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    let last = head.trim_end().rsplit(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric()).next();
    !inside.contains(')') && last.is_some_and(|word| lists.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_every_form() {
        assert_eq!(
            variables("$a ${b} ${c:csv} [[d]] ${__data.fields.e} $1 $ ${} costs 5$"),
            ["a", "b", "c", "d", "__data"]
        );
    }

    #[test]
    fn strings_stay_as_they_are() {
        let scanned = replace(r#"a{b="x\"$c", d='$e'} > $f"#);
        assert_eq!(scanned.query, r#"a{b="x\"$c", d='$e'} > 1"#);
        assert_eq!(scanned.variables, ["c", "e", "f"]);
    }
}
