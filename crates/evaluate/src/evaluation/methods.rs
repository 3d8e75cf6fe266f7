//! The methods of an evaluation, made ready for any classes of any image.

use super::failure::Failure;
use crate::Error;
use crate::error::argument;
use hirescam::engine::Array;
use hirescam::methods::{AnyMethod, method};
use hirescam::{Explainer, Explanation, Network, Sample, Spec, Watch};
use ndarray::{ArrayD, IxDyn};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// More classes of an image than these are explained in several runs.
const MOST_CLASSES: usize = 16;

/// Methods made ready. Those of one run share it: each group holds an explainer for 1, 2, 4 … classes of an image, made when it is first
/// needed.
pub(super) struct Methods {
    network: Network,
    spec: Spec,
    names: Vec<String>,
    groups: Vec<Group>,
    /// Why methods cannot be had on this network.
    failed: HashMap<String, Failure>,
    /// One that prepares photos.
    any: Arc<Explainer>,
    image: String,
    ready: Mutex<HashMap<(usize, usize), Result<Arc<Explainer>, Failure>>>,
}

/// Methods that are made ready together.
struct Group {
    names: Vec<String>,
    /// Whether they are made at the image, whatever layers others are made at.
    at_image: bool,
}

/// What a method made of an image: of each class the maps, one for each layer; or why there are none.
pub(super) type Maps = Result<Vec<Vec<Explanation>>, Failure>;

impl Methods {
    /// Makes methods ready.
    ///
    /// # Errors
    /// [`Error::Explain`] for one that does not exist, or where none can be made ready.
    pub(super) fn new(network: &Network, spec: &Spec, names: &[String]) -> Result<Self, Error> {
        let spec = Spec { classes: Vec::new(), top: None, target: None, ..spec.clone() };
        let (mut groups, mut several) = (Vec::new(), Vec::new());
        for at_image in [false, true] {
            let mut of_one_run = Vec::new();
            for name in names {
                let method = method(name)?;
                if method.is_at_image(&spec.settings)? != at_image {
                    continue;
                }
                match method {
                    AnyMethod::OneRun(_) => of_one_run.push(name.clone()),
                    _ => several.push(Group { names: vec![name.clone()], at_image }),
                }
            }
            groups.push(Group { names: of_one_run, at_image });
        }
        groups.extend(several);
        groups.retain(|group| !group.names.is_empty());
        let (mut failed, mut ready, mut any, mut first_error) = (HashMap::new(), HashMap::new(), None, None);
        for (number, group) in groups.iter_mut().enumerate() {
            let made = loop {
                match make(network, &spec, group, 1) {
                    Err(error) if group.names.len() > 1 => {
                        // Those that fail alone keep the others from nothing.
                        let before = group.names.len();
                        group.names.retain(|name| {
                            let alone = Group { names: vec![name.clone()], at_image: group.at_image };
                            let made = make(network, &spec, &alone, 1).err();
                            if let Some(error) = made {
                                failed.insert(name.clone(), Failure::from(&error));
                                first_error.get_or_insert(error);
                                return false;
                            }
                            true
                        });
                        if group.names.len() == before || group.names.is_empty() {
                            break Err(error);
                        }
                    }
                    made => break made,
                }
            };
            match made {
                Ok(explainer) => {
                    let explainer = Arc::new(explainer);
                    any.get_or_insert_with(|| explainer.clone());
                    ready.insert((number, 1), Ok(explainer));
                }
                Err(error) => {
                    for name in std::mem::take(&mut group.names) {
                        failed.insert(name, Failure::from(&error));
                    }
                    first_error.get_or_insert(error);
                }
            }
        }
        let image = network.image_input(spec.image_input.as_deref())?.name;
        match (any, first_error) {
            (Some(any), _) => {
                let (network, names, ready) = (network.clone(), names.to_vec(), Mutex::new(ready));
                Ok(Methods { network, spec, names, groups, failed, any, image, ready })
            }
            (None, Some(error)) => Err(error.into()),
            (None, None) => argument("no method is asked for"),
        }
    }

    /// The methods.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// An explainer, to prepare photos by.
    pub(super) fn any(&self) -> &Explainer {
        &self.any
    }

    /// The network's own name for its image.
    pub(super) fn image_input(&self) -> &str {
        &self.image
    }

    /// What keeps methods from being made ready, a sentence each.
    pub(super) fn failures(&self) -> Vec<String> {
        let of = |name: &String| Some(format!("{name}: {}", self.failed.get(name)?.reason));
        self.names.iter().filter_map(of).collect()
    }

    /// Explains samples by some of the methods, each sample for its own classes: of each method the samples.
    pub(super) fn explain(
        &self,
        methods: &[&str],
        samples: &[(&Sample, &[usize])],
        stop: &AtomicBool,
    ) -> Vec<Vec<Maps>> {
        let mut all: Vec<Vec<Maps>> = Vec::new();
        for name in methods {
            let begun = self.failed.get(*name).map_or(Ok(Vec::new()), |failure| Err(failure.clone()));
            all.push(vec![begun; samples.len()]);
        }
        for (number, group) in self.groups.iter().enumerate() {
            if !group.names.iter().any(|name| methods.contains(&name.as_str())) {
                continue;
            }
            for (sample, made) in self.by_group(number, samples, stop).into_iter().enumerate() {
                for (method, own) in methods.iter().zip(&mut all) {
                    let Some(at) = group.names.iter().position(|name| name == method) else { continue };
                    let maps = made.as_ref().map_err(Clone::clone).map(|classes| {
                        let of_method = |of_class: &Vec<Explanation>| {
                            let layers = of_class.len() / group.names.len().max(1);
                            of_class.iter().skip(at * layers).take(layers).cloned().collect()
                        };
                        classes.iter().map(of_method).collect()
                    });
                    own.iter_mut().skip(sample).take(1).for_each(|slot| *slot = maps.clone());
                }
            }
        }
        all
    }

    /// Explains samples by all methods of a group: of each sample and class the methods, of each of these the layers.
    fn by_group(&self, group: usize, samples: &[(&Sample, &[usize])], stop: &AtomicBool) -> Vec<Maps> {
        let mut all: Vec<Maps> = vec![Ok(Vec::new()); samples.len()];
        // By how many classes a run takes: each sample as often as its classes ask for.
        let mut runs: HashMap<usize, Vec<(usize, &[usize])>> = HashMap::new();
        for (i, (_, classes)) in samples.iter().enumerate() {
            for classes in classes.chunks(MOST_CLASSES) {
                runs.entry(classes.len().next_power_of_two()).or_default().push((i, classes));
            }
        }
        let mut runs: Vec<_> = runs.into_iter().collect();
        // The largest first: of a sample of many classes the last run is the smallest.
        runs.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        for (count, of_count) in runs {
            let explainer = match self.explainer(group, count) {
                Ok(explainer) => explainer,
                Err(failure) => {
                    for (i, _) in of_count {
                        all.iter_mut().skip(i).take(1).for_each(|maps| *maps = Err(failure.clone()));
                    }
                    continue;
                }
            };
            let asked: Vec<Sample> = of_count
                .iter()
                .filter_map(|(i, classes)| Some(with_classes(samples.get(*i)?.0, classes, count)))
                .collect();
            let made = explainer.explain(&asked, &mut Watch::default().stopped_by(stop));
            for ((i, classes), made) in of_count.into_iter().zip(made) {
                let Some(maps) = all.get_mut(i) else { continue };
                match made {
                    Ok(made) => {
                        let new = made.classes().take(classes.len()).map(<[Explanation]>::to_vec);
                        if let Ok(maps) = maps {
                            maps.extend(new);
                        }
                    }
                    Err(error) => *maps = Err(error.into()),
                }
            }
        }
        all
    }

    fn explainer(&self, group: usize, count: usize) -> Result<Arc<Explainer>, Failure> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let made = ready.entry((group, count)).or_insert_with(|| match self.groups.get(group) {
            Some(group) => make(&self.network, &self.spec, group, count).map(Arc::new).map_err(Failure::from),
            None => Err(Failure::new("argument", "there is no such method")),
        });
        made.clone()
    }
}

/// The sample with the classes that it is explained for, `count` of them: what is left over repeats the last.
fn with_classes(sample: &Sample, classes: &[usize], count: usize) -> Sample {
    let number = |class: &usize| i64::try_from(*class).unwrap_or(i64::MAX);
    let last = classes.last().map(number);
    let numbers: Vec<i64> = classes.iter().map(number).chain(last.into_iter().cycle()).take(count).collect();
    let shape = if count == 1 { vec![1] } else { vec![1, count] };
    let array = ArrayD::from_shape_vec(IxDyn(&shape), numbers).unwrap_or_else(|_| ArrayD::zeros(shape));
    sample.clone().with_target(Array::from(array))
}

/// Methods made ready for so many classes that come with each image.
fn make(network: &Network, spec: &Spec, group: &Group, count: usize) -> Result<Explainer, hirescam::Error> {
    let target = Some(format!("class-input:{count}"));
    let mut spec = Spec { method: group.names.join(","), target, ..spec.clone() };
    if group.at_image {
        // What is said of the layer does not hold for the image.
        (spec.layers, spec.channel_axis, spec.grid) = (Vec::new(), None, None);
    }
    network.explainer(&spec)
}
