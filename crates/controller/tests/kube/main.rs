//! The Kubernetes provider: what is read from an API server, and what is written to it.

mod double;
mod reading;
mod writing;
