//! What came of a study, as data: every number once; page, tables and sentences show them.

use crate::statistics::{Alpha, Correlation, Level};
use hirescam_evaluate::statistics::Interval;
use serde::{Deserialize, Serialize};

/// The version of this form.
pub const SCHEMA: u32 = 1;

/// What came of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Results {
    /// The version of this form.
    pub schema: u32,
    /// The version of the program that made it.
    pub version: String,
    /// The study's name in files and databases.
    pub study: String,
    /// What raters saw on top of every page.
    pub title: String,
    /// The kind of question.
    pub kind: String,
    /// The question as raters read it.
    pub question: String,
    /// Whether raters were simulated, all of them or some.
    pub simulated: bool,
    /// Whether the study still took new raters when its answers were looked at.
    pub running: bool,
    /// The level of significance that was laid down; intervals hold 1 − alpha.
    pub alpha: f64,
    /// The smallest effect of interest that was laid down, as [`Test::effect`](crate::design::Test::effect) has it.
    pub effect: f64,
    /// The arms in the order of the design, in which they are compared.
    pub arms: Vec<String>,
    /// Raters and answers, from first to last.
    pub flow: Flow,
    /// Whose answers do not count, by the rules that were laid down.
    pub excluded: Vec<Exclusion>,
    /// The analysis that was laid down: without what is excluded.
    pub planned: Analysis,
    /// The same with all answers.
    pub everyone: Analysis,
    /// What a paper can say of it.
    pub sentence: String,
}

impl Results {
    /// Whether fewer raters had finished than were laid down.
    pub fn is_early(&self) -> bool {
        self.flow.finished < self.flow.places
    }
}

/// Raters and answers, from first to last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Flow {
    /// How many raters were to finish, as it was laid down.
    pub places: usize,
    /// Raters who agreed to take part, those who withdrew among them.
    pub began: usize,
    /// Raters who withdrew; their answers were deleted.
    pub withdrew: usize,
    /// Raters who neither finished nor withdrew.
    pub unfinished: usize,
    /// Raters who finished.
    pub finished: usize,
    /// Raters whom the rules exclude.
    pub excluded: usize,
    /// Raters whose answers count.
    pub counted: usize,
    /// All answers that are stored.
    pub answers: Answered,
    /// Items that count.
    pub items: usize,
    /// Items of which all arms' maps are the same: they say nothing of the arms, and are left out.
    pub same: usize,
}

/// Answers, by what becomes of them. Each is counted once, for the first of these that holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answered {
    /// All of them.
    pub all: usize,
    /// To practice items.
    pub practice: usize,
    /// To attention checks.
    pub checks: usize,
    /// To items that came again.
    pub repeats: usize,
    /// To items of which all maps are the same.
    pub same: usize,
    /// Of raters who are excluded.
    pub excluded: usize,
    /// Too fast.
    pub fast: usize,
    /// Without a value: "it is not there", a map without attention.
    pub without: usize,
    /// What is left: what the planned analysis counts.
    pub counted: usize,
}

/// A rater whose answers do not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exclusion {
    /// The rater's random name.
    pub rater: String,
    /// The first rule that the rater broke, as the design names it.
    pub rule: String,
    /// The reason, with numbers.
    pub because: String,
}

/// An analysis of some answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Analysis {
    /// Of how many answers.
    pub answers: usize,
    /// By how many raters.
    pub raters: usize,
    /// About how many items.
    pub items: usize,
    /// Each two arms by each measure; the first measure is the one that the test was planned for.
    pub comparisons: Vec<Comparison>,
    /// Each arm's mean by each measure, where an answer is about one arm.
    pub means: Vec<Mean>,
    /// The strengths of three arms and more.
    pub ranking: Option<Ranking>,
    /// How far raters agree.
    pub agreement: Option<Agreement>,
    /// How far raters say the same when they are asked again.
    pub consistency: Option<Share>,
    /// By class.
    pub classes: Vec<Part>,
    /// By the certificate's verdict.
    pub verdicts: Vec<Part>,
    /// Whether people prefer what metrics say is better.
    pub relations: Vec<Relation>,
    /// How often the picture that stood first was chosen.
    pub sides: Option<Share>,
    /// How long answers took.
    pub times: Vec<Time>,
}

/// A measure: what an answer comes to as a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measure {
    /// The name in tables.
    pub name: String,
    /// What it is, as a sentence.
    pub what: String,
    /// What it is where arms do not differ: ½ for shares, 0 for differences.
    pub null: f64,
    /// Whether more of it speaks for the first arm; less otherwise.
    pub more_is_better: bool,
}

/// Two arms by one measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The measure.
    pub measure: Measure,
    /// The first arm.
    pub first: String,
    /// The second arm.
    pub second: String,
    /// Of how many answers.
    pub answers: usize,
    /// By how many raters.
    pub raters: usize,
    /// About how many items.
    pub items: usize,
    /// Of answers that choose: how many chose the first, neither, the second.
    pub counts: Option<[usize; 3]>,
    /// The estimate: the mean share that prefers the first, or the mean difference first − second.
    pub estimate: f64,
    /// Its standard error, raters and items both drawn from many; none where too few of them answered.
    pub error: Option<f64>,
    /// The degrees of freedom of that error.
    pub df: Option<f64>,
    /// Where the interval comes from.
    pub interval_by: IntervalBy,
    /// The interval that counts.
    pub interval: Option<Interval>,
    /// The two-sided p value of no difference.
    pub p: Option<f64>,
    /// The same, corrected for as many tests as there are pairs of arms (Holm); of the planned measure only.
    pub corrected: Option<f64>,
    /// How far raters differ: a standard deviation, 0 where the variance comes out below 0.
    pub rater_sd: Option<f64>,
    /// How far items differ.
    pub item_sd: Option<f64>,
    /// The same estimate's interval by the bootstrap over raters and items.
    pub bootstrap: Option<Interval>,
    /// Of shares: the interval of the answers at hand, as if they were independent (Wilson).
    pub wilson: Option<Interval>,
    /// The sign test over items: on each, whether the mean of its answers is above no difference.
    pub by_item: Signs,
    /// The sign test over raters.
    pub by_rater: Signs,
    /// Wilcoxon's signed-rank test of the items' means.
    pub signed_rank: Option<SignedRank>,
}

/// How an interval was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalBy {
    /// By the crossed mixed-effects model.
    Crossed,
    /// All answers are the same: exactly, with as many trials as there are raters or items, whichever are fewer.
    Exact,
    /// There is none: too few raters or items.
    Nothing,
}

/// A sign test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Signs {
    /// How many lie on the first arm's side.
    pub first: usize,
    /// How many lie in the middle.
    pub neither: usize,
    /// How many lie on the second arm's side.
    pub second: usize,
    /// The exact two-sided p value.
    pub p: f64,
}

/// Wilcoxon's test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignedRank {
    /// The two-sided p value.
    pub p: f64,
    /// The rank-biserial correlation.
    pub effect: f64,
    /// Of how many items that differ.
    pub n: usize,
}

/// An arm's mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mean {
    /// The measure.
    pub measure: Measure,
    /// The arm.
    pub arm: String,
    /// Its mean over answers.
    pub mean: f64,
    /// The interval, raters and items both drawn from many.
    pub interval: Option<Interval>,
    /// Of how many answers.
    pub answers: usize,
}

/// Strengths of arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ranking {
    /// The arms, the strongest first.
    pub arms: Vec<Strength>,
    /// How readily "no difference" is said: between equal arms its odds against either.
    pub ties: f64,
}

/// The strength of an arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Strength {
    /// The arm.
    pub arm: String,
    /// θ in logits, less the mean of all.
    pub strength: f64,
    /// Its interval, raters and items both drawn from many.
    pub interval: Option<Interval>,
    /// The probability that it is preferred to an arm of mean strength by those who prefer one: the logistic function of θ.
    pub share: f64,
}

/// How far raters agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Agreement {
    /// What differences of answers mean.
    pub level: Level,
    /// Krippendorff's α.
    pub alpha: Alpha,
}

/// A share with its interval, raters and items both drawn from many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Share {
    /// The share, 0 to 1.
    pub share: f64,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Of how many answers.
    pub answers: usize,
    /// What it is, as a sentence.
    pub what: String,
}

/// Two arms on some of the items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// Which items.
    pub part: String,
    /// The first arm.
    pub first: String,
    /// The second arm.
    pub second: String,
    /// How many items there are.
    pub items: usize,
    /// How many answers.
    pub answers: usize,
    /// The estimate of the planned measure.
    pub estimate: f64,
    /// Its interval, raters and items both drawn from many; none with fewer than two items.
    pub interval: Option<Interval>,
}

/// Whether people prefer what a metric says is better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Relation {
    /// The metric.
    pub metric: String,
    /// Whether less of it is better; then it is turned round, so that a positive correlation says that people prefer what it calls better.
    pub turned: bool,
    /// Of items (and pairs of arms): the difference of the metric, and what answers say.
    pub correlation: Correlation,
}

/// How long answers took, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Time {
    /// Of which arm; of all where an answer is about several.
    pub of: String,
    /// A quarter took less.
    pub lower: f64,
    /// Half took less.
    pub median: f64,
    /// Three quarters took less.
    pub upper: f64,
    /// Of how many answers.
    pub answers: usize,
}
