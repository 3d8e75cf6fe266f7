//! A plan in sentences.

use super::{Found, Plan};
use crate::design::Design;
use crate::kinds::Question;
use crate::text::count;

/// What was assumed of raters.
pub(super) fn assumed(design: &Design) -> String {
    let of = &design.assume;
    let units = match &design.question {
        Question::Prefer(_) | Question::Trust(_) => "logits",
        Question::Rate(_) => "points",
        Question::Reveal(_) => "shares of the image",
        Question::Locate(_) => "shares of overlap",
    };
    let mut text = format!(
        "raters differ by {} and items by {} (standard deviations, {units}); {:.0} % of answers are by chance; {:.0} % of raters stop early",
        of.rater_sd,
        of.item_sd,
        100.0 * of.lapse,
        100.0 * of.dropout
    );
    text += &match &design.question {
        Question::Prefer(_) | Question::Trust(_) => {
            format!("; \"no difference\" is {:.0} % of answers", 100.0 * of.neither)
        }
        Question::Rate(_) | Question::Reveal(_) => format!("; one rater's answers differ by {} besides", of.noise_sd),
        Question::Locate(_) => format!(
            "; one rater's answers differ by {} besides; \"it is not there\" is {:.0} % of answers",
            of.noise_sd,
            100.0 * of.neither
        ),
    };
    text
}

/// A plan in sentences.
pub(super) fn sentences(plan: &Plan) -> Vec<String> {
    let [fewest, most] = plan.of_rater;
    let each = if fewest == most { format!("{most}") } else { format!("{fewest} to {most}") };
    let mut lines = vec![
        format!(
            "“{}”: {}, {} ({}), asked as `{}`.",
            plan.title,
            count(plan.items, "item"),
            count(plan.arms.len(), "arm"),
            plan.arms.join(", "),
            plan.kind
        ),
        format!(
            "It takes {} and {} that count; with practice, checks and repeats {}.",
            count(plan.raters, "rater"),
            count(plan.answers, "answer"),
            count(plan.all_answers, "answer")
        ),
        format!(
            "A rater gives {each} answers, in about {}; all together take {}.",
            time(plan.minutes_of_rater),
            time(plan.minutes)
        ),
    ];
    lines.extend(cut(plan.items, plan.repeats));
    if let Some(pay) = plan.pay {
        let each = pay / plan.raters.max(1) as f64;
        lines.push(format!("Raters are paid {pay:.2} in all, {each:.2} each on average, without a platform's fees."));
    }
    let (Some(wanted), Some(none)) = (&plan.effect, &plan.no_effect) else {
        lines.push("With one arm there is nothing to test: results say how its maps do by themselves.".into());
        return lines;
    };
    let effect = |found: &Found| {
        let arm = |at: usize| plan.arms.get(at).map_or("", String::as_str);
        effect(&plan.kind, arm(0), arm(1), found.effect, found.expected)
    };
    lines.push(format!(
        "If {}, the study finds it (p < {}) with a power of {:.2} ({:.2} to {:.2} by {}); {} was asked for{}",
        effect(wanted),
        plan.alpha,
        wanted.power,
        wanted.interval.low,
        wanted.interval.high,
        if plan.simulations == 1 {
            "1 simulated study".into()
        } else {
            format!("{} simulated studies", plan.simulations)
        },
        plan.wanted,
        if wanted.power < plan.wanted {
            ": it is too small. More raters or, where items differ much, more items give it more power."
        } else {
            "."
        }
    ));
    lines.push(format!(
        "Where the arms do not differ it finds a difference in {:.1} % of studies ({:.1} to {:.1} %).",
        100.0 * none.power,
        100.0 * none.interval.low,
        100.0 * none.interval.high
    ));
    lines.push(match &plan.smallest {
        Some(found) => format!("The smallest effect that it finds with a power of {}: {}.", plan.wanted, effect(found)),
        None => format!("No effect within reach is found with a power of {}.", plan.wanted),
    });
    lines.push(format!("Assumed: {}.", plan.assumed));
    lines
}

/// An effect as the half of a sentence, for a kind of question: what [`Test::effect`](crate::design::Test::effect) is, and what the analysis would find of it with endless raters
/// and items, where that is known.
pub(crate) fn effect(kind: &str, first: &str, second: &str, size: f64, expected: Option<f64>) -> String {
    let comes_to =
        |what: &dyn Fn(f64) -> String| expected.map_or(String::new(), |e| format!(", which comes to {}", what(e)));
    let share = |what: &str| comes_to(&|share| format!("{:.1} % of answers, {what} counting half", 100.0 * share));
    let difference = |what: &str| comes_to(&|mean| format!("a difference of {mean:.3} {what}"));
    match kind {
        "prefer" => format!(
            "a typical rater who chooses prefers {first} to {second} on a typical item with a probability of {size:.3}{}",
            share("\"no difference\"")
        ),
        "trust" => format!(
            "a typical rater who chooses finds the model of {first} more reliable than that of {second} on a typical item with a probability of {size:.3}{}",
            share("both alike")
        ),
        "rate" => format!(
            "{first} is better than {second} by {size:.3} points{}",
            difference("after rounding to steps and answers by chance")
        ),
        "reveal" => format!(
            "{first} needs {size:.3} of the image less than {second}{}",
            difference("of the shares that are measured")
        ),
        _ => format!("marks overlap with the maps of {first} by {size:.3} more than with those of {second}"),
    }
}

/// That fewer items come again than the design asks for.
fn cut(items: usize, [asked, made]: [usize; 2]) -> Option<String> {
    (made < asked).then(|| {
        format!(
            "raters.repeats is {asked}, and a rater sees too few of the {}: {made} come again.",
            count(items, "item")
        )
    })
}

/// `4 minutes`, `3.5 hours`.
fn time(minutes: f64) -> String {
    match minutes {
        m if m >= 90.0 => format!("{:.1} hours", m / 60.0),
        m if m >= 1.5 => format!("{m:.0} minutes"),
        m => format!("{:.0} seconds", m * 60.0),
    }
}
