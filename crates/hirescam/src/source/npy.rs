//! NumPy's files of one array, .npy: numbers of any kind, of both byte orders, by rows or by columns.
//!
//! The format is that of NumPy Enhancement Proposal 1 in its versions 1 to 3. A file is untrusted: its header is read and its
//! shape held against what the file has before anything is allocated.

use half::f16;
use hirescam_engine::{Array, Kind};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};

/// How a .npy file begins.
const MAGIC: &[u8] = b"\x93NUMPY";
/// NumPy itself reads no longer header unasked than 10,000 bytes.
const LONGEST_HEADER: usize = 1 << 16;
/// Twice as many axes as NumPy 1 had.
const MOST_AXES: usize = 64;

/// Why a file is no array that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// It is not written as .npy files are, or holds something else than it says.
    #[error("not a sound .npy file: {0}")]
    Invalid(String),
    /// Its elements are no numbers that a network takes.
    #[error(
        "a .npy file of the element type {0}: float16, float32, float64, whole numbers of 8 to 64 bits and bool are read"
    )]
    Unsupported(String),
}

fn invalid<T>(what: impl Into<String>) -> Result<T, NpyError> {
    Err(NpyError::Invalid(what.into()))
}

/// Whether a file begins as .npy files do.
pub fn is_npy(file: &[u8]) -> bool {
    file.starts_with(MAGIC)
}

/// The array in the bytes `file`, in its own element kind.
///
/// # Errors
/// [`NpyError::Invalid`] for a header that says nothing or something else than the file holds, [`NpyError::Unsupported`] for
/// elements that are no real numbers.
pub fn read(file: &[u8]) -> Result<Array, NpyError> {
    let Some([major, _, rest @ ..]) = file.strip_prefix(MAGIC) else { return invalid("it begins otherwise") };
    let (length, rest) = match (major, rest) {
        (1, [a, b, rest @ ..]) => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        (2 | 3, [a, b, c, d, rest @ ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        (1..=3, _) => return invalid("it ends within its header"),
        _ => return invalid(format!("its format has the version {major}; 1 to 3 are known")),
    };
    if length > LONGEST_HEADER {
        return invalid(format!("its header has {length} bytes; no array takes more than {LONGEST_HEADER}"));
    }
    let Some((header, data)) = rest.split_at_checked(length) else { return invalid("it ends within its header") };
    let header = Header::read(&String::from_utf8_lossy(header))?;
    let bytes = header.bytes()?;
    if data.len() != bytes {
        let (have, shape) = (data.len(), &header.shape);
        return invalid(format!("it holds {have} bytes of numbers, and its shape {shape:?} takes {bytes}"));
    }
    header.array(data)
}

/// What a header says.
#[derive(Debug, PartialEq)]
struct Header {
    kind: Kind,
    /// Whether the largest byte of an element comes first.
    big_endian: bool,
    /// Whether the first index runs fastest.
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads the text, which is a dictionary in Python's spelling:
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
    fn read(text: &str) -> Result<Self, NpyError> {
        let dictionary = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}'));
        let Some(mut rest) = dictionary else { return invalid("its header is no dictionary") };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        loop {
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if rest.is_empty() {
                break;
            }
            let entry = quoted(rest).and_then(|(key, after)| Some((key, after.trim_start().strip_prefix(':')?)));
            let Some((key, value)) = entry else { return invalid("its header is no dictionary") };
            let value = value.trim_start();
            let end = match value.chars().next() {
                Some('(') => value.find(')').map(|end| end + 1),
                // A list of named columns.
                Some('[') => return Err(NpyError::Unsupported("of a table".into())),
                Some('\'' | '"') => quoted(value).map(|(_, after)| value.len() - after.len()),
                _ => Some(value.find(',').unwrap_or(value.len())),
            };
            let Some((value, after)) = end.and_then(|end| value.split_at_checked(end)) else {
                return invalid("its header is no dictionary");
            };
            match key {
                "descr" => descr = quoted(value).map(|(text, _)| text),
                "fortran_order" => fortran_order = Some(value.trim() == "True"),
                "shape" => shape = extents(value),
                _ => {}
            }
            rest = after;
        }
        let (Some(descr), Some(fortran_order), Some(shape)) = (descr, fortran_order, shape) else {
            return invalid("its header does not tell element type, order and shape");
        };
        if shape.len() > MOST_AXES {
            return invalid(format!("it has {} axes", shape.len()));
        }
        let (kind, big_endian) = element(descr).ok_or_else(|| NpyError::Unsupported(format!("{descr:?}")))?;
        Ok(Header { kind, big_endian, fortran_order, shape })
    }

    /// How many bytes its elements take.
    fn bytes(&self) -> Result<usize, NpyError> {
        let size = match self.kind {
            Kind::I8 | Kind::U8 | Kind::Bool => 1,
            Kind::F16 | Kind::I16 | Kind::U16 => 2,
            Kind::F32 | Kind::I32 | Kind::U32 => 4,
            _ => 8,
        };
        // An extent of 0 does not make the others possible.
        let bytes = self.shape.iter().filter(|&&n| n > 0).try_fold(size, |p: usize, &n| p.checked_mul(n));
        match bytes {
            Some(_) if self.shape.contains(&0) => Ok(0),
            Some(bytes) => Ok(bytes),
            None => invalid(format!("its shape {:?} is too large", self.shape)),
        }
    }

    fn array(&self, data: &[u8]) -> Result<Array, NpyError> {
        match self.kind {
            Kind::F16 => self.elements(data, f16::from_le_bytes),
            Kind::F32 => self.elements(data, f32::from_le_bytes),
            Kind::F64 => self.elements(data, f64::from_le_bytes),
            Kind::I8 => self.elements(data, i8::from_le_bytes),
            Kind::I16 => self.elements(data, i16::from_le_bytes),
            Kind::I32 => self.elements(data, i32::from_le_bytes),
            Kind::I64 => self.elements(data, i64::from_le_bytes),
            Kind::U8 => self.elements(data, u8::from_le_bytes),
            Kind::U16 => self.elements(data, u16::from_le_bytes),
            Kind::U32 => self.elements(data, u32::from_le_bytes),
            Kind::U64 => self.elements(data, u64::from_le_bytes),
            Kind::Bool => self.elements(data, |[b]: [u8; 1]| b != 0),
            other => Err(NpyError::Unsupported(other.to_string())),
        }
    }

    fn elements<T, const N: usize>(&self, data: &[u8], of: impl Fn([u8; N]) -> T) -> Result<Array, NpyError>
    where
        Array: From<ArrayD<T>>,
    {
        let element = |bytes: &[u8; N]| {
            let mut bytes = *bytes;
            if self.big_endian {
                bytes.reverse();
            }
            of(bytes)
        };
        let elements: Vec<T> = data.as_chunks().0.iter().map(element).collect();
        let shape = IxDyn(&self.shape).set_f(self.fortran_order);
        match ArrayD::from_shape_vec(shape, elements) {
            Ok(array) => Ok(array.into()),
            Err(error) => invalid(error.to_string()),
        }
    }
}

/// The text within the quotes that `text` begins with, and what comes after them.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text.strip_prefix(quote)?.split_once(quote)
}

/// The extents in `(2, 3)`; Python 2 wrote `(2L, 3L)`.
fn extents(text: &str) -> Option<Vec<usize>> {
    let list = text.strip_prefix('(')?.strip_suffix(')')?;
    let extents = list.split(',').map(|n| n.trim()).filter(|n| !n.is_empty());
    extents.map(|n| n.strip_suffix('L').unwrap_or(n).parse().ok()).collect()
}

/// The kind of elements that NumPy writes as `descr`, and whether their largest byte comes first.
fn element(descr: &str) -> Option<(Kind, bool)> {
    let (order, kind) = descr.split_at_checked(1)?;
    let kind = match kind {
        "f2" => Kind::F16,
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        "i1" => Kind::I8,
        "i2" => Kind::I16,
        "i4" => Kind::I32,
        "i8" => Kind::I64,
        "u1" => Kind::U8,
        "u2" => Kind::U16,
        "u4" => Kind::U32,
        "u8" => Kind::U64,
        "b1" => Kind::Bool,
        _ => return None,
    };
    matches!(order, "<" | ">" | "|" | "=").then_some((kind, order == ">"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn npy(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let length = header.len().to_le_bytes();
        let length = if version == 1 { &length[..2] } else { &length[..4] };
        [MAGIC, &[version, 0], length, header.as_bytes(), data].concat()
    }

    fn header(descr: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}          \n")
    }

    #[test]
    fn every_kind_is_read_in_both_byte_orders() {
        for kind in Kind::ALL {
            let numbers = ndarray::array![[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]].into_dyn();
            let array = Array::from(numbers).to_kind(kind).unwrap();
            macro_rules! bytes {
                ($a:expr, $to:ident) => {
                    $a.iter().flat_map(|v| v.$to()).collect::<Vec<u8>>()
                };
            }
            let (name, little, big) = match &array {
                Array::F16(a) => ("f2", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::F32(a) => ("f4", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::F64(a) => ("f8", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::I8(a) => ("i1", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::I16(a) => ("i2", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::I32(a) => ("i4", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::I64(a) => ("i8", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::U8(a) => ("u1", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::U16(a) => ("u2", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::U32(a) => ("u4", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::U64(a) => ("u8", bytes!(a, to_le_bytes), bytes!(a, to_be_bytes)),
                Array::Bool(a) => {
                    let bytes: Vec<u8> = a.iter().map(|&b| u8::from(b)).collect();
                    ("b1", bytes.clone(), bytes)
                }
                other => panic!("{other:?}"),
            };
            for (order, data) in [("<", &little), (">", &big)] {
                for version in 1..=3 {
                    let file = npy(version, &header(&format!("{order}{name}"), "False", "(2, 3)"), data);
                    assert_eq!(read(&file).unwrap(), array);
                }
            }
        }
    }

    #[test]
    fn columns_first_is_the_same_array() {
        let rows = npy(1, &header("|u1", "False", "(2, 3)"), &[1, 2, 3, 4, 5, 6]);
        let columns = npy(1, &header("|u1", "True", "(2, 3)"), &[1, 4, 2, 5, 3, 6]);
        assert_eq!(read(&rows), read(&columns));
    }

    #[test]
    fn scalars_rows_and_pythons_long_integers_are_read() {
        for (shape, data, wanted) in
            [("()", 1, vec![]), ("(3,)", 3, vec![3]), ("(2L, 3L)", 6, vec![2, 3]), ("(0, 7)", 0, vec![0, 7])]
        {
            let file = npy(1, &header("|u1", "False", shape), &vec![0; data]);
            assert_eq!(read(&file).unwrap().shape(), wanted, "{shape}");
        }
        let other_order = "{\"shape\": (2, 3), \"fortran_order\": False, \"descr\": \"|i1\"}\n";
        assert_eq!(
            read(&npy(1, other_order, &[255; 6])).unwrap(),
            Array::from(ndarray::Array2::from_elem((2, 3), -1i8))
        );
    }

    #[test]
    fn files_that_lie_are_refused() {
        let shapes = [
            ("(2, 3)", 20),
            ("(2, 3)", 28),
            ("(99999999999,)", 24),
            ("(4294967296, 4294967296)", 4),
            ("(0, 4294967296, 4294967296)", 0),
            ("3", 12),
            ("(x,)", 4),
            ("(-1,)", 4),
            ("(1.5,)", 4),
            ("(1", 4),
        ];
        for (shape, data) in shapes {
            let file = npy(1, &header("<f4", "False", shape), &vec![0; data]);
            assert!(matches!(read(&file), Err(NpyError::Invalid(_))), "{shape}");
        }
        let ones = format!("({})", "1, ".repeat(MOST_AXES + 1));
        let nested = "(".repeat(65_536);
        for header in [header("<f4", "False", &ones), nested, "{".into(), "{'descr': }".into(), String::new()] {
            assert!(matches!(read(&npy(2, &header, &[0; 4])), Err(NpyError::Invalid(_))), "{header}");
        }
        let whole = npy(1, &header("<f4", "False", "(1,)"), &[0; 4]);
        for end in 0..whole.len() {
            assert!(matches!(read(&whole[..end]), Err(NpyError::Invalid(_))), "{end}");
        }
        assert!(matches!(read(&[MAGIC, &[2, 0, 255, 255, 255, 255]].concat()), Err(NpyError::Invalid(_))));
        assert!(matches!(read(&[MAGIC, &[4, 0, 0, 0, 0, 0]].concat()), Err(NpyError::Invalid(_))));
    }

    #[test]
    fn what_is_no_number_is_named() {
        for descr in ["<c8", "|O", "<U3", "|V2", "<f16", "<M8[ns]", ""] {
            let made = read(&npy(1, &header(descr, "False", "(1,)"), &[0; 8]));
            assert_eq!(made, Err(NpyError::Unsupported(format!("{descr:?}"))));
        }
        let table = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n";
        assert!(matches!(read(&npy(1, table, &[0; 4])), Err(NpyError::Unsupported(_))));
    }
}
