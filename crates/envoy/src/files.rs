//! The `.proto` files themselves, for servers that describe their services to clients (gRPC reflection).

use prost::Message;
use prost_types::FileDescriptorSet;

/// The description of a file (`envoy/service/ratelimit/v3/rls.proto`) and of all that it imports, imports first; empty when
/// the file is not known here.
pub fn file_descriptors(name: &str) -> FileDescriptorSet {
    let set = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")).as_slice();
    let all = FileDescriptorSet::decode(set).expect("the build script wrote the set");
    let mut wanted = vec![name.to_owned()];
    let mut next = 0;
    while let Some(name) = wanted.get(next).cloned() {
        let imports = all.file.iter().filter(|file| file.name() == name).flat_map(|file| &file.dependency);
        let new: Vec<String> = imports.filter(|import| !wanted.contains(import)).cloned().collect();
        wanted.extend(new);
        next += 1;
    }
    // The whole set has imports first already.
    FileDescriptorSet {
        file: all.file.into_iter().filter(|file| wanted.iter().any(|name| name == file.name())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_with_its_imports_and_nothing_else() {
        let set = file_descriptors("envoy/service/ratelimit/v3/rls.proto");
        let position = |name: &str| set.file.iter().position(|file| file.name() == name);
        let own = position("envoy/service/ratelimit/v3/rls.proto").unwrap();
        assert!(position("envoy/extensions/common/ratelimit/v3/ratelimit.proto").unwrap() < own);
        assert!(position("envoy/config/cluster/v3/cluster.proto").is_none());
        assert!(file_descriptors("no/such.proto").file.is_empty());
    }
}
