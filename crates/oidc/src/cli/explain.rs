//! `explain`: what would become of a request, and why.

use std::path::PathBuf;
use std::process::ExitCode;

use super::check::load;
use crate::ask::host_name;
use crate::jwt::Claims;
use crate::path::Path;
use crate::rules::{Facts, Rule, allowing};
use crate::settings::{Profile, Settings};

/// Says what would become of a request, by whom the claims are about, and which rule decides.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The profile that the route names. [default: the configuration's defaultProfile]
    #[arg(long)]
    profile: Option<String>,
    /// The request's path.
    #[arg(long, default_value = "/")]
    path: String,
    /// The request's method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The request's host.
    #[arg(long, default_value = "example.com")]
    host: String,
    /// The claims of who asks, as JSON; nobody is logged in without.
    #[arg(long, value_name = "JSON")]
    claims: Option<String>,
    /// What their access token may do.
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<String>,
    /// A program asks, with a token.
    #[arg(long)]
    bearer: bool,
    /// The configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match load(&args.file).and_then(|settings| explain(args, &settings)) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn explain(args: &Args, settings: &Settings) -> Result<String, String> {
    let name = args.profile.as_ref().or(settings.default_profile.as_ref()).ok_or("name a profile with --profile")?;
    let profile = settings.profiles.get(name).ok_or_else(|| format!("there is no profile `{name}`"))?;
    let path = Path::of(&args.path);
    let doubt = match path.sure() {
        Some(_) => String::new(),
        None => format!(
            "note: `{}` is read differently by different servers: it matches no path of the configuration\n",
            args.path
        ),
    };
    let said = match &args.claims {
        None => unknown(args, profile, path),
        Some(claims) => {
            let claims: Claims =
                serde_json::from_str(claims).map_err(|error| format!("--claims is no JSON object: {error}"))?;
            known(args, profile, path, &claims)
        }
    };
    Ok(format!("{doubt}{said}"))
}

fn unknown(args: &Args, profile: &Profile, path: Path<'_>) -> String {
    let open = crate::profile::Profile::new(
        "explain",
        &Profile { providers: Vec::new(), choose: Vec::new(), ..profile.clone() },
        |_| None,
    );
    if open.is_some_and(|open| open.is_anonymous(&args.method, path)) {
        return "passes: the path needs no login".to_owned();
    }
    match args.method.as_str() {
        "GET" => "needs a login: a browser is sent to the provider (302), a program gets 401".to_owned(),
        _ => "needs a login: 401, for only a GET can be sent elsewhere".to_owned(),
    }
}

fn known(args: &Args, profile: &Profile, path: Path<'_>, claims: &Claims) -> String {
    let host = args.host.to_ascii_lowercase();
    let facts = Facts {
        claims,
        scopes: &args.scopes,
        provider: profile.providers.first().map_or("", String::as_str),
        bearer: args.bearer,
        verified_email: profile.verified_email,
        method: &args.method,
        path,
        host: host_name(&host),
    };
    let rules: Vec<Rule> =
        profile.rules.iter().enumerate().filter_map(|(index, rule)| Rule::new(index, rule)).collect();
    if rules.is_empty() {
        return "passes: whoever is logged in may do all, for there are no rules".to_owned();
    }
    match allowing(&rules, &facts) {
        Some(rule) => format!("passes: rule `{}` allows it", rule.name),
        None => "refused (403): no rule allows it".to_owned(),
    }
}
