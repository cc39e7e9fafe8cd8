use super::*;

#[test]
fn every_kind_is_watched_and_secrets_are_not_read() {
    let all = watchers(None);
    assert_eq!(all.len(), KINDS.len());
    assert!(all.iter().all(|watcher| watcher.namespace.is_none()));
    let touched: Vec<_> = all.iter().filter(|watcher| watcher.form == Form::Touched).map(|w| w.row.kind).collect();
    assert_eq!(touched, ["Secret", "ConfigMap"]);
}
