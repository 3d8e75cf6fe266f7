//! What is made of a sample.

use crate::Explanation;

/// What is made of a sample: a map for each class that is explained and each layer.
#[derive(Clone, Debug)]
pub struct Explained {
    id: String,
    layers: usize,
    /// Classes first: of each class the layers, in the order in which they were asked for.
    maps: Vec<Explanation>,
}

impl Explained {
    pub(crate) fn new(id: String, layers: usize, maps: Vec<Explanation>) -> Self {
        Explained { id, layers: layers.max(1), maps }
    }

    /// What the sample is called.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many layers each class is explained at.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// All maps.
    pub fn maps(&self) -> &[Explanation] {
        &self.maps
    }

    /// The maps of each class, the best class first: one for each layer, in the order in which they were asked for. There is no
    /// class where no score is what the target asks for.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = &[Explanation]> {
        self.maps.chunks(self.layers)
    }

    /// The map of the class that stands at `rank`, from 0, at `layer`.
    pub fn at(&self, rank: usize, layer: &str) -> Option<&Explanation> {
        self.classes().nth(rank)?.iter().find(|e| e.layer() == layer)
    }

    /// The first map: that of the best class at the first layer.
    pub fn first(&self) -> Option<&Explanation> {
        self.maps.first()
    }

    /// All maps, to keep.
    pub fn into_maps(self) -> Vec<Explanation> {
        self.maps
    }
}
