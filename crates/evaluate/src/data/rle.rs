//! Masks as run lengths, as COCO writes them: by columns, in turn outside and inside of the object, beginning outside.

use ndarray::Array2;

/// The mask of run lengths.
pub(crate) fn mask(counts: &[u64], height: usize, width: usize) -> Result<Array2<bool>, String> {
    let cells = height * width;
    let total = counts.iter().try_fold(0u64, |sum, n| sum.checked_add(*n));
    if total != Some(cells as u64) {
        let total = total.map_or("more than 2^64".to_owned(), |n| n.to_string());
        return Err(format!(
            "the run lengths are of {total} pixels, the image has {width}×{height} (width × height), {cells} in all"
        ));
    }
    let mut mask = Array2::from_elem((height, width), false);
    let mut at = 0usize;
    for (i, &count) in counts.iter().enumerate() {
        let end = at + count as usize;
        if i % 2 == 1 {
            for cell in at..end {
                if let Some(inside) = mask.get_mut((cell % height, cell / height)) {
                    *inside = true;
                }
            }
        }
        at = end;
    }
    Ok(mask)
}

/// The run lengths in COCO's compressed text: five bits a letter from the lowest on, a sixth says that more follow; from the
/// fourth on the difference to the last but one.
pub(crate) fn counts(text: &str) -> Result<Vec<u64>, String> {
    let broken = || format!("{:?} is no text of compressed run lengths", super::short(text));
    let mut counts: Vec<i64> = Vec::new();
    let mut letters = text.bytes();
    while let Some(first) = letters.next() {
        let (mut value, mut shift, mut letter) = (0i64, 0, first);
        loop {
            let bits = letter.checked_sub(48).filter(|bits| *bits < 64).ok_or_else(broken)?;
            // An image of 2^40 pixels is beyond all that is read.
            if shift > 40 {
                return Err(broken());
            }
            value |= i64::from(bits & 31) << shift;
            shift += 5;
            if bits & 32 != 0 {
                letter = letters.next().ok_or_else(broken)?;
                continue;
            }
            // The highest of the bits is the sign.
            if bits & 16 != 0 {
                value |= -1 << shift;
            }
            break;
        }
        if counts.len() > 2 {
            value += counts.get(counts.len() - 2).copied().unwrap_or_default();
        }
        if value < 0 {
            return Err(broken());
        }
        counts.push(value);
    }
    Ok(counts.into_iter().map(i64::unsigned_abs).collect())
}
