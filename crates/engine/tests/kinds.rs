//! Networks of the zoo in float16 and float64: their explaining models run wherever the networks do, with the maps of float32.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::cam::{self, HeatmapSize, Request};
use hirescam_core::onnx;
use hirescam_core::onnx::messages::{ModelProto, TensorProto, TypeProto, type_proto};
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor};
use hirescam_engine::{Array, Engine, Kind};
use hirescam_testing::engines::{engines, noise};
use hirescam_testing::fixture;
use ndarray::ArrayD;
use std::collections::HashSet;

const NETWORKS: &[&str] =
    &["resnet.ts", "efficientnet.dynamo", "vit.ts", "groupnorm.ts", "mobilenet_v3.ts", "leaky.dynamo"];

/// The network with all its float32 numbers of another type.
fn in_type(mut proto: ModelProto, dtype: DataType) -> ModelProto {
    let graph = proto.graph.as_mut().unwrap();
    // The scales of a Resize are float32 whatever it resizes.
    let scales = graph.node.iter().filter(|n| n.op_type() == "Resize").flat_map(|n| n.input.iter().skip(1).cloned());
    let scales: HashSet<String> = scales.collect();
    let other = |t: &mut TensorProto| {
        if t.data_type() == DataType::Float as i32 {
            let name = t.name().to_owned();
            *t = Tensor { dtype, ..Tensor::from_proto(t).unwrap() }.to_proto(&name).unwrap();
        }
    };
    graph.initializer.iter_mut().filter(|t| !scales.contains(t.name())).for_each(other);
    for node in graph.node.iter_mut().filter(|n| !n.output.iter().any(|o| scales.contains(o))) {
        for attribute in &mut node.attribute {
            attribute.t.iter_mut().for_each(other);
            if node.op_type.as_deref() == Some("Cast") && attribute.i == Some(DataType::Float as i64) {
                attribute.i = Some(dtype as i64);
            }
        }
    }
    let declared = |t: &mut TypeProto| match &mut t.value {
        Some(type_proto::Value::TensorType(t)) if t.elem_type() == DataType::Float as i32 => {
            t.elem_type = Some(dtype as i32);
        }
        _ => {}
    };
    graph.value_info.clear();
    graph.input.iter_mut().chain(&mut graph.output).filter_map(|v| v.r#type.as_mut()).for_each(declared);
    proto
}

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
            let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            for (dtype, kind, tolerance) in [(DataType::Float16, Kind::F16, 2e-2), (DataType::Double, Kind::F64, 1e-4)]
            {
                // ONNX Runtime has no float64 convolution.
                if kind == Kind::F64 && engine.name() == "onnxruntime" {
                    continue;
                }
                let what = format!("{name} in {kind} on {}", engine.name());
                let other = in_type(proto.clone(), dtype);
                let (own, map) = explained(engine.as_ref(), other, &image.to_kind(kind).unwrap());
                assert_eq!((own, map.shape()), (class, expected.shape()), "{what}");
                let apart = map.iter().zip(&expected).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
                assert!(apart <= tolerance * largest, "{what}: {apart:e} of {largest}");
            }
        }
    }
}
