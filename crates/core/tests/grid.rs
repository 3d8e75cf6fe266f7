//! Tokens are laid out as they lie in the image: whatever is done to the places of a layer on the way, the map there is
//! the map that the layer has as rows and columns, cell for cell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::cam::{self, Explaining, Request, Target};
use hirescam_core::onnx;
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::{AttributeProto, ModelProto, NodeProto};
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, layers, reference};
use hirescam_testing::by_hand::{info, model};
use hirescam_testing::{Random, max_abs};
use std::collections::HashMap;

/// Channels, rows and columns of the patches.
const PATCHES: [usize; 3] = [3, 4, 6];

/// A network that does nothing with its patches but move them: image, "patches" `[N,3,4,6]` by a convolution, steps,
/// "tokens", and a linear layer on all of these. No two of its weights are the same.
struct Net {
    nodes: Vec<NodeProto>,
    stored: Vec<(String, Tensor)>,
    at: String,
}

impl Net {
    fn new(image: [usize; 2]) -> Self {
        let mut random = Random::new(1);
        let [height, width] = image;
        let (rows, columns) = (height / PATCHES[1], width / PATCHES[2]);
        let strides = attribute("strides", [rows as i64, columns as i64]);
        let mut net = Net { nodes: Vec::new(), stored: Vec::new(), at: "image".into() };
        let kernel = net.store(random.tensor(&[3, 2, rows, columns], -1.0, 1.0));
        net.node("Conv", &["image".into(), kernel], vec![strides], "patches");
        net
    }

    fn store(&mut self, tensor: Tensor) -> String {
        self.stored.push((format!("constant{}", self.stored.len()), tensor));
        self.stored.last().unwrap().0.clone()
    }

    fn node(&mut self, op: &str, inputs: &[String], attributes: Vec<AttributeProto>, output: &str) {
        self.nodes.push(NodeProto {
            op_type: Some(op.into()),
            input: inputs.to_vec(),
            output: vec![output.into()],
            attribute: attributes,
            ..Default::default()
        });
        self.at = output.into();
    }

    /// Another operator on what there is, with lists of integers as its other inputs.
    fn then(&mut self, op: &str, lists: &[&[i64]], attributes: Vec<AttributeProto>) -> &mut Self {
        let mut inputs = vec![self.at.clone()];
        inputs.extend(lists.iter().map(|list| self.store(Tensor::ints(list))));
        let output = format!("{op}{}", self.nodes.len());
        self.node(op, &inputs, attributes, &output);
        self
    }

    fn reshape(&mut self, shape: &[i64]) -> &mut Self {
        self.then("Reshape", &[shape], vec![])
    }

    fn transpose(&mut self, perm: &[i64]) -> &mut Self {
        self.then("Transpose", &[], vec![attribute("perm", perm.to_vec())])
    }

    fn slice(&mut self, axis: i64, start: i64, end: i64, step: i64) -> &mut Self {
        self.then("Slice", &[&[start], &[end], &[axis], &[step]], vec![])
    }

    /// Learned tokens beside those that there are.
    fn beside(&mut self, before: usize, after: usize) -> &mut Self {
        let mut parts = vec![self.at.clone()];
        for (n, first) in [(before, true), (after, false)] {
            if n > 0 {
                // One for each image.
                let token = self.store(Random::new(5).tensor(&[1, n, 3], 0.5, 1.0));
                let shape = self.store(Tensor::ints(&[2, n as i64, 3]));
                let name = format!("token{}", self.nodes.len());
                self.node("Expand", &[token, shape], vec![], &name);
                parts.insert(if first { 0 } else { parts.len() }, name);
            }
        }
        self.node("Concat", &parts, vec![attribute("axis", 1)], "joined");
        self
    }

    fn finish(mut self, image: [usize; 2], elements: usize) -> ModelProto {
        let at = self.at.clone();
        self.node("Identity", &[at], vec![], "tokens");
        self.then("Flatten", &[], vec![]);
        let mut random = Random::new(2);
        let (w, b) = (random.tensor(&[elements, 4], -1.0, 1.0), random.tensor(&[4], -1.0, 1.0));
        let inputs = [self.at.clone(), self.store(w), self.store(b)];
        self.node("Gemm", &inputs, vec![], "scores");
        let stored: Vec<(&str, Tensor)> = self.stored.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
        let [height, width] = image;
        let inputs = vec![info("image", DataType::Float, &[2, 2, height, width])];
        model(17, self.nodes, inputs, vec![info("scores", DataType::Float, &[2, 4])], &stored)
    }
}

const IMAGE: [usize; 2] = [8, 18];

fn net(tokens: usize, steps: impl Fn(&mut Net)) -> Model {
    let mut net = Net::new(IMAGE);
    steps(&mut net);
    Model::from_bytes(onnx::write(&net.finish(IMAGE, 3 * tokens))).unwrap()
}

fn request(layer: &str) -> Request {
    Request { layer: Some(layer.into()), ..Request::default() }
}

/// Map, score, b and the other tokens.
fn run(made: &Explaining) -> [Option<Tensor>; 4] {
    let image = Random::new(3).tensor(&[2, 2, IMAGE[0], IMAGE[1]], -1.0, 1.0);
    let outputs = &made.outputs;
    let names = [Some(&outputs.map), Some(&outputs.score), Some(&outputs.b), outputs.other_tokens.as_ref()];
    let wanted: Vec<&str> = names.iter().flatten().map(|n| n.as_str()).collect();
    let explaining = Model::from_bytes(made.to_bytes()).unwrap();
    let made = reference::evaluate(&explaining, HashMap::from([("image".into(), image)]), &wanted);
    let mut made = made.unwrap().into_iter();
    names.map(|name| name.and_then(|_| made.next()))
}

fn assert_near(what: &str, a: &Tensor, b: &Tensor) {
    assert_eq!(a.shape(), b.shape(), "{what}");
    let apart = max_abs(&(&a.data - &b.data));
    assert!(apart < 1e-5, "{what}: {apart}");
}

/// What becomes of the patches, and with how many tokens beside them.
type Case = (&'static str, usize, fn(&mut Net));

const CASES: &[Case] = &[
    ("channels last", 0, |n| {
        n.transpose(&[0, 2, 3, 1]);
    }),
    ("columns before rows", 0, |n| {
        n.transpose(&[0, 3, 2, 1]);
    }),
    ("tokens", 0, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]);
    }),
    ("tokens, channels first", 0, |n| {
        n.reshape(&[2, 3, -1]);
    }),
    ("tokens by Unsqueeze, Flatten and Squeeze", 0, |n| {
        n.then("Unsqueeze", &[&[4]], vec![]).reshape(&[2, 3, 24, 1]).then("Squeeze", &[&[3]], vec![]);
    }),
    ("tokens down the columns", 0, |n| {
        n.transpose(&[0, 3, 2, 1]).reshape(&[2, 24, 3]);
    }),
    ("a class token in front", 1, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(1, 0);
    }),
    ("registers behind", 4, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(0, 4);
    }),
    ("tokens on both sides", 3, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(2, 1);
    }),
    ("images and tokens on one axis, and apart again", 1, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(1, 0).reshape(&[50, 3]).reshape(&[2, 25, 3]);
    }),
    ("the class token taken off again", 0, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(1, 0).slice(1, 1, 1 << 40, 1);
    }),
    ("some tokens taken off", 1, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(2, 1).slice(1, 1, -1, 1);
    }),
    ("tokens back to rows and columns", 0, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).reshape(&[2, 4, 6, 3]);
    }),
    ("windows", 0, |n| {
        n.transpose(&[0, 2, 3, 1]).reshape(&[2, 2, 2, 2, 3, 3]).transpose(&[0, 1, 3, 2, 4, 5]);
    }),
    ("tokens by windows", 0, |n| {
        n.transpose(&[0, 2, 3, 1]).reshape(&[2, 2, 2, 2, 3, 3]).transpose(&[0, 1, 3, 2, 4, 5]).reshape(&[2, 24, 3]);
    }),
    ("windows along the batch, and back again", 0, |n| {
        n.transpose(&[0, 2, 3, 1]).reshape(&[2, 2, 2, 2, 3, 3]).transpose(&[0, 1, 3, 2, 4, 5]).reshape(&[8, 6, 3]);
        n.reshape(&[2, 2, 2, 2, 3, 3]).transpose(&[0, 1, 3, 2, 4, 5]).reshape(&[2, 24, 3]);
    }),
    ("upside down", 0, |n| {
        n.slice(2, -1, -1 << 40, -1);
    }),
    ("rolled", 0, |n| {
        let patches = n.at.clone();
        let (low, high) = (n.slice(2, 0, 1, 1).at.clone(), {
            n.at = patches;
            n.slice(2, 1, 4, 1).at.clone()
        });
        n.node("Concat", &[high, low], vec![attribute("axis", 2)], "rolled");
    }),
    ("tokens in another order", 0, |n| {
        let order: Vec<i64> = (0..24).map(|i| i * 7 % 24).collect();
        n.reshape(&[2, 3, 24]).then("Gather", &[&order], vec![attribute("axis", 2)]);
    }),
];

#[test]
fn a_map_of_tokens_is_that_of_their_places() {
    for (what, others, steps) in CASES {
        let model = net(24 + others, steps);
        let patches = run(&cam::attach(&model, &request("patches")).unwrap());
        let made = cam::attach(&model, &request("tokens")).unwrap();
        assert_eq!(made.certificate.verdict.to_string(), "exact", "{what}");
        let tokens = run(&made);
        let [map, score, b, other_tokens] = tokens.map(|t| t.map(|t| t.data));
        assert_near(what, patches[0].as_ref().unwrap(), &Tensor::float(map.clone().unwrap()));
        // What the other tokens add is a part of b where the patches are explained.
        let others_of = |i: usize| other_tokens.as_ref().map_or(0.0, |o| o[[i]]);
        assert_eq!(other_tokens.is_some(), *others > 0, "{what}");
        for i in 0..2 {
            let sum = map.as_ref().unwrap().index_axis(ndarray::Axis(0), i).sum();
            let apart = sum + others_of(i) + b.as_ref().unwrap()[[i]] - score.as_ref().unwrap()[[i]];
            assert!(apart.abs() < 1e-5, "{what}: {apart}");
            assert!(*others == 0 || others_of(i).abs() > 1e-2, "{what}");
            let patches_b = patches[2].as_ref().unwrap().data[[i]];
            assert!((patches_b - b.as_ref().unwrap()[[i]] - others_of(i)).abs() < 1e-5, "{what}");
        }
    }
}

#[test]
fn a_single_patch_lights_up_its_own_cell() {
    // The score reads the token of the patch in row 1, column 4, and nothing else.
    let model = net(1, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(1, 0);
        n.node("Identity", &["joined".into()], vec![], "all");
        n.slice(1, 1 + 6 + 4, 1 + 6 + 5, 1);
    });
    let [map, ..] = run(&cam::attach(&model, &request("all")).unwrap());
    let lit = map.unwrap().data.indexed_iter().filter(|(_, v)| **v != 0.0).map(|(i, _)| i).collect::<Vec<_>>();
    assert_eq!(lit.iter().map(|i| (i[1], i[2])).collect::<Vec<_>>(), [(1, 4), (1, 4)]);
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let listed = layers::layers(&analysis, true).unwrap();
    let all = listed.iter().find(|l| l.name == "all").unwrap().grid.as_ref().unwrap();
    assert_eq!((all.sides.as_slice(), all.others()), (&[4, 6][..], 1));
}

#[test]
fn all_targets_and_several_maps_are_laid_out() {
    let model = net(25, |n| {
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(1, 0);
    });
    for target in [Target::All, Target::Top(4), Target::Classes(vec![3, 1])] {
        let maps = if let Target::Classes(list) = &target { list.len() } else { 4 };
        let of =
            |layer: &str| run(&cam::attach(&model, &Request { target: target.clone(), ..request(layer) }).unwrap());
        let (patches, tokens) = (of("patches"), of("tokens"));
        assert_eq!(tokens[0].as_ref().unwrap().shape(), [2, maps, 4, 6]);
        assert_eq!(tokens[3].as_ref().unwrap().shape(), [2, maps]);
        assert_near(&target.to_string(), patches[0].as_ref().unwrap(), tokens[0].as_ref().unwrap());
    }
}

#[test]
fn patches_cut_out_by_reshaping_are_places() {
    // The image itself as tokens of 2×3 pixels, as einops writes it; their channels are the pixels of a patch.
    let mut net = Net { nodes: Vec::new(), stored: Vec::new(), at: "image".into() };
    net.reshape(&[2, 2, 4, 2, 6, 3]).transpose(&[0, 2, 4, 3, 5, 1]).reshape(&[2, 24, 12]);
    let model = Model::new(net.finish(IMAGE, 24 * 12)).unwrap();
    let made = cam::attach(&model, &request("tokens")).unwrap();
    assert_eq!(made.head.channels, Some(2));
    let [map, ..] = run(&made);
    let [pixels, ..] = run(&cam::attach(&model, &request("image")).unwrap());
    let pixels = pixels.unwrap().data.into_shape_with_order(ndarray::IxDyn(&[2, 4, 2, 6, 3])).unwrap();
    let patches = pixels.sum_axis(ndarray::Axis(4)).sum_axis(ndarray::Axis(2));
    assert_near("patches", &Tensor::float(patches), &map.unwrap());
}

/// Tokens of which the graph does not tell where they lie: only half of each patch is in them.
fn lost() -> Model {
    net(25, |n| {
        n.slice(2, 0, 2, 1).then("Tile", &[&[1, 1, 2, 1]], vec![]);
        n.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(1, 0);
    })
}

#[test]
fn a_grid_is_never_guessed_but_can_be_given() {
    let model = lost();
    let [row, ..] = run(&cam::attach(&model, &request("tokens")).unwrap());
    let row = row.unwrap().data;
    assert_eq!(row.shape(), [2, 25]);
    let given = |sides: &[usize]| Request { grid: Some(sides.to_vec()), ..request("tokens") };
    let [map, _, _, others] = run(&cam::attach(&model, &given(&[4, 6])).unwrap());
    let (map, others) = (map.unwrap().data, others.unwrap().data);
    for ((i, y, x), v) in map.into_dimensionality::<ndarray::Ix3>().unwrap().indexed_iter() {
        assert_eq!(*v, row[[i, 1 + 6 * y + x]]);
    }
    assert_eq!(others[[1]], row[[1, 0]]);
    let refused = |model: &Model, request: Request| match cam::attach(model, &request) {
        Err(Error::Argument(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(&model, given(&[6, 6])).contains("it has 25 places"));
    assert!(refused(&model, given(&[usize::MAX, 2])).contains("it has 25 places"));
    assert!(refused(&model, given(&[0, 2])).contains("it has 25 places"));
    let known = net(25, CASES[6].2);
    assert!(cam::attach(&known, &given(&[4, 6])).is_ok());
    assert!(refused(&known, given(&[6, 4])).contains("by the graph its places are a grid [4, 6]"));
    let patches = Request { grid: Some(vec![6, 4]), ..request("patches") };
    assert!(refused(&known, patches).contains("its places have 2 axes already: [4, 6]"));
}

#[test]
fn what_does_not_cover_the_image_is_no_grid() {
    // A part of the patches: as a grid it would be drawn over the whole image.
    let cut = net(18, |n| {
        n.slice(3, 1, 1 << 40, 1).slice(2, 0, 3, 1).reshape(&[2, 3, 15]).transpose(&[0, 2, 1]).beside(2, 1);
    });
    let [map, _, _, others] = run(&cam::attach(&cut, &request("tokens")).unwrap());
    assert_eq!((map.unwrap().shape(), others.is_none()), (&[2, 18][..], true));
    // Every second one is a coarser grid, as where patches are merged.
    let merged = net(6, |n| {
        n.slice(2, 0, 4, 2).slice(3, 1, 6, 2).reshape(&[2, 3, 6]);
    });
    let [map, ..] = run(&cam::attach(&merged, &request("tokens")).unwrap());
    assert_eq!(map.unwrap().shape(), [2, 2, 3]);
}

/// Attention of tokens that are normalised first, beside which they go on as they are; then the class token is taken, or
/// the mean of two tokens that are no places.
fn attending(others: usize) -> Model {
    let mut net = Net::new(IMAGE);
    net.reshape(&[2, 3, 24]).transpose(&[0, 2, 1]).beside(others, 0);
    let mut random = Random::new(8);
    let positions = net.store(random.tensor(&[1, 24 + others, 3], -1.0, 1.0));
    net.node("Add", &["joined".into(), positions], vec![], "block");
    let (gain, offset) = (net.store(random.tensor(&[3], 0.5, 1.5)), net.store(random.tensor(&[3], -0.5, 0.5)));
    let inputs = ["block".into(), gain, offset];
    net.node("LayerNormalization", &inputs, vec![attribute("axis", -1)], "normed");
    for name in ["q", "k", "v"] {
        let weights = net.store(random.tensor(&[3, 3], -1.0, 1.0));
        net.node("MatMul", &["normed".into(), weights], vec![], name);
    }
    net.at = "k".into();
    let keys = net.transpose(&[0, 2, 1]).at.clone();
    net.node("MatMul", &["q".into(), keys], vec![], "logits");
    net.then("Softmax", &[], vec![attribute("axis", -1)]);
    let shares = net.at.clone();
    net.node("MatMul", &[shares, "v".into()], vec![], "mixed");
    net.node("Add", &["block".into(), "mixed".into()], vec![], "attended");
    // What is made of these tokens alone has no places of the image, though it has an axis for them.
    net.slice(1, 0, others as i64, 1).then("Relu", &[], vec![]);
    Model::new(net.finish(IMAGE, 3 * others)).unwrap()
}

#[test]
fn of_a_transformer_what_the_last_attention_reads_is_recommended() {
    for others in [1, 2] {
        let model = attending(others);
        let made = cam::attach(&model, &Request::default()).unwrap();
        assert_eq!(made.head.layer, "normed");
        let [map, ..] = run(&made);
        let map = map.unwrap().data;
        assert_eq!(map.shape(), [2, 4, 6]);
        assert!(map.iter().filter(|v| v.abs() > 1e-3).count() > 24, "{map}");
        // What goes on from block to block has no scale but for the class token, and so no map.
        let [empty, ..] = run(&cam::attach(&model, &request("block")).unwrap());
        assert!(empty.unwrap().data.iter().all(|v| v.abs() < 1e-3));
    }
}
