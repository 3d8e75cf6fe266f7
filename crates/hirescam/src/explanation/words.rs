//! What there is to say of an explanation. Each sentence follows the numbers that it speaks of.

use super::Explanation;
use hirescam_core::certify::Verdict;

impl Explanation {
    /// What to do about a row of places that the graph does not lay out in the image.
    pub(super) fn without_grid(&self) -> Option<String> {
        (self.map.ndim() == 1 && self.shared.image_axes > 1).then(|| {
            format!(
                "the layer's {} places are in a row, and the graph does not tell how they lie in the image: --grid HEIGHTxWIDTH (Options::grid) says it and makes the map a picture",
                self.map.len()
            )
        })
    }

    /// The certificate in plain words, one sentence a line.
    pub fn in_words(&self) -> Vec<String> {
        let c = &self.shared.certificate;
        let mut lines = Vec::new();
        let because = c.reason.as_ref().map_or(String::new(), |r| format!(" because of the {r}"));
        let scale = c.scale as f64;
        let (sum, others) = (self.sum / scale, self.other_tokens.map(|o| o / scale));
        let (score, residual, b) = (self.score, self.residual, self.bias.unwrap_or(0.0));
        // The other tokens are a part of the sum that is not in the picture.
        let with = others.map_or(String::new(), |o| format!("{o:.4} of the tokens that are no places and "));
        let also = others.map_or(String::new(), |o| format!(" (and {o:.4} of the tokens that are no places)"));
        lines.push(match c.verdict {
            Verdict::Exact if c.scale > 1 => format!(
                "exact: the cells are {scale} times each place's contribution to the score; divided by that they add up to {sum:.4} and, with {with}b = {b:.4} (the same for every image), make the score {score:.4} (residual {residual:.1e})",
            ),
            Verdict::Exact => format!(
                "exact: the cells are each place's contribution to the score; they add up to {sum:.4} and, with {with}b = {b:.4} (the same for every image), make the score {score:.4} (residual {residual:.1e})",
            ),
            Verdict::LocallyLinear => format!(
                "locally-linear{because}: the cells are contributions to the linear form that the network follows for this image; they add up to {sum:.4}{also}, the rest of the score {score:.4} is b = {b:.4}, which belongs to this image",
            ),
            Verdict::GradientOnly => format!(
                "gradient-only{because}: a place that the score does not depend on gets 0; the cells add up to {sum:.4}{also} and not to the score {score:.4} (residual {residual:.4})",
            ),
            Verdict::SumOnly => format!(
                "sum-only{because}: the cells add up to {sum:.4} and, with {with}b = {b:.4}, make the score {score:.4} (residual {residual:.1e}), but the map can show places that the network did not use",
            ),
            Verdict::Unproven => {
                "unproven: the map can show places that the network did not use, and hide some that it did".into()
            }
        });
        if let (Verdict::Unproven, Some(others)) = (c.verdict, others) {
            lines.push(format!("the tokens that are no places have {others:.4}, which is not in the map"));
        }
        lines.extend(self.without_grid());
        lines.extend(c.but.iter().chain(&c.caution).chain(&self.notes).cloned());
        if c.uniform {
            lines.push("the gradient is the same at all places, so HiResCAM and Grad-CAM are the same map here".into());
        }
        if let Some(join) = &c.bypass {
            lines.push(format!("a path goes around the layer and joins at the {join}: the map explains only what flows through the layer"));
        }
        if self.map.iter().all(|&v| v <= 0.0) {
            lines.push(
                "no place speaks for the class: every cell is negative or zero. That is a result, not a failure".into(),
            );
        }
        if let Some(activation) = &self.shared.activation {
            lines.push(format!("the score is the logit before the final {activation}"));
        }
        lines
    }
}
