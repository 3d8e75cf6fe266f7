//! Attaches a map to a network once, for `instructions.sh` to count what that takes: `differentiate NETWORK [LAYER]`.

use hirescam_core::Model;
use hirescam_core::cam::{self, Request};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let network = arguments.next().ok_or("differentiate NETWORK [LAYER]")?;
    let model = Model::from_bytes(std::fs::read(network)?)?;
    let request = Request { layer: arguments.next(), ..Request::default() };
    let made = cam::attach(&model, &request)?;
    println!("{}: {}", made.head.layer, made.certificate.verdict);
    Ok(())
}
