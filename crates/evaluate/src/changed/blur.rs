//! Blurred images.

use ndarray::{ArrayD, Axis, IxDyn};

/// An image blurred by a Gauss kernel of `size` cells along every axis but that of the channels. Beyond a border its last value
/// goes on.
pub(super) fn blurred(values: &[f32], shape: &[usize], channels: usize, size: usize, sigma: f64) -> Vec<f32> {
    let radius = size / 2;
    let kernel: Vec<f64> = (0..size).map(|i| (-0.5 * ((i as f64 - radius as f64) / sigma).powi(2)).exp()).collect();
    let total: f64 = kernel.iter().sum();
    let wide: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
    let Ok(mut image) = ArrayD::from_shape_vec(IxDyn(shape), wide) else { return values.to_vec() };
    for axis in (0..shape.len()).filter(|axis| *axis != channels) {
        for mut lane in image.lanes_mut(Axis(axis)) {
            let line = lane.to_vec();
            let last = line.len().saturating_sub(1);
            for (at, cell) in lane.iter_mut().enumerate() {
                let around = kernel.iter().enumerate();
                let weighted =
                    around.filter_map(|(i, k)| Some(k * line.get((at + i).saturating_sub(radius).min(last))?));
                *cell = weighted.sum::<f64>() / total;
            }
        }
    }
    image.iter().map(|v| *v as f32).collect()
}
