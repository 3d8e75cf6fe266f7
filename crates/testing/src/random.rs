//! Numbers by chance.

use hirescam_core::Tensor;
use hirescam_core::tensor::DataType;

/// Pseudo-random numbers that are the same in every run (splitmix64).
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }
    /// A number of at least 0 and below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// A whole number below `n`, or 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A float tensor of values that f32 can hold, within a range.
    pub fn tensor(&mut self, shape: &[usize], low: f64, high: f64) -> Tensor {
        let values =
            (0..shape.iter().product()).map(|_| f64::from((low + (high - low) * self.unit()) as f32)).collect();
        Tensor::new(DataType::Float, shape, values).unwrap()
    }
}
