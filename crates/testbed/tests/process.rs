//! Children end when they must, and not before.

use std::path::Path;
use std::time::Duration;

use testbed::PATIENCE;
use testbed::process::{Process, Spec};
use testbed::wait::wait_until;

fn shell(script: &str) -> Process {
    Spec::new("sh").args(["-c", script]).start().expect("sh starts")
}

fn lives(pid: &str) -> bool {
    // A process that has ended but was not collected yet is a zombie: state Z.
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn its_log_can_be_waited_for() {
    let mut process = shell("echo one; echo two >&2; exec sleep 1000");
    assert_eq!(process.wait_for_line(PATIENCE, |line| line.contains("tw")).await.unwrap(), "two");
    assert_eq!(process.wait_for_line(PATIENCE, |line| line == "one").await.unwrap(), "one");
    process.wait_for_line(Duration::ZERO, |line| line == "three").await.expect_err("it never says that");
}

#[tokio::test]
async fn an_early_end_is_told_with_the_log() {
    let mut process = shell("echo trouble; exit 3");
    let error = process.wait_for_line(PATIENCE, |line| line == "ready").await.unwrap_err();
    assert!(error.to_string().contains("exit status: 3") && error.to_string().contains("trouble"), "{error}");
}

#[tokio::test]
async fn terminate_is_polite() {
    let mut process = shell("trap 'echo bye; exit 7' TERM; echo up; while true; do sleep 0.01; done");
    process.wait_for_line(PATIENCE, |line| line == "up").await.unwrap();
    assert_eq!(process.terminate(PATIENCE).await.unwrap().code(), Some(7));
}

#[tokio::test]
async fn dropping_it_kills_what_it_started_too() {
    let mut process = shell("sleep 1000 & echo $!; wait");
    let grandchild = process.wait_for_line(PATIENCE, |line| !line.is_empty()).await.unwrap();
    assert!(lives(&grandchild));
    drop(process);
    wait_until("the end of the grandchild", PATIENCE, async || !lives(&grandchild)).await.unwrap();
}

#[tokio::test]
async fn a_child_outlives_the_thread_that_asked_for_it() {
    let mut process = std::thread::spawn(|| shell("echo up; exec sleep 1000")).join().unwrap();
    process.wait_for_line(PATIENCE, |line| line == "up").await.unwrap();
    assert!(process.exited().is_none());
    assert!(lives(&process.pid().to_string()));
}

/// Not a test of its own: the process that the next test kills.
#[test]
fn helper_that_starts_a_child_and_waits() {
    if std::env::var_os("TESTBED_WAIT_WITH_CHILD").is_some() {
        let child = shell("exec sleep 1000");
        println!("child {}", child.pid());
        std::thread::sleep(Duration::from_secs(1000));
    }
}

#[tokio::test]
async fn a_child_dies_with_a_test_that_is_killed() {
    let helper = ["--exact", "helper_that_starts_a_child_and_waits", "--nocapture"];
    let program = std::env::current_exe().unwrap();
    let mut test = Spec::new(program).args(helper).env("TESTBED_WAIT_WITH_CHILD", "1").start().unwrap();
    let line = test.wait_for_line(PATIENCE, |line| line.contains("child ")).await.unwrap();
    let child = line.rsplit(' ').next().unwrap().to_owned();
    assert!(lives(&child));
    test.kill().unwrap();
    wait_until("the end of the child", PATIENCE, async || !lives(&child)).await.unwrap();
}
