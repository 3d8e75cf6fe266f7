//! Tests that are made of data: one for each card, case or network, so that each can be run alone
//! (`cargo test --test rules Conv`). A file of such tests has `harness = false` in its manifest and a `main` in place of `#[test]`.

use hirescam_core::ops::{self, Card};
use libtest_mimic::{Arguments, Conclusion, Trial};

pub use libtest_mimic::{Completion, Failed};

/// The tests of a file.
#[derive(Default)]
pub struct Tests(Vec<Trial>);

impl Tests {
    /// One more, of its own.
    #[must_use]
    pub fn one(mut self, name: &str, check: fn()) -> Self {
        self.0.push(Trial::test(name, move || {
            check();
            Ok(())
        }));
        self
    }

    /// One more for each of `cases`, named `sentence::case`; an error says what is wrong.
    ///
    /// # Panics
    /// When there are fewer cases than `floor`: an empty list would hold whatever is checked.
    #[must_use]
    pub fn each<T: Send + 'static>(
        self,
        sentence: &str,
        floor: usize,
        cases: impl IntoIterator<Item = (String, T)>,
        check: fn(T) -> Result<(), String>,
    ) -> Self {
        self.each_or_ignored(sentence, floor, cases, move |case| Ok(check(case).map(|()| Completion::Completed)?))
    }

    /// As [`Tests::each`], of tests that can find that there is nothing to try: the summary counts them as ignored.
    ///
    /// # Panics
    /// As [`Tests::each`].
    #[must_use]
    pub fn each_or_ignored<T: Send + 'static>(
        mut self,
        sentence: &str,
        floor: usize,
        cases: impl IntoIterator<Item = (String, T)>,
        check: impl Fn(T) -> Result<Completion, Failed> + Clone + Send + 'static,
    ) -> Self {
        let before = self.0.len();
        self.0.extend(cases.into_iter().map(|(name, case)| {
            let check = check.clone();
            Trial::ignorable_test(format!("{sentence}::{name}"), move || check(case))
        }));
        let made = self.0.len() - before;
        assert!(made >= floor, "{sentence}: {made} cases, and there were {floor} at least");
        self
    }

    /// Runs those that the command line asks for.
    pub fn run(self) -> Conclusion {
        libtest_mimic::run(&Arguments::from_args(), self.0)
    }
}

/// The cards with their names, of all operators that are kept.
pub fn cards(keep: fn(&Card) -> bool) -> impl Iterator<Item = (String, &'static Card)> {
    let name = |card: &Card| format!("{}{}{}", card.domain, if card.domain.is_empty() { "" } else { "." }, card.name);
    ops::all().filter(move |card| keep(card)).map(move |card| (name(card), card))
}

/// `Ok` where nothing is wrong, else all that is.
///
/// # Errors
/// The lines of `wrong`.
pub fn all_right(wrong: &[String]) -> Result<(), String> {
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
