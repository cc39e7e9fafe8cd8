//! Makes a PNG smaller. Pages are flat: without the filters that browsers use, pictures of them are a quarter smaller.

use std::io::Cursor;

use anyhow::{Context, Result};
use png::{Compression, Decoder, Encoder, Filter};

/// The same picture, unfiltered and packed as well as it goes.
pub(super) fn smaller(picture: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Decoder::new(Cursor::new(picture)).read_info()?;
    let mut dots = vec![0; reader.output_buffer_size().context("the picture is too large")?];
    let of = reader.next_frame(&mut dots)?;
    let mut smaller = Vec::new();
    let mut encoder = Encoder::new(&mut smaller, of.width, of.height);
    encoder.set_color(of.color_type);
    encoder.set_depth(of.bit_depth);
    encoder.set_compression(Compression::High);
    encoder.set_filter(Filter::NoFilter);
    encoder.write_header()?.write_image_data(&dots[..of.buffer_size()])?;
    Ok(smaller)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_stays_the_same() {
        let dots: Vec<u8> =
            (0..64 * 64 * 3).map(|place: u32| if place % 192 < 150 { 240 } else { place as u8 }).collect();
        let mut filtered = Vec::new();
        let mut encoder = Encoder::new(&mut filtered, 64, 64);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(Compression::Fast);
        encoder.set_filter(Filter::Paeth);
        encoder.write_header().unwrap().write_image_data(&dots).unwrap();
        let smaller = smaller(&filtered).unwrap();
        assert!(smaller.len() < filtered.len(), "{} of {}", smaller.len(), filtered.len());
        let mut reader = Decoder::new(Cursor::new(smaller)).read_info().unwrap();
        let mut again = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut again).unwrap();
        assert!(again == dots);
    }

    #[test]
    fn what_is_no_picture_is_told() {
        assert!(smaller(b"GIF89a").is_err());
    }
}
