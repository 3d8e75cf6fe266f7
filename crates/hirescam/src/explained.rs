//! What is made of a sample.

use crate::Explanation;

/// What is made of a sample: a map for each class that is explained, each method and each layer.
#[derive(Clone, Debug)]
pub struct Explained {
    id: String,
    methods: usize,
    layers: usize,
    /// Classes first: of each class the methods, of each of these the layers, in the order in which they were asked for.
    maps: Vec<Explanation>,
}

impl Explained {
    pub(crate) fn new(id: String, (methods, layers): (usize, usize), maps: Vec<Explanation>) -> Self {
        Explained { id, methods: methods.max(1), layers: layers.max(1), maps }
    }

    /// What the sample is called.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many methods explain each class.
    pub fn methods(&self) -> usize {
        self.methods
    }

    /// How many layers each method explains.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// All maps.
    pub fn maps(&self) -> &[Explanation] {
        &self.maps
    }

    /// The maps of each class, the best class first: of one method after the other the layers, in the order in which they were
    /// asked for. There is no class where no score is what the target asks for.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = &[Explanation]> {
        self.maps.chunks(self.methods * self.layers)
    }

    /// The map of the class that stands at `rank`, from 0, by `method` at `layer`.
    pub fn at(&self, rank: usize, method: &str, layer: &str) -> Option<&Explanation> {
        self.classes().nth(rank)?.iter().find(|e| e.method().name == method && e.layer() == layer)
    }

    /// The first map: that of the best class by the first method at the first layer.
    pub fn first(&self) -> Option<&Explanation> {
        self.maps.first()
    }

    /// All maps, to keep.
    pub fn into_maps(self) -> Vec<Explanation> {
        self.maps
    }
}
