//! What an evaluation writes down: a row for each image, class, method, layer and metric.

/// A measured value, or why there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The image's position in the order in which they are evaluated.
    pub index: u64,
    /// The image's name in the data set.
    pub image: String,
    /// The class's name in the data set, of a class that is explained for being predicted where it has none the network's label;
    /// none where the image failed.
    pub class: Option<String>,
    /// The network's class that is explained.
    pub class_index: Option<u64>,
    /// Whether the image shows the class.
    pub present: Option<bool>,
    /// Whether the network predicts the class.
    pub predicted: Option<bool>,
    /// Whether the image is one of the class's difficult ones in the pointing game.
    pub difficult: Option<bool>,
    /// The share of the image that the class's objects take up.
    pub object_share: Option<f64>,
    /// The class's score and its probability, where it has one.
    pub score: Option<f64>,
    /// The class's probability, where it has one.
    pub probability: Option<f64>,
    /// The method; none where all methods failed alike.
    pub method: Option<String>,
    /// The layer.
    pub layer: Option<String>,
    /// The certificate's verdict on the map.
    pub verdict: Option<String>,
    /// The metric; none where there is no map to measure.
    pub metric: Option<String>,
    /// The value.
    pub value: Option<f64>,
    /// The values at each of [`THRESHOLDS`](crate::metrics::THRESHOLDS), of metrics whose threshold is chosen afterwards.
    pub values: Option<Vec<f64>>,
    /// Of what kind the error is that stands for the value: `data`, `undefined`, `unmapped`, …
    pub error: Option<String>,
    /// The error as a sentence.
    pub reason: Option<String>,
    /// How long explaining (a map's first row) or measuring took.
    pub seconds: Option<f64>,
}
