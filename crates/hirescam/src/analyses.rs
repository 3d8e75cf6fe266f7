//! What was found of a network's graph, kept for whoever asks again: layers, explainers, comparisons and checks.

use crate::Error;
use hirescam_core::Model;
use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::shape::Shapes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many analyses are kept: one for each size of the image and each way to read the scores.
const KEPT: usize = 4;

/// What was found of one network. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Analyses(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// The latest first.
    analyses: Vec<Arc<Analysis<'static>>>,
    /// The axis of an input that counts channels, where the network tells it of an image of a shape.
    channels: HashMap<(String, Vec<usize>), Option<usize>>,
    /// How often the graph was looked at.
    #[cfg(test)]
    times: usize,
}

impl Analyses {
    /// What the graph of `model`, always the same, tells with these hints; found once.
    ///
    /// # Errors
    /// Those of [`Analysis::of`].
    pub(crate) fn of(&self, model: &Model, hints: &Hints) -> Result<Arc<Analysis<'static>>, Error> {
        let mut found = self.found();
        let made = match found.analyses.iter().position(|analysis| analysis.hints() == hints) {
            Some(at) => found.analyses.remove(at),
            None => {
                found.count();
                Arc::new(Analysis::of(model.clone(), hints)?)
            }
        };
        found.analyses.insert(0, made.clone());
        found.analyses.truncate(KEPT);
        Ok(made)
    }

    /// The axis that counts channels of the input `image` of `model`, where the network tells it of images of `shape`.
    pub(crate) fn told_channels(&self, model: &Model, image: &str, shape: &[usize]) -> Option<usize> {
        let mut found = self.found();
        let key = (image.to_owned(), shape.to_vec());
        if let Some(axis) = found.channels.get(&key) {
            return *axis;
        }
        found.count();
        let shapes = Shapes::infer(model, image, Some(shape)).ok();
        let axis = shapes.filter(|s| s.tells_channels(image)).and_then(|s| s.image_channels(image));
        found.channels.insert(key, axis);
        axis
    }

    /// How often the graph was looked at.
    #[cfg(test)]
    pub(crate) fn times(&self) -> usize {
        self.found().times
    }

    fn found(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn count(&mut self) {
        #[cfg(test)]
        {
            self.times += 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::photo::Photo;
    use crate::{Network, Sample, Spec, Watch, check, comparison, source};
    use ndarray::ArrayD;
    use std::path::PathBuf;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

    #[test]
    fn a_network_is_looked_at_once_whoever_asks() {
        let network = Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap();
        let compare = comparison::Plan { methods: ["gradcam", "saliency", "rise"].map(str::to_owned).to_vec() };
        let check = check::Plan { randomise: false, places: 2, sample: 1, ..check::Plan::default() };
        let mut spec = Spec { engine: "tract".into(), compare, check, ..Spec::default() };
        spec.settings.samples = Some(4);
        let photos = ["seven", "three"].map(|name| PathBuf::from(format!("{FIXTURES}/photos/{name}.png")));
        network.layers(&spec, true).unwrap();
        network.explaining_model(&spec, None).unwrap();
        network.explainer(&spec).unwrap().explain_one(Photo::open(&photos[0]).unwrap()).unwrap();
        let samples = photos.each_ref().map(|path| Sample::from(Photo::open(path).unwrap()));
        let compared = network.comparer(&spec).unwrap().compare(&samples, &mut |_, _| {});
        assert!(compared.iter().all(|made| made.as_ref().is_ok_and(|c| c.methods.len() == 3)));
        let report = network.check(&spec, &mut source::inputs(&photos), &mut |_| {}).unwrap();
        assert!(report.layers.len() > 1 && !report.has_failures());
        assert_eq!(network.analyses().times(), 1);
        // What is said of it makes another: which scores, and how they are to be read.
        let other = Spec { class_axis: Some(1), ..spec };
        network.layers(&other, false).unwrap();
        network.explainer(&other).unwrap();
        assert_eq!(network.analyses().times(), 2);
    }

    #[test]
    fn a_network_of_any_size_is_looked_at_once_a_size() {
        let network = Network::open(format!("{FIXTURES}/kinds/free.onnx")).unwrap();
        let spec = Spec { engine: "tract".into(), ..Spec::default() };
        let explain = |side: usize| {
            let samples = [1, 2].map(|n| ArrayD::from_elem(vec![1, 3, side, side], n as f32 / 2.0).into());
            let samples = samples.map(|tensor: hirescam_engine::Array| Sample::from(tensor));
            let made = network.explainer(&spec).unwrap().explain(&samples, &mut Watch::default());
            assert!(made.iter().all(Result::is_ok));
            network.analyses().times()
        };
        let first = explain(16);
        assert_eq!(explain(16), first);
        assert_eq!((explain(24), explain(16), explain(24)), (first + 1, first + 1, first + 1));
    }
}
