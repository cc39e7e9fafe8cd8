//! Makes a PNG smaller. Pages are flat: without the filters that browsers use, pictures of them are a quarter smaller.

use std::io::{Read as _, Write as _};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

const BEGINNING: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The same picture, unfiltered and packed as well as it goes. It has to be as browsers make it: 8 bits a colour, in one piece.
pub(super) fn smaller(png: &[u8]) -> Result<Vec<u8>> {
    let (header, packed) = read(png)?;
    let bytes = match header[8..] {
        [8, 2, 0, 0, 0] => 3,
        [8, 6, 0, 0, 0] => 4,
        _ => bail!("it is no picture of 8 bits a colour"),
    };
    let width = usize::try_from(u32::from_be_bytes(header[..4].try_into()?))? * bytes;
    let mut lines = Vec::new();
    ZlibDecoder::new(&*packed).read_to_end(&mut lines)?;
    let mut before = vec![0; width];
    for line in lines.chunks_exact_mut(width + 1) {
        let (filter, line) = line.split_first_mut().context("a line has a filter")?;
        unfilter(*filter, line, &before, bytes)?;
        *filter = 0;
        before.copy_from_slice(line);
    }
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&lines)?;
    let mut smaller = BEGINNING.to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", packed.finish()?), (b"IEND", Vec::new())] {
        write(&mut smaller, *kind, &data)?;
    }
    Ok(smaller)
}

/// The header and the packed lines.
fn read(png: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut rest = png.strip_prefix(BEGINNING).context("it is no PNG")?;
    let (mut header, mut packed) = (Vec::new(), Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length))?;
        let (kind, after) = after.split_first_chunk::<4>().context("it is cut")?;
        ensure!(after.len() >= length + 4, "it is cut");
        match kind {
            b"IHDR" => header = after[..length].to_vec(),
            b"IDAT" => packed.extend_from_slice(&after[..length]),
            _ => {}
        }
        rest = &after[length + 4..];
    }
    ensure!(header.len() == 13, "it has no header");
    Ok((header, packed))
}

fn write(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) -> Result<()> {
    let mut sum = Crc::new();
    sum.update(&kind);
    sum.update(data);
    png.extend(u32::try_from(data.len())?.to_be_bytes());
    png.extend(kind);
    png.extend(data);
    png.extend(sum.sum().to_be_bytes());
    Ok(())
}

/// Each byte was written as what it differs by from a guess (PNG, section 9).
fn unfilter(filter: u8, line: &mut [u8], before: &[u8], bytes: usize) -> Result<()> {
    for place in 0..line.len() {
        let of = |line: &[u8]| place.checked_sub(bytes).map_or(0, |place| line[place]);
        let (left, above, corner) = (of(line), before[place], of(before));
        let guess = match filter {
            0 => 0,
            1 => left,
            2 => above,
            3 => left.midpoint(above),
            4 => nearest(left, above, corner),
            other => bail!("there is no filter {other}"),
        };
        line[place] = line[place].wrapping_add(guess);
    }
    Ok(())
}

fn nearest(left: u8, above: u8, corner: u8) -> u8 {
    let goal = i16::from(left) + i16::from(above) - i16::from(corner);
    let far = |guess: u8| (goal - i16::from(guess)).abs();
    if far(left) <= far(above) && far(left) <= far(corner) {
        left
    } else if far(above) <= far(corner) {
        above
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(lines: &[u8]) -> Vec<u8> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(lines).unwrap();
        let mut png = BEGINNING.to_vec();
        write(&mut png, *b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 5, 8, 2, 0, 0, 0]).unwrap();
        write(&mut png, *b"IDAT", &packed.finish().unwrap()).unwrap();
        write(&mut png, *b"IEND", &[]).unwrap();
        png
    }

    fn lines(png: &[u8]) -> Vec<u8> {
        let mut lines = Vec::new();
        ZlibDecoder::new(&*read(png).unwrap().1).read_to_end(&mut lines).unwrap();
        lines
    }

    #[test]
    fn every_filter_is_undone() {
        // Two dots a line, of three colours, by each of the filters.
        let filtered = [
            [0, 10, 20, 30, 40, 50, 60],
            [1, 10, 20, 30, 30, 30, 30],
            [2, 0, 0, 0, 0, 0, 0],
            [3, 5, 10, 15, 15, 15, 15],
            [4, 0, 0, 0, 0, 0, 0],
        ];
        let smaller = smaller(&picture(filtered.as_flattened())).unwrap();
        assert_eq!(lines(&smaller), [[0, 10, 20, 30, 40, 50, 60]; 5].as_flattened());
    }

    #[test]
    fn what_is_no_picture_is_told() {
        assert!(smaller(b"GIF89a").is_err());
        let whole = picture(&[9; 35]);
        assert!(smaller(&whole).unwrap_err().to_string().contains("no filter 9"));
        assert!(smaller(&whole[..40]).is_err());
    }
}
