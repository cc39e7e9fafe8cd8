//! Where Envoys run.

pub mod host;
