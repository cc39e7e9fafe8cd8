//! The commands that need no server.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::Result;
use serde_json::Value;
use tempfile::TempDir;

use crate::house::{PORTCULLIS, route};

fn portcullis(args: &[&str], dir: &Path) -> Output {
    Command::new(PORTCULLIS).args(args).current_dir(dir).output().expect("the program was built")
}

fn files(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().expect("there is room");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("there is room");
    }
    dir
}

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: eg}\nspec: {controllerName: \
     gateway.envoyproxy.io/gatewayclass-controller}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: \
     {name: eg}\nspec:\n  gatewayClassName: eg\n  listeners:\n  - {name: http, protocol: HTTP, port: 80}\n";
const BACKEND: &str = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {name: backend}\n\
     spec:\n  endpoints: [{ip: {address: 127.0.0.1, port: 3000}}]\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn good_files_are_valid() {
    let dir =
        files(&[("gateway.yaml", GATEWAY), ("backend.yaml", BACKEND), ("route.yaml", &route("r", "a.example", ""))]);
    let output = portcullis(&["validate", "-f", "."], dir.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn findings_name_place_resource_and_what_to_mend() {
    let bad = GATEWAY.replace("port: 80", "port: 70000");
    let route = route("r", "a.example", "");
    let dir = files(&[
        ("gateway.yaml", GATEWAY),
        ("bad.yaml", &bad.replace("name: eg}", "name: bad}")),
        ("route.yaml", &route),
    ]);
    let output = portcullis(&["validate", "-f", "."], dir.path());
    let found = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{found}");
    assert!(found.contains("bad.yaml:12: Gateway default/bad: spec.listeners[0].port: "), "{found}");
    assert!(
        found.lines().any(|line| line.starts_with("./route.yaml:8: HTTPRoute default/r: ") && line.contains("Backend")),
        "{found}"
    );
}

#[test]
fn what_belongs_to_nobody_is_found() {
    let gateway = GATEWAY.split_once("---\n").unwrap().1;
    let dir = files(&[
        ("gateway.yaml", gateway),
        ("route.yaml", &route("r", "a.example", "").replace("name: eg}", "name: other}")),
    ]);
    let output = portcullis(&["validate", "-f", "gateway.yaml", "-f", "route.yaml"], dir.path());
    let found = text(&output.stdout);
    let wanted = [
        "gateway.yaml:5: Gateway default/eg: spec.gatewayClassName: there is no GatewayClass eg; ",
        "route.yaml:5: HTTPRoute default/r: spec.parentRefs[0]: there is no Gateway default/other; ",
    ];
    assert_eq!(output.status.code(), Some(1));
    assert!(wanted.iter().all(|wanted| found.contains(wanted)), "{found}");
}

#[test]
fn translation_leaves_out_what_is_broken_and_says_so() -> Result<()> {
    let broken = route("broken", "b.example", "").replace("hostnames: [b.example]", "hostnames: 7");
    let text_of = route("r", "a.example", "") + "---\n" + &broken;
    let dir = files(&[("gateway.yaml", GATEWAY), ("backend.yaml", BACKEND), ("route.yaml", &text_of)]);
    let output = portcullis(&["translate", "-f", ".", "-o", "json"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("HTTPRoute default/broken: spec.hostnames: "), "{}", text(&output.stderr));
    let documents: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let keys: Vec<_> = documents.iter().map(|document| format!("{}/{}", document["type"], document["name"])).collect();
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(keys, sorted);
    assert!(text(&output.stdout).contains("a.example") && !text(&output.stdout).contains("b.example"));
    Ok(())
}

#[test]
fn the_same_input_gives_the_same_output() {
    let dir =
        files(&[("gateway.yaml", GATEWAY), ("backend.yaml", BACKEND), ("route.yaml", &route("r", "a.example", ""))]);
    for to in ["xds", "status", "ir", "bootstrap"] {
        let print = || text(&portcullis(&["translate", "-f", ".", "--to", to], dir.path()).stdout);
        let first = print();
        assert_eq!(first, print());
        assert!(first.lines().count() > 10, "{to}: {first}");
    }
}

#[test]
fn status_is_filled_into_the_input() -> Result<()> {
    let dir = files(&[("gateway.yaml", GATEWAY)]);
    let output = portcullis(&["translate", "-f", "gateway.yaml", "--to", "status", "-o", "json"], dir.path());
    let documents: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    assert_eq!(documents[1]["metadata"]["name"], "eg");
    let conditions = documents[1]["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|condition| condition["type"] == "Programmed" && condition["status"] == "True"));
    Ok(())
}

#[test]
fn a_wrong_configuration_is_code_2() {
    let dir = files(&[(
        "c.yaml",
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\nprovider: {tipe: Custom}\n",
    )]);
    let output = portcullis(&["server", "--config-path", "c.yaml"], dir.path());
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.starts_with("portcullis: c.yaml:3:12: provider.tipe: unknown field `tipe`, allowed: "), "{told}");
    assert_eq!(portcullis(&["server", "--config-path", "missing.yaml"], dir.path()).status.code(), Some(2));
    assert_eq!(portcullis(&["sever"], dir.path()).status.code(), Some(2));
}

#[test]
fn certificates_are_made_once_and_for_their_owner() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new()?;
    assert!(portcullis(&["certgen", "--dir", "certs"], dir.path()).status.success());
    let pairs = ["server", "envoy", "ratelimit"].map(|of| [format!("{of}/tls.crt"), format!("{of}/tls.key")]);
    for file in ["ca.crt", "ca.key"].map(str::to_owned).into_iter().chain(pairs.into_iter().flatten()) {
        let path = dir.path().join("certs").join(&file);
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600, "{file}");
        assert!(fs::read_to_string(path)?.starts_with("-----BEGIN "));
    }
    assert_eq!(portcullis(&["certgen", "--dir", "certs"], dir.path()).status.code(), Some(1));
    Ok(())
}

#[test]
fn every_command_shows_examples() {
    let dir = TempDir::new().unwrap();
    for command in ["server", "status", "translate", "validate", "certgen", "manifests", "version", "completion"] {
        let help = text(&portcullis(&[command, "--help"], dir.path()).stdout);
        assert!(help.contains("Examples:\n  portcullis "), "{command}: {help}");
    }
    assert!(text(&portcullis(&["completion", "bash"], dir.path()).stdout).contains("portcullis"));
}
