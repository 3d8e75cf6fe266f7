//! Correlations.

/// The correlation of the ranks of `a` and `b`, −1 to 1; equal values share the mean of their ranks. None where one of
/// them has the same value everywhere, or something that is no number. Spearman 1904, 10.2307/1412159.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.iter().chain(b).any(|v| !v.is_finite()) {
        return None;
    }
    correlation(&ranks(a), &ranks(b))
}

/// The correlation of `a` and `b`, −1 to 1. None where one of them has the same value everywhere, or something that is no
/// number. Pearson 1895, 10.1098/rspl.1895.0041.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.iter().chain(b).any(|v| !v.is_finite()) {
        return None;
    }
    // A mean is rounded: what is the same everywhere would keep a difference from it.
    let centred = |values: &[f64]| {
        let first = *values.first()?;
        if values.iter().all(|&v| v == first) {
            return None;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(values.iter().map(|v| v - mean).collect::<Vec<f64>>())
    };
    correlation(&centred(a)?, &centred(b)?)
}

/// The correlation of values with a mean of 0.
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let norm = product(a, a) * product(b, b);
    (norm > 0.0).then(|| (product(a, b) / norm.sqrt()).clamp(-1.0, 1.0))
}

/// The ranks of values, less their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = values.iter().map(|&v| v + 0.0).zip(0..).collect();
    order.sort_by(|x, y| x.0.total_cmp(&y.0));
    let mut ranks = vec![0.0; values.len()];
    let (mut before, middle) = (0, (values.len() as f64 - 1.0) / 2.0);
    for ties in order.chunk_by(|x, y| x.0 == y.0) {
        let rank = before as f64 + (ties.len() as f64 - 1.0) / 2.0 - middle;
        for &(_, at) in ties {
            ranks.iter_mut().skip(at).take(1).for_each(|r| *r = rank);
        }
        before += ties.len();
    }
    ranks
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_by_order_alone() {
        let x = [0.1, 3.0, -2.0, 7.5, 1.0];
        let grown = x.map(f64::exp);
        assert!((spearman(&x, &grown).unwrap() - 1.0).abs() < 1e-12);
        assert!((spearman(&x, &x.map(|v| -v)).unwrap() + 1.0).abs() < 1e-12);
        assert_eq!(spearman(&x, &[1.0; 5]), None);
        assert_eq!(spearman(&x, &[1.0, f64::NAN, 0.0, 0.0, 0.0]), None);
        assert_eq!(spearman(&[], &[]), None);
        assert_eq!(spearman(&[1.0], &[2.0]), None);
    }

    #[test]
    fn straight_lines_correlate_fully() {
        let x = [0.1, 3.0, -2.0, 7.5, 1.0];
        assert!((pearson(&x, &x.map(|v| 3.0 - 2.0 * v)).unwrap() + 1.0).abs() < 1e-12);
        // (1, 2, 4) and (1, 3, 2): deviations (−4, −1, 5)/3 and (−1, 1, 0), so (4 − 1)/3 / √(14/3 · 2).
        let some = pearson(&[1.0, 2.0, 4.0], &[1.0, 3.0, 2.0]).unwrap();
        assert!((some - 1.0 / (28.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(pearson(&x, &[0.1; 5]), None);
        assert_eq!(pearson(&x, &[1.0, f64::NAN, 0.0, 0.0, 0.0]), None);
        assert_eq!(pearson(&[], &[]), None);
    }

    #[test]
    fn ties_share_their_ranks() {
        // Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / √(4.5 · 5).
        let tied = spearman(&[10.0, 20.0, 20.0, 30.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((tied - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12);
        // The two zeros are one value.
        assert_eq!(spearman(&[0.0, -0.0], &[1.0, 2.0]), None);
    }
}
