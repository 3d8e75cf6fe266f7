//! Several layers in one run, and their maps in one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::fusion::{Fuse, fuse};
use hirescam::heatmap::resize_linear;
use hirescam::photo::Photo;
use hirescam::{Error, Explanation, Network, Spec};
use spec::tract;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
const LAYERS: [&str; 3] = ["/_swish_1/Clip_output_0", "/_blocks.10/Add_output_0", "/_blocks.4/Add_output_0"];

fn explain(layers: &[&str], options: &Spec) -> Result<Vec<Explanation>, Error> {
    let options = Spec { layers: layers.iter().map(|l| (*l).to_owned()).collect(), ..options.clone() };
    let photo = Photo::open(format!("{FIXTURES}/photos/coffee.png"))?;
    let explainer = Network::open(format!("{FIXTURES}/efficientnet-lite0.onnx"))?.explainer(&options)?;
    Ok(explainer.explain_one(photo)?.into_maps())
}

#[test]
fn layers_of_one_run_give_what_each_gives_alone() {
    let options = Spec { top: Some(2), ..tract() };
    let all = explain(&LAYERS, &options).unwrap();
    assert_eq!(all.len(), 6);
    for (i, layer) in LAYERS.into_iter().enumerate() {
        let alone = explain(&[layer], &options).unwrap();
        for (rank, alone) in alone.iter().enumerate() {
            let of_all = &all[rank * LAYERS.len() + i];
            assert_eq!((of_all.class, of_all.layer()), (alone.class, layer));
            let [one, other] = [of_all, alone].map(|e| format!("{:?}", e.certificate()));
            assert_eq!(one, other);
            let largest = alone.map.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let apart = (&of_all.map - &alone.map).iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert!(apart <= 1e-5 * largest && (of_all.score - alone.score).abs() < 1e-4, "{layer}: {apart}");
        }
    }
}

#[test]
fn methods_of_several_runs_take_several_layers_too() {
    let options = Spec { method: "ablationcam".into(), target: Some("class:967".into()), ..tract() };
    let all = explain(&LAYERS[..1], &options).unwrap();
    let two = explain(&["/_conv_head/Conv_output_0", LAYERS[0]], &options).unwrap();
    assert_eq!(two.len(), 2);
    assert_eq!((&two[1].map, two[1].layer()), (&all[0].map, LAYERS[0]));
}

#[test]
fn a_fused_map_is_the_mean_or_the_max_of_heatmaps() {
    let made = explain(&LAYERS, &tract()).unwrap();
    let maps: Vec<&Explanation> = made.iter().collect();
    let finest = [28, 28];
    let heat = |e: &&Explanation| {
        let heatmap = e.heatmap().unwrap().rectify().normalize(hirescam::heatmap::Normalize::Max).unwrap();
        resize_linear(heatmap.values(), &finest).unwrap()
    };
    let heat: Vec<_> = maps.iter().map(heat).collect();
    let mean = fuse(&maps, Fuse::Mean).unwrap();
    let wanted = (&heat[0] + &heat[1] + &heat[2]) / 3.0;
    assert!((&mean.map - &wanted.into_dyn()).iter().all(|d| d.abs() < 1e-6));
    let max = fuse(&maps, Fuse::Max).unwrap();
    assert_eq!(max.map.shape(), finest);
    assert!(max.map.indexed_iter().all(|(at, &v)| v == heat.iter().fold(0.0f32, |m, h| m.max(h[[at[0], at[1]]]))));
    assert!(mean.in_words().contains("nothing adds up") && mean.overlay(&Default::default()).is_ok());
    assert!(matches!(fuse(&[], Fuse::Max), Err(Error::Argument(_))));
    assert!("median".parse::<Fuse>().is_err());
}
