//! Prolific: raters come by an address with three ids in it, and go back by one with a code (`finish.redirect` of the design).

use super::is_id;
use serde::{Deserialize, Serialize};

/// Who comes from Prolific: `…/prolific?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Prolific {
    /// The person.
    #[serde(rename = "PROLIFIC_PID")]
    #[param(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_-]+$")]
    pub pid: String,
    /// The study as Prolific calls it.
    #[serde(rename = "STUDY_ID")]
    #[param(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_-]+$")]
    pub study: String,
    /// The person's submission.
    #[serde(rename = "SESSION_ID")]
    #[param(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_-]+$")]
    pub session: String,
}

impl Prolific {
    /// Whether all that has to be there is there.
    pub(crate) fn is_whole(&self) -> bool {
        [&self.pid, &self.study, &self.session].into_iter().all(|id| is_id(id))
    }
}
