//! Rules on claims, as CEL expressions. A rule allows; what no rule allows is refused once there is one.

mod patterns;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, IdedExpr};
use cel::objects::{Key, Map};
use cel::{Context, Program, Value};
use regex::Regex;

use crate::jwt::Claims;
use crate::path::{Path, Pattern};
use crate::settings;

/// What an expression may name.
const VARIABLES: &[&str] = &[
    "claims",
    "groups",
    "scopes",
    "email",
    "emailDomain",
    "subject",
    "provider",
    "acr",
    "method",
    "path",
    "host",
    "bearer",
];

/// The functions of CEL, which all expressions share.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut functions = Context::default();
    functions.add_function(patterns::MATCHES, patterns::matches);
    functions
});

/// Who asks for what.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What the provider says of who asks.
    pub claims: &'a Claims,
    /// What the access token may do.
    pub scopes: &'a [String],
    /// The provider's name.
    pub provider: &'a str,
    /// Whether a program asks, with a token.
    pub bearer: bool,
    /// Whether an e-mail address counts only when it was verified.
    pub verified_email: bool,
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: Path<'a>,
    /// The host's name, without port.
    pub host: &'a str,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    paths: Vec<Pattern>,
    methods: Vec<String>,
    allow: Program,
    /// The regular expressions in it: they are kept with it.
    _patterns: Vec<Arc<Regex>>,
    /// What the expression names: nothing else is made ready for it.
    uses: Vec<&'static str>,
}

impl Rule {
    /// A rule of the configuration; nothing when it is wrong, which its check has found.
    pub fn new(index: usize, rule: &settings::Rule) -> Option<Self> {
        let allow = compile(&rule.allow).ok()?;
        let references = allow.references();
        let uses = VARIABLES.iter().copied().filter(|name| references.has_variable(name)).collect();
        Some(Self {
            name: rule.name.clone().unwrap_or_else(|| index.to_string()),
            paths: rule.paths.iter().map(|path| Pattern::parse(path)).collect::<Result<_, _>>().ok()?,
            methods: rule.methods.iter().map(|method| method.to_ascii_uppercase()).collect(),
            uses,
            _patterns: patterns::of(allow.expression()).ok()?,
            allow,
        })
    }

    fn is_about(&self, facts: &Facts<'_>) -> bool {
        let path = self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(facts.path));
        path && (self.methods.is_empty() || self.methods.iter().any(|method| method == facts.method))
    }
}

/// Compiles an expression; the error says what is wrong with it.
pub fn compile(text: &str) -> Result<Program, String> {
    let program = Program::compile(text).map_err(|error| error.to_string().replace('\n', " "))?;
    let (references, mut bound) = (program.references(), Vec::new());
    bound_names(program.expression(), &mut bound);
    let known = |name: &&str| VARIABLES.contains(name) || bound.contains(name);
    let unknown = references.variables().into_iter().find(|name| !known(name)).map(str::to_owned);
    match unknown {
        Some(name) => Err(format!("`{name}` is not known, allowed: {}", VARIABLES.join(", "))),
        None => patterns::of(program.expression()).map(|_| program),
    }
}

/// The names that macros bind, as in `groups.exists(g, g == 'x')`.
fn bound_names<'a>(expression: &'a IdedExpr, names: &mut Vec<&'a str>) {
    if let Expr::Comprehension(each) = &expression.expr {
        names.push(&each.iter_var);
        names.extend(each.iter_var2.as_deref());
    }
    parts(expression, &mut |part| bound_names(part, names));
}

/// The expressions that one is made of.
fn parts<'a>(expression: &'a IdedExpr, each: &mut dyn FnMut(&'a IdedExpr)) {
    match &expression.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(each),
        Expr::List(list) => list.elements.iter().for_each(each),
        Expr::Select(select) => each(&select.operand),
        Expr::Comprehension(all) => {
            [&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result].into_iter().for_each(each);
        }
        // Rules that make maps and bind names inside of them are none that anybody writes.
        Expr::Map(_) | Expr::Struct(_) | Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

/// The rule that allows this, if one does.
pub fn allowing<'a>(rules: &'a [Rule], facts: &Facts<'_>) -> Option<&'a Rule> {
    let about: Vec<&Rule> = rules.iter().filter(|rule| rule.is_about(facts)).collect();
    if about.is_empty() {
        return None;
    }
    let context = context(facts, |name| about.iter().any(|rule| rule.uses.contains(&name)));
    about.into_iter().find(|rule| match rule.allow.execute(&context) {
        Ok(Value::Bool(allowed)) => allowed,
        Ok(_) => false,
        // A claim that is not there allows nothing.
        Err(error) => {
            tracing::debug!(rule = rule.name, %error, "a rule cannot be evaluated");
            false
        }
    })
}

/// What expressions may name, as far as it is used: claims are copied for it.
fn context(facts: &Facts<'_>, is_used: impl Fn(&'static str) -> bool) -> Context<'static> {
    let mut context = FUNCTIONS.new_inner_scope();
    for name in VARIABLES.iter().copied().filter(|name| is_used(name)) {
        if let Some(value) = variable(name, facts) {
            context.add_variable_from_value(name, value);
        }
    }
    context
}

/// What a name stands for. One that stands for nothing is left out: an expression that asks for it is not fulfilled, whether it
/// wants something (`path == '/a'`) or wants it not (`!path.startsWith('/admin')`). A path in doubt is none, and so is an
/// address that nobody verified.
fn variable(name: &str, facts: &Facts<'_>) -> Option<Value> {
    let text = |name: &str| facts.claims.get(name).and_then(serde_json::Value::as_str);
    let email = || email(facts.claims, facts.verified_email);
    Some(match name {
        "claims" => object(facts.claims),
        "groups" => facts.claims.get("groups").map_or_else(|| list(Vec::new()), value),
        "scopes" => list(facts.scopes.iter().map(|scope| scope.as_str().into()).collect()),
        "email" => email()?.into(),
        "emailDomain" => email_domain(email()?)?.into(),
        "subject" => text("sub")?.into(),
        "provider" => facts.provider.into(),
        "acr" => text("acr")?.into(),
        "method" => facts.method.into(),
        "path" => facts.path.sure()?.into(),
        "host" => facts.host.into(),
        "bearer" => Value::Bool(facts.bearer),
        _ => return None,
    })
}

fn list(items: Vec<Value>) -> Value {
    Value::List(Arc::new(items))
}

fn object(claims: &Claims) -> Value {
    let entries: HashMap<Key, Value> = claims.iter().map(|(name, of)| (Key::from(name.as_str()), value(of))).collect();
    Value::Map(Map { map: Arc::new(entries) })
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => {
            number.as_i64().map(Value::Int).or_else(|| number.as_f64().map(Value::Float)).unwrap_or(Value::Null)
        }
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => list(items.iter().map(value).collect()),
        serde_json::Value::Object(entries) => object(entries),
    }
}

/// The e-mail address, when it counts.
pub fn email(claims: &Claims, verified: bool) -> Option<&str> {
    let is_verified = match claims.get("email_verified") {
        Some(serde_json::Value::Bool(truth)) => *truth,
        // Some providers send a text.
        Some(serde_json::Value::String(text)) => text == "true",
        _ => false,
    };
    claims.get("email").and_then(serde_json::Value::as_str).filter(|_| is_verified || !verified)
}

/// The domain of an address, in lower case. One with several @ has none: people and programs read it differently.
pub fn email_domain(email: &str) -> Option<String> {
    let (name, domain) = email.split_once('@')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let whole = !name.is_empty() && !domain.is_empty() && domain.bytes().all(plain);
    whole.then(|| domain.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(texts: &[&str]) -> Vec<Rule> {
        let rule = |(index, text): (usize, &&str)| {
            Rule::new(index, &settings::Rule { allow: (*text).to_owned(), ..settings::Rule::default() }).unwrap()
        };
        texts.iter().enumerate().map(rule).collect()
    }

    fn allows(text: &str, claims: &serde_json::Value, target: &str) -> bool {
        let facts = Facts {
            claims: claims.as_object().unwrap(),
            scopes: &["read".to_owned()],
            provider: "main",
            bearer: false,
            verified_email: true,
            method: "GET",
            path: Path::of(target),
            host: "a.example",
        };
        allowing(&rules(&[text]), &facts).is_some()
    }

    #[test]
    fn expressions_decide() {
        let ann = json!({ "sub": "ann", "groups": ["ops", "dev"], "email": "Ann@Example.com", "email_verified": true,
            "address": { "locality": "Bern" }, "age": 40 });
        for (text, wanted) in [
            ("'ops' in groups", true),
            ("'root' in groups", false),
            ("claims.address.locality == 'Bern' && claims.age >= 18", true),
            ("emailDomain == 'example.com'", true),
            ("scopes.exists(s, s == 'read') && provider == 'main' && method == 'GET'", true),
            ("claims.missing == 'x'", false),
            ("claims.missing.deeper == 'x'", false),
            ("has(claims.missing) || subject == 'ann'", true),
            ("'a string'", false),
            ("path.startsWith('/api/')", true),
            ("groups.all(g, g != 'root') && !bearer", true),
            ("path.matches('^/api/[a-z]$') && matches(email, '(?i)@example\\\\.com$')", true),
            ("path.matches('^/x') || 'x'.matches('(' + subject)", false),
            ("path.matches('^/' + 'api') && subject.matches(claims.address.locality) == false", true),
        ] {
            assert_eq!(allows(text, &ann, "/api/x"), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_fulfils_neither_a_wish_nor_its_opposite() {
        let eve = json!({ "sub": "eve", "email": "eve@evil.example", "groups": ["ops"] });
        for text in [
            "path.startsWith('/api/')",
            "!path.startsWith('/admin')",
            "path != '/admin/x'",
            "!(path in ['/admin/x'])",
            "path.startsWith('/admin') ? false : true",
            "groups.all(g, !path.contains(g))",
        ] {
            assert!(allows(text, &eve, "/api/x"), "{text}");
            for doubtful in ["//admin/x", "/api/../admin/x", "/api;/../admin/x", "/%61dmin/x"] {
                assert!(!allows(text, &eve, doubtful), "{text} at {doubtful}");
            }
        }
        for text in ["emailDomain != 'blocked.example'", "!email.endsWith('@blocked.example')", "acr != 'weak'"] {
            assert!(!allows(text, &eve, "/"), "{text}");
        }
        assert!(allows("emailDomain == 'example.com' || 'ops' in groups", &eve, "/"), "another way in is one");
    }

    #[test]
    fn addresses_that_can_be_read_in_two_ways_have_no_domain() {
        for (address, domain) in [
            ("ann@example.com", Some("example.com")),
            ("ann@evil.example@example.com", None),
            ("ann@example.com@evil.example", None),
            ("\"ann@example.com\"@evil.example", None),
            ("ann@example.com ", None),
            ("ann@example.com\u{0}", None),
            ("ann@ex\u{e4}mple.com", None),
            ("@example.com", None),
            ("ann", None),
            ("ann@", None),
        ] {
            assert_eq!(email_domain(address).as_deref(), domain, "{address:?}");
        }
    }

    #[test]
    fn an_address_that_nobody_verified_does_not_count() {
        let rule = "emailDomain == 'example.com' || email == 'ann@example.com'";
        for (verified, wanted) in
            [(json!(true), true), (json!("true"), true), (json!(false), false), (json!(1), false), (json!(null), false)]
        {
            let claims = json!({ "sub": "ann", "email": "ann@example.com", "email_verified": verified });
            assert_eq!(allows(rule, &claims, "/"), wanted, "{verified}");
        }
        assert!(!allows(rule, &json!({ "sub": "ann", "email": "ann@example.com" }), "/"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(compile("claims.").is_err());
        let error = compile("claim.groups == 'x'").unwrap_err();
        assert!(error.contains("`claim` is not known, allowed: claims"), "{error}");
        compile("groups.exists(g, g == 'x')").unwrap();
    }
}
