//! The sum of some cells of a map, and what the certificate allows to say of it.

use super::Explanation;
use super::words::{number, percent};
use crate::Error;
use hirescam_core::certify::Verdict;
use serde::Serialize;
use std::collections::BTreeSet;

/// What some cells of a map come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Region {
    /// How many cells there are.
    pub cells: usize,
    /// Σ of them, in units of the score: divided by the certificate's scale.
    pub sum: f64,
    /// That as a share of the score; none where the cells are no parts of it.
    pub share: Option<f64>,
    /// Whether it is proven that they contribute this sum to the score.
    pub exact: bool,
    /// What may be said of it.
    pub sentence: String,
}

impl Explanation {
    /// What the cells of these numbers, row by row, come to together. One that is named twice counts once.
    ///
    /// # Errors
    /// [`Error::Argument`] for a number that the map has no cell of.
    pub fn region(&self, cells: impl IntoIterator<Item = usize>) -> Result<Region, Error> {
        let cells: BTreeSet<usize> = cells.into_iter().collect();
        if let Some(beyond) = cells.last().filter(|&&last| last >= self.map.len()) {
            return Err(Error::Argument(format!(
                "the map has {} cells, and none of the number {beyond}",
                self.map.len()
            )));
        }
        let own = self.map.iter().enumerate().filter(|(number, _)| cells.contains(number));
        let sum = own.map(|(_, v)| f64::from(*v)).sum::<f64>() / self.certificate().scale as f64;
        let share = self.share().map(|_| sum / self.score);
        let sentence = self
            .region_in_words()
            .replace("{cells}", &cells.len().to_string())
            .replace("{sum}", &number(sum))
            .replace("{score}", &number(self.score))
            .replace("{share}", &share.map_or("no share".into(), percent));
        Ok(Region { cells: cells.len(), sum, share, exact: self.is_exact(), sentence })
    }

    /// What may be said of the sum of any cells of this map, with `{cells}`, `{sum}`, `{score}` and `{share}` for how many they are,
    /// what they come to in units of the score, the score, and the sum as a share of it.
    pub fn region_in_words(&self) -> String {
        let of_score = if self.share().is_some() { "{sum} of {score} ({share})" } else { "{sum} of {score}" };
        match self.certificate().verdict {
            _ if self.adds_up() == Some(false) && self.bias_is_known => {
                "these {cells} cells hold {sum}; the map does not add up to the score, so that is no proven part of it".into()
            }
            Verdict::Exact => format!("these {{cells}} cells contribute {of_score}; exact"),
            Verdict::LocallyLinear => format!(
                "these {{cells}} cells contribute {of_score} to the linear form that the network follows for this image; that is not proven of the score as such"
            ),
            Verdict::GradientOnly => {
                "these {cells} cells hold {sum}; where the score does not depend on a place its cell is 0, but the sum is no proven part of the score {score}".into()
            }
            Verdict::SumOnly => {
                "these {cells} cells hold {sum}; all cells together are proven to add up, a part of them is not proven to contribute its sum".into()
            }
            Verdict::Unproven => "these {cells} cells hold {sum}; nothing is proven of a part of this map".into(),
        }
    }

    /// Whether each cell is proven to be its place's contribution, and the numbers do not speak against it.
    pub fn is_exact(&self) -> bool {
        self.certificate().verdict == Verdict::Exact && self.adds_up() != Some(false)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::photo::Photo;
    use crate::{Explanation, Network, Spec};
    use hirescam_testing::engines::noise;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

    fn explained(spec: Spec) -> Explanation {
        let network = Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap();
        let seven = Photo::open(format!("{FIXTURES}/photos/seven.png")).unwrap();
        network.explainer(&spec).unwrap().explain_one(seven).unwrap().into_maps().remove(0)
    }

    #[test]
    fn parts_that_cover_a_map_add_up_to_it() {
        let e = explained(Spec::default());
        let half = e.map.len() / 2;
        let (first, rest) = (e.region(0..half).unwrap(), e.region(half..e.map.len()).unwrap());
        let whole = e.region((0..e.map.len()).chain(0..3)).unwrap();
        assert_eq!(whole.cells, e.map.len());
        assert!((first.sum + rest.sum - whole.sum).abs() < 1e-9);
        assert!((whole.sum - e.sum / e.certificate().scale as f64).abs() < 1e-9);
        assert_eq!(e.region([]).unwrap().sum, 0.0);
        assert!(matches!(e.region([e.map.len()]), Err(crate::Error::Argument(_))));
    }

    /// A network that ends in a mean over all places and a linear layer.
    fn affine() -> Explanation {
        let network = Network::open(format!("{FIXTURES}/zoo/resnet.ts.onnx")).unwrap();
        let image = noise(&[1, 3, 32, 32], 1);
        network.explainer(&Spec::default()).unwrap().explain_one(image).unwrap().into_maps().remove(0)
    }

    #[test]
    fn only_what_is_proven_is_said_of_a_part() {
        let gradcam = Spec { method: "gradcam".into(), ..Spec::default() };
        for (e, exact, words) in [
            (affine(), true, "exact"),
            (explained(Spec::default()), false, "not proven of the score as such"),
            (explained(gradcam), false, "nothing is proven"),
        ] {
            let region = e.region([0, 1]).unwrap();
            assert_eq!(region.exact, exact, "{}", region.sentence);
            assert!(region.sentence.contains(words) && !region.sentence.contains('{'), "{}", region.sentence);
        }
    }
}
