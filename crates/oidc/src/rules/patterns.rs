//! Regular expressions of rules (`matches`), compiled once: those that stand in a rule with the rule, others at their first use.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use cel::common::ast::{Expr, IdedExpr, LiteralValue};
use cel::extractors::This;
use cel::{ExecutionError, FunctionContext};
use regex::{Regex, RegexBuilder};

/// The function's name.
pub(super) const MATCHES: &str = "matches";
/// The most expressions that are kept beside those of rules.
const MOST: usize = 256;
/// The largest expression that comes with a request, compiled, in bytes.
const LARGEST: usize = 64 << 10;

static KNOWN: LazyLock<Patterns> = LazyLock::new(Patterns::default);

/// Expressions by their text.
#[derive(Default)]
struct Patterns {
    known: RwLock<HashMap<String, Arc<Regex>>>,
}

impl Patterns {
    fn get(&self, text: &str) -> Option<Arc<Regex>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    /// Keeps an expression. Whoever holds it, as rules do, has it found as long as they live.
    fn keep(&self, text: &str, regex: Regex) -> Arc<Regex> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = known.get(text) {
            return Arc::clone(regex);
        }
        if known.len() >= MOST {
            known.retain(|_, regex| Arc::strong_count(regex) > 1);
        }
        let regex = Arc::new(regex);
        known.insert(text.to_owned(), Arc::clone(&regex));
        regex
    }
}

/// The expressions that stand in a rule, compiled; the error says which is none.
pub(super) fn of(expression: &IdedExpr) -> Result<Vec<Arc<Regex>>, String> {
    let mut texts = Vec::new();
    collect(expression, &mut texts);
    let compiled = |text: &str| match KNOWN.get(text) {
        Some(regex) => Ok(regex),
        None => Regex::new(text).map(|regex| KNOWN.keep(text, regex)),
    };
    let error = |text: &str, error: regex::Error| format!("{MATCHES}: `{text}` is no regular expression: {error}");
    texts.into_iter().map(|text| compiled(text).map_err(|why| error(text, why).replace('\n', " "))).collect()
}

/// The texts that `matches` is called with, as far as they are written out.
fn collect<'a>(expression: &'a IdedExpr, texts: &mut Vec<&'a str>) {
    if let Expr::Call(call) = &expression.expr
        && call.func_name == MATCHES
        && let Some(Expr::Literal(LiteralValue::String(text))) = call.args.last().map(|last| &last.expr)
    {
        texts.push(text.inner());
    }
    super::parts(expression, &mut |part| collect(part, texts));
}

/// `text.matches(expression)`.
#[expect(clippy::needless_pass_by_value, reason = "so the crate calls its functions")]
pub(super) fn matches(
    context: &FunctionContext<'_, '_>,
    This(text): This<Arc<String>>,
    expression: Arc<String>,
) -> Result<bool, ExecutionError> {
    if let Some(regex) = KNOWN.get(&expression) {
        return Ok(regex.is_match(&text));
    }
    let regex = RegexBuilder::new(&expression).size_limit(LARGEST).build();
    let regex = regex.map_err(|error| context.error(format!("`{expression}` is no regular expression: {error}")))?;
    Ok(KNOWN.keep(&expression, regex).is_match(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::compile;

    #[test]
    fn what_stands_in_a_rule_is_compiled_with_it_and_found_as_long_as_it_lives() {
        let text = "groups.exists(g, g.matches('^held-[a-z]+$')) || matches(path, \"^/held\") && email.matches(path)";
        let program = compile(text).unwrap();
        let held = of(program.expression()).unwrap();
        assert_eq!(held.iter().map(|regex| regex.as_str()).collect::<Vec<_>>(), ["^held-[a-z]+$", "^/held"]);
        let any = Regex::new("a").unwrap();
        for count in 0..3 * MOST {
            KNOWN.keep(&format!("^other-{count}$"), any.clone());
        }
        assert!(Arc::ptr_eq(&KNOWN.get("^held-[a-z]+$").unwrap(), &held[0]), "it was forgotten or compiled again");
        assert!(KNOWN.known.read().unwrap().len() <= MOST + held.len(), "others pile up");
    }

    #[test]
    fn what_is_no_expression_is_said_when_it_is_written() {
        let error = compile("path.matches('(a')").unwrap_err();
        assert!(error.starts_with("matches: `(a` is no regular expression"), "{error}");
    }
}
