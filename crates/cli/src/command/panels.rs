//! `hirescam panels`: two methods side by side for human raters, who cannot tell which is whose.

use crate::error::Error;
use crate::options::{self, Given};
use crate::output::{self, say};
use crate::{inputs, progress};
use clap::Args;
use hirescam::overlay::Scales;
use hirescam::{Network, Spec};
use hirescam_evaluate::panels::{self, Arm, Plan};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Make panels for human raters.
#[derive(Args)]
pub struct Panels {
    /// The network, an ONNX file
    model: PathBuf,
    /// Photos, folders of photos, or patterns
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Also take the images of the folders within folders
    #[arg(short, long)]
    recursive: bool,
    /// The two methods; `hirescam methods` lists them
    #[arg(
        long,
        value_name = "METHOD,METHOD",
        value_delimiter = ',',
        default_value = "hirescam,gradcam",
        conflicts_with = "arms"
    )]
    methods: Vec<String>,
    /// The two arms as specs (TOML, JSON, or the record of an explanation), where they differ in more than the method; other options
    /// of what is explained do not count then
    #[arg(long, value_name = "FILE,FILE", value_delimiter = ',')]
    arms: Vec<PathBuf>,
    /// The colour scales: own, one for each map; shared, one for the two maps of a panel
    #[arg(long, value_name = "own|shared", default_value = "own", value_parser = Scales::from_str)]
    scale: Scales,
    /// The seed that draws which side is whose. It tells the arms to whoever has it: keep it with the key
    #[arg(long)]
    sides: u64,
    /// Where the panels go, and the list of them: a folder that is new or empty
    #[arg(long, value_name = "DIR", default_value = "panels")]
    out: PathBuf,
    /// Where the key goes, which says whose each side is: outside of the panels' folder [default: beside it, DIR-key.json]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    spec: Given<{ options::ENGINE | options::RUNS }>,
}

impl Panels {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        let spec = self.spec.spec()?;
        if spec.method != "hirescam" {
            return Err(Error::Argument(format!("the two methods are named by --methods {},…", spec.method)));
        }
        let network = Network::open(&self.model)?;
        let files = inputs::images(&self.images, self.recursive)?;
        let key = self.key.clone().unwrap_or_else(|| beside(&self.out));
        self.nothing_there(&key)?;
        let arm = |(name, spec): (String, Spec)| Ok(Arm { name, explainer: network.explainer(&spec)? });
        let arms: Vec<Arm> = self.specs(&spec)?.into_iter().map(arm).collect::<Result<_, Error>>()?;
        let arms: [Arm; 2] = arms
            .try_into()
            .map_err(|arms: Vec<Arm>| Error::Argument(format!("panels have two arms, not {}", arms.len())))?;
        let plan = Plan { seed: self.sides, scale: self.scale, picture: spec.picture };
        let bar = progress::images(files.len());
        let mut failed = 0;
        let mut each = |path: &Path, error: Option<&hirescam::Error>| {
            if let Some(error) = error {
                failed += 1;
                bar.suspend(|| output::error(&format!("{}: {}", path.display(), error.without(path))));
            }
            bar.inc(1);
        };
        let (panels, made) = panels::make(&plan, &arms, &files, &self.out, &key, &mut each)?;
        bar.finish_and_clear();
        say!("{} panels in {}, listed in panels.csv and panels.json", panels.panels.len(), self.out.display())?;
        say!("the key, which raters must not see: {}", key.display())?;
        let same = made.panels.iter().filter(|p| p.same).count();
        if same > 0 {
            output::note(&format!(
                "in {same} of {} panels both maps are the same, so raters can tell nothing there; where the gradient is uniform HiResCAM and Grad-CAM are one map",
                made.panels.len()
            ));
        }
        Ok(u8::from(failed > 0))
    }

    /// The arms by name.
    fn specs(&self, spec: &Spec) -> Result<Vec<(String, Spec)>, Error> {
        if self.arms.is_empty() {
            let by = |method: &String| (method.clone(), Spec { method: method.clone(), ..spec.clone() });
            return Ok(self.methods.iter().map(by).collect());
        }
        let open = |path: &PathBuf| {
            let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Ok((name, Spec { engine: spec.engine.clone(), ..Spec::open(path)? }))
        };
        self.arms.iter().map(open).collect()
    }

    /// Panels of two runs in one folder would be two lists of sides, and a key that is replaced is lost.
    fn nothing_there(&self, key: &Path) -> Result<(), Error> {
        let full = std::fs::read_dir(&self.out).is_ok_and(|mut there| there.next().is_some());
        let there = if full { self.out.as_path() } else { key };
        if full || key.exists() {
            return Err(Error::Argument(format!(
                "{} is there already, and nothing of an earlier run is replaced: name another place (--out DIR, --key FILE)",
                there.display()
            )));
        }
        Ok(())
    }
}

/// `panels-key.json` beside `panels`.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_else(|| "panels".as_ref()).to_owned();
    name.push("-key.json");
    folder.with_file_name(name)
}
