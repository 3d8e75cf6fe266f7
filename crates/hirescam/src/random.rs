//! Random numbers that are the same everywhere: for the same seed the same stream, whatever the machine.

/// SplitMix64 (Steele, Lea & Flood 2014, 10.1145/2660193.2660195).
pub struct Random(u64);

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream of the sample number `sample`. Each sample has its own, so that it does not matter which are drawn
    /// together.
    pub fn of_sample(seed: u64, sample: usize) -> Self {
        let stream = Random(seed).next();
        Random(Random(stream.wrapping_add(sample as u64)).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), a multiple of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform among 0 … n−1.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// Normal with mean 0 and deviation 1 (Box & Muller 1958).
    pub fn normal(&mut self) -> f64 {
        // 1 − unit lies in (0, 1].
        let (radius, angle) = ((-2.0 * (1.0 - self.unit()).ln()).sqrt(), std::f64::consts::TAU * self.unit());
        radius * angle.cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        // The first numbers of seed 1234567, as in the Java and Rosetta Code versions.
        let mut random = Random(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let n = 20_000;
        let drawn: Vec<f64> = (0..n).map(|i| Random::of_sample(3, i).normal()).collect();
        let mean = drawn.iter().sum::<f64>() / n as f64;
        let square = drawn.iter().map(|v| v * v).sum::<f64>() / n as f64;
        // Four standard errors.
        assert!(mean.abs() < 4.0 / (n as f64).sqrt() && (square - 1.0).abs() < 4.0 * (2.0 / n as f64).sqrt());
        assert!((0..1000).all(|i| Random::of_sample(5, i).below(7) < 7));
    }
}
