//! A study's items, one after the other.

use super::Progress;
use super::arms::{Class, Made, Ready, largest};
use super::blind::{self, Pictures, seed, shuffle};
use super::draw::Pencil;
use super::measure::Measured;
use super::source::{Image, Images};
use crate::Error;
use crate::design::Design;
use crate::kinds::Question;
use crate::manifest::{Expected, Item, KeyItem, KeyMap, Role};
use hirescam::random::Random;
use hirescam::record::Provenance;
use image::RgbImage;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// A study in the making.
pub(super) struct Making<'a> {
    pub(super) design: &'a Design,
    pub(super) base: &'a Path,
    pub(super) images: &'a Images,
    /// The arms, in the order in which the manifest numbers them.
    pub(super) order: &'a [usize],
    pub(super) pencil: Pencil,
    pub(super) pictures: Pictures,
    pub(super) items: Vec<(Item, KeyItem)>,
    pub(super) measured: Vec<Measured>,
    pub(super) provenance: BTreeMap<usize, Provenance>,
    pub(super) failed: Vec<(String, String)>,
}

/// What an item is about.
struct Subject {
    /// The image's position.
    at: usize,
    class: Class,
    /// The class's name.
    name: String,
    /// The names of what else the image shows.
    beside: Vec<String>,
}

impl Making<'_> {
    /// Makes items, those for practice and checks first, until there are enough or no more images. An image comes a second time, with another of its
    /// classes, when all others have come once; where it is uncovered it never does, for it is known then.
    pub(super) fn all(&mut self, arms: &mut [Ready], watch: &mut dyn FnMut(&Progress)) -> Result<(), Error> {
        let wanted = &self.design.items;
        let (practice, checks) = (wanted.practice, wanted.checks);
        let most = wanted.limit.map_or(usize::MAX, |limit| limit.saturating_add(practice).saturating_add(checks));
        let drawn = self.images.drawn(&mut Random::of_sample(seed(self.design.seed, "items"), 0));
        let (of, once) = (drawn.len(), matches!(self.design.question, Question::Reveal(_)));
        // What is left of each image: none where it was not looked at yet.
        let mut left: VecDeque<(usize, Option<Vec<Subject>>)> = drawn.into_iter().map(|at| (at, None)).collect();
        while let Some((at, subjects)) = left.pop_front().filter(|_| self.items.len() < most) {
            watch(&Progress { what: "items", done: self.items.len().min(of), of: of.min(most) });
            let read = self.images.read(at).and_then(|image| {
                let subjects = subjects.map_or_else(|| self.subjects(at, &image, arms), Ok)?;
                Ok((subjects, image))
            });
            let (mut subjects, image) = match read {
                Ok(read) => read,
                Err(error) => {
                    self.fail(at, error)?;
                    continue;
                }
            };
            let Some(subject) = subjects.pop() else { continue };
            let role = match self.items.len() {
                made if made < practice => Role::Practice,
                made if made < practice + checks => Role::Check,
                _ => Role::Counts,
            };
            let before = self.pictures.count();
            let made = match role {
                Role::Check => self.check(&subject, &image, arms),
                _ => self.item(&subject, &image, role, arms),
            };
            match made {
                Ok(made) => self.items.push(made),
                Err(error) => {
                    self.pictures.keep(before);
                    self.fail(at, error)?;
                }
            }
            if !once && !subjects.is_empty() {
                left.push_back((at, Some(subjects)));
            }
        }
        if self.items.len() > practice + checks {
            return self.differ();
        }
        let first = self
            .failed
            .first()
            .map_or(String::new(), |(image, why)| format!("; the first that failed, {image}: {why}"));
        let wanted = match practice + checks {
            0 => "there is no item".to_owned(),
            further => format!(
                "there are {} items, and items.practice and items.checks take {further}: none is left that counts",
                self.items.len()
            ),
        };
        Err(Error::Design(format!("of {of} images, {} of which failed, {wanted}{first}", self.failed.len())))
    }

    /// Refuses items of which nobody could learn anything of the arms.
    fn differ(&self) -> Result<(), Error> {
        let mut counting = self.items.iter().filter(|(item, _)| item.role == Role::Counts);
        match counting.all(|(_, of_key)| of_key.same) {
            true => Err(Error::Design(
                "all arms' maps look the same for every item that counts: there is nothing to compare. Of a network that ends with global \
                 average pooling and a linear layer HiResCAM, Grad-CAM and CAM are one map at its last convolution: compare other methods, layers or \
                 networks"
                    .into(),
            )),
            false => Ok(()),
        }
    }

    /// Writes down why an image has no item; what is wrong with the design or the disk ends it all.
    fn fail(&mut self, at: usize, error: Error) -> Result<(), Error> {
        let name = self.images.name(at, self.base);
        let why = match error {
            Error::Explain(error) => error.without(&self.base.join(&name)),
            Error::Evaluate(error) => error.to_string(),
            error => return Err(error),
        };
        self.failed.push((name.to_string_lossy().into_owned(), why));
        Ok(())
    }

    /// What an image is asked about.
    fn subjects(&self, at: usize, image: &Image, arms: &mut [Ready]) -> Result<Vec<Subject>, Error> {
        let Some(first) = arms.first_mut() else { return Ok(Vec::new()) };
        let names = self.images.classes();
        let mut shown: Vec<usize> = image.objects.iter().map(|object| object.class).collect();
        shown.sort_unstable();
        shown.dedup();
        let of_data = !names.is_empty();
        let mut classes = Vec::new();
        if of_data && self.design.items.classes.present() {
            let known = shown.iter().map(|class| Class::Data(*class)).filter(|class| !first.entries(class).is_empty());
            classes.extend(known);
        }
        if !of_data || self.design.items.classes.predicted() {
            let scores = first.scores(&image.photo)?;
            let top = largest(&scores, 0..scores.len()).unwrap_or_default();
            let class = first.data_class(top).map_or(Class::First(top), Class::Data);
            if !classes.contains(&class) {
                classes.push(class);
            }
        }
        if classes.is_empty() {
            let shown: Vec<&str> = shown.iter().filter_map(|class| names.get(*class)).map(String::as_str).collect();
            let why = match shown.as_slice() {
                [] => "the data set says of no class that it is shown".to_owned(),
                shown => {
                    format!("the network of the arm {:?} has none of the classes: {}", first.arm.name, shown.join(", "))
                }
            };
            return Err(hirescam::Error::Argument(why).into());
        }
        let name = |class: &Class| match class {
            Class::Data(class) => names.get(*class),
            Class::First(class) => first.labels.get(*class),
        };
        let subject = |class: Class| match name(&class).filter(|name| !name.trim().is_empty()) {
            Some(of) => {
                let beside = shown.iter().filter_map(|class| names.get(*class)).filter(|name| *name != of);
                Ok(Subject { at, name: of.clone(), beside: beside.cloned().collect(), class })
            }
            None => {
                Err(hirescam::Error::Argument(format!("{class:?} has no name: give the arm's spec `labels`")).into())
            }
        };
        let mut subjects = classes.into_iter().map(subject).collect::<Result<Vec<Subject>, Error>>()?;
        shuffle(&mut subjects, &mut Random::of_sample(seed(self.design.seed, "classes"), at));
        Ok(subjects)
    }

    /// An item that shows the arms' maps.
    fn item(
        &mut self,
        subject: &Subject,
        image: &Image,
        role: Role,
        arms: &mut [Ready],
    ) -> Result<(Item, KeyItem), Error> {
        let name = self.images.name(subject.at, self.base);
        let mut maps: Vec<Made> = Vec::with_capacity(arms.len());
        for arm in self.order {
            let Some(ready) = arms.get_mut(*arm) else { continue };
            let entry = ready.entry(&subject.class, &image.photo)?;
            maps.push(ready.explain(&name.to_string_lossy(), &image.photo, entry)?);
        }
        let mut item = self.begun(subject, image, role)?;
        let number = self.items.len();
        match &self.design.question {
            Question::Prefer(_) | Question::Trust(_) | Question::Rate(_) => {
                let drawn = self.pencil.maps(&image.photo, &maps)?;
                item.pictures =
                    drawn.iter().map(|picture| Ok(vec![self.pictures.add(picture)?])).collect::<Result<_, Error>>()?;
            }
            Question::Reveal(reveal) => {
                let mut random = Random::of_sample(seed(self.design.seed, "ties"), number);
                for (drawn, shares) in self.pencil.uncovered(&image.photo, &maps, reveal.steps, &mut random)? {
                    let add = |picture: &RgbImage| self.pictures.add(picture);
                    item.pictures.push(drawn.iter().map(add).collect::<Result<_, Error>>()?);
                    item.uncovered.push(shares);
                }
                item.options = self.options(subject, reveal.options, arms)?;
            }
            Question::Locate(_) => {}
        }
        for (arm, map) in self.order.iter().zip(&maps) {
            self.provenance.entry(*arm).or_insert_with(|| map.provenance.clone());
        }
        let entries: Vec<usize> = maps.iter().map(|map| map.class).collect();
        let of_first = self.order.iter().position(|arm| *arm == 0).and_then(|at| entries.get(at).copied());
        let same = self.pencil.same(&maps);
        if role == Role::Counts {
            let class = match subject.class {
                Class::Data(class) => Some(class),
                Class::First(_) => None,
            };
            self.measured.push(Measured { id: item.id.clone(), image: subject.at, class, entries });
        }
        let of_key = KeyItem {
            id: item.id.clone(),
            image: name,
            class: of_first.unwrap_or_default(),
            maps: maps.into_iter().map(|map| key_map(map, image)).collect(),
            same,
            metrics: Vec::new(),
        };
        Ok((item, of_key))
    }

    /// An item with an answer that is asked for.
    fn check(&mut self, subject: &Subject, image: &Image, arms: &mut [Ready]) -> Result<(Item, KeyItem), Error> {
        let class = arms.first_mut().map_or(Ok(0), |first| first.entry(&subject.class, &image.photo))?;
        let mut item = self.begun(subject, image, Role::Check)?;
        let words = &self.design.items.words;
        let answer = |answer: &str| words.answer.replace("{answer}", answer);
        let number = self.items.len();
        let add = |pictures: &mut Pictures, picture: RgbImage| pictures.add(&picture);
        item.expected = Some(match &self.design.question {
            Question::Prefer(_) | Question::Trust(_) => {
                for words in [&words.choose, &words.other] {
                    let picture = self.pencil.words(&image.photo, words)?;
                    item.pictures.push(vec![add(&mut self.pictures, picture)?]);
                }
                Expected::Picture(0)
            }
            Question::Rate(rate) => {
                // By turns, so that no one answer passes all checks.
                let highest = number % 2 == 1;
                let wanted = if highest { rate.steps } else { 1 };
                let picture = self.pencil.words(&image.photo, &answer(&wanted.to_string()))?;
                item.pictures.push(vec![add(&mut self.pictures, picture)?]);
                if highest { Expected::AtLeast(wanted) } else { Expected::AtMost(wanted) }
            }
            Question::Reveal(reveal) => {
                let picture = self.pencil.inscribed(&image.photo, &answer(&subject.name))?;
                let file = add(&mut self.pictures, picture)?;
                item.pictures.push(vec![file; reveal.steps as usize]);
                item.uncovered.push(vec![1.0; reveal.steps as usize]);
                item.options = self.options(subject, reveal.options, arms)?;
                Expected::Class(subject.name.clone())
            }
            Question::Locate(_) => {
                let mut random = Random::of_sample(seed(self.design.seed, "squares"), number);
                let (picture, place) = self.pencil.square(&image.photo, &mut random)?;
                item.photo = add(&mut self.pictures, picture)?;
                item.class = words.square.clone();
                Expected::Within(place)
            }
        });
        let name = self.images.name(subject.at, self.base);
        let of_key =
            KeyItem { id: item.id.clone(), image: name, class, maps: Vec::new(), same: false, metrics: Vec::new() };
        Ok((item, of_key))
    }

    /// An item with its photo.
    fn begun(&mut self, subject: &Subject, image: &Image, role: Role) -> Result<Item, Error> {
        let photo = self.pencil.photo(&image.photo)?;
        // The photo of a check may be another one.
        let marked = role == Role::Check && matches!(self.design.question, Question::Locate(_));
        Ok(Item {
            id: blind::name(self.design.seed, "item", self.items.len()),
            role,
            class: subject.name.clone(),
            photo: if marked { String::new() } else { self.pictures.add(&photo)? },
            size: photo.dimensions().into(),
            pictures: Vec::new(),
            uncovered: Vec::new(),
            options: Vec::new(),
            expected: None,
        })
    }

    /// The classes to choose from: the right one, and others that the image does not show, in an order drawn by chance.
    fn options(&self, subject: &Subject, count: usize, arms: &[Ready]) -> Result<Vec<String>, Error> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let names = match self.images.classes() {
            [] => arms.first().map_or(&[][..], |first| first.labels.as_slice()),
            classes => classes,
        };
        let taken = |name: &String| subject.beside.contains(name) || *name == subject.name || name.trim().is_empty();
        let mut others: Vec<&String> = names.iter().filter(|name| !taken(name)).collect();
        others.sort();
        others.dedup();
        let mut random = Random::of_sample(seed(self.design.seed, "options"), self.items.len());
        shuffle(&mut others, &mut random);
        others.truncate(count - 1);
        if others.is_empty() {
            return Err(hirescam::Error::Argument("there is no other class to choose from".into()).into());
        }
        let mut options: Vec<String> = others.into_iter().chain([&subject.name]).cloned().collect();
        shuffle(&mut options, &mut random);
        Ok(options)
    }
}

/// What the key has of a map.
fn key_map(map: Made, image: &Image) -> KeyMap {
    let (width, height) = (f64::from(image.photo.width()), f64::from(image.photo.height()));
    let view = map.view;
    let (rows, columns) = map.raw.dim();
    KeyMap {
        verdict: map.verdict,
        score: map.score,
        map: map.raw.into_iter().collect(),
        shape: [rows, columns],
        view: [view.x / width, view.y / height, (view.x + view.width) / width, (view.y + view.height) / height],
    }
}
