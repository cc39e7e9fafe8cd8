//! Handlers of signals beside Go's runtime.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;

use tokio::signal::unix::{SignalKind, signal};

#[tokio::test]
async fn handlers_of_the_process_are_adopted_once_and_go_on_working() {
    // Nothing of ours has a handler before that.
    coraza::adopt_signal_handlers();
    let mut heard = signal(SignalKind::user_defined1()).unwrap();
    assert_eq!(coraza::adopt_signal_handlers(), 1);
    assert_eq!(coraza::adopt_signal_handlers(), 0);
    let us = std::process::id().to_string();
    assert!(Command::new("kill").args(["-USR1", &us]).status().unwrap().success());
    heard.recv().await.unwrap();
}
