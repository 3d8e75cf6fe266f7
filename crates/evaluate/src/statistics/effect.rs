//! Effect sizes.

use super::signed_rank;

/// The matched-pairs rank-biserial correlation, (R₊ − R₋) / (R₊ + R₋), −1 to 1: by how much the ranks of pairs that differ upwards
/// outweigh those of pairs that differ downwards. 1 where every pair that differs does so upwards; 0 where none differs. King, Rosopa &
/// Minium 2011, *Statistical reasoning in the behavioral sciences*; Kerby 2014, 10.2466/11.IT.3.1.
///
/// R₊ and R₋ are those of [`signed_rank()`]: pairs that do not differ keep their ranks (Pratt) but count to neither. Of hits and
/// misses it is (b − c) / (b + c). Assumes that differences can be ordered by size. None where there is no pair, or one is no number.
pub fn rank_biserial(differences: &[f64]) -> Option<f64> {
    signed_rank(differences).map(|found| found.effect())
}
