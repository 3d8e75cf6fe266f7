//! Many photos through one explainer: `cargo run --example batch network.onnx photo…`. One that cannot be read or explained spoils no
//! other.

use hirescam::photo::Photo;
use hirescam::{Network, Sample, Spec, Watch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        arguments = ["fixtures/digits-cnn.onnx", "fixtures/photos/seven.png"].map(str::to_owned).to_vec();
    }
    let (network, photos) = arguments.split_first().ok_or("a network is needed")?;

    let explainer = Network::open(network)?.explainer(&Spec { top: Some(2), ..Spec::default() })?;
    let mut samples = Vec::new();
    for path in photos {
        match Photo::open(path) {
            Ok(photo) => samples.push(Sample::new(path, photo)),
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
    for (sample, explained) in samples.iter().zip(explainer.explain(&samples, &mut Watch::default())) {
        match explained {
            Ok(explained) => {
                let classes: Vec<_> = explained.maps().iter().map(|m| format!("{} {:.2}", m.name(), m.score)).collect();
                println!("{}: {}", sample.id, classes.join(", "));
            }
            Err(error) => eprintln!("{}: {error}", sample.id),
        }
    }
    Ok(())
}
