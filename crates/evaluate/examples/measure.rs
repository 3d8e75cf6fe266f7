//! Measures several methods' maps of one photo by what the network does without what they show:
//! `cargo run -p hirescam-evaluate --example measure`.

use hirescam::engine::{Array, Options, engine};
use hirescam::photo::Photo;
use hirescam::preprocess::InputShape;
use hirescam::{Network, Spec};
use hirescam_evaluate::changed::{Image, Metric, Request, measure};
use hirescam_evaluate::metrics::{AopcMorf, Curve, Deletion, Insertion, Road, completeness_residual, entropy};
use ndarray::{Array2, ArrayViewD, Axis};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let network = Network::open("fixtures/digits-cnn.onnx")?;
    let photo = Photo::open("fixtures/photos/seven.png")?;
    let (preprocess, _) = network.preprocess()?.ok_or("no preprocessing lies beside the network")?;
    let input = InputShape::from_shape(&[Some(1), Some(1), Some(28), Some(28)], Some(1))?;
    let image = preprocess.apply(&photo, input)?.tensor;
    let image = Image::new(image.index_axis(Axis(0), 0), 0)?;

    // The network takes one image at a time. What is read of it is the probability of each digit.
    let session = engine("tract", &Options::default())?.prepare(network.bytes())?;
    let mut scorer = |images: ArrayViewD<'_, f32>| {
        let mut rows = Array2::zeros((images.len_of(Axis(0)), 10));
        for (one, mut row) in images.axis_iter(Axis(0)).zip(rows.rows_mut()) {
            let outputs = session.run(&[("input", &Array::from(one.insert_axis(Axis(0)).to_owned()))])?;
            let (_, logits) = outputs.first().ok_or("the network gives nothing")?;
            let odds = logits.to_f64().mapv(f64::exp);
            row.iter_mut().zip(&odds).for_each(|(p, odds_of)| *p = odds_of / odds.sum());
        }
        Ok(rows)
    };

    let steps = Curve { steps: 49, ..Curve::deletion() };
    let blurred = Curve { steps: 49, ..Curve::insertion() };
    let road = Road::default();
    let metrics: [(&str, &dyn Metric); 4] = [
        ("deletion (lower)", &Deletion(steps)),
        ("insertion (higher)", &Insertion(blurred)),
        ("aopc-morf (higher)", &AopcMorf(steps)),
        ("road (higher)", &road),
    ];
    for method in ["hirescam", "gradcam", "layercam", "occlusion"] {
        let explainer = network.explainer(&Spec { method: method.into(), ..Spec::default() })?;
        let explained = explainer.explain_one(photo.clone())?;
        let map = explained.first().ok_or("no map")?;
        println!("{method}: a {}, at {}", map.name(), map.layer());
        let raw = map.map.mapv(f64::from);
        if let Some(bias) = map.bias {
            println!("  completeness-residual {:.2e}", completeness_residual(raw.view(), map.score, bias)?);
        }
        println!("  entropy {:.3}", entropy(raw.view())?);

        let pixels = map.heatmap()?.resize(28, 28)?.into_values().mapv(f64::from).into_dyn();
        let column = map.class.ok_or("no class")?;
        let requests = metrics.map(|(_, metric)| Request { metric, map: pixels.view(), column });
        let measured = measure(&image, &requests, &mut scorer, 64)?;
        for ((name, _), value) in metrics.iter().zip(measured.values) {
            println!("  {name} {:.4}", value?);
        }
        println!("  from {} images", measured.images);
    }
    Ok(())
}
