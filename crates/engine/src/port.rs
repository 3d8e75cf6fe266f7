//! What a model takes, and whether given arrays are that.

use crate::{Array, Error, Kind};

/// One input that a model declares.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The sizes, `None` where any will do; `None` altogether where not even the rank is declared.
    pub(crate) shape: Option<Vec<Option<usize>>>,
    /// Whether the model has a value of its own for it.
    pub(crate) optional: bool,
}

impl Port {
    /// The shape of what will be given, as far as the model tells: none for an optional input,
    /// which is left out as a rule, nor where a size is open.
    pub(crate) fn usual_shape(&self) -> Option<Vec<usize>> {
        let shape = self.shape.as_ref().filter(|_| !self.optional)?;
        shape.iter().copied().collect()
    }

    fn takes(&self, array: &Array) -> bool {
        let fits = |shape: &Vec<Option<usize>>| {
            shape.len() == array.shape().len()
                && shape.iter().zip(array.shape()).all(|(want, have)| want.is_none_or(|w| w == *have))
        };
        self.kind == array.kind() && self.shape.as_ref().is_none_or(fits)
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`, {}", self.name, self.kind)?;
        let Some(shape) = &self.shape else {
            return Ok(());
        };
        let sizes: Vec<_> = shape.iter().map(|size| size.map_or("?".to_owned(), |s| s.to_string())).collect();
        write!(f, " [{}]", sizes.join(","))
    }
}

/// The array given for each port, in the order of the ports; `None` for optional ones left out.
///
/// # Errors
/// [`Error::Input`] for a name that is no port's or comes twice, for a port without an array, and
/// for an array of another kind or shape than its port declares.
pub(crate) fn assign<'a>(ports: &[Port], inputs: &[(&str, &'a Array)]) -> Result<Vec<Option<&'a Array>>, Error> {
    for (i, (name, _)) in inputs.iter().enumerate() {
        if !ports.iter().any(|port| port.name == *name) {
            let known: Vec<_> = ports.iter().filter(|port| !port.optional).map(ToString::to_string).collect();
            let known = known.join("; ");
            return Err(Error::Input(format!("the model has no input `{name}`; it takes {known}")));
        }
        if inputs.iter().take(i).any(|(other, _)| other == name) {
            return Err(Error::Input(format!("input `{name}` is given twice")));
        }
    }
    ports
        .iter()
        .map(|port| match inputs.iter().find(|(name, _)| *name == port.name) {
            None if port.optional => Ok(None),
            None => Err(Error::Input(format!("the model needs input {port}; it is not given"))),
            Some((_, array)) if port.takes(array) => Ok(Some(*array)),
            Some((_, array)) => {
                Err(Error::Input(format!("the model takes {port}; {} {:?} was given", array.kind(), array.shape())))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};

    #[test]
    fn checks_names_kinds_and_shapes() {
        let ports = [
            Port { name: "x".into(), kind: Kind::F32, shape: Some(vec![None, Some(3)]), optional: false },
            Port { name: "w".into(), kind: Kind::F32, shape: None, optional: true },
        ];
        let x = Array::from(Array2::<f32>::zeros((2, 3)));
        let says = |inputs: &[(&str, &Array)]| match assign(&ports, inputs) {
            Ok(given) => format!("{:?}", given.iter().map(Option::is_some).collect::<Vec<_>>()),
            Err(error) => error.to_string(),
        };
        assert_eq!(says(&[("x", &x)]), "[true, false]");
        assert_eq!(says(&[("w", &x), ("x", &x)]), "[true, true]");
        assert_eq!(says(&[]), "the model needs input `x`, float32 [?,3]; it is not given");
        assert_eq!(says(&[("y", &x)]), "the model has no input `y`; it takes `x`, float32 [?,3]");
        assert_eq!(says(&[("x", &x), ("x", &x)]), "input `x` is given twice");
        for wrong in [
            Array::from(Array2::<f32>::zeros((2, 4))),
            Array::from(Array1::<f32>::zeros(3)),
            Array::from(Array2::<f64>::zeros((2, 3))),
        ] {
            let message = says(&[("x", &wrong)]);
            assert!(message.starts_with("the model takes `x`, float32 [?,3]; float"), "{message}");
        }
    }
}
