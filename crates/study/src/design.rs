//! The design of a study, as its file `study.toml` has it: all that is laid down before the first answer.

use crate::Error;
use crate::kinds::{Question, Shows};
use hirescam::Spec;
use hirescam::colormap::{ColormapKind, colormap};
use hirescam::overlay::Scales;
use hirescam_evaluate::Plan;
use hirescam_evaluate::classes::How;
use hirescam_evaluate::data::Options;
use hirescam_evaluate::plan::Classes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The design of a study. Paths in it are relative to its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// What the study is called; raters see it.
    pub title: String,
    /// Draws items, sides, order and arms. Whoever has it can tell the arms.
    pub seed: u64,
    /// What the authors expect, in their own words; it goes into the pre-registration, and raters never see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypothesis: Option<String>,
    /// Which metrics of docs/metrics.md are measured of each arm's map, to see whether people prefer what is faithful; `[]` for none. Curves
    /// are measured in [`CURVE_STEPS`](crate::build::CURVE_STEPS) steps.
    #[serde(default = "metrics")]
    pub metrics: Vec<String>,
    /// What is asked.
    pub question: Question,
    /// What is compared.
    pub arms: Vec<Arm>,
    /// What it is asked about.
    pub items: Items,
    /// What pictures look like.
    #[serde(default)]
    pub picture: Picture,
    /// Who is asked, how much, how often.
    #[serde(default)]
    pub raters: Raters,
    /// Whose answers do not count.
    #[serde(default)]
    pub exclude: Exclude,
    /// What is tested, and the smallest effect of interest.
    #[serde(default)]
    pub test: Test,
    /// What raters are assumed to be like where the study is planned by simulation.
    #[serde(default)]
    pub assume: Assume,
    /// What raters read and agree to.
    #[serde(default)]
    pub consent: Consent,
    /// What raters read at the end, and where they go from there.
    #[serde(default)]
    pub finish: Finish,
}

/// One of the things that are compared: what makes the maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// What it is called in results; raters never see it.
    pub name: String,
    /// The network, an ONNX file.
    pub model: PathBuf,
    /// What is explained, and how. One method at one layer; the class is the item's.
    #[serde(default)]
    pub spec: Spec,
}

/// What it is asked about: images, each with a class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Items {
    /// Photos, folders of photos, or patterns. The class is the one that the first arm's network predicts. Either these or `data`.
    pub images: Vec<PathBuf>,
    /// A data set with truth (docs/datasets.md).
    pub data: Option<PathBuf>,
    /// How the data set is read.
    pub options: Options,
    /// Of a data set: the classes that an image shows, the one that is predicted, or both.
    pub classes: Classes,
    /// Which of the network's classes the data set's are.
    pub class_map: How,
    /// How many items there are, at most, drawn by the study's seed; all where nothing is said.
    pub limit: Option<usize>,
    /// How many further items raters practise on, before the first that counts.
    pub practice: usize,
    /// How many further items are attention checks: trials with one right answer.
    pub checks: usize,
    /// What is written into the pictures of checks.
    pub words: Words,
}

/// What is written into the pictures of checks, in the raters' language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Words {
    /// Into the picture that is to be chosen (`prefer`, `trust`).
    pub choose: String,
    /// Into the other one.
    pub other: String,
    /// Where an answer is asked for (`rate`, `reveal`); `{answer}` stands for it.
    pub answer: String,
    /// What the question calls the square that is drawn into the photo (`locate`).
    pub square: String,
}

impl Default for Words {
    fn default() -> Self {
        Words {
            choose: "Choose this picture.".into(),
            other: "Do not choose this picture.".into(),
            answer: "Answer: {answer}".into(),
            square: "white square".into(),
        }
    }
}

/// What pictures look like, of all arms alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Picture {
    /// The longer side, in pixels.
    pub side: u32,
    /// Whether each map goes up to its own largest cell (`own`), or all arms' maps of an item up to the largest of them (`shared`).
    pub scale: Scales,
    /// A colour map by name; what suits signed or rectified maps where nothing is said.
    pub colormap: Option<String>,
    /// How opaque maps lie over the photo, 0 to 1.
    pub opacity: f32,
    /// Whether negative contributions are shown, too.
    pub signed: bool,
    /// A font that can write what is written into the pictures of checks, where the bundled ones cannot.
    pub font: Option<PathBuf>,
}

impl Default for Picture {
    fn default() -> Self {
        let opacity = hirescam::overlay::Style::default().opacity;
        Picture { side: 360, scale: Scales::Own, colormap: None, opacity, signed: false, font: None }
    }
}

/// Who is asked, how much, how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Raters {
    /// How many raters' answers each item gets; for questions that show one arm at a time, of each arm.
    pub answers_per_item: usize,
    /// How many items a rater sees, without practice, checks and repeats; all where nothing is said.
    pub items_per_rater: Option<usize>,
    /// How many of a rater's items come again, turned round, to see whether the rater says the same.
    pub repeats: usize,
    /// What one answer is thought to take, in seconds.
    pub seconds_per_answer: f64,
    /// What a rater is paid an hour, for the plan; in a currency of your own.
    pub pay_per_hour: Option<f64>,
}

impl Raters {
    /// How many of a rater's items come again where there are so many items: no more than the rater sees.
    pub fn repeated(&self, items: usize) -> usize {
        self.repeats.min(self.items_per_rater.map_or(items, |each| each.min(items)))
    }
}

impl Default for Raters {
    fn default() -> Self {
        Raters { answers_per_item: 10, items_per_rater: None, repeats: 2, seconds_per_answer: 8.0, pay_per_hour: None }
    }
}

/// Whose answers do not count: rules that are laid down before the first answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exclude {
    /// An answer that took less, in milliseconds, is too fast and does not count.
    pub fastest_ms: u64,
    /// A rater of whose answers a larger share than this is too fast does not count.
    pub too_fast_share: f64,
    /// A rater who fails more attention checks than this does not count.
    pub failed_checks: usize,
    /// A rater who gives the same answer more often than this in a row does not count; 0 to allow it.
    pub same_in_a_row: usize,
    /// Whether raters who did not finish count, as far as they went.
    pub keep_unfinished: bool,
}

impl Default for Exclude {
    fn default() -> Self {
        Exclude { fastest_ms: 500, too_fast_share: 0.3, failed_checks: 1, same_in_a_row: 0, keep_unfinished: true }
    }
}

/// What is tested, laid down before the first answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Test {
    /// The level of significance; intervals hold 1 − alpha.
    pub alpha: f64,
    /// The smallest effect of interest. `prefer`, `trust`: the probability, 0.5 to 1, with which a typical rater who chooses prefers the better arm on a typical
    /// item; the share of answers that this [comes to](crate::simulate::expected()) is nearer to 0.5. `rate`: by how many points the better arm is better. `reveal`: by what share of the
    /// image it needs less, 0 to 1. `locate`: by how much its maps overlap more with the marks, 0 to 1.
    pub effect: f64,
    /// The power that the study is to have for it.
    pub power: f64,
    /// How often answers are drawn again for an interval.
    pub resamples: usize,
}

impl Default for Test {
    fn default() -> Self {
        Test { alpha: 0.05, effect: 0.6, power: 0.8, resamples: 2000 }
    }
}

/// What raters are assumed to be like, for planning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Assume {
    /// How far raters differ: the deviation of their own leaning, in logits (of graded answers: in units of the answer).
    pub rater_sd: f64,
    /// How far items differ, in the same units.
    pub item_sd: f64,
    /// Of graded answers: how far one rater's answers to one item differ, in units of the answer.
    pub noise_sd: f64,
    /// How often "no difference" is answered.
    pub neither: f64,
    /// How often a rater answers by chance.
    pub lapse: f64,
    /// How many of the raters who begin do not finish.
    pub dropout: f64,
    /// How many studies are simulated.
    pub simulations: usize,
}

impl Default for Assume {
    fn default() -> Self {
        Assume {
            rater_sd: 0.5,
            item_sd: 0.5,
            noise_sd: 1.0,
            neither: 0.15,
            lapse: 0.05,
            dropout: 0.1,
            simulations: 500,
        }
    }
}

/// What raters read and agree to before they begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Consent {
    /// Paragraphs, between empty lines.
    pub text: String,
    /// Whom to ask.
    pub contact: Option<String>,
    /// The approval of an ethics committee, as raters are told of it.
    pub ethics: Option<String>,
}

impl Default for Consent {
    fn default() -> Self {
        let text = "You will see pictures, and answer a question about each of them. There are no right or wrong opinions.\n\nTaking part is \
            voluntary. You may stop at any time, and have your answers deleted. We store your answers, how long they took and the size of \
            your window; nothing that says who you are. If you come from a platform that pays you, its number for you is kept apart from your \
            answers, and can be deleted alone.";
        Consent { text: text.into(), contact: None, ethics: None }
    }
}

/// What raters read at the end, and where they go from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Finish {
    /// What is said.
    pub text: String,
    /// A code that raters copy, as crowd platforms want it.
    pub code: Option<String>,
    /// Where raters are sent: an `https` address.
    pub redirect: Option<String>,
    /// Where those are sent who failed the attention checks; the same as the others where nothing is said.
    pub redirect_failed: Option<String>,
}

impl Default for Finish {
    fn default() -> Self {
        Finish { text: "Thank you! Your answers are stored.".into(), code: None, redirect: None, redirect_failed: None }
    }
}

fn metrics() -> Vec<String> {
    ["deletion", "insertion", "average-drop"].map(str::to_owned).to_vec()
}

impl Design {
    /// Reads and checks a design.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file cannot be read or is no TOML of this form, [`Error::Design`] as [`check`](Self::check).
    pub fn open(path: &Path) -> Result<Self, Error> {
        let damaged = |because: String| Error::Damaged { path: path.to_owned(), because };
        let text = std::fs::read_to_string(path).map_err(|e| damaged(e.to_string()))?;
        let design = Self::parse(&text).map_err(|e| damaged(e.to_string()))?;
        design.check()?;
        Ok(design)
    }

    /// Reads a design from TOML, without checking it. Where nothing is said of `raters.repeats`, `test.effect` and the deviations of `assume`, what is taken
    /// goes by the kind of question: `reveal` and `locate` are answered in shares from 0 to 1, and what was uncovered once is known.
    ///
    /// # Errors
    /// Those of TOML.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut design: Design = toml::from_str(text)?;
        let said: toml::Table = toml::from_str(text)?;
        let said = |part: &str, field: &str| said.get(part).is_some_and(|part| part.get(field).is_some());
        if matches!(design.question, Question::Reveal(_)) && !said("raters", "repeats") {
            design.raters.repeats = 0;
        }
        if matches!(design.question, Question::Reveal(_) | Question::Locate(_)) {
            let Design { test, assume, .. } = &mut design;
            let fields = [
                ("test", "effect", &mut test.effect, 0.1),
                ("assume", "rater_sd", &mut assume.rater_sd, 0.1),
                ("assume", "item_sd", &mut assume.item_sd, 0.1),
                ("assume", "noise_sd", &mut assume.noise_sd, 0.2),
            ];
            for (part, field, value, of_shares) in fields {
                if !said(part, field) {
                    *value = of_shares;
                }
            }
        }
        Ok(design)
    }

    /// Refuses a design that cannot be followed.
    ///
    /// # Errors
    /// [`Error::Design`] naming the field, what it is, and what it may be; [`Error::Evaluate`] for a metric that there is not.
    pub fn check(&self) -> Result<(), Error> {
        filled("title", &self.title)?;
        self.question.check()?;
        self.check_arms()?;
        self.check_items()?;
        self.check_picture()?;
        self.check_raters()?;
        self.check_numbers()?;
        self.check_finish()?;
        if !self.metrics.is_empty() {
            Plan { metrics: self.metrics.clone(), ..Plan::default() }.measures()?;
        }
        Ok(())
    }

    pub(crate) fn check_arms(&self) -> Result<(), Error> {
        let (least, kind) = (if self.question.shows() == Shows::None { 1 } else { 2 }, self.question.word());
        if self.arms.len() < least {
            return refuse(format!("there are {} `[[arms]]`: {kind} takes {least} or more", self.arms.len()));
        }
        if self.arms.len() > MOST_ARMS {
            return refuse(format!("there are {} `[[arms]]`: at most {MOST_ARMS} are compared", self.arms.len()));
        }
        for (at, arm) in self.arms.iter().enumerate() {
            let field = |name: &str| format!("arms[{at}].{name}");
            filled(&field("name"), &arm.name)?;
            if self.arms.iter().take(at).any(|other| other.name == arm.name) {
                return refuse(format!("{} is {:?}, and so is another arm's", field("name"), arm.name));
            }
            let spec = &arm.spec;
            let of_class =
                [("class", !spec.classes.is_empty()), ("top", spec.top.is_some()), ("target", spec.target.is_some())];
            if let Some((name, _)) = of_class.iter().find(|(_, given)| *given) {
                return refuse(format!(
                    "{}: the class is the item's, the same for all arms",
                    field(&format!("spec.{name}"))
                ));
            }
            if spec.method.contains(',') {
                return refuse(format!("{} is {:?}: an arm is one method", field("spec.method"), spec.method));
            }
            hirescam::methods::method(&spec.method)
                .map_err(|e| Error::Design(format!("{}: {e}", field("spec.method"))))?;
            if spec.layers.len() > 1 {
                return refuse(format!("{} has {} layers: an arm is one", field("spec.layer"), spec.layers.len()));
            }
            if spec.picture != hirescam::spec::Picture::default() {
                return refuse(format!(
                    "{}: `[picture]` says what pictures look like, for all arms alike",
                    field("spec.picture")
                ));
            }
        }
        let models: BTreeSet<&PathBuf> = self.arms.iter().map(|arm| &arm.model).collect();
        if matches!(self.question, Question::Trust(_)) && models.len() < self.arms.len() {
            return refuse(
                "question.kind is \"trust\": raters judge models, so that each arm needs one of its own".into(),
            );
        }
        Ok(())
    }

    fn check_items(&self) -> Result<(), Error> {
        let items = &self.items;
        match (items.images.is_empty(), &items.data) {
            (true, None) => return refuse("`[items]` names no images: give `images`, or a data set as `data`".into()),
            (false, Some(_)) => {
                return refuse("`[items]` has `images` and `data`: they are either the one or the other".into());
            }
            (false, None) => {
                let with_data = [
                    ("options", items.options != Options::default()),
                    ("classes", items.classes != Classes::default()),
                    ("class_map", items.class_map != How::default()),
                ];
                if let Some((name, _)) = with_data.iter().find(|(_, given)| *given) {
                    return refuse(format!("items.{name} means nothing to `images`: it goes with `data`"));
                }
            }
            (true, Some(_)) => {}
        }
        let words = &items.words;
        let all =
            [("choose", &words.choose), ("other", &words.other), ("answer", &words.answer), ("square", &words.square)];
        all.iter().try_for_each(|(name, word)| filled(&format!("items.words.{name}"), word))?;
        if !words.answer.contains("{answer}") {
            return refuse(format!("items.words.answer is {:?}: it has to say the {{answer}}", words.answer));
        }
        if words.choose == words.other {
            return refuse("items.words.choose and items.words.other are the same".into());
        }
        count("items.practice", items.practice, 0, 1000)?;
        count("items.checks", items.checks, 0, 1000)?;
        count("items.limit", items.limit.unwrap_or(1), 1, MOST)
    }

    fn check_picture(&self) -> Result<(), Error> {
        let picture = &self.picture;
        within("picture.side", f64::from(picture.side), 64.0, 2048.0)?;
        within("picture.opacity", f64::from(picture.opacity), 0.0, 1.0)?;
        if let Some(name) = &picture.colormap {
            let known = colormap(name).map_err(|e| Error::Design(format!("picture.colormap: {e}")))?;
            if picture.signed && known.kind == ColormapKind::Sequential {
                return refuse(format!(
                    "picture.colormap is {name:?}, which does not tell signs apart, and picture.signed is set"
                ));
            }
        }
        match picture.scale {
            Scales::Both => refuse("picture.scale is \"both\": a picture has one scale, \"own\" or \"shared\"".into()),
            Scales::Own | Scales::Shared => Ok(()),
        }
    }

    fn check_raters(&self) -> Result<(), Error> {
        let raters = &self.raters;
        count("raters.answers_per_item", raters.answers_per_item, 1, MOST)?;
        count("raters.items_per_rater", raters.items_per_rater.unwrap_or(1), 1, MOST)?;
        if let (Some(each), Some(limit)) = (raters.items_per_rater, self.items.limit)
            && each > limit
        {
            return refuse(format!(
                "raters.items_per_rater is {each}, and items.limit {limit}: there are no more items"
            ));
        }
        let known = raters.items_per_rater.into_iter().chain(self.items.limit).min();
        if let Some(items) = known.filter(|items| raters.repeats > *items) {
            return refuse(format!("raters.repeats is {}: a rater sees {items} items", raters.repeats));
        }
        if matches!(self.question, Question::Reveal(_)) && raters.repeats > 0 {
            return refuse(format!(
                "raters.repeats is {}: an image that was uncovered is known, and asking again tells nothing; 0 is wanted",
                raters.repeats
            ));
        }
        positive("raters.seconds_per_answer", raters.seconds_per_answer)?;
        within("raters.pay_per_hour", raters.pay_per_hour.unwrap_or(0.0), 0.0, f64::MAX)
    }

    fn check_numbers(&self) -> Result<(), Error> {
        let (exclude, test, assume) = (&self.exclude, &self.test, &self.assume);
        within("exclude.too_fast_share", exclude.too_fast_share, 0.0, 1.0)?;
        between("test.alpha", test.alpha, 0.0, 1.0)?;
        between("test.power", test.power, 0.0, 1.0)?;
        count("test.resamples", test.resamples, 100, 1_000_000)?;
        let [none, largest] = self.question.effects();
        between("test.effect", test.effect, none, largest)?;
        let deviations = [("rater_sd", assume.rater_sd), ("item_sd", assume.item_sd), ("noise_sd", assume.noise_sd)];
        deviations.iter().try_for_each(|(name, sd)| within(&format!("assume.{name}"), *sd, 0.0, f64::MAX))?;
        within("assume.neither", assume.neither, 0.0, 1.0)?;
        within("assume.lapse", assume.lapse, 0.0, 1.0)?;
        // Where everybody leaves, no number of raters is enough.
        match assume.dropout {
            share if (0.0..1.0).contains(&share) => count("assume.simulations", assume.simulations, 1, 1_000_000),
            share => refuse(format!("assume.dropout is {share}: a share from 0 up to, but not, 1 is wanted")),
        }
    }

    fn check_finish(&self) -> Result<(), Error> {
        let finish = &self.finish;
        let addresses = [("redirect", &finish.redirect), ("redirect_failed", &finish.redirect_failed)];
        for (name, address) in addresses {
            let address = address.as_deref().unwrap_or("https://x");
            let of_page =
                address.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
            if !of_page || address.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return refuse(format!("finish.{name} is {address:?}: wanted is an address that begins with https://"));
            }
        }
        if finish.redirect.is_none() && finish.redirect_failed.is_some() {
            return refuse("finish.redirect_failed is given, and finish.redirect is not".into());
        }
        filled("consent.text", &self.consent.text)?;
        filled("finish.text", &finish.text)
    }
}

/// More arms than these are no study that anybody finishes.
const MOST_ARMS: usize = 12;

/// More items, or answers to one, than anybody pays for; what is beyond is a slip of the hand.
const MOST: usize = 10_000;

fn refuse<T>(why: String) -> Result<T, Error> {
    Err(Error::Design(why))
}

fn filled(field: &str, text: &str) -> Result<(), Error> {
    if text.trim().is_empty() { refuse(format!("{field} is empty")) } else { Ok(()) }
}

/// A number of things, within what a study can be made of.
fn count(field: &str, number: usize, least: usize, most: usize) -> Result<(), Error> {
    let fits = (least..=most).contains(&number);
    if fits { Ok(()) } else { refuse(format!("{field} is {number}: {least} to {most} are wanted")) }
}

fn positive(field: &str, number: f64) -> Result<(), Error> {
    let fits = number.is_finite() && number > 0.0;
    if fits { Ok(()) } else { refuse(format!("{field} is {number}: a number above 0 is wanted")) }
}

/// From the one to the other, both included.
fn within(field: &str, number: f64, least: f64, most: f64) -> Result<(), Error> {
    let range = if most == f64::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
    let fits = (least..=most).contains(&number);
    if fits { Ok(()) } else { refuse(format!("{field} is {number}: {range} is wanted")) }
}

/// Between the two, neither included.
fn between(field: &str, number: f64, least: f64, most: f64) -> Result<(), Error> {
    let fits = number > least && number < most;
    if fits { Ok(()) } else { refuse(format!("{field} is {number}: a number between {least} and {most} is wanted")) }
}
