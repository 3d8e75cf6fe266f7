//! What there is to say of a network before anything is explained: what it takes, what it tells apart, and what goes with it.

use crate::Error;
use crate::explainer::{image_kind, photos};
use crate::network::{ImageInput, Network};
use crate::photo::Photo;
use crate::preprocess::{InputShape, Preprocess};
use crate::spec::Spec;
use image::RgbImage;

/// What there is to say of a network.
#[derive(Debug)]
#[non_exhaustive]
pub struct About {
    /// The input that carries the image.
    pub input: ImageInput,
    /// How photos come into it; none where it takes no photos.
    pub photos: Option<InputShape>,
    /// How many classes it tells apart; none where that is open, or its scores are no classes.
    pub classes: Option<usize>,
    /// How many labels go with it, and where they come from.
    pub labels: Option<(usize, String)>,
    /// The preprocessing that goes with it, and where it comes from.
    pub preprocess: Option<(Preprocess, String)>,
    /// Why its graph cannot be understood as it is: the size of the image is open, or an operator is not known.
    pub problem: Option<Error>,
}

impl Network {
    /// Says what the network takes and tells apart, as far as the file and the spec tell it.
    ///
    /// # Errors
    /// Those of reading what the spec names and what lies beside the network; [`Error::Core`] for a model without inputs.
    pub fn about(&self, spec: &Spec) -> Result<About, Error> {
        let spec = unexplained(spec);
        let options = spec.resolve(self)?;
        let given = |labels: &crate::labels::Labels| (labels.len(), "what was asked for".to_owned());
        let labels = match (&spec.labels, &options.labels) {
            (Some(_), Some(labels)) => Some(given(labels)),
            _ => self.labels_from()?.map(|(labels, from)| (labels.len(), from)),
        };
        let preprocess = match (&spec.preprocess, &options.preprocess) {
            (Some(_), Some(preprocess)) => Some((preprocess.clone(), "what was asked for".to_owned())),
            _ => self.preprocess()?,
        };
        let (classes, problem) = match self.analysis(&options) {
            Ok(analysis) => (analysis.score.class_axis.map(|_| analysis.score.classes), None),
            Err(error) => (None, Some(error)),
        };
        Ok(About {
            input: self.image_input(spec.image_input.as_deref())?,
            photos: photos(self, &options)?,
            classes,
            labels,
            preprocess,
            problem,
        })
    }
}

impl Network {
    /// What the network sees of a photo, in levels that people see: resized and cropped as the spec says, the normalisation taken back.
    ///
    /// # Errors
    /// [`Error::NoPreprocess`] where nothing says how photos are prepared, [`Error::Argument`] where the network takes none,
    /// [`Error::Preprocess`] for a photo that does not fit.
    pub fn seen(&self, spec: &Spec, photo: &Photo) -> Result<RgbImage, Error> {
        let options = unexplained(spec).resolve(self)?;
        let Some(image) = photos(self, &options)? else {
            return Err(Error::Argument("the network's input is no 2-D image, and takes no photos".into()));
        };
        let Some(preprocess) = &options.preprocess else {
            let kind = image_kind(self.model(), &options)?;
            return Err(Error::NoPreprocess { network: self.path().to_owned(), kind });
        };
        Ok(preprocess.shown(&preprocess.apply(photo, image)?.tensor, image.layout))
    }
}

/// The spec without what is explained, which need not be known yet.
fn unexplained(spec: &Spec) -> Spec {
    Spec { classes: Vec::new(), top: None, target: None, ..spec.clone() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::labels::Labels;
    use crate::preprocess::{AxisOrder, Channels, Filter, Resize, preset, resample};

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

    #[test]
    fn what_goes_with_a_network_is_said_with_its_place() {
        let network = Network::open(format!("{FIXTURES}/efficientnet-lite0.onnx")).unwrap();
        let about = network.about(&Spec { classes: vec!["no such label".into()], ..Spec::default() }).unwrap();
        let photos = about.photos.unwrap();
        assert_eq!((photos.layout, photos.channels, photos.height), (AxisOrder::ChannelsFirst, Some(3), Some(224)));
        assert_eq!((about.classes, about.labels.as_ref().map(|(n, _)| *n)), (Some(1000), Some(1000)));
        assert!(about.labels.unwrap().1.ends_with(".labels.txt") && about.preprocess.unwrap().1.ends_with(".toml"));
        assert!(about.problem.is_none());
    }

    #[test]
    fn what_the_network_sees_is_the_photo_cut_and_resized() {
        let network = Network::open(format!("{FIXTURES}/efficientnet-lite0.onnx")).unwrap();
        let photo = Photo::open(format!("{FIXTURES}/photos/chelsea.png")).unwrap();
        let steps = Preprocess {
            resize: Some(Resize::Exact([224, 224])),
            filter: Filter::Bicubic,
            ..preset("imagenet").unwrap()
        };
        let steps = Preprocess { crop: None, ..steps };
        let resized = resample::resize(photo.rgb(), 224, 224, Filter::Bicubic);
        for channels in [Channels::Rgb, Channels::Bgr] {
            let spec = Spec { preprocess: Some(Preprocess { channels, ..steps.clone() }.into()), ..Spec::default() };
            assert_eq!(network.seen(&spec, &photo).unwrap(), resized);
        }
        let grey = Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap();
        let seven = Photo::open(format!("{FIXTURES}/photos/seven.png")).unwrap();
        let seen = grey.seen(&Spec::default(), &seven).unwrap();
        assert_eq!(seen.dimensions(), (28, 28));
        assert!(seen.pixels().all(|p| p.0[0] == p.0[1] && p.0[1] == p.0[2]) && seen.pixels().any(|p| p.0[0] > 200));
    }

    #[test]
    fn a_network_can_be_given_labels() {
        let bytes = std::fs::read(format!("{FIXTURES}/digits-cnn.onnx")).unwrap();
        let names: Vec<String> = (0..10).map(|n| format!("digit {n}")).collect();
        let network = Network::from_bytes(bytes).unwrap().with_labels(Labels::new(names));
        let about = network.about(&Spec::default()).unwrap();
        assert_eq!((about.classes, about.labels), (Some(10), Some((10, "what it was given".to_owned()))));
        assert_eq!(network.labels().unwrap().unwrap().get(3), Some("digit 3"));
    }
}
