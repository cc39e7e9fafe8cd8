//! `portcullis manifests`: what the controller is installed with.

use std::process::ExitCode;

use api::config::KubernetesDeployType;

use super::print::{Format, documents};
use crate::install::{self, IMAGE, NAMESPACE, Options};

/// Prints the manifests of an installation on Kubernetes.
///
/// The Gateway API's own resource definitions are not among them: they are the cluster's, for all controllers.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  portcullis manifests | kubectl apply --server-side -f -
  portcullis manifests --watch-namespace team-a --watch-namespace team-b
  portcullis manifests --webhook | kubectl apply --server-side -f -")]
pub(super) struct Args {
    /// The controller's namespace.
    #[arg(long, value_name = "NAMESPACE", default_value = NAMESPACE)]
    namespace: String,
    /// The controller's image.
    #[arg(long, value_name = "IMAGE", default_value = IMAGE)]
    image: String,
    /// A namespace whose resources are read; nothing of others is asked for. May be given several times. [default: all]
    #[arg(long, value_name = "NAMESPACE")]
    watch_namespace: Vec<String>,
    /// Runs Envoys in their Gateways' namespaces and not in the controller's.
    #[arg(long)]
    gateway_namespace: bool,
    /// The validating webhook, and nothing else.
    #[arg(long)]
    webhook: bool,
    /// How it looks.
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = Options {
        namespace: args.namespace.clone(),
        image: args.image.clone(),
        watched: args.watch_namespace.clone(),
        deploy: match args.gateway_namespace {
            true => KubernetesDeployType::GatewayNamespace,
            false => KubernetesDeployType::ControllerNamespace,
        },
    };
    let objects = if args.webhook { install::webhook(&options) } else { install::objects(&options)? };
    documents(&objects, args.output)?;
    Ok(ExitCode::SUCCESS)
}
