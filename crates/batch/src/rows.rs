//! The rows of a job: one for each map, one for each image without any. docs/batch.md lists the columns.
//!
//! They are the same whoever brings the images: a shard, or an engine that has the explainer in one of its own tasks.

use crate::error::{Error, Failure};
use arrow_array::builder::{Float16Builder, Float32Builder, OffsetBufferBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use half::f16;
use hirescam::overlay::Style;
use hirescam::record::{Files, Mark, Origin, Record};
use hirescam::{Explained, Explainer, Explanation};
use hirescam_evaluate::metrics;
use image::codecs::jpeg::JpegEncoder;
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

/// The version of the columns. It grows when one changes its meaning or goes; new ones may come without.
pub const SCHEMA: u32 = 1;
/// Where the version stands in a file's metadata.
pub const SCHEMA_KEY: &str = "hirescam.rows";
/// Where that stands which all rows of a job share.
pub const JOB_KEY: &str = "hirescam.job";
/// Where that stands which all maps of a method and a layer share.
pub const MAPS_KEY: &str = "hirescam.maps";

/// How many bytes are in a group of rows, before compression.
const GROUP_BYTES: usize = 32 << 20;
/// The quality of small pictures.
const QUALITY: u8 = 85;

/// What stands in the rows beside the numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RowOptions {
    /// The numbers of the maps.
    pub map: MapKind,
    /// A small picture of each map over its photo, of so many pixels on the longer side; none where nothing is said.
    pub thumbnails: Option<u32>,
    /// Metrics of the map alone, a column each: total-variation, sparseness, entropy.
    pub metrics: Vec<String>,
}

/// The metrics that need nothing but the map, by their names.
const METRICS: [(&str, fn(ArrayViewD<f64>) -> Result<f64, hirescam_evaluate::Error>); 3] =
    [("total-variation", metrics::total_variation), ("sparseness", metrics::sparseness), ("entropy", metrics::entropy)];

/// The column of a metric.
fn column_of(metric: &str) -> String {
    metric.replace('-', "_")
}

/// The numbers of maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapKind {
    /// 32 bits, as the engine gives them.
    #[default]
    F32,
    /// 16 bits: half the room, and three digits.
    F16,
}

/// What all rows of an input say.
#[derive(Clone, Debug)]
pub(crate) struct OfInput<'a> {
    pub(crate) id: i64,
    pub(crate) uri: &'a str,
    pub(crate) sha256: Option<String>,
    pub(crate) note: Option<String>,
}

/// Makes rows of one form.
pub struct Rows {
    options: RowOptions,
    schema: SchemaRef,
    /// The extents of all maps, where they are known.
    shape: Option<Vec<usize>>,
    /// What measures the maps.
    measures: Vec<fn(ArrayViewD<f64>) -> Result<f64, hirescam_evaluate::Error>>,
    style: Style,
    signed: bool,
}

/// How many pixels the longer side of a thumbnail may have.
const THUMBNAILS: RangeInclusive<u32> = 1..=4096;

/// One row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The number of the input in its job.
    pub id: i64,
    /// The input.
    pub uri: String,
    /// SHA-256 of its bytes.
    pub image_sha256: Option<String>,
    /// What there is to beware of in it, as that only its first page is explained.
    pub image_note: Option<String>,
    /// Which image of the input it is, from 0; none where the input failed.
    pub index: Option<i32>,
    /// Which map of the image it is, from 0; none where there is no map.
    pub number: Option<i32>,
    map: Option<OfMap>,
    failure: Option<Failure>,
}

/// What a map's row says.
#[derive(Clone, Debug, PartialEq)]
struct OfMap {
    class: Option<i64>,
    label: Option<String>,
    target: String,
    layer: String,
    method: String,
    score: f64,
    probability: Option<f64>,
    sum: f64,
    b: Option<f64>,
    residual: Option<f64>,
    verdict: String,
    map: Vec<f32>,
    shape: Vec<i32>,
    peak: Option<(f32, Vec<i32>)>,
    thumbnail: Option<Vec<u8>>,
    /// In the order in which they were asked for; none where one has no value, as of a map of zeros.
    metrics: Vec<Option<f64>>,
}

impl Row {
    /// Why the row has no map; none also where the target picks nothing.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }
}

impl Rows {
    /// Rows of what an explainer makes.
    ///
    /// # Errors
    /// [`Error::Explain`] where pictures cannot be drawn as the spec says; [`Error::Argument`] for a metric that needs more than the map,
    /// or is none, and for thumbnails without a size.
    pub fn of(explainer: &Explainer, options: &RowOptions) -> Result<Self, Error> {
        let measured = |name: &String| {
            let found = METRICS.iter().find(|(known, _)| known == name);
            found.map(|(_, of)| *of).ok_or_else(|| {
                let known = METRICS.map(|(name, _)| name).join(", ");
                Error::Argument(format!(
                    "rows have the metrics that need nothing but the map, {known}; {name:?} is none of them"
                ))
            })
        };
        let measures = options.metrics.iter().map(measured).collect::<Result<Vec<_>, _>>()?;
        if options.thumbnails.is_some_and(|side| !THUMBNAILS.contains(&side)) {
            let (least, most) = (THUMBNAILS.start(), THUMBNAILS.end());
            return Err(Error::Argument(format!("the longer side of thumbnails has {least} to {most} pixels")));
        }
        let shape = explainer.map_shape();
        let picture = &explainer.spec().picture;
        let style = if options.thumbnails.is_some() { picture.style()? } else { Style::default() };
        let schema = Arc::new(schema(options, shape.as_deref()));
        Ok(Rows { options: options.clone(), schema, shape, measures, style, signed: picture.signed })
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The form of the rows, as it stands in a fingerprint.
    pub fn form(&self) -> Value {
        form(&self.options)
    }

    /// Whether something is drawn on photos.
    pub(crate) fn draw(&self) -> bool {
        self.options.thumbnails.is_some()
    }

    /// The rows of an image: one for each map, else one that says why there is none.
    pub(crate) fn rows_of(&self, input: &OfInput, index: Option<usize>, made: Result<&Explained, Failure>) -> Vec<Row> {
        let bare = Row {
            id: input.id,
            uri: input.uri.to_owned(),
            image_sha256: input.sha256.clone(),
            image_note: input.note.clone(),
            index: index.and_then(|index| i32::try_from(index).ok()),
            ..Row::default()
        };
        match made {
            Ok(made) if made.maps().is_empty() => vec![bare],
            Ok(made) => (0..)
                .zip(made.maps())
                .map(|(number, e)| match self.of_map(e) {
                    Ok(map) => Row { number: Some(number), map: Some(map), ..bare.clone() },
                    Err(failure) => Row { number: Some(number), failure: Some(failure), ..bare.clone() },
                })
                .collect(),
            Err(failure) => vec![Row { failure: Some(failure), ..bare }],
        }
    }

    fn of_map(&self, e: &Explanation) -> Result<OfMap, Failure> {
        let map: Vec<f32> = e.map.iter().copied().collect();
        if let (MapKind::F16, Some(value)) = (self.options.map, map.iter().find(|v| v.abs() > f16::MAX.to_f32())) {
            return Err(Failure::new(
                "argument",
                format!("the map holds {value}, and no number of 16 bits is so large: map = \"f32\" has them"),
            ));
        }
        if self.shape.as_ref().is_some_and(|shape| shape != e.map.shape()) {
            let what = format!("the map has the shape {:?}, and all were to have {:?}", e.map.shape(), self.shape);
            return Err(Failure::new("argument", what));
        }
        let thumbnail = self.options.thumbnails.and_then(|side| {
            // A tensor has no photo to draw on.
            let picture = e.thumbnail(self.signed, &self.style, side).ok()?;
            let mut bytes = Vec::new();
            JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture).ok().map(|()| bytes)
        });
        let wide = if self.measures.is_empty() { ArrayD::default(IxDyn(&[0])) } else { e.map.mapv(f64::from) };
        Ok(OfMap {
            metrics: self.measures.iter().map(|measure| measure(wide.view()).ok()).collect(),
            class: e.class.and_then(|class| i64::try_from(class).ok()),
            label: e.label().map(str::to_owned),
            target: e.target().to_string(),
            layer: e.layer().to_owned(),
            method: e.method().name.to_owned(),
            score: e.score,
            probability: e.probability,
            sum: e.sum,
            b: e.bias,
            residual: e.residual,
            verdict: e.certificate().verdict.to_string(),
            peak: peak(e),
            map,
            shape: e.map.shape().iter().map(|&extent| i32::try_from(extent).unwrap_or(i32::MAX)).collect(),
            thumbnail,
        })
    }

    /// Rows as a batch of Arrow.
    ///
    /// # Errors
    /// [`Error::Argument`] where they make none.
    pub fn batch(&self, rows: &[Row]) -> Result<RecordBatch, Error> {
        let text = |of: fn(&OfMap) -> Option<&str>| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row.map.as_ref().and_then(of)).collect::<StringArray>())
        };
        let number = |of: fn(&OfMap) -> Option<f64>| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row.map.as_ref().and_then(of)).collect::<Float64Array>())
        };
        let list = |of: fn(&OfMap) -> Option<&Vec<i32>>| -> ArrayRef {
            let lists = rows.iter().map(|row| Some(row.map.as_ref().and_then(of)?.iter().copied().map(Some)));
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))
        };
        let failed = |of: fn(&Failure) -> &str| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row.failure.as_ref().map(of)).collect::<StringArray>())
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.uri))),
            Arc::new(rows.iter().map(|row| row.image_sha256.as_deref()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.image_note.as_deref()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.index).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| row.number).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| row.map.as_ref().and_then(|map| map.class)).collect::<Int64Array>()),
            text(|map| map.label.as_deref()),
            text(|map| Some(&map.target)),
            text(|map| Some(&map.layer)),
            text(|map| Some(&map.method)),
            number(|map| Some(map.score)),
            number(|map| map.probability),
            number(|map| Some(map.sum)),
            number(|map| map.b),
            number(|map| map.residual),
            text(|map| Some(&map.verdict)),
            self.maps(rows)?,
            list(|map| Some(&map.shape)),
            Arc::new(rows.iter().map(|row| Some(row.map.as_ref()?.peak.as_ref()?.0)).collect::<Float32Array>()),
            list(|map| Some(&map.peak.as_ref()?.1)),
        ];
        if self.options.thumbnails.is_some() {
            let pictures = rows.iter().map(|row| row.map.as_ref()?.thumbnail.as_deref());
            columns.push(Arc::new(pictures.collect::<BinaryArray>()));
        }
        for at in 0..self.measures.len() {
            let values = rows.iter().map(|row| row.map.as_ref()?.metrics.get(at).copied().flatten());
            columns.push(Arc::new(values.collect::<Float64Array>()));
        }
        columns.extend([failed(|failure| &failure.kind), failed(|failure| &failure.text)]);
        RecordBatch::try_new(self.schema(), columns).map_err(|error| Error::Argument(error.to_string()))
    }

    /// The column of the maps. Where it is null, a list of fixed size has room all the same.
    fn maps(&self, rows: &[Row]) -> Result<ArrayRef, Error> {
        let wrong = |error: arrow_schema::ArrowError| Error::Argument(error.to_string());
        let maps = || rows.iter().map(|row| row.map.as_ref().map(|of| of.map.as_slice()));
        let size: Option<usize> = self.shape.as_ref().map(|shape| shape.iter().product());
        let room = maps().map(|map| map.map_or(size.unwrap_or(0), <[f32]>::len)).sum();
        let padded = || {
            maps().flat_map(|map| {
                let missing = if map.is_none() { size.unwrap_or(0) } else { 0 };
                map.unwrap_or_default().iter().copied().chain(std::iter::repeat_n(0.0, missing))
            })
        };
        let values: ArrayRef = match self.options.map {
            MapKind::F32 => {
                let mut values = Float32Builder::with_capacity(room);
                padded().for_each(|value| values.append_value(value));
                Arc::new(values.finish())
            }
            MapKind::F16 => {
                let mut values = Float16Builder::with_capacity(room);
                padded().for_each(|value| values.append_value(f16::from_f32(value)));
                Arc::new(values.finish())
            }
        };
        let there: Vec<bool> = maps().map(|map| map.is_some()).collect();
        let item = item(self.options.map);
        match size {
            Some(size) => {
                let size =
                    i32::try_from(size).map_err(|_| Error::Argument("the maps are too large for rows".into()))?;
                Ok(Arc::new(FixedSizeListArray::try_new(item, size, values, Some(there.into())).map_err(wrong)?))
            }
            None => {
                let mut offsets = OffsetBufferBuilder::<i32>::new(rows.len());
                maps().for_each(|map| offsets.push_length(map.map_or(0, <[f32]>::len)));
                Ok(Arc::new(ListArray::try_new(item, offsets.finish(), values, Some(there.into())).map_err(wrong)?))
            }
        }
    }
}

/// The form of rows, as it stands in a fingerprint.
pub fn form(options: &RowOptions) -> Value {
    json!({ "schema": SCHEMA, "map": options.map, "thumbnails": options.thumbnails, "metrics": options.metrics })
}

fn item(kind: MapKind) -> FieldRef {
    let kind = match kind {
        MapKind::F32 => DataType::Float32,
        MapKind::F16 => DataType::Float16,
    };
    Arc::new(Field::new("item", kind, false))
}

/// The columns of rows whose maps have this shape.
pub fn schema(options: &RowOptions, shape: Option<&[usize]>) -> Schema {
    let list = |item: FieldRef| DataType::List(item);
    let numbers = || list(Arc::new(Field::new("item", DataType::Int32, true)));
    let size = shape.and_then(|shape| i32::try_from(shape.iter().product::<usize>()).ok());
    let map = match size {
        Some(size) => DataType::FixedSizeList(item(options.map), size),
        None => list(item(options.map)),
    };
    let of_shape = shape.map(|shape| HashMap::from([("shape".to_owned(), json!(shape).to_string())]));
    let (text, double) = (DataType::Utf8, DataType::Float64);
    let mut fields = vec![Field::new("id", DataType::Int64, false), Field::new("uri", text.clone(), false)];
    let mut more = vec![
        ("image_sha256".to_owned(), text.clone()),
        ("image_note".into(), text.clone()),
        ("index".into(), DataType::Int32),
        ("number".into(), DataType::Int32),
        ("class".into(), DataType::Int64),
        ("label".into(), text.clone()),
        ("target".into(), text.clone()),
        ("layer".into(), text.clone()),
        ("method".into(), text.clone()),
        ("score".into(), double.clone()),
        ("probability".into(), double.clone()),
        ("sum".into(), double.clone()),
        ("b".into(), double.clone()),
        ("residual".into(), double.clone()),
        ("verdict".into(), text.clone()),
        ("map".into(), map),
        ("map_shape".into(), numbers()),
        ("peak".into(), DataType::Float32),
        ("peak_at".into(), numbers()),
    ];
    more.extend(options.thumbnails.map(|_| ("thumbnail".into(), DataType::Binary)));
    more.extend(options.metrics.iter().map(|metric| (column_of(metric), double.clone())));
    more.extend(["error_kind", "error"].map(|name| (name.into(), text.clone())));
    fields.extend(more.into_iter().map(|(name, kind)| {
        let of_map = of_shape.clone().filter(|_| name == "map").unwrap_or_default();
        Field::new(name, kind, true).with_metadata(of_map)
    }));
    Schema::new(fields)
}

/// The largest value of a map, and its place, the first where several are as large.
fn peak(e: &Explanation) -> Option<(f32, Vec<i32>)> {
    use ndarray::Dimension;
    let mut all = e.map.indexed_iter();
    let first = all.next()?;
    let (at, value) = all.fold(first, |best, next| if next.1 > best.1 { next } else { best });
    Some((*value, at.as_array_view().iter().map(|&at| i32::try_from(at).unwrap_or(i32::MAX)).collect()))
}

/// What all maps of a method and a layer share, as their records say it.
pub fn shared(e: &Explanation) -> Value {
    const FIELDS: [&str; 16] = [
        "method",
        "layer",
        "verdict",
        "reason",
        "bypass",
        "uniform",
        "scale",
        "bias_is_known",
        "output",
        "scores",
        "class_axis",
        "final_activation",
        "target",
        "caution",
        "elsewhere",
        "note",
    ];
    let record = json!(Record::map(e, Origin::new(Path::new(""), None, None), Files::default(), Mark::default()));
    let fields = FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), record.get(*name)?.clone())));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Whether what the maps of a method and a layer share is among `maps`.
fn is_shared(maps: &[Value], method: &Value, layer: &Value) -> bool {
    maps.iter().any(|map| map.get("method") == Some(method) && map.get("layer") == Some(layer))
}

/// What the maps of several images share, the first of each method and layer.
pub(crate) fn shared_of<'e>(images: impl IntoIterator<Item = &'e Explained>) -> Vec<Value> {
    let mut all = Vec::new();
    for e in images.into_iter().flat_map(Explained::maps) {
        if !is_shared(&all, &json!(e.method().name), &json!(e.layer())) {
            all.push(shared(e));
        }
    }
    all
}

/// What the maps of several files share, each method and layer once.
pub(crate) fn shared_by(files: impl IntoIterator<Item = Vec<Value>>) -> Vec<Value> {
    let mut all = Vec::new();
    for map in files.into_iter().flatten() {
        let of = |field: &str| map.get(field).unwrap_or(&Value::Null);
        if !is_shared(&all, of("method"), of("layer")) {
            all.push(map);
        }
    }
    all
}

/// A Parquet file of rows as it is written.
pub struct Writer<'r, W: Write + Send> {
    rows: &'r Rows,
    writer: ArrowWriter<W>,
    maps: Vec<Value>,
}

impl<'r, W: Write + Send> Writer<'r, W> {
    /// Begins a file. `job` is what all rows share: what made them, and all that was asked for.
    ///
    /// # Errors
    /// [`Error::Argument`] where the columns make no file.
    pub fn new(rows: &'r Rows, to: W, job: &Value) -> Result<Self, Error> {
        let metadata = vec![
            KeyValue::new(SCHEMA_KEY.to_owned(), SCHEMA.to_string()),
            KeyValue::new(JOB_KEY.to_owned(), job.to_string()),
        ];
        let writer =
            ArrowWriter::try_new(to, rows.schema(), Some(properties(metadata))).map_err(|error| wrong(&error))?;
        Ok(Writer { rows, writer, maps: Vec::new() })
    }

    /// Notes what the maps of images share with those of others; the first of each method and layer counts.
    pub fn share(&mut self, maps: Vec<Value>) {
        self.maps = shared_by([std::mem::take(&mut self.maps), maps]);
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Store`] where they cannot be written.
    pub fn write(&mut self, rows: &[Row]) -> Result<(), Error> {
        let batch = self.rows.batch(rows)?;
        self.writer.write(&batch).map_err(|error| wrong(&error))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn finish(mut self) -> Result<W, Error> {
        self.writer.append_key_value_metadata(KeyValue::new(MAPS_KEY.to_owned(), json!(self.maps).to_string()));
        self.writer.into_inner().map_err(|error| wrong(&error))
    }
}

/// How files of rows are written.
pub(crate) fn properties(metadata: Vec<KeyValue>) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_key_value_metadata(Some(metadata));
    // Of what is other in every row no dictionary is made.
    for column in [vec!["map", "list", "item"], vec!["uri"], vec!["image_sha256"], vec!["thumbnail"], vec!["id"]] {
        let path = ColumnPath::new(column.into_iter().map(str::to_owned).collect());
        properties = properties.set_column_dictionary_enabled(path, false);
    }
    properties.build()
}

fn wrong(error: &ParquetError) -> Error {
    if let ParquetError::External(source) = error
        && let Some(io) = source.downcast_ref::<std::io::Error>()
    {
        return Error::of_system("the file of rows", io);
    }
    Error::Store { place: "the file of rows".into(), what: error.to_string() }
}
