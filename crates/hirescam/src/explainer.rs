//! An explainer: a model prepared once, for any number of images.

mod prepare;
mod ready;
mod run_once;

pub(crate) use prepare::{image_kind, image_shape, open_image, photos, shape_of, with_setup};
use ready::{Fed, Ready, Shown, rows};

use crate::error::Error;
use crate::explained::Explained;
use crate::further_inputs::FurtherArrays;
use crate::labels::Labels;
use crate::methods::AnyMethod;
use crate::network::Network;
use crate::photo::Photo;
use crate::preprocess::{InputShape, PreparedPhoto, Preprocess};
use crate::sample::{Input, Sample};
use crate::spec::{Resolved, Spec};
use crate::watch::Watch;
use hirescam_engine::{Array, Engine, Kind};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A model prepared to explain images.
///
/// Where the file leaves the size of the image open, and neither spec nor preprocessing say it, the model is prepared for
/// each size that comes, and the last few are kept.
pub struct Explainer {
    about: About,
    preprocess: Option<Preprocess>,
    /// How photos come into the network; none where it takes no photos.
    image: Option<InputShape>,
    /// The latest first; one where the size is known beforehand.
    ready: Mutex<Vec<Arc<Ready>>>,
    /// What is made ready for one size after the other, where it is not.
    open: Option<Open>,
}

/// What is known of an explainer before the first image.
struct About {
    title: String,
    several_runs: bool,
    one_map: bool,
    image_kind: Kind,
    /// Name and version.
    engine: [String; 2],
    labels: Option<Labels>,
    spec: Arc<Spec>,
    /// What stands for the contents of the files that the spec names.
    contents: Arc<Value>,
    model: PathBuf,
    model_sha256: String,
}

/// No more images are explained together.
const MOST_TOGETHER: usize = 32;

/// How many sizes are kept ready. Each holds its own copy of the weights.
const SIZES_KEPT: usize = 4;

/// A model whose image can be of any size.
struct Open {
    file: Network,
    options: Resolved,
    engine: Box<dyn Engine>,
}

impl Network {
    /// Prepares the network to explain images.
    ///
    /// # Errors
    /// One [`Error`] for each thing that can be wrong: what the spec names, the layer, the class, the method, the engine.
    pub fn explainer(&self, spec: &Spec) -> Result<Explainer, Error> {
        self.clone().into_explainer(spec)
    }

    /// As [`Network::explainer`]. Where nobody else holds the file, its memory is used again while the engine gets ready.
    ///
    /// # Errors
    /// As [`Network::explainer`].
    pub fn into_explainer(self, spec: &Spec) -> Result<Explainer, Error> {
        let options = spec.resolve(&self)?;
        Explainer::resolved(self, options)
    }
}

impl Explainer {
    /// Prepares a model for a spec of which all is read.
    pub(crate) fn resolved(file: Network, options: Resolved) -> Result<Self, Error> {
        let engine = options.spec.engine.start()?;
        let (preprocess, labels) = (options.preprocess.clone(), options.labels.clone());
        let (spec, contents) = (options.asked.clone(), options.contents.clone());
        let methods = options.methods()?;
        let title = methods.iter().map(AnyMethod::title).collect::<Vec<_>>().join(", ");
        let several_runs = methods.iter().any(AnyMethod::is_of_several_runs);
        let image_kind = image_kind(file.model(), &options)?;
        let one_map = options.target.is_one_map() && options.further_layers().is_empty() && methods.len() == 1;
        let about = |model: PathBuf, model_sha256: String| About {
            title,
            several_runs,
            one_map,
            image_kind,
            engine: [engine.name().to_owned(), engine.version()],
            labels,
            spec,
            contents,
            model,
            model_sha256,
        };
        if let (None, Some(image)) = (&options.spec.shape, open_image(&file, &options)?) {
            let about = about(file.path().to_owned(), file.sha256().to_owned());
            // What is wrong with the spec is found early, where there is a size to try.
            let image_shape = image_shape(&file, &options)?;
            let ready = match image_shape.is_some() {
                true => {
                    vec![Arc::new(Ready::of(file.clone(), &options.of_shape(image_shape), &*engine)?)]
                }
                false => Vec::new(),
            };
            let open = Some(Open { file, options, engine });
            return Ok(Explainer { about, preprocess, image, ready: Mutex::new(ready), open });
        }
        if prepare::open_sample(&file, &options)? {
            let about = about(file.path().to_owned(), file.sha256().to_owned());
            let open = Some(Open { file, options, engine });
            return Ok(Explainer { about, preprocess, image: None, ready: Mutex::default(), open });
        }
        let path = file.path().to_owned();
        let hash = file.sha256_once();
        let ready = Ready::of(file, &options, engine.as_ref())?;
        let image = InputShape::from_dims(&ready.image_dims, ready.image_channels).ok();
        let (about, ready) = (about(path, hash.known()), Mutex::new(vec![Arc::new(ready)]));
        Ok(Explainer { about, preprocess, image, ready, open: None })
    }

    /// All that decides what comes of an image, but for the image.
    pub(crate) fn decides(&self) -> Value {
        let About { engine, labels, spec, contents, model_sha256, .. } = &self.about;
        let labels = labels.as_ref().map(Labels::names);
        json!([env!("CARGO_PKG_VERSION"), model_sha256, engine, self.preprocess, labels, **spec, **contents])
    }

    /// Whether each sample gets one map: one class or target by one method at one layer.
    pub fn makes_one_map(&self) -> bool {
        self.about.one_map
    }

    /// The extents of a map, where all have the same and that is known without an image: not where images can be of several sizes,
    /// layers differ, or the method takes several runs.
    pub fn map_shape(&self) -> Option<Vec<usize>> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.first().filter(|_| self.open.is_none())?.map_shape.clone()
    }

    /// How many images are explained together where there are many, so that memory stays bounded. Methods of several runs tell how far
    /// they are with each.
    pub fn together(&self) -> usize {
        match self.about.several_runs {
            true => 1,
            false => (2 * rayon::current_num_threads()).min(MOST_TOGETHER),
        }
    }

    /// The methods, in prose.
    pub fn title(&self) -> &str {
        &self.about.title
    }

    /// Whether methods are among them that take several runs.
    pub fn takes_several_runs(&self) -> bool {
        self.about.several_runs
    }

    /// What is ready for images of the shape `shape`; it is made ready where the file leaves the size open.
    fn ready(&self, shape: &[usize]) -> Result<Arc<Ready>, Error> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |ready: &Arc<Ready>| self.open.is_none() || ready.takes(shape);
        let found = match (ready.iter().position(fits), &self.open) {
            (Some(at), _) => ready.remove(at),
            (None, Some(Open { file, options, engine })) => {
                let options = options.of_shape(Some(shape.to_vec()));
                Arc::new(Ready::of(file.clone(), &options, engine.as_ref())?)
            }
            (None, None) => return Err(Error::Argument("no size of the image is ready".into())),
        };
        ready.insert(0, found.clone());
        ready.truncate(SIZES_KEPT);
        Ok(found)
    }

    /// The samples in an image: a tensor holds as many as it has rows, where each is one of its own.
    ///
    /// # Errors
    /// [`Error::Argument`] for a tensor of another shape than the network takes; what making the network ready for its size gives.
    pub fn samples(&self, id: &str, image: impl Into<Input>) -> Result<Vec<Sample>, Error> {
        let tensor = match image.into() {
            Input::Tensor(tensor) => tensor,
            photo => return Ok(vec![Sample::new(id, photo)]),
        };
        // What an axis means is the same for all sizes.
        let any = self.ready.lock().unwrap_or_else(PoisonError::into_inner).first().cloned();
        let ready = any.map_or_else(|| self.ready(tensor.shape()), Ok)?;
        if self.open.is_none() {
            ready.check_shape(&tensor)?;
        }
        let n = rows(&tensor);
        if ready.runs.one_sample.is_some() || tensor.shape().len() != ready.image_dims.len() || n <= 1 {
            return Ok(vec![Sample::new(id, tensor)]);
        }
        let row = |i: usize| {
            let row = tensor.part(i..i + 1)?;
            Some(Sample { tensor: Some((tensor.clone(), i)), ..Sample::new(format!("{id} [{i}]"), row) })
        };
        Ok((0..n).filter_map(row).collect())
    }

    /// Whether all rows of a tensor make one sample. Where the file leaves that open, it is known from the first image on.
    pub fn takes_all_rows(&self) -> bool {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.first().is_some_and(|ready| ready.runs.one_sample.is_some())
    }

    /// Whether the options' inputs serve so many samples which bring nothing of their own; how many is not known beforehand.
    ///
    /// # Errors
    /// [`Error::MissingInput`] for an input that they leave out, [`Error::Rows`] for one with rows for another number.
    pub(crate) fn are_fed(&self, samples: Option<usize>) -> Result<(), Error> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ready) = ready.first() else { return Ok(()) };
        ready.further.are_fed()?;
        samples.map_or(Ok(()), |samples| ready.further.serve(&[], samples))
    }

    /// Whether inputs beside the image serve so many samples, of which all bring `own` in the place of what the options say. It is
    /// asked afterwards where one does not know before how many samples there are.
    ///
    /// # Errors
    /// [`Error::Rows`] for an input with a row for each of another number.
    pub fn served(&self, own: &[(String, Arc<Array>)], samples: usize) -> Result<(), Error> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.first().map_or(Ok(()), |ready| ready.further.serve(own, samples))
    }

    /// What it was made for.
    pub fn spec(&self) -> &Spec {
        &self.about.spec
    }

    /// What runs the network: the engine's name and its version.
    pub fn engine(&self) -> [&str; 2] {
        self.about.engine.each_ref().map(String::as_str)
    }

    /// How photos are prepared, where that is known.
    pub fn preprocess(&self) -> Option<&Preprocess> {
        self.preprocess.as_ref()
    }

    /// Explains one sample.
    ///
    /// # Errors
    /// As those of [`Explainer::explain`].
    pub fn explain_one(&self, sample: impl Into<Sample>) -> Result<Explained, Error> {
        let made = self.explain(&[sample.into()], &mut Watch::default()).pop();
        made.unwrap_or_else(|| Err(Error::Argument("there is no sample".into())))
    }

    /// Explains samples: what came of each, in their order. One that fails spoils no other. What is wrong with a sample before it runs,
    /// and with the numbers that come of it, is that sample's alone; where the engine fails at a run of several, these are run once
    /// more, one by one. Photos are prepared on all cores.
    ///
    /// # Errors
    /// Of a sample: [`Error::NoPreprocess`] and [`Error::Preprocess`] for a photo, [`Error::Argument`] for a tensor of several samples
    /// or of another shape, and for inputs beside the image that do not fit, [`Error::Kind`] for numbers that the network's input
    /// cannot stand for, [`Error::MissingInput`], [`Error::Core`] for an input that the network has not, [`Error::Engine`] when the
    /// engine fails, [`Error::NotFinite`] when the network's numbers do, [`Error::Cancelled`] where the work was stopped before.
    /// Where the size is open, what making the network ready for it gives.
    pub fn explain(&self, samples: &[Sample], watch: &mut Watch) -> Vec<Result<Explained, Error>> {
        self.explain_at_once(samples, 1, watch)
    }

    /// As [`Explainer::explain`], with up to `at_once` samples in a run, also where they come from different files: where the network's
    /// batch is free, it is proven to keep samples apart, and the engine does several no slower. Which samples share a run may show in the
    /// last digits.
    ///
    /// # Errors
    /// As [`Explainer::explain`].
    pub fn explain_at_once(
        &self,
        samples: &[Sample],
        at_once: usize,
        watch: &mut Watch,
    ) -> Vec<Result<Explained, Error>> {
        let shown = samples.par_iter().map(|sample| self.shown(&sample.image));
        let mut shown: Vec<(&Sample, Result<Shown, Error>)> = samples.iter().zip(shown.collect::<Vec<_>>()).collect();
        let mut all = Vec::with_capacity(samples.len());
        let shape = |shown: &Result<Shown, Error>| shown.as_ref().map(|s| s.array.shape().to_vec()).unwrap_or_default();
        while let Some((_, first)) = shown.first() {
            // Those of one size go together; one that failed goes with any.
            let size = shape(first);
            let count = shown.iter().take_while(|(_, s)| s.is_err() || shape(s) == size).count();
            let rest = shown.split_off(count);
            let together = std::mem::replace(&mut shown, rest);
            all.extend(self.explain_size(together, &size, (all.len(), at_once), watch));
        }
        all
    }

    /// Explains samples of one size, of which the first is the number `start`, and up to `at_once` share a run.
    fn explain_size(
        &self,
        samples: Vec<(&Sample, Result<Shown, Error>)>,
        size: &[usize],
        (start, at_once): (usize, usize),
        watch: &mut Watch,
    ) -> Vec<Result<Explained, Error>> {
        let ready = match samples.iter().any(|(_, shown)| shown.is_ok()) {
            true => self.ready(size),
            false => Err(Error::Cancelled),
        };
        let fed: Vec<Result<Fed, Error>> = (start..)
            .zip(samples)
            .map(|(number, (sample, shown))| match (shown, &ready) {
                (Ok(shown), Ok(ready)) => ready.feed(number, sample, shown),
                (Ok(_), Err(error)) => Err(error.again()),
                (Err(error), _) => Err(error),
            })
            .collect();
        let mut failed = Vec::new();
        let mut good = Vec::new();
        for fed in fed {
            failed.push(fed.map(|fed| good.push(fed)).err());
        }
        let mut made = match ready {
            Ok(ready) => ready.run(&good, at_once, watch).into_iter(),
            Err(_) => Vec::new().into_iter(),
        };
        let one = |failed: Option<Error>| match failed {
            Some(error) => Err(error),
            None => made.next().unwrap_or(Err(Error::Cancelled)),
        };
        failed.into_iter().map(one).collect()
    }

    /// The names of classes, where they are known.
    pub fn labels(&self) -> Option<&Labels> {
        self.about.labels.as_ref()
    }

    /// The kind of numbers that the network's image has.
    pub fn image_kind(&self) -> Kind {
        self.about.image_kind
    }

    /// How photos come into the network; none where it takes no photos.
    pub fn image(&self) -> Option<InputShape> {
        self.image
    }

    /// A photo as the network takes it, and the part of it that is seen.
    ///
    /// # Errors
    /// [`Error::Preprocess`] when the photo does not fit; [`Error::NoPreprocess`] and [`Error::Argument`] where nothing says how photos are
    /// prepared, or the network takes none.
    pub fn prepare(&self, photo: &Photo) -> Result<PreparedPhoto, Error> {
        match (&self.preprocess, self.image) {
            (Some(preprocess), Some(image)) => Ok(preprocess.apply(photo, image)?),
            _ => Err(self.no_preprocess()),
        }
    }

    fn no_preprocess(&self) -> Error {
        match self.image {
            None => {
                Error::Argument("the network's input is no 2-D image: give a tensor (.npy) in its own shape".into())
            }
            Some(_) => Error::NoPreprocess { network: self.about.model.clone(), kind: self.about.image_kind },
        }
    }

    /// The image of a sample as the network takes it, and what goes beside it, where the shape in which it comes there `fits`.
    pub(crate) fn prepared(
        &self,
        sample: &Sample,
        fits: &dyn Fn(&[usize]) -> Result<(), Error>,
    ) -> Result<(Array, FurtherArrays), Error> {
        let shown = self.shown(&sample.image)?;
        fits(shown.array.shape())?;
        let Fed { array, beside, .. } = self.ready(shown.array.shape())?.feed(0, sample, shown)?;
        Ok((array, beside))
    }

    /// An image in the shape in which it comes to the network.
    fn shown(&self, image: &Input) -> Result<Shown, Error> {
        match image {
            Input::Photo(photo) => {
                let PreparedPhoto { tensor, view } = self.prepare(photo)?;
                // What is drawn is what the network saw.
                let seen = self.preprocess.as_ref().map_or_else(|| photo.clone(), |p| p.seen(photo));
                Ok(Shown { array: tensor.into(), photo: Some((seen, view)) })
            }
            Input::Tensor(tensor) => Ok(Shown { array: tensor.clone(), photo: None }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hirescam_core::Tensor;
    use hirescam_core::onnx::messages::NodeProto;
    use hirescam_core::onnx::{read, write};
    use hirescam_engine::Session;
    use hirescam_testing::by_hand::{free, model};
    use ndarray::{ArrayD, Axis};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn tract() -> Spec {
        Spec { engine: "tract".into(), ..Spec::default() }
    }

    const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits-cnn.onnx");

    /// What comes of the digits network when the first value of its stored tensor number `index` is another one.
    fn with(index: usize, value: f32) -> Result<Explained, Error> {
        let mut proto = read(std::fs::read(DIGITS).unwrap()).unwrap();
        let tensor = &mut proto.graph.as_mut().unwrap().initializer[index];
        let mut raw = tensor.raw_data().to_vec();
        raw[..4].copy_from_slice(&value.to_le_bytes());
        tensor.raw_data = Some(raw.into());
        let file = crate::Network::from_bytes(write(&proto)).unwrap();
        let explainer = file.explainer(&tract())?;
        let image = explainer.ready(&[])?.image_dims.iter().map(|d| d.per_image()).collect::<Vec<_>>();
        explainer.explain_one(Array::from(ArrayD::from_elem(image, 0.5f32)))
    }

    /// An engine whose sessions count how often they are run.
    struct Counting {
        engine: Box<dyn Engine>,
        sessions: AtomicUsize,
        runs: Arc<AtomicUsize>,
    }

    struct CountingSession(Box<dyn Session>, Arc<AtomicUsize>);

    impl Engine for Counting {
        fn name(&self) -> &'static str {
            self.engine.name()
        }

        fn version(&self) -> String {
            self.engine.version()
        }

        fn prepare(&self, model: &[u8]) -> Result<Box<dyn Session>, hirescam_engine::Error> {
            self.sessions.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(CountingSession(self.engine.prepare(model)?, self.runs.clone())))
        }
    }

    impl Session for CountingSession {
        fn run(&self, inputs: &[(&str, &Array)]) -> Result<Vec<(String, Array)>, hirescam_engine::Error> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.run(inputs)
        }

        fn is_slow_at_batches(&self) -> bool {
            self.0.is_slow_at_batches()
        }
    }

    #[test]
    fn methods_of_one_run_share_it_and_those_of_several_explain_its_class() {
        let file = Network::open(DIGITS).unwrap();
        let x = Array::from(ArrayD::from_shape_fn(vec![1, 1, 28, 28], |i| ((i[2] * 5 + i[3] * 3) % 7) as f32 / 7.0));
        let sample = Sample::from(x);
        let of_one_run = "gradcam,hirescam,layercam,eigencam,saliency";
        for (method, runs) in [(of_one_run.to_owned(), Some(1)), (format!("reciprocam,{of_one_run},occlusion"), None)] {
            let spec = Spec { method, top: Some(2), ..tract() };
            let counting =
                Counting { engine: spec.engine.start().unwrap(), sessions: AtomicUsize::new(0), runs: Arc::default() };
            let ready = Ready::of(file.clone(), &spec.resolve(&file).unwrap(), &counting).unwrap();
            let Input::Tensor(array) = sample.image.clone() else { panic!() };
            let fed = ready.feed(0, &sample, Shown { array, photo: None }).unwrap();
            let made = ready.run(&[fed], 1, &mut Watch::default()).remove(0).unwrap();
            if let Some(wanted) = runs {
                assert_eq!(counting.runs.load(Ordering::Relaxed), wanted);
                assert_eq!(counting.sessions.load(Ordering::Relaxed), 1);
            }
            let names: Vec<&str> = spec.methods().collect();
            assert_eq!((made.methods(), made.layers(), made.classes().len()), (names.len(), 1, 2));
            for of_class in made.classes() {
                assert_eq!(of_class.iter().map(|e| e.method().name).collect::<Vec<_>>(), names);
                assert!(of_class.iter().all(|e| e.class == of_class[0].class));
            }
            for (at, name) in names.iter().enumerate() {
                let spec = Spec { method: (*name).to_owned(), ..spec.clone() };
                let alone = file.explainer(&spec).unwrap().explain_one(sample.clone()).unwrap();
                for (of_class, alone) in made.classes().zip(alone.maps()) {
                    let e = &of_class[at];
                    assert_eq!((e.layer(), e.class, &e.map), (alone.layer(), alone.class, &alone.map), "{name}");
                    assert_eq!((e.score, e.bias, e.sum), (alone.score, alone.bias, alone.sum), "{name}");
                }
            }
        }
    }

    #[test]
    fn images_explained_together_are_explained_as_alone() {
        let fixture = |name: &str| format!("{}/../../fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let explainer = Network::open(fixture("efficientnet-lite0.onnx")).unwrap().explainer(&tract()).unwrap();
        let photo = |name: &str| Sample::from(Photo::open(fixture(&format!("photos/{name}.png"))).unwrap());
        let (coffee, chelsea) = (photo("coffee"), photo("chelsea"));
        let both = [&coffee, &chelsea].map(|photo| explainer.prepared(photo, &|_| Ok(())).unwrap().0.into_f32());
        let both = ndarray::concatenate(Axis(0), &both.each_ref().map(|t| t.view())).unwrap();
        let mut samples = vec![chelsea.clone(), coffee.clone()];
        samples.extend(explainer.samples("both", Array::from(both)).unwrap());
        samples.push(coffee);
        assert_eq!(samples.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["", "", "both [0]", "both [1]", ""]);
        let explain = |samples: &[Sample]| -> Vec<Explained> {
            explainer.explain(samples, &mut Watch::default()).into_iter().map(Result::unwrap).collect()
        };
        let together = explain(&samples);
        let labels: Vec<Option<&str>> = together.iter().map(|made| made.first().unwrap().label()).collect();
        let (cat, cup) = (Some("tiger cat"), Some("espresso"));
        assert_eq!(labels, [cat, cup, cup, cat, cup]);
        let alone = samples.iter().flat_map(|sample| explain(std::slice::from_ref(sample)));
        for (a, b) in together.iter().zip(alone) {
            let (a, b) = (a.first().unwrap(), b.first().unwrap());
            assert_eq!((&a.map, a.score, a.photo().is_some()), (&b.map, b.score, b.photo().is_some()));
        }
        assert_eq!(together[1].first().unwrap().map, together[2].first().unwrap().map);
    }

    /// tract, noting which images each run is given.
    #[derive(Clone, Default)]
    struct Noting {
        runs: Arc<Mutex<Vec<Array>>>,
        /// Whether runs of several images fail.
        alone: bool,
    }

    struct NotingSession(Noting, Box<dyn Session>);

    impl Engine for Noting {
        fn name(&self) -> &'static str {
            "tract"
        }

        fn version(&self) -> String {
            String::new()
        }

        fn prepare(&self, model: &[u8]) -> Result<Box<dyn Session>, hirescam_engine::Error> {
            let session = tract().engine.start()?.prepare(model)?;
            Ok(Box::new(NotingSession(self.clone(), session)))
        }
    }

    impl Session for NotingSession {
        fn run(&self, inputs: &[(&str, &Array)]) -> Result<Vec<(String, Array)>, hirescam_engine::Error> {
            let images = inputs[0].1;
            self.0.runs.lock().unwrap().push(images.clone());
            match self.0.alone && rows(images) > 1 {
                true => Err(hirescam_engine::Error::Run { engine: "tract", reason: "out of memory".into() }),
                false => self.1.run(inputs),
            }
        }
    }

    /// Any number of images → ReLU → the mean over places → three scores.
    fn of_any_batch() -> Network {
        let node = |op: &str, input: &[&str], output: &str| NodeProto {
            op_type: Some(op.into()),
            input: input.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.into()],
            ..Default::default()
        };
        let nodes = vec![
            node("Relu", &["image"], "a"),
            node("GlobalAveragePool", &["a"], "means"),
            node("Flatten", &["means"], "list"),
            node("MatMul", &["list", "w"], "scores"),
        ];
        let w = Tensor::float(ArrayD::from_shape_fn(vec![2, 3], |i| (1 + i[0] + 2 * i[1]) as f64));
        let (image, scores) = (free("image", &[0, 2, 4, 5]), free("scores", &[0, 3]));
        Network::from_bytes(write(&model(13, nodes, vec![image], vec![scores], &[("w", w)]))).unwrap()
    }

    fn runs_on(explainer: &Explainer, file: &Network, engine: &Noting) {
        let options = tract().resolve(file).unwrap();
        *explainer.ready.lock().unwrap() = vec![Arc::new(Ready::of(file.clone(), &options, engine).unwrap())];
    }

    #[test]
    fn rows_of_a_tensor_come_to_the_engine_as_they_lie_there() {
        let (file, engine) = (of_any_batch(), Noting::default());
        let explainer = file.explainer(&tract()).unwrap();
        runs_on(&explainer, &file, &engine);
        let tensor = Array::from(ArrayD::from_shape_fn(vec![4, 2, 4, 5], |i| (i[0] + 2 * i[1] + i[2] * i[3]) as f32));
        let samples = explainer.samples("", tensor.clone()).unwrap();
        let given = |samples: &[Sample]| {
            assert!(explainer.explain(samples, &mut Watch::default()).iter().all(Result::is_ok));
            engine.runs.lock().unwrap().pop().unwrap()
        };
        assert!(given(&samples).is_same(&tensor));
        assert!(given(&samples[1..3]).is_same(&tensor.part(1..3).unwrap()));
        assert!(given(&samples[2..3]).is_same(&tensor.part(2..3).unwrap()));
        // What lies otherwise is copied.
        let turned = [&samples[3], &samples[1]].map(Clone::clone);
        assert_eq!(given(&turned), tensor.rows(&[3, 1]).unwrap());
        let changed = [samples[0].clone(), Sample { image: tensor.part(3..4).unwrap().into(), ..samples[1].clone() }];
        assert_eq!(given(&changed), tensor.rows(&[0, 3]).unwrap());
        let wide = Array::from(tensor.to_f64());
        assert_eq!(given(&explainer.samples("", wide).unwrap()), tensor);
    }

    #[test]
    fn what_fails_in_one_sample_runs_no_other_again() {
        let file = of_any_batch();
        let explainer = file.explainer(&tract()).unwrap();
        let made_with = |engine: &Noting, values: &[f32]| {
            runs_on(&explainer, &file, engine);
            let images: Vec<f32> = values.iter().flat_map(|&value| [value; 2 * 4 * 5]).collect();
            let images = ArrayD::from_shape_vec(vec![values.len(), 2, 4, 5], images).unwrap();
            let samples = explainer.samples("", Array::from(images)).unwrap();
            let made = explainer.explain(&samples, &mut Watch::default());
            let runs = engine.runs.lock().unwrap().drain(..).map(|images| rows(&images)).collect::<Vec<_>>();
            (made.iter().map(Result::is_ok).collect::<Vec<_>>(), runs)
        };
        // NaN does not come to the network, and what overflows there is found in its own numbers.
        let made = made_with(&Noting::default(), &[f32::NAN, 0.5, f32::MAX, 0.25]);
        assert_eq!(made, (vec![false, true, false, true], vec![3]));
        // The engine fails at several: each is run once more, alone.
        let made = made_with(&Noting { alone: true, ..Noting::default() }, &[f32::NAN, 0.5, f32::MAX, 0.25]);
        assert_eq!(made, (vec![false, true, false, true], vec![3, 1, 1, 1]));
    }

    #[test]
    fn samples_of_different_files_share_runs_where_that_is_asked_for() {
        let file = of_any_batch();
        let explainer = file.explainer(&tract()).unwrap();
        let samples: Vec<Sample> = (1..=5)
            .map(|n| Array::from(ArrayD::from_elem(vec![1, 2, 4, 5], if n == 4 { f32::MAX } else { n as f32 / 8.0 })))
            .map(Sample::from)
            .collect();
        let made_with = |at_once: usize| {
            let engine = Noting::default();
            runs_on(&explainer, &file, &engine);
            let made = explainer.explain_at_once(&samples, at_once, &mut Watch::default());
            let runs = engine.runs.lock().unwrap().drain(..).map(|images| rows(&images)).collect::<Vec<_>>();
            let maps = made.iter().map(|made| made.as_ref().ok().map(|made| made.maps()[0].map.clone()));
            (maps.collect::<Vec<_>>(), runs)
        };
        let alone = made_with(1);
        assert_eq!(alone.1, [1; 5]);
        assert_eq!(alone.0.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, false, true]);
        assert_eq!(made_with(3), (alone.0.clone(), vec![3, 2]));
        assert_eq!(made_with(8), (alone.0, vec![5]));
    }

    #[test]
    fn a_network_that_computes_no_numbers_has_no_map() {
        let floats: Vec<usize> = {
            let model = Network::open(DIGITS).unwrap().model().clone();
            let stored = model.graph().initializer.iter().enumerate();
            stored.filter(|(_, t)| t.data_type == Some(1) && t.raw_data().len() >= 4).map(|(i, _)| i).collect()
        };
        assert!(floats.len() > 4);
        for &index in &floats {
            assert!(with(index, 0.25).is_ok());
            for value in [f32::NAN, f32::INFINITY] {
                assert!(matches!(with(index, value), Err(Error::Core(hirescam_core::Error::Invalid { .. }))));
            }
            match with(index, 3e38) {
                Err(Error::NotFinite { .. }) => {}
                Err(error) => panic!("{error}"),
                Ok(made) => assert!(made.maps().iter().all(|e| e.map.iter().all(|v| v.is_finite()))),
            }
        }
        let explainer = Network::open(DIGITS).unwrap().explainer(&tract()).unwrap();
        let image = explainer.ready(&[]).unwrap().image_dims.iter().map(|d| d.per_image()).collect::<Vec<_>>();
        for value in [f32::NAN, f32::NEG_INFINITY, f32::MAX] {
            let made = explainer.explain_one(Array::from(ArrayD::from_elem(image.clone(), value)));
            assert!(matches!(made, Err(Error::NotFinite { .. })), "{value}");
        }
    }
}
