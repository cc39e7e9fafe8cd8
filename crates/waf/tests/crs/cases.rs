//! The cases, in go-ftw's format.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// As the tests want it: all paranoia levels, nothing refused, the limits that they are written for.
pub(crate) const PROFILE: &str = "
name: crs
mode: detect
coreRules: {paranoia: 4}
requestBody: {limit: 13107200, contentTypes: ['*/*']}
response: {inspect: true, body: {inspect: true, limit: 1048576}}
before: |
  SecAction \"id:900005,phase:1,nolog,pass,\\
    setvar:tx.crs_validate_utf8_encoding=1,\\
    setvar:tx.arg_name_length=100,\\
    setvar:tx.arg_length=400,\\
    setvar:tx.total_arg_length=64000,\\
    setvar:tx.max_num_args=255,\\
    setvar:tx.max_file_size=64100,\\
    setvar:tx.combined_file_sizes=65535,\\
    setvar:tx.reporting_level=4\"
";

/// A case: requests, and what the log has to say of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    /// Rule and number: `942100-3`.
    #[serde(skip)]
    pub(crate) name: String,
    test_id: u32,
    pub(crate) stages: Vec<Stage>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Stage {
    pub(crate) input: Input,
    #[serde(default)]
    pub(crate) output: Output,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Input {
    pub(crate) method: Option<Text>,
    pub(crate) uri: Option<Text>,
    pub(crate) version: Option<Text>,
    pub(crate) headers: Fields,
    pub(crate) data: Option<Text>,
    pub(crate) encoded_request: Option<String>,
    pub(crate) autocomplete_headers: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Output {
    pub(crate) status: Option<u16>,
    pub(crate) expect_error: bool,
    pub(crate) log: Log,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Log {
    pub(crate) expect_ids: Vec<u32>,
    pub(crate) no_expect_ids: Vec<u32>,
    pub(crate) match_regex: Option<String>,
    pub(crate) no_match_regex: Option<String>,
}

/// Text that may be written as a number or a truth value.
#[derive(Debug, Default, Clone)]
pub(crate) struct Text(pub(crate) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;
        impl Visitor<'_> for AnyText {
            type Value = Text;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_bool<E>(self, truth: bool) -> Result<Text, E> {
                Ok(Text(truth.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(AnyText)
    }
}

/// Headers in the order in which they are written.
#[derive(Debug, Default)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered;
        impl<'de> Visitor<'de> for Ordered {
            type Value = Fields;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("headers")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Option<Text>>()? {
                    fields.push((name, value.unwrap_or_default().0));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Ordered)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    rule_id: u32,
    tests: Vec<Case>,
}

/// All cases of the Core Rule Set that is compiled in.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for path in kit::config::files(&directory()).unwrap() {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for document in kit::config::documents(&path.display().to_string(), &text) {
            let read = document.and_then(|document| document.read::<File>());
            let (file, _) = read.unwrap_or_else(|finding| panic!("{finding}"));
            let named = |case: Case| Case { name: format!("{}-{}", file.rule_id, case.test_id), ..case };
            cases.extend(file.tests.into_iter().map(named));
        }
    }
    cases
}

/// Where Go keeps the module.
fn directory() -> PathBuf {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../coraza/go");
    let output = Command::new(testbed::tools::go().unwrap())
        .args(["list", "-m", "-f", "{{.Dir}}", "github.com/corazawaf/coraza-coreruleset/v4"])
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .current_dir(module)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()).join("tests")
}
