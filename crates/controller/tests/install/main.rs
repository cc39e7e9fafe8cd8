//! The installation on a real API server: its manifests, its rights, its certificates, and the webhook. These tests need
//! root.

mod controller;
mod rights;
mod site;
mod webhook;
