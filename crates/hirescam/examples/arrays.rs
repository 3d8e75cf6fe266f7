//! Methods on arrays: activation and gradient come from elsewhere, and a method of one's own stands beside the listed ones.

use hirescam::core::cam::{self, METHODS};
use ndarray::{ArrayD, Axis, IxDyn};

/// max(Σ_c g A, 0), divided by its largest cell: what is shown, and no longer in units of the score.
fn own(activation: &ArrayD<f64>, gradient: &ArrayD<f64>) -> ArrayD<f64> {
    let map = (activation * gradient).sum_axis(Axis(1)).mapv(|v| v.max(0.0));
    let largest = map.iter().copied().fold(0.0, f64::max);
    if largest > 0.0 { map / largest } else { map }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One image, two channels, 2×3 places.
    let shape = IxDyn(&[1, 2, 2, 3]);
    let activation = ArrayD::from_shape_fn(shape.clone(), |i| (1 + i[1] + 2 * i[2] + i[3]) as f64);
    let gradient = ArrayD::from_shape_fn(shape, |i| if i[1] == 0 { 1.0 } else { -0.5 * i[3] as f64 });
    for method in METHODS {
        match cam::on_arrays(method, &activation, &gradient, 1) {
            Ok(map) => println!("{}:\n{map:.3}", method.title),
            Err(error) => println!("{}: {error}", method.title),
        }
    }
    println!("own:\n{:.3}", own(&activation, &gradient));
    Ok(())
}
