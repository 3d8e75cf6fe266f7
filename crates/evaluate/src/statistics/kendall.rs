//! Kendall's correlation of ranks.

use std::cmp::Ordering;

/// Kendall's τ-b, −1 to 1: (C − D) / √((C + D + A) (C + D + B)) with C pairs that `a` and `b` order alike, D pairs that they order
/// otherwise, A and B pairs that tie in `b` alone and in `a` alone. Kendall 1945, 10.1093/biomet/33.3.239.
///
/// Assumes nothing of the values but their order. None where one of the two is the same everywhere, their lengths differ, or something is
/// no number. It looks at all pairs.
pub fn kendall(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.iter().chain(b).any(|v| !v.is_finite()) {
        return None;
    }
    let (mut balance, mut untied_a, mut untied_b) = (0i64, 0u64, 0u64);
    let pairs: Vec<(&f64, &f64)> = a.iter().zip(b).collect();
    for (i, (x, y)) in pairs.iter().enumerate() {
        for (u, v) in pairs.iter().skip(i + 1) {
            let sign = |p: &f64, q: &f64| match p.partial_cmp(q) {
                Some(Ordering::Less) => -1,
                Some(Ordering::Greater) => 1,
                _ => 0,
            };
            let (of_a, of_b) = (sign(x, u), sign(y, v));
            balance += of_a * of_b;
            untied_a += of_a.unsigned_abs();
            untied_b += of_b.unsigned_abs();
        }
    }
    let norm = (untied_a as f64).sqrt() * (untied_b as f64).sqrt();
    (norm > 0.0).then(|| (balance as f64 / norm).clamp(-1.0, 1.0))
}
