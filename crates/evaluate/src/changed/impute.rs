//! Noisy linear imputation: the linear system.

use super::change::Places;
use crate::Error;
use crate::error::argument;

/// The places around a place, and what each weighs: 1/6 along the axes, 1/12 across.
const AROUND: [(isize, isize, f64); 8] = [
    (-1, -1, 1.0 / 12.0),
    (-1, 0, 1.0 / 6.0),
    (-1, 1, 1.0 / 12.0),
    (0, -1, 1.0 / 6.0),
    (0, 1, 1.0 / 6.0),
    (1, -1, 1.0 / 12.0),
    (1, 0, 1.0 / 6.0),
    (1, 1, 1.0 / 12.0),
];

/// That each missing place is the weighted mean of those around it: Σ_j w_ij (x_i − x_j) = 0 over the places j around i that lie in the
/// image. Rong et al. 2022, arXiv:2202.00449.
///
/// For the missing places this is symmetric and positive definite, for each of them is connected with a known one: the
/// grid hangs together. So conjugate gradients solve it, to any accuracy. With at most eight entries a row and a modified incomplete
/// Cholesky factor before it (Gustafsson 1978, 10.1007/BF01931691), 150 steps or so are enough for an image of 224² places; a
/// direct solver would have to keep far more entries than that, and is nothing to write oneself.
pub(super) struct System {
    rows: Vec<Row>,
}

/// The equation of a missing place.
struct Row {
    place: usize,
    /// The sum of the weights.
    diagonal: f64,
    /// The factor's diagonal.
    pivot: f64,
    /// Missing places around it, those before it first, and their weights.
    missing: Vec<(usize, f64)>,
    /// How many of them come before it.
    before: usize,
    /// Known places around it.
    known: Vec<(usize, f64)>,
}

/// How much of what the factor leaves out goes to its diagonal. All of it is best, but for the last of the rows, whose
/// pivot could then vanish.
const COMPENSATED: f64 = 0.97;

/// What the residual may be, relative to the right-hand side. Values are float32 afterwards.
const ACCURACY: f64 = 1e-10;

impl System {
    pub(super) fn new(places: &Places, height: usize, width: usize) -> Result<Self, Error> {
        if places.count() >= height * width {
            return argument("an image of which nothing is left cannot be imputed");
        }
        let mut number = vec![None; height * width];
        let mut count = 0;
        for (place, number) in number.iter_mut().enumerate().filter(|(place, _)| places.contains(*place)) {
            (*number, count) = (Some((place, count)), count + 1);
        }
        let mut rows: Vec<Row> = Vec::with_capacity(count);
        for (place, i) in number.iter().flatten().copied() {
            let (y, x) = (place / width, place % width);
            let mut row = Row { place, diagonal: 0.0, pivot: 0.0, missing: Vec::new(), before: 0, known: Vec::new() };
            for (down, right, weight) in AROUND {
                let (Some(y), Some(x)) = (y.checked_add_signed(down), x.checked_add_signed(right)) else { continue };
                if y >= height || x >= width {
                    continue;
                }
                row.diagonal += weight;
                match number.get(y * width + x).copied().flatten() {
                    Some((_, j)) => {
                        row.before += usize::from(j < i);
                        row.missing.push((j, weight));
                    }
                    None => row.known.push((y * width + x, weight)),
                }
            }
            let left_out = |(j, weight): &(usize, f64)| {
                rows.get(*j).map_or(0.0, |r: &Row| {
                    let after: f64 = r.after().iter().map(|(_, w)| w).sum();
                    weight / r.pivot * (COMPENSATED * after + (1.0 - COMPENSATED) * weight)
                })
            };
            row.pivot = row.diagonal - row.before().iter().map(left_out).sum::<f64>();
            rows.push(row);
        }
        Ok(Self { rows })
    }

    /// The missing places with their values, from the values of all places; those of the missing ones are not looked at.
    pub(super) fn solve(&self, known: &[f64]) -> Vec<(usize, f64)> {
        let given = |row: &Row| row.known.iter().filter_map(|(p, w)| Some(w * known.get(*p)?)).sum::<f64>();
        let right: Vec<f64> = self.rows.iter().map(given).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let enough = ACCURACY * ACCURACY * dot(&right, &right);
        let mut x = vec![0.0; right.len()];
        let mut residual = right;
        let mut direction = self.precondition(&residual);
        let mut product = dot(&residual, &direction);
        // In exact arithmetic as many steps as rows are enough.
        for _ in 0..self.rows.len() {
            if dot(&residual, &residual) <= enough {
                break;
            }
            let image = self.multiply(&direction);
            let step = product / dot(&direction, &image);
            x.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
            residual.iter_mut().zip(&image).for_each(|(r, i)| *r -= step * i);
            let next = self.precondition(&residual);
            let length = dot(&residual, &next);
            let turn = length / product;
            direction.iter_mut().zip(&next).for_each(|(d, n)| *d = n + turn * *d);
            product = length;
        }
        self.rows.iter().map(|row| row.place).zip(x).collect()
    }

    fn multiply(&self, x: &[f64]) -> Vec<f64> {
        let row = |(row, own): (&Row, &f64)| row.diagonal * own - sum(&row.missing, x);
        self.rows.iter().zip(x).map(row).collect()
    }

    /// (P − L)⁻ᵀ P (P − L)⁻¹ r, P being the pivots and L the weights of the places before each.
    fn precondition(&self, r: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = Vec::with_capacity(r.len());
        for (row, r) in self.rows.iter().zip(r) {
            x.push((r + sum(row.before(), &x)) / row.pivot);
        }
        for (i, row) in self.rows.iter().enumerate().rev() {
            let after = sum(row.after(), &x) / row.pivot;
            x.iter_mut().skip(i).take(1).for_each(|x| *x += after);
        }
        x
    }
}

impl Row {
    fn before(&self) -> &[(usize, f64)] {
        self.missing.get(..self.before).unwrap_or_default()
    }

    fn after(&self) -> &[(usize, f64)] {
        self.missing.get(self.before..).unwrap_or_default()
    }
}

fn sum(entries: &[(usize, f64)], x: &[f64]) -> f64 {
    entries.iter().filter_map(|(j, w)| Some(w * x.get(*j)?)).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// How far each missing place is from the mean of those around it.
    fn worst(places: &Places, height: usize, width: usize, values: &[f64]) -> f64 {
        let system = System::new(places, height, width).unwrap();
        let mut filled = values.to_vec();
        system.solve(values).into_iter().for_each(|(place, v)| filled[place] = v);
        let off = |row: &Row| {
            let around = row.known.iter().map(|(p, w)| w * filled[*p]).sum::<f64>()
                + row.missing.iter().map(|(j, w)| w * filled[system.rows[*j].place]).sum::<f64>();
            (around / row.diagonal - filled[row.place]).abs()
        };
        system.rows.iter().map(off).fold(0.0, f64::max)
    }

    #[test]
    fn each_missing_place_is_the_mean_of_those_around_it() {
        let (height, width) = (24, 31);
        let values: Vec<f64> = (0..height * width).map(|i| ((i * 7919) % 101) as f64 / 50.0 - 1.0).collect();
        let n = height * width;
        let scattered = Places::new(n, (0..n).filter(|i| i * 31 % 17 != 0));
        let half = Places::new(n, 0..n / 2);
        let all_but_one = Places::new(n, 1..n);
        let border = Places::new(n, (0..n).filter(|i| i % width == 0 || i % width == width - 1 || i / width == 0));
        for places in [scattered, half, all_but_one, border, Places::new(n, [5])] {
            assert!(worst(&places, height, width, &values) < 1e-8);
        }
        assert!(System::new(&Places::new(n, 0..n), height, width).is_err());
    }

    #[test]
    fn one_known_place_fills_the_image_and_a_plane_stays_one() {
        let system = System::new(&Places::new(12, 1..12), 3, 4).unwrap();
        assert!(system.solve(&[2.5; 12]).iter().all(|(_, v)| (v - 2.5).abs() < 1e-8));
        // Inside, the mean over a symmetric neighbourhood of what is linear is its middle.
        let plane: Vec<f64> = (0..49).map(|i| (i / 7) as f64 - 2.0 * (i % 7) as f64).collect();
        let inside = Places::new(49, (0..49).filter(|i| (1..6).contains(&(i / 7)) && (1..6).contains(&(i % 7))));
        for (place, value) in System::new(&inside, 7, 7).unwrap().solve(&plane) {
            assert!((value - plane[place]).abs() < 1e-8);
        }
    }
}
