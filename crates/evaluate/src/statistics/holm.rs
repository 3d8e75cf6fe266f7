//! Holm's correction.

/// p values corrected for being several, in their own order: with p₍₁₎ ≤ … ≤ p₍ₘ₎ it is max over j ≤ i of (m − j + 1) p₍ⱼ₎, at most
/// 1. Rejecting those below α then errs, anywhere in the family, with a probability of at most α. Holm 1979, 10.2307/4615733.
///
/// Assumes nothing of how the tests hang together. None where one is not within 0 and 1.
pub fn holm(p: &[f64]) -> Option<Vec<f64>> {
    if p.iter().any(|p| !(0.0..=1.0).contains(p)) {
        return None;
    }
    let mut order: Vec<(f64, usize)> = p.iter().copied().zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut largest = 0.0f64;
    for ((p, _), left) in order.iter_mut().zip((1..=p.len()).rev()) {
        largest = largest.max(*p * left as f64).min(1.0);
        *p = largest;
    }
    order.sort_by_key(|&(_, at)| at);
    Some(order.into_iter().map(|(p, _)| p).collect())
}
