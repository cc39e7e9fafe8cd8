//! Bodies that were compressed, within bounds.

use std::io::{self, Read};

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// How many encodings may lie around each other.
const DEEPEST: usize = 3;
/// How much larger a body may get, beyond [`FREE`].
const RATIO: u64 = 100;
/// Up to this size the ratio does not matter.
const FREE: u64 = 64 << 10;
/// The window of zstd that is allowed, as a power of two: 8 MiB, the most that HTTP allows (RFC 9659).
const WINDOW: u32 = 23;
/// How much brotli reads at a time.
const PIECE: usize = 4096;

/// Why a body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// Its encoding is none that is known here, or there are too many.
    Unknown,
    /// It is broken.
    Broken,
    /// It gets too large for what it was.
    Bomb,
}

/// Whether an encoding says anything.
pub(super) fn is_encoded(encodings: &[u8]) -> bool {
    names(encodings).next().is_some()
}

/// Takes the encodings of a `content-encoding` off, the last one first. The result has at most `most` bytes and one: then it
/// was longer.
pub(super) fn decode(encodings: &[u8], body: &[u8], most: u64) -> Result<Vec<u8>, Undecodable> {
    let names: Vec<String> = names(encodings).collect();
    if names.len() > DEEPEST {
        return Err(Undecodable::Unknown);
    }
    let mut body = body.to_vec();
    for name in names.iter().rev() {
        body = one(name, &body, most)?;
    }
    Ok(body)
}

fn names(encodings: &[u8]) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(encodings).to_ascii_lowercase();
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    names.into_iter().filter(|name| !name.is_empty() && name != "identity")
}

fn one(name: &str, body: &[u8], most: u64) -> Result<Vec<u8>, Undecodable> {
    match name {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(body), body.len(), most),
        // It should be zlib's; some send it bare.
        "deflate" => match read(ZlibDecoder::new(body), body.len(), most) {
            Err(Undecodable::Broken) => read(DeflateDecoder::new(body), body.len(), most),
            read => read,
        },
        "br" => read(brotli(body), body.len(), most),
        "zstd" => read(zstd(body).map_err(|_| Undecodable::Broken)?, body.len(), most),
        _ => Err(Undecodable::Unknown),
    }
}

/// Without the large windows that HTTP has not: one may be a gigabyte.
fn brotli(body: &[u8]) -> impl Read {
    let mut decoder = Decompressor::new(body, PIECE);
    decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
    decoder
}

fn zstd(body: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::Decoder::with_buffer(body)?;
    decoder.window_log_max(WINDOW)?;
    Ok(decoder)
}

fn read(from: impl Read, before: usize, most: u64) -> Result<Vec<u8>, Undecodable> {
    let allowed = (before as u64).saturating_mul(RATIO).max(FREE);
    let mut body = Vec::new();
    from.take(most.min(allowed) + 1).read_to_end(&mut body).map_err(|_| Undecodable::Broken)?;
    if body.len() as u64 > allowed { Err(Undecodable::Bomb) } else { Ok(body) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_is_unpacked_however_often() {
        let body = b"id=1' or '1'='1";
        assert_eq!(decode(b"gzip", &gzip(body), 1000).unwrap(), body);
        assert_eq!(decode(b" X-GZip , identity", &gzip(body), 1000).unwrap(), body);
        assert_eq!(decode(b"gzip, gzip", &gzip(&gzip(body)), 1000).unwrap(), body);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(body).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(body).unwrap();
        for packed in [zlib.finish().unwrap(), bare.finish().unwrap()] {
            assert_eq!(decode(b"deflate", &packed, 1000).unwrap(), body);
        }
        // Members one after the other are one body to gzip.
        let two = [gzip(b"id=1"), gzip(b"' or 1=1")].concat();
        assert_eq!(decode(b"gzip", &two, 1000).unwrap(), b"id=1' or 1=1");
    }

    /// `id=1' or '1'='1`, as Google's own encoder packs it.
    const BROTLI: &[u8] = b"\x0b\x07\x80id=1' or '1'='1\x03";
    /// 10 MiB of zeros.
    const BROTLI_BOMB: &[u8] =
        b"\xcb\xff\xff\x3f\xf8\x27\0\xe2\xb1\x40\x20\xf7\xfe\x2f\xff\xff\x3f\xf0\x4f\0\xc4\x61\x11\x80\xee\xfd\x07";
    /// `a=b`, with a window of a gigabyte.
    const BROTLI_LARGE: &[u8] = b"\x11\x1e\x04\0\x02a=b\x03";

    #[test]
    fn brotli_and_zstd_are_unpacked_within_the_same_bounds() {
        let body = b"id=1' or '1'='1";
        assert_eq!(decode(b"br", BROTLI, 1000).unwrap(), body);
        assert_eq!(decode(b"br, gzip", &gzip(BROTLI), 1000).unwrap(), body);
        assert_eq!(decode(b"br", BROTLI, 4).unwrap().len(), 5);
        assert_eq!(decode(b"br", &BROTLI[..9], 1000), Err(Undecodable::Broken));
        assert_eq!(decode(b"br", BROTLI_BOMB, 100 << 20), Err(Undecodable::Bomb));
        assert_eq!(decode(b"br", BROTLI_LARGE, 1000), Err(Undecodable::Broken));
        let pack = |body: &[u8]| zstd::encode_all(body, 3).unwrap();
        assert_eq!(decode(b"zstd", &pack(body), 1000).unwrap(), body);
        // Frames one after the other are one body.
        assert_eq!(decode(b"zstd", &[pack(b"id=1"), pack(b"' or 1=1")].concat(), 1000).unwrap(), b"id=1' or 1=1");
        assert_eq!(decode(b"zstd", &pack(body)[..9], 1000), Err(Undecodable::Broken));
        assert_eq!(decode(b"zstd", &pack(&vec![0; 10 << 20]), 100 << 20), Err(Undecodable::Bomb));
        let mut wide = zstd::Encoder::new(Vec::new(), 3).unwrap();
        wide.window_log(WINDOW + 1).unwrap();
        wide.write_all(&vec![b'a'; 1 << (WINDOW + 1)]).unwrap();
        assert_eq!(decode(b"zstd", &wide.finish().unwrap(), 100 << 20), Err(Undecodable::Broken));
    }

    #[test]
    fn what_cannot_be_unpacked_is_said() {
        let body = b"a=b";
        assert_eq!(decode(b"compress", body, 10), Err(Undecodable::Unknown));
        assert_eq!(decode(b"gzip,gzip,gzip,gzip", body, 10), Err(Undecodable::Unknown));
        assert_eq!(decode(b"gzip", body, 10), Err(Undecodable::Broken));
        assert_eq!(decode(b"gzip", &gzip(body)[..12], 10), Err(Undecodable::Broken));
        let bomb = gzip(&vec![0; 10 << 20]);
        assert_eq!(decode(b"gzip", &bomb, 100 << 20), Err(Undecodable::Bomb));
        assert_eq!(decode(b"gzip", &gzip(&[b'a'; 100]), 10).unwrap().len(), 11);
        assert!(is_encoded(b"gzip") && !is_encoded(b"identity") && !is_encoded(b""));
    }
}
