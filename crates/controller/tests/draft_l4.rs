//! Draft.
#[path = "e2e/case.rs"]
mod harness;
#[path = "e2e/objects.rs"]
mod objects;
#[path = "e2e/l4.rs"]
mod l4;
