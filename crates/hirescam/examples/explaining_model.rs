//! The network's own file with the map as one more output: `cargo run --example explaining_model [network.onnx]`.

use hirescam::{Network, Spec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "fixtures/digits-cnn.onnx".into());

    let network = Network::open(path)?;
    // The three best classes of each image.
    let made = network.explaining_model(&Spec { top: Some(3), ..Spec::default() }, None)?;
    made.in_words().iter().for_each(|line| println!("{line}"));
    network.save("explaining.onnx".as_ref(), &made.bytes)?;
    Ok(())
}
