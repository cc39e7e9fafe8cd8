//! Where Envoys run.

pub mod drain;
pub mod host;
pub mod kube;
