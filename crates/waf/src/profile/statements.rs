//! SecLang by those who may only add rules.
//!
//! What is taken is not a language but a narrow shape of it, so that there is nothing to read in two ways: a rule with one
//! pair of quotes around its operator and one around its actions, no quotes within, and only actions that cannot weaken
//! anything.

use std::sync::LazyLock;

use regex::Regex;

use super::spec::RuleRange;

/// Actions that add: they match, say what matched, and refuse.
const HARMLESS: [&str; 21] = [
    "id",
    "phase",
    "t",
    "msg",
    "logdata",
    "tag",
    "severity",
    "ver",
    "rev",
    "maturity",
    "accuracy",
    "capture",
    "chain",
    "multiMatch",
    "deny",
    "block",
    "drop",
    "status",
    "log",
    "auditlog",
    "pass",
];

/// `SecRule VARIABLES "operator" "actions"` or `SecAction "actions"`.
static SHAPE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?:SecRule\s+[^\s"`]+\s+"(?:[^"\\`]|\\.)*"|SecAction)\s+"([^"\\`]*)"$"#)
        .expect("the expression is valid")
});

/// Every statement that is not harmless: its line, from 1, and why. Rules have to have numbers of `numbers`.
pub(super) fn not_harmless(text: &str, numbers: RuleRange) -> Vec<(usize, String)> {
    let mut in_chain = false;
    let mut wrong = Vec::new();
    for (line, statement) in statements(text) {
        match check(&statement, numbers, in_chain) {
            Ok(chains) => in_chain = chains,
            Err(why) => wrong.push((line, why)),
        }
    }
    wrong
}

/// Whether the statement says that the next one belongs to it.
fn check(statement: &str, numbers: RuleRange, in_chain: bool) -> Result<bool, String> {
    let Some(actions) = SHAPE.captures(statement).and_then(|found| found.get(1)) else {
        let word = statement.split_whitespace().next().unwrap_or_default();
        return Err(format!(
            "`{word}` is not allowed here, or not so written, \
             allowed: SecRule VARIABLES \"operator\" \"actions\" and SecAction \"actions\""
        ));
    };
    let (mut number, mut chains) = (None, false);
    for action in actions_of(actions.as_str())? {
        let (name, value) = action.split_once(':').unwrap_or((action, ""));
        let name = name.trim();
        if !HARMLESS.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
            return Err(format!("the action `{name}` is not allowed here, allowed: {}", HARMLESS.join(", ")));
        }
        chains |= name.eq_ignore_ascii_case("chain");
        if name.eq_ignore_ascii_case("id") {
            number = value.trim().trim_matches('\'').parse::<u32>().ok();
        }
    }
    match number {
        Some(id) if numbers.covers(RuleRange { first: id, last: id }) => Ok(chains),
        None if in_chain => Ok(chains),
        Some(id) => Err(format!("the id {id} is not allowed here, allowed: {numbers}")),
        None => Err(format!("needs an id of {numbers}")),
    }
}

/// The actions between commas; a comma within single quotes belongs to its action.
fn actions_of(text: &str) -> Result<Vec<&str>, String> {
    let (mut actions, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            ',' if !quoted => {
                actions.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return Err("a single quote is not closed".to_owned());
    }
    actions.push(text[start..].trim());
    Ok(actions)
}

/// Statements with the line where each begins. A line that ends with a backslash goes on in the next one, as the engine reads it.
fn statements(text: &str) -> Vec<(usize, String)> {
    let (mut list, mut open) = (Vec::new(), None::<(usize, String)>);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (start, mut statement) = open.take().unwrap_or((index + 1, String::new()));
        if let Some(part) = line.strip_suffix('\\') {
            statement += part;
            open = Some((start, statement));
        } else {
            statement += line;
            list.push((start, statement));
        }
    }
    list.extend(open);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: RuleRange = RuleRange { first: 10_000, last: 19_999 };

    fn first(text: &str) -> Option<(usize, String)> {
        not_harmless(text, OWN).into_iter().next()
    }

    #[test]
    fn rules_that_only_add_are_taken() {
        let text = "# ours\nSecRule ARGS:coupon \"!@rx ^[A-Z0-9]{0,12}$\" \\\n  \"id:10001,phase:2,deny,\
                    status:400,msg:'odd, very'\"\n\
                    SecRule REQUEST_METHOD \"@streq POST\" \"id:10002,phase:1,chain,deny\"\n  SecRule &ARGS \"@eq 0\" \"t:none\"\n";
        assert_eq!(first(text), None);
    }

    #[test]
    fn whatever_could_weaken_is_refused_with_its_line() {
        for (text, wanted) in [
            ("SecRuleEngine Off", "`SecRuleEngine` is not allowed"),
            ("\nSecRuleRemoveById 1-999999", "`SecRuleRemoveById` is not allowed"),
            ("SecAction \"id:10001,phase:1,pass,ctl:ruleEngine=Off\"", "the action `ctl`"),
            ("SecAction \"id:10001,phase:1,CTL : ruleEngine=Off\"", "the action `CTL`"),
            ("SecAction \"id:10001,phase:1,allow\"", "the action `allow`"),
            ("SecAction \"id:10001,phase:1,pass,setvar:tx.blocking_paranoia_level=0\"", "the action `setvar`"),
            ("SecAction \"id:10001,msg:'a',b',ctl:x'\"", "the action"),
            ("SecAction \"id:949110,phase:1,pass\"", "the id 949110"),
            ("SecAction \"phase:1,pass\"", "needs an id"),
            ("Include @owasp_crs/*.conf", "`Include` is not allowed"),
            ("SecRule ARGS \"@rx a\" \"id:10001,pass\\\" ,ctl:ruleEngine=Off\"", "not so written"),
            ("SecAction `\nid:10001,ctl:ruleEngine=Off\n`", "not so written"),
        ] {
            let (line, why) = first(text).unwrap_or_else(|| panic!("taken: {text}"));
            assert!(why.contains(wanted), "{text}: {why}");
            assert_eq!(line, text.lines().position(|line| !line.is_empty()).unwrap() + 1);
        }
    }

    #[test]
    fn a_comment_cannot_hide_a_continuation() {
        // The engine skips comments wherever they stand, so the statement goes on behind one.
        let text = "SecAction \\\n# harmless\n\"id:10001,phase:1,pass,ctl:ruleEngine=Off\"";
        assert!(first(text).unwrap().1.contains("`ctl`"));
    }
}
