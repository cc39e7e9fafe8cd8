//! Names that are made from content.

/// FNV-1a, folded to 32 bits: short names that stay the same from build to build. To tell apart the few things that share
/// the rest of a name; it withstands no attack.
pub fn fingerprint(text: &str) -> u32 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ((hash >> 32) ^ hash) as u32
}
