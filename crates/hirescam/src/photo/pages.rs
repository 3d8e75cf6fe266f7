//! How many pictures an image file holds: pages of a TIFF, frames of an animation. One is read; nobody should think it was
//! all of them.

use image::ImageFormat;
use std::collections::HashSet;

/// How many there are, and what they are called; none where the file's kind or its damage do not tell.
pub(super) fn pages(bytes: &[u8], format: ImageFormat) -> Option<(usize, &'static str)> {
    match format {
        ImageFormat::Tiff => tiff(bytes).map(|n| (n, "pages")),
        ImageFormat::Gif => gif(bytes).map(|n| (n, "frames")),
        ImageFormat::Png => png(bytes).map(|n| (n, "frames")),
        ImageFormat::WebP => webp(bytes).map(|n| (n, "frames")),
        _ => None,
    }
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

/// The directories of a TIFF that are pages: neither reduced versions nor masks of others (TIFF 6.0, tag 254).
fn tiff(bytes: &[u8]) -> Option<usize> {
    let big_endian = match bytes.get(..2)? {
        b"MM" => true,
        b"II" => false,
        _ => return None,
    };
    let u16_at = |o| at(bytes, o).map(|b| if big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) });
    let u32_at = |o| at(bytes, o).map(|b| if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) });
    let u64_at = |o| at(bytes, o).map(|b| if big_endian { u64::from_be_bytes(b) } else { u64::from_le_bytes(b) });
    // BigTIFF has wider offsets, counts and entries.
    let big = u16_at(2)? == 43;
    let offset_at = |o| if big { usize::try_from(u64_at(o)?).ok() } else { usize::try_from(u32_at(o)?).ok() };
    let (count_size, entry_size) = if big { (8, 20) } else { (2, 12) };
    let mut next = offset_at(if big { 8 } else { 4 })?;
    // Directories do not overlap in honest files: together they are no longer than the file.
    let (mut seen, mut pages, mut left) = (HashSet::new(), 0, bytes.len());
    while next != 0 && seen.insert(next) {
        let entries = if big { usize::try_from(u64_at(next)?).ok()? } else { u16_at(next)?.into() };
        let first = next.checked_add(count_size)?;
        let end = first.checked_add(entries.checked_mul(entry_size)?)?;
        if end > bytes.len() {
            return None;
        }
        left = left.checked_sub(end - next)?;
        let kind = (0..entries).map(|i| first + i * entry_size).find(|&entry| u16_at(entry) == Some(254));
        let kind = kind.and_then(|entry| u32_at(entry + entry_size - if big { 8 } else { 4 })).unwrap_or(0);
        pages += usize::from(kind & 0b101 == 0);
        next = offset_at(end)?;
    }
    Some(pages)
}

/// The image descriptors of a GIF (GIF89a, section 20).
fn gif(bytes: &[u8]) -> Option<usize> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let blocks_end = |mut o: usize| {
        loop {
            match *bytes.get(o)? {
                0 => return Some(o + 1),
                n => o += 1 + usize::from(n),
            }
        }
    };
    let mut o = 13 + table(*bytes.get(10)?);
    let mut frames = 0;
    loop {
        match bytes.get(o) {
            Some(0x21) => o = blocks_end(o + 2)?,
            Some(0x2C) => {
                frames += 1;
                o = blocks_end(o + 11 + table(*bytes.get(o + 9)?))?;
            }
            _ => return Some(frames),
        }
    }
}

/// The frames that an animated PNG announces (PNG, third edition, acTL).
fn png(bytes: &[u8]) -> Option<usize> {
    let mut o = 8;
    loop {
        let (length, kind) = (u32::from_be_bytes(at(bytes, o)?), at::<4>(bytes, o + 4)?);
        match &kind {
            b"acTL" => return usize::try_from(u32::from_be_bytes(at(bytes, o + 8)?)).ok(),
            b"IDAT" => return Some(1),
            _ => o = o.checked_add(usize::try_from(length).ok()?.checked_add(12)?)?,
        }
    }
}

/// The frames of an animated WebP.
fn webp(bytes: &[u8]) -> Option<usize> {
    let (mut o, mut frames) = (12, 0);
    while let (Some(kind), Some(length)) = (at::<4>(bytes, o), at(bytes, o + 4)) {
        frames += usize::from(kind == *b"ANMF");
        let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
        // Chunks are padded to even lengths.
        o = o.checked_add(8)?.checked_add(length)?.checked_add(length % 2)?;
    }
    Some(frames.max(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// A directory of a little-endian TIFF at `at` with one entry, tag 254, and the offset of the next.
    fn directory(at: u32, kind: u32, next: u32) -> Vec<u8> {
        let entry = [&254u16.to_le_bytes()[..], &4u16.to_le_bytes(), &1u32.to_le_bytes(), &kind.to_le_bytes()].concat();
        assert_eq!(at % 18, 8);
        [&1u16.to_le_bytes()[..], &entry, &next.to_le_bytes()].concat()
    }

    #[test]
    fn pages_of_a_tiff_are_counted_without_thumbnails_and_loops_end() {
        let head = [&b"II"[..], &42u16.to_le_bytes(), &8u32.to_le_bytes()].concat();
        let file = |kinds: &[u32], last: u32| {
            let mut bytes = head.clone();
            for (i, &kind) in kinds.iter().enumerate() {
                let own = 8 + 18 * i as u32;
                bytes.extend(directory(own, kind, if i + 1 < kinds.len() { own + 18 } else { last }));
            }
            bytes
        };
        assert_eq!(tiff(&file(&[0, 0, 1, 2, 4], 0)), Some(3));
        assert_eq!(tiff(&file(&[0, 0], 8)), Some(2));
        assert_eq!(tiff(&file(&[0, 0], 4000)), None);
        let one = file(&[0], 0);
        for end in 0..one.len() {
            assert_eq!(tiff(&one[..end]), None);
        }
    }

    #[test]
    fn frames_are_counted_in_the_fixtures() {
        let fixture =
            |name: &str| std::fs::read(format!("{}/../../fixtures/images/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for (name, format, pages_of) in [
            ("animated.gif", ImageFormat::Gif, Some((2, "frames"))),
            ("photo.tif", ImageFormat::Tiff, Some((1, "pages"))),
            ("rgb.png", ImageFormat::Png, Some((1, "frames"))),
            ("photo.webp", ImageFormat::WebP, Some((1, "frames"))),
            ("photo.bmp", ImageFormat::Bmp, None),
        ] {
            let bytes = fixture(name);
            assert_eq!(pages(&bytes, format), pages_of, "{name}");
            // Whatever is missing, it ends.
            let cut = (0..bytes.len()).filter_map(|end| pages(&bytes[..end], format));
            assert!(cut.into_iter().all(|(n, _)| n <= 2), "{name}");
        }
    }
}
