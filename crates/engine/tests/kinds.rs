//! Networks of the zoo in float16 and float64: their explaining models run wherever the networks do, with the maps of float32.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::Model;
use hirescam_core::cam::{self, HeatmapSize, Request};
use hirescam_core::onnx;
use hirescam_core::onnx::messages::ModelProto;
use hirescam_core::tensor::DataType;
use hirescam_engine::{Array, Engine, Kind};
use hirescam_testing::engines::{engines, noise};
use hirescam_testing::{fixture, in_type, max_abs};
use ndarray::ArrayD;

const NETWORKS: &[&str] =
    &["resnet.ts", "efficientnet.dynamo", "vit.ts", "groupnorm.ts", "mobilenet_v3.ts", "leaky.dynamo"];

/// Class and map of an image.
fn explained(engine: &dyn Engine, proto: ModelProto, image: &Array) -> (i64, ArrayD<f64>) {
    let request = Request { heatmap: Some(HeatmapSize::Cells(vec![5, 7])), ..Request::default() };
    let made = cam::attach(&Model::new(proto).unwrap(), &request).unwrap();
    let session = engine.prepare(&onnx::write(&made.model)).unwrap();
    let outputs = session.run(&[(&made.image, image)]).unwrap();
    let find = |name: &str| &outputs.iter().find(|(n, _)| n == name).unwrap().1;
    (find(&made.outputs.class).to_i64()[[0]], find(&made.outputs.map).to_f64())
}

#[test]
fn other_types_give_the_maps_of_float32() {
    for name in NETWORKS {
        let proto = onnx::read(fixture(&format!("zoo/{name}.onnx"))).unwrap();
        // Float16 holds it exactly.
        let image = noise(&[1, 3, 32, 32], 3).to_kind(Kind::F16).unwrap();
        for engine in engines(1) {
            let (class, expected) = explained(engine.as_ref(), proto.clone(), &image.to_kind(Kind::F32).unwrap());
            let largest = max_abs(&expected);
            for (dtype, kind, tolerance) in [(DataType::Float16, Kind::F16, 2e-2), (DataType::Double, Kind::F64, 1e-4)]
            {
                // ONNX Runtime has no float64 convolution.
                if kind == Kind::F64 && engine.name() == "onnxruntime" {
                    continue;
                }
                let what = format!("{name} in {kind} on {}", engine.name());
                let other = in_type(&proto, dtype);
                let (own, map) = explained(engine.as_ref(), other, &image.to_kind(kind).unwrap());
                assert_eq!((own, map.shape()), (class, expected.shape()), "{what}");
                let apart = max_abs(&(&map - &expected));
                assert!(apart <= tolerance * largest, "{what}: {apart:e} of {largest}");
            }
        }
    }
}
