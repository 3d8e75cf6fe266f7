//! `hirescam evaluate`: how good maps are, on a data set with truth and against the network itself.

use crate::error::Error;
use crate::interrupt;
use crate::options::{self, Given};
use crate::output::{self, say};
use crate::progress;
use clap::Args;
use hirescam::Network;
use hirescam_evaluate::classes::ClassMap;
use hirescam_evaluate::evaluation::{Progress, ROWS, rows, summary};
use hirescam_evaluate::{Evaluation, Plan};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Evaluate methods.
#[derive(Args)]
pub struct Evaluate {
    /// The network, an ONNX file
    model: PathBuf,
    /// The data set: a folder, an archive, or a file that names its images
    data: PathBuf,
    /// Where rows and report go. What lies there from the same command is not made again
    #[arg(short, long, value_name = "DIR", default_value = "evaluation")]
    out: PathBuf,
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    spec: Given<{ options::ENGINE | options::SETTINGS }>,
}

impl Evaluate {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let spec = self.spec.spec()?;
        if spec.method != "hirescam" {
            return Err(Error::Argument(format!("methods are evaluated by --methods {}", spec.method)));
        }
        if spec.target.is_some() || spec.top.is_some() || !spec.classes.is_empty() {
            return Err(Error::Argument(
                "which classes are explained follows from the data set: --classes present, predicted or both".into(),
            ));
        }
        let network = Network::open(&self.model)?;
        let data = hirescam_evaluate::data::open(&self.data, &self.plan.data)?;
        data.notes().iter().for_each(|note| output::note(note));
        let map = ClassMap::new(data.classes(), &network.class_labels(&spec)?, &self.plan.class_map)?;
        output::note(&format!("classes are mapped {}", map.how()));
        for unmapped in map.unmapped() {
            output::note(&format!("{} is no class of the network: {}", unmapped.name, unmapped.because));
        }
        let classes: Vec<Vec<usize>> = (0..data.classes().len()).map(|c| map.network_classes(c).to_vec()).collect();
        let plan = &self.plan;
        let evaluation = Evaluation { network: &network, spec: &spec, data: data.as_ref(), classes: &classes, plan };
        let (bar, interrupted) = (progress::images_with_rate(), interrupt::flag()?);
        let outcome = evaluation.run(
            &self.out,
            &mut |progress: &Progress| {
                bar.set_length(progress.of as u64);
                bar.set_position(progress.done as u64);
                bar.set_message(progress.in_words());
            },
            &interrupted,
        );
        bar.finish_and_clear();
        let outcome = outcome?;
        let rows = rows(&self.out)?;
        summary(&rows, &outcome).iter().try_for_each(|line| say!("{line}"))?;
        evaluation.report(&self.out, &rows, &interrupted)?;
        say!("rows: {}", self.out.join(ROWS).display())?;
        say!("report: {}", self.out.join("report.html").display())?;
        Ok(match interrupted.load(Ordering::Relaxed) {
            true if outcome.stopped => interrupt::CODE,
            _ => u8::from(outcome.failed > 0 || outcome.stopped),
        })
    }
}
