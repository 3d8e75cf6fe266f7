//! One explanation: a map and all that is known of it.

use crate::image::Image;
use crate::{data, error};
use hirescam::heatmap::Normalize;
use hirescam::overlay::{Style, overlay};
use hirescam::preprocess::Rect;
use hirescam::record::{self, Files, Mark, Origin, Record};
use hirescam::sink::{self, part_of};
use hirescam::spec::Picture;
use hirescam::{Error, Input};
use ndarray::Array3;
use numpy::{IntoPyArray, PyArray2, PyArray3, PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::{Path, PathBuf};

/// Where the network saw a class in an image, and what is proven of that map.
///
/// >>> e = hirescam.Network("digits-cnn.onnx").explain("photos/seven.png")
/// >>> e.class_, e.map.shape, e.map.dtype
/// (7, (7, 7), dtype('float32'))
/// >>> e.certificate.verdict
/// 'locally-linear'
/// >>> bool(abs(e.map.sum() + e.certificate.b - e.score) < 1e-4)
/// True
#[pyclass(frozen, module = "hirescam")]
pub struct Explanation {
    of: hirescam::Explanation,
    image: String,
    image_sha256: Option<String>,
    index: usize,
}

impl Explanation {
    pub fn new(of: hirescam::Explanation, image: &str, image_sha256: Option<String>, index: usize) -> Self {
        Explanation { of, image: image.to_owned(), image_sha256, index }
    }

    /// What was asked for.
    fn spec(&self) -> &hirescam::Spec {
        &self.of.provenance().spec
    }

    fn record(&self, files: Files) -> Record {
        let origin = Origin::new(Path::new(&self.image), self.image_sha256.as_deref(), Some(self.index));
        Record::map(&self.of, origin, files, Mark::default())
    }

    /// The overlay as the options of the explainer say.
    fn overlaid(&self) -> Result<image::RgbImage, Error> {
        self.of.overlay(self.spec().picture.signed, &self.style(&self.spec().picture)?)
    }

    fn style(&self, picture: &Picture) -> Result<Style, Error> {
        Ok(Style { title: self.of.unit(), caption: self.of.caption(), ..picture.style()? })
    }

    fn drawn(&self, py: Python, image: Option<&Image>, options: Option<&Bound<PyDict>>) -> PyResult<image::RgbImage> {
        let options = data::options(py, options)?;
        let draw = || {
            let picture = self.spec().with(options)?.picture;
            let style = self.style(&picture)?;
            let Some(image) = image else { return self.of.overlay(picture.signed, &style) };
            let Input::Photo(photo) = image.read()?.0 else {
                return Err(Error::Argument("a tensor is no photo to draw on: pixels of 8 bits are wanted".into()));
            };
            let (width, height) = (f64::from(photo.width()), f64::from(photo.height()));
            let heatmap = self.of.heatmap()?;
            let heatmap = if picture.signed { heatmap } else { heatmap.rectify() };
            Ok(overlay(&photo, Rect { x: 0.0, y: 0.0, width, height }, &heatmap, &style)?)
        };
        crate::work::done(py, draw)
    }
}

#[pymethods]
impl Explanation {
    /// The raw map: float32, signed, at the layer's resolution, in units of the score where the method is. It is read-only and no copy:
    /// `e.map.copy()` can be changed.
    #[getter]
    #[allow(unsafe_code)]
    fn map<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyArrayDyn<f32>> {
        // SAFETY: the map lies in the explanation, which is frozen: it neither moves nor changes. NumPy's array keeps it alive.
        let map = unsafe { PyArrayDyn::borrow_from_array(&slf.get().of.map, slf.clone().into_any()) };
        (*map.readwrite().make_nonwriteable()).clone()
    }

    /// What the target makes of the scores: the logit of the class, or the output itself where that was asked for.
    #[getter]
    fn score(&self) -> f64 {
        self.of.score
    }

    /// The score's probability, where the network ends in what makes one, or it was asked for.
    #[getter]
    fn probability(&self) -> Option<f64> {
        self.of.probability.filter(|p| p.is_finite())
    }

    /// The class, where the target is about a single one.
    #[getter]
    fn class_(&self) -> Option<usize> {
        self.of.class
    }

    /// The class's label, where labels are known.
    #[getter]
    fn label(&self) -> Option<&str> {
        self.of.label()
    }

    /// What the map is about, in words: the label, or the class by its number; `cat − dog` for a contrast.
    #[getter]
    fn name(&self) -> String {
        self.of.name()
    }

    /// What was asked for, in one word: `top:1`, `class:3`.
    #[getter]
    fn target(&self) -> String {
        self.of.target().to_string()
    }

    /// The target layer.
    #[getter]
    fn layer(&self) -> &str {
        self.of.layer()
    }

    /// The method.
    #[getter]
    fn method(&self) -> &str {
        self.of.method().name
    }

    /// The engine that ran the network.
    #[getter]
    fn engine(&self) -> &str {
        &self.of.provenance().engine
    }

    /// The image's file; empty where it was none.
    #[getter]
    fn image(&self) -> &str {
        &self.image
    }

    /// What is proven of the map, and how the numbers come out.
    #[getter]
    fn certificate(&self) -> Certificate {
        let (e, c) = (&self.of, self.of.certificate());
        Certificate {
            verdict: c.verdict.to_string(),
            reason: c.reason.clone(),
            bypass: c.bypass.clone(),
            uniform: c.uniform,
            scale: c.scale,
            sum: e.sum,
            other_tokens: e.other_tokens,
            b: e.bias,
            b_is_known: e.bias_is_known,
            residual: e.residual,
            adds_up: e.adds_up(),
            share: e.share(),
            words: e.in_words(),
        }
    }

    /// The map as a record: all that is known of it as data, and all that is needed to make it again.
    #[getter(record)]
    fn record_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        data::to_python(py, &self.record(Files::default()))
    }

    /// The map on its way to display, [height, width] in float32: nothing is done to it but what is asked for.
    ///
    /// `rectify` leaves out what is negative, `normalize` brings the values into a fixed range (`"max"`, `"symmetric"`, `"min-max"`), `size` resizes it
    /// bilinearly to (height, width), as `torch.nn.functional.interpolate(align_corners=False)` does.
    ///
    /// >>> e = hirescam.Network("digits-cnn.onnx").explain("photos/seven.png")
    /// >>> heatmap = e.heatmap(size=(28, 28), rectify=True, normalize="max")
    /// >>> heatmap.shape, float(heatmap.min()) >= 0
    /// ((28, 28), True)
    #[pyo3(signature = (*, size=None, rectify=false, normalize=None))]
    fn heatmap<'py>(
        &self,
        py: Python<'py>,
        size: Option<Bound<'py, PyAny>>,
        rectify: bool,
        normalize: Option<&str>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let how = match normalize {
            None => None,
            Some("max") => Some(Normalize::Max),
            Some("symmetric") => Some(Normalize::Symmetric),
            Some("min-max") => Some(Normalize::MinMax),
            Some(other) => {
                let text = format!("normalize={other:?}: it takes \"max\", \"symmetric\" or \"min-max\"");
                return Err(error::argument(py, &text));
            }
        };
        let size = size.map(|size| {
            let given = size.extract::<(i64, i64)>().ok().map(|(height, width)| (height.try_into(), width.try_into()));
            let Some((Ok(height), Ok(width))) = given else {
                let text = format!("size={size}: it takes (height, width) in whole numbers of cells");
                return Err(error::argument(py, &text));
            };
            Ok::<(usize, usize), PyErr>((height, width))
        });
        let size = size.transpose()?;
        let make = || {
            let mut heatmap = self.of.heatmap()?;
            heatmap = if rectify { heatmap.rectify() } else { heatmap };
            heatmap = how.map_or(Ok(heatmap.clone()), |how| heatmap.normalize(how))?;
            Ok(match size {
                Some((height, width)) => heatmap.resize(height, width)?,
                None => heatmap,
            }
            .into_values())
        };
        Ok(crate::work::done(py, make)?.into_pyarray(py))
    }

    /// The overlay's pixels, [height, width, 3] in uint8; see `overlay`.
    #[pyo3(signature = (image=None, **options))]
    fn pixels<'py>(
        &self,
        py: Python<'py>,
        image: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyArray3<u8>>> {
        let drawn = self.drawn(py, photo(image)?.as_ref().map(|image| image.get()), options)?;
        let (width, height) = (drawn.width() as usize, drawn.height() as usize);
        let pixels = Array3::from_shape_vec((height, width, 3), drawn.into_raw());
        Ok(pixels.map_err(|e| error::argument(py, &e.to_string()))?.into_pyarray(py))
    }

    /// The overlay as the bytes of a PNG file; see `overlay`.
    #[pyo3(signature = (image=None, **options))]
    fn png<'py>(
        &self,
        py: Python<'py>,
        image: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let drawn = self.drawn(py, photo(image)?.as_ref().map(|image| image.get()), options)?;
        Ok(PyBytes::new(py, &crate::work::done(py, || sink::png(&drawn))?))
    }

    /// The heatmap over the photo, as a Pillow image: without what is negative, unless `signed=True`.
    ///
    /// Where the network was given a tensor, `image` says what to draw on: anything that is a photo for `explain`, of any size. All options of
    /// pictures can be given: `signed`, `opacity`, `colormap`, `clip`, `sharp`, `font`, `side`, `layout` (`"figure"`, `"beside"`, `"plain"`).
    #[pyo3(signature = (image=None, **options))]
    fn overlay<'py>(
        slf: &Bound<'py, Self>,
        image: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pixels = slf.call_method("pixels", (image,), options)?;
        slf.py().import("hirescam._display")?.call_method1("pillow", (pixels,))
    }

    /// Draws the map into matplotlib's axes, over the photo where there is one, and gives the axes.
    #[pyo3(signature = (ax=None, *, signed=None, colorbar=true))]
    fn plot<'py>(
        slf: &Bound<'py, Self>,
        ax: Option<&Bound<'py, PyAny>>,
        signed: Option<bool>,
        colorbar: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let signed = signed.unwrap_or(slf.get().spec().picture.signed);
        slf.py().import("hirescam._display")?.call_method1("plot", (slf, ax, signed, colorbar))
    }

    /// Writes the map: as an array where `path` ends in `.npy`, as an overlay in `.png`, as a record in `.json`. Of another path, all three with these
    /// endings. A file is whole or not there.
    fn save(&self, py: Python, path: PathBuf) -> PyResult<()> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        crate::work::done(py, || match ending {
            "npy" => sink::write(&path, &sink::npy(&self.of.map)?),
            "png" => sink::write(&path, &sink::png(&self.overlaid()?)?),
            "json" => sink::write(&path, &self.record(Files::default()).to_json()?),
            _ => {
                let mut parts = vec![("npy", sink::npy(&self.of.map)?)];
                let mut files = Files::default();
                files.map = record::path(&part_of(&path, "npy"));
                match self.overlaid() {
                    Ok(picture) => {
                        parts.push(("png", sink::png(&picture)?));
                        files.overlay = Some(record::path(&part_of(&path, "png")));
                    }
                    Err(Error::Argument(why)) => files.no_overlay = Some(why),
                    Err(error) => return Err(error),
                }
                parts.push(("json", self.record(files).to_json()?));
                sink::put(&path, &parts)
            }
        })
    }

    /// What the numbers of the map are.
    #[getter]
    fn unit(&self) -> String {
        self.of.unit()
    }

    /// The part of the photo that the network saw: left, top, width and height in pixels. None where a tensor was explained.
    #[getter]
    fn view(&self) -> Option<(f64, f64, f64, f64)> {
        self.of.seen().map(|(_, view)| (view.x, view.y, view.width, view.height))
    }

    /// The photo's pixels, [height, width, 3] in uint8. None where a tensor was explained.
    #[getter]
    fn photo<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray3<u8>>>> {
        let Some(photo) = self.of.photo() else { return Ok(None) };
        let (width, height) = (photo.width() as usize, photo.height() as usize);
        let pixels = Array3::from_shape_vec((height, width, 3), photo.rgb().as_raw().clone());
        Ok(Some(pixels.map_err(|e| error::argument(py, &e.to_string()))?.into_pyarray(py)))
    }

    fn __reduce__(&self) -> PyResult<()> {
        let text = "an explanation cannot be pickled or copied: send its map (e.map) and its record (e.record), which makes it again";
        Err(PyTypeError::new_err(text))
    }

    fn _repr_html_(slf: &Bound<Self>) -> PyResult<String> {
        slf.py().import("hirescam._display")?.call_method1("html", (slf,))?.extract()
    }

    fn __repr__(&self) -> String {
        let (e, shape) = (&self.of, self.of.map.shape());
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        format!("<hirescam.Explanation: {}, map {}>", e.caption(), shape.join("×"))
    }
}

/// What is to be drawn on.
fn photo<'py>(image: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, Image>>> {
    let Some(image) = image else { return Ok(None) };
    let images = image.py().import("hirescam._images")?;
    Ok(Some(images.call_method1("photo", (image,))?.cast_into::<Image>()?))
}

/// What is proven of a map, and how its numbers come out.
///
/// With Σ the sum of the map: where the verdict is `exact`, Σ / scale + b is the score with a b that is the same for every image; where it is `locally-linear`,
/// b belongs to the image; where it is `gradient-only`, nothing is proven but that a place the score does not depend on has 0.
#[pyclass(frozen, get_all, module = "hirescam")]
pub struct Certificate {
    /// exact, locally-linear, gradient-only, sum-only or unproven.
    verdict: String,
    /// The node that decides the verdict.
    reason: Option<String>,
    /// The node where a path around the layer joins.
    bypass: Option<String>,
    /// Whether the gradient is the same at all places.
    uniform: bool,
    /// By how much the cells are more than contributions.
    scale: usize,
    /// Σ map.
    sum: f64,
    /// What tokens that are no places of the image have.
    other_tokens: Option<f64>,
    /// b: what has to be added to give the score.
    b: Option<f64>,
    /// Whether b was found apart from score and map, so that the residual is a test.
    b_is_known: bool,
    /// score − (Σ map + other tokens) / scale − b, for methods whose cells are to add up.
    residual: Option<f64>,
    /// Whether the residual is no more than rounding leaves.
    adds_up: Option<bool>,
    /// What the map makes of the score, as a share of it.
    share: Option<f64>,
    /// All that is proven and found, in sentences.
    words: Vec<String>,
}

#[pymethods]
impl Certificate {
    fn __repr__(&self) -> String {
        let first = self.words.first().map_or(self.verdict.as_str(), String::as_str);
        format!("<hirescam.Certificate: {first}>")
    }

    fn __str__(&self) -> String {
        self.words.join("\n")
    }
}
