//! What is measured: this service behind Envoy, and what it is compared to, with the same rules.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::client::Target;
use testbed::envoy::{Envoy, Spec as EnvoySpec};
use testbed::process::{Process, Spec};
use testbed::tools;
use testbed::wait::wait_for;
use waf::profile::{self, Place};

use crate::envoy;
use crate::house::Service;

/// The baseline, for bodies that are as large as those here.
pub(crate) const PROFILE: (&str, &str) =
    ("baseline.yaml", "name: baseline\nmode: block\ncoreRules: {paranoia: 1}\nrequestBody: {limit: 2097152}\n");

/// A way to the backend, with rules on it.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    kind: Kind,
    _dir: TempDir,
}

enum Kind {
    /// This service, and the Envoy before it.
    Ours {
        service: Box<Service>,
        pid: u32,
        _envoy: Box<Envoy>,
    },
    Other(Process),
}

impl Contender {
    /// This service behind Envoy.
    pub(crate) async fn ours(backend: SocketAddr) -> Result<Self> {
        let service = Service::start(&[PROFILE], "").await;
        let mut bootstrap = envoy::bootstrap(service.grpc.parse()?, backend, &json!({}), &json!({}));
        let listener = &mut bootstrap["static_resources"]["listeners"][0];
        listener["per_connection_buffer_limit_bytes"] = json!(2 << 20);
        listener["filter_chains"][0]["filters"][0]["typed_config"]["access_log"] = Value::Null;
        let mut envoy = EnvoySpec::new(bootstrap.to_string()).log_level("warning").start().await?;
        let target = envoy.listener("http").await?.into();
        let pid = envoy.process().pid();
        let kind = Kind::Ours { service: Box::new(service), pid, _envoy: Box::new(envoy) };
        Ok(Self { name: "portcullis-waf", target, kind, _dir: TempDir::new()? })
    }

    /// Coraza in a Go server, which answers itself.
    pub(crate) async fn plain() -> Result<Self> {
        let dir = TempDir::with_prefix("plain-")?;
        fs::write(dir.path().join(PROFILE.0), PROFILE.1)?;
        let directives = profile::as_directives(&[Place { path: dir.path().to_owned(), extends: None }])?;
        let file = dir.path().join("directives");
        fs::write(&file, &directives["baseline"])?;
        let mut process = Spec::new(tools::plain_coraza()?).arg("serve").arg(file).start()?;
        let line = process.wait_for_line(PATIENCE, |line| line.starts_with("listening on ")).await?;
        let address: SocketAddr = line.trim_start_matches("listening on ").trim().parse()?;
        Ok(Self { name: "plain Coraza", target: address.into(), kind: Kind::Other(process), _dir: dir })
    }

    /// nginx with ModSecurity, before the backend.
    pub(crate) async fn modsecurity(backend: SocketAddr) -> Result<Self> {
        let dir = TempDir::with_prefix("nginx-")?;
        let (program, module) = tools::nginx()?;
        let file = |name: &str| dir.path().join(name);
        copy_rules(&tools::core_rules("rules")?.join("@owasp_crs"), &file("rules"))?;
        fs::write(file("modsecurity.conf"), directives(&file("rules")))?;
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {:?};", file(kind)))
            .concat();
        let socket = file("nginx.sock");
        let config = format!(
            "load_module {module:?};\ndaemon off;\nmaster_process off;\npid {:?};\nerror_log stderr warn;\n\
             events {{ worker_connections 256; }}\n\
             http {{\n access_log off;\n {temporary}\n client_max_body_size 4m;\n client_body_buffer_size 2m;\n\
             keepalive_requests 1000000;\n upstream backend {{ server {backend}; keepalive 16; }}\n\
             server {{ listen unix:{}; modsecurity on; modsecurity_rules_file {:?};\n\
             location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ''; }} }}\n}}\n",
            file("pid"),
            socket.display(),
            file("modsecurity.conf"),
        );
        fs::write(file("nginx.conf"), config)?;
        let process = Spec::new(program).arg("-p").arg(dir.path()).arg("-c").arg(file("nginx.conf")).start()?;
        let connect = async || tokio::net::UnixStream::connect(&socket).await.ok();
        wait_for("nginx to listen", PATIENCE, connect).await.with_context(|| process.tail())?;
        Ok(Self { name: "ModSecurity", target: socket.into(), kind: Kind::Other(process), _dir: dir })
    }

    fn process(&self) -> &Process {
        match &self.kind {
            Kind::Ours { service, .. } => &service.process,
            Kind::Other(process) => process,
        }
    }

    /// The processor time that the engine's process has used, and that of the Envoy before it.
    pub(crate) fn processor_time(&self) -> Result<[Duration; 2]> {
        let edge = match &self.kind {
            Kind::Ours { pid, .. } => testbed::proc::processor_time(pid)?,
            Kind::Other(_) => Duration::ZERO,
        };
        Ok([self.process().processor_time()?, edge])
    }

    /// The resident memory of the engine's process in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        self.process().resident_mebibytes()
    }
}

/// ModSecurity takes no path with an `@` in it, and a rule without actions for one with the next line as its actions, unless that
/// is empty.
fn copy_rules(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let mut text = fs::read_to_string(&path)?;
        if path.extension().is_some_and(|extension| extension == "conf") {
            let spaced = |line: &str| if line.ends_with('\\') { format!("{line}\n") } else { format!("{line}\n\n") };
            text = text.lines().map(spaced).collect();
        }
        fs::write(to.join(path.file_name().context("a file has a name")?), text)?;
    }
    Ok(())
}

/// The same rules and settings for ModSecurity, which reads the Core Rule Set from a disk.
fn directives(rules: &Path) -> String {
    let content_type = |kind: &str, number: u32, processor: &str| {
        format!(
            "SecRule REQUEST_HEADERS:Content-Type \"@rx (?i)^\\s*application/(?:[a-z0-9.-]+\\+)?{kind}\" \
             \"id:{number},phase:1,t:none,pass,nolog,ctl:requestBodyProcessor={processor}\"\n"
        )
    };
    format!(
        "SecRuleEngine On\nSecAuditEngine Off\nSecRequestBodyAccess On\nSecResponseBodyAccess Off\n\
         SecRequestBodyLimit 2097152\nSecRequestBodyNoFilesLimit 2097152\nSecRequestBodyLimitAction Reject\n\
         SecDefaultAction \"phase:1,log,auditlog,pass\"\nSecDefaultAction \"phase:2,log,auditlog,pass\"\n{}{}\
         SecAction \"id:900990,phase:1,t:none,pass,nolog,setvar:tx.crs_setup_version=4250,setvar:tx.blocking_paranoia_level=1,\
         setvar:tx.detection_paranoia_level=1,setvar:tx.inbound_anomaly_score_threshold=5,\
         setvar:tx.outbound_anomaly_score_threshold=4\"\nInclude {}/*.conf\n",
        content_type("xml", 190_001, "XML"),
        content_type("json", 190_002, "JSON"),
        rules.display(),
    )
}
