//! Amazon Mechanical Turk: the study is shown in a frame of the worker's page (an `ExternalQuestion`), and the work is handed in by a form
//! that goes back there.

use super::is_id;
use serde::{Deserialize, Serialize};

/// Who comes from Mechanical Turk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Mturk {
    /// The worker; empty where the task is looked at before it is taken.
    #[serde(rename = "workerId", default)]
    #[param(required = false, max_length = 128)]
    pub worker: String,
    /// The assignment; `ASSIGNMENT_ID_NOT_AVAILABLE` where the task is looked at before it is taken.
    #[serde(rename = "assignmentId")]
    #[param(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_-]+$")]
    pub assignment: String,
    /// The task.
    #[serde(rename = "hitId", default)]
    #[param(required = false, max_length = 128)]
    pub hit: String,
    /// Where the work is handed in: `https://www.mturk.com` or `https://workersandbox.mturk.com`.
    #[serde(rename = "turkSubmitTo", default)]
    #[param(required = false, max_length = 128)]
    pub submit_to: String,
}

impl Mturk {
    /// Where work may be handed in.
    pub(crate) const HOSTS: [&str; 2] = ["https://www.mturk.com", "https://workersandbox.mturk.com"];
    /// Who may show the study in a frame.
    pub(crate) const FRAMES: &str = "https://www.mturk.com https://worker.mturk.com https://workersandbox.mturk.com https://requester.mturk.com \
         https://requestersandbox.mturk.com";

    /// Whether the task is only looked at.
    pub(crate) fn is_preview(&self) -> bool {
        self.assignment == "ASSIGNMENT_ID_NOT_AVAILABLE"
    }

    /// Where the work is handed in; none for an address that is not Mechanical Turk's.
    pub(crate) fn host(&self) -> Option<&'static str> {
        let given = self.submit_to.trim_end_matches('/');
        Mturk::HOSTS.into_iter().find(|host| *host == given)
    }

    /// Whether all that has to be there is there.
    pub(crate) fn is_whole(&self) -> bool {
        [&self.worker, &self.assignment, &self.hit].into_iter().all(|id| is_id(id)) && self.host().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_handed_in_at_mechanical_turk_only() {
        let of = |submit_to: &str| {
            let all = || "A1".to_owned();
            Mturk { worker: all(), assignment: all(), hit: all(), submit_to: submit_to.into() }
        };
        assert_eq!(of("https://www.mturk.com/").host(), Some("https://www.mturk.com"));
        assert_eq!(of("https://workersandbox.mturk.com").host(), Some("https://workersandbox.mturk.com"));
        for other in [
            "",
            "http://www.mturk.com",
            "https://www.mturk.com.evil.example",
            "https://evil.example/https://www.mturk.com",
        ] {
            assert!(!of(other).is_whole(), "{other}");
        }
    }
}
