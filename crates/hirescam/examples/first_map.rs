//! The first map: `cargo run --example first_map [network.onnx photo.png]`.

use hirescam::overlay::Style;
use hirescam::photo::Photo;
use hirescam::{Network, Spec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let network = arguments.next().unwrap_or_else(|| "fixtures/digits-cnn.onnx".into());
    let photo = arguments.next().unwrap_or_else(|| "fixtures/photos/seven.png".into());

    let explainer = Network::open(network)?.explainer(&Spec::default())?;
    let explained = explainer.explain_one(Photo::open(photo)?)?;
    for map in explained.maps() {
        println!("{}: score {:.3}, at {}", map.name(), map.score, map.layer());
        map.in_words().iter().for_each(|line| println!("  {line}"));
        map.overlay(false, &Style::default())?.save("first_map.png")?;
    }
    Ok(())
}
