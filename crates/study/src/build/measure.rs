//! How faithful each arm's maps are: metrics of the items that count, as `hirescam evaluate` measures them.

use super::arms::Ready;
use super::source::Images;
use super::{CURVE_STEPS, Progress};
use crate::Error;
use hirescam_evaluate::data::{DataSet, Example, Object};
use hirescam_evaluate::evaluation::rows;
use hirescam_evaluate::{Evaluation, Plan};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// An item that is measured.
pub(super) struct Measured {
    pub(super) id: String,
    /// The image's position.
    pub(super) image: usize,
    /// The data set's class that it is about, where it is one of these.
    pub(super) class: Option<usize>,
    /// The class in each arm's network.
    pub(super) entries: Vec<usize>,
}

/// Items as a data set, each of a class of its own.
struct Items<'a> {
    images: &'a Images,
    items: &'a [Measured],
    ids: Vec<String>,
}

impl DataSet for Items<'_> {
    fn title(&self) -> String {
        "the items of a study".into()
    }

    fn classes(&self) -> &[String] {
        &self.ids
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }

    fn read(&self, index: usize) -> Result<Example, hirescam_evaluate::Error> {
        let gone = |because: String| hirescam_evaluate::Error::Data { path: format!("item {index}").into(), because };
        let item = self.items.get(index).ok_or_else(|| gone("there is no such item".into()))?;
        let image = self.images.read(item.image).map_err(|e| gone(e.to_string()))?;
        let mut objects: Vec<Object> = image.objects.into_iter().filter(|o| Some(o.class) == item.class).collect();
        objects.iter_mut().for_each(|object| object.class = index);
        if objects.is_empty() {
            objects.push(Object::new(index, None));
        }
        Ok(Example { photo: image.photo, objects, void: image.void })
    }
}

/// Of each item and arm the metrics that have a value, by name. Rows go through the folder `room`.
pub(super) fn measure(
    metrics: &[String],
    arms: &[&Ready],
    images: &Images,
    items: &[Measured],
    room: &Path,
    watch: &mut dyn FnMut(&Progress),
) -> Result<BTreeMap<String, Vec<BTreeMap<String, f64>>>, Error> {
    let data = Items { images, items, ids: items.iter().map(|item| item.id.clone()).collect() };
    let mut found: BTreeMap<String, Vec<BTreeMap<String, f64>>> =
        items.iter().map(|item| (item.id.clone(), vec![BTreeMap::new(); arms.len()])).collect();
    for (number, arm) in arms.iter().enumerate() {
        let plan = Plan {
            methods: vec![arm.spec.method.clone()],
            metrics: metrics.to_vec(),
            curve_steps: CURVE_STEPS,
            ..Plan::default()
        };
        let entry = |item: &Measured| item.entries.get(number).copied().into_iter().collect();
        let classes: Vec<Vec<usize>> = items.iter().map(entry).collect();
        let evaluation =
            Evaluation { network: &arm.network, spec: &arm.spec, data: &data, classes: &classes, plan: &plan };
        let folder = room.join(format!("metrics-{number}"));
        let mut each = |progress: &hirescam_evaluate::evaluation::Progress| {
            let done = number * items.len() + progress.done;
            watch(&Progress { what: "maps measured", done, of: arms.len() * items.len() });
        };
        evaluation.run(&folder, &mut each, &AtomicBool::new(false))?;
        for row in rows(&folder)? {
            let (Some(metric), Some(value)) = (row.metric, row.value.filter(|value| value.is_finite())) else {
                continue;
            };
            if let Some(of_arm) = found.get_mut(&row.image).and_then(|of_item| of_item.get_mut(number)) {
                of_arm.insert(metric, value);
            }
        }
    }
    Ok(found)
}
