//! The arrays that go into an engine and come out of it.

use half::f16;
use ndarray::{ArcArray, ArrayD, Axis, Dimension, IxDyn, Slice};
use std::ops::Range;

/// Elements that several arrays share: who changes them has a copy of their own.
pub type Shared<T> = ArcArray<T, IxDyn>;

/// An array of any shape, of one of the element kinds that engines take and give. Clones and parts of it share its elements.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Array {
    F16(Shared<f16>),
    F32(Shared<f32>),
    F64(Shared<f64>),
    I8(Shared<i8>),
    I16(Shared<i16>),
    I32(Shared<i32>),
    I64(Shared<i64>),
    U8(Shared<u8>),
    U16(Shared<u16>),
    U32(Shared<u32>),
    U64(Shared<u64>),
    Bool(Shared<bool>),
}

/// The kind of an [`Array`]'s elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Kind {
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

impl Kind {
    /// The kind of elements that ONNX's element type of this number has, where arrays can hold them.
    pub fn of_onnx(element_type: i32) -> Option<Self> {
        Some(match element_type {
            1 => Kind::F32,
            2 => Kind::U8,
            3 => Kind::I8,
            4 => Kind::U16,
            5 => Kind::I16,
            6 => Kind::I32,
            7 => Kind::I64,
            9 => Kind::Bool,
            10 => Kind::F16,
            11 => Kind::F64,
            12 => Kind::U32,
            13 => Kind::U64,
            _ => return None,
        })
    }
}

/// `$body` with `$array` bound to the typed array inside `$value`, whichever kind it is of.
macro_rules! with_array {
    ($value:expr, $array:ident => $body:expr) => {
        match $value {
            $crate::Array::F16($array) => $body,
            $crate::Array::F32($array) => $body,
            $crate::Array::F64($array) => $body,
            $crate::Array::I8($array) => $body,
            $crate::Array::I16($array) => $body,
            $crate::Array::I32($array) => $body,
            $crate::Array::I64($array) => $body,
            $crate::Array::U8($array) => $body,
            $crate::Array::U16($array) => $body,
            $crate::Array::U32($array) => $body,
            $crate::Array::U64($array) => $body,
            $crate::Array::Bool($array) => $body,
        }
    };
}

/// `$body` with `$element` standing for the element type of the [`Kind`] `$kind`.
macro_rules! with_kind {
    ($kind:expr, $element:ident => $body:expr) => {
        match $kind {
            $crate::Kind::F16 => $crate::array::with_kind!(@ half::f16, $element => $body),
            $crate::Kind::F32 => $crate::array::with_kind!(@ f32, $element => $body),
            $crate::Kind::F64 => $crate::array::with_kind!(@ f64, $element => $body),
            $crate::Kind::I8 => $crate::array::with_kind!(@ i8, $element => $body),
            $crate::Kind::I16 => $crate::array::with_kind!(@ i16, $element => $body),
            $crate::Kind::I32 => $crate::array::with_kind!(@ i32, $element => $body),
            $crate::Kind::I64 => $crate::array::with_kind!(@ i64, $element => $body),
            $crate::Kind::U8 => $crate::array::with_kind!(@ u8, $element => $body),
            $crate::Kind::U16 => $crate::array::with_kind!(@ u16, $element => $body),
            $crate::Kind::U32 => $crate::array::with_kind!(@ u32, $element => $body),
            $crate::Kind::U64 => $crate::array::with_kind!(@ u64, $element => $body),
            $crate::Kind::Bool => $crate::array::with_kind!(@ bool, $element => $body),
        }
    };
    (@ $type:ty, $element:ident => $body:expr) => {{
        type $element = $type;
        $body
    }};
}

pub(crate) use {with_array, with_kind};

impl Array {
    /// The size along each axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        with_array!(self, array => array.shape())
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        with_array!(self, array => array.len())
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What its elements are.
    pub fn kind(&self) -> Kind {
        match self {
            Array::F16(_) => Kind::F16,
            Array::F32(_) => Kind::F32,
            Array::F64(_) => Kind::F64,
            Array::I8(_) => Kind::I8,
            Array::I16(_) => Kind::I16,
            Array::I32(_) => Kind::I32,
            Array::I64(_) => Kind::I64,
            Array::U8(_) => Kind::U8,
            Array::U16(_) => Kind::U16,
            Array::U32(_) => Kind::U32,
            Array::U64(_) => Kind::U64,
            Array::Bool(_) => Kind::Bool,
        }
    }

    /// The array itself where its elements are `f32`.
    pub fn as_f32(&self) -> Option<&Shared<f32>> {
        match self {
            Array::F32(array) => Some(array),
            _ => None,
        }
    }

    /// The array itself where its elements are `i64`.
    pub fn as_i64(&self) -> Option<&Shared<i64>> {
        match self {
            Array::I64(array) => Some(array),
            _ => None,
        }
    }

    /// The elements as `f32`, rounded to nearest; `true` is 1.
    pub fn to_f32(&self) -> ArrayD<f32> {
        with_array!(self, array => array.mapv(Cast::f32))
    }

    /// As [`Array::to_f32`], without a copy where the elements are `f32` already and nobody else has them.
    pub fn into_f32(self) -> ArrayD<f32> {
        match self {
            Array::F32(array) => array.into_owned(),
            other => other.to_f32(),
        }
    }

    /// The elements in row-major order, each in its own bytes, the lowest first; `true` is 1.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * self.kind().bytes());
        with_array!(self, array => array.iter().for_each(|&element| element.put(&mut bytes)));
        bytes
    }

    /// The array whose [`Array::to_le_bytes`] are these; none where they are more or fewer than the shape asks for.
    pub fn from_le_bytes(kind: Kind, shape: &[usize], bytes: &[u8]) -> Option<Self> {
        let elements = shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent))?;
        if elements.checked_mul(kind.bytes())? != bytes.len() {
            return None;
        }
        with_kind!(kind, T => {
            let elements: Option<Vec<T>> = bytes.chunks_exact(kind.bytes()).map(T::take).collect();
            Some(ArrayD::from_shape_vec(IxDyn(shape), elements?).ok()?.into())
        })
    }

    /// An array of the floating-point kind `kind`, rounded to nearest; none for other kinds.
    pub fn from_f32(kind: Kind, elements: ArrayD<f32>) -> Option<Self> {
        match kind {
            Kind::F16 => Some(elements.mapv(f16::from_f32).into()),
            Kind::F32 => Some(elements.into()),
            Kind::F64 => Some(elements.mapv(f64::from).into()),
            _ => None,
        }
    }

    /// The same numbers as elements of `kind`: floating-point ones rounded to nearest; none where an integer would come out
    /// as another number.
    pub fn to_kind(&self, kind: Kind) -> Option<Self> {
        if self.kind() == kind {
            return Some(self.clone());
        }
        let (wide, whole) = (self.to_f64(), self.to_i64());
        let exact = || wide.iter().zip(&whole).all(|(&f, &i)| i as f64 == f);
        macro_rules! integers {
            ($type:ty) => {{
                let narrow = |&i: &i64| <$type>::try_from(i).ok();
                let all: Option<Vec<$type>> = whole.iter().map(narrow).collect();
                Some(ArrayD::from_shape_vec(whole.raw_dim(), all.filter(|_| exact())?).ok()?.into())
            }};
        }
        match kind {
            Kind::F16 => Some(wide.mapv(f16::from_f64).into()),
            Kind::F32 => Some(self.to_f32().into()),
            Kind::F64 => Some(wide.into()),
            Kind::I8 => integers!(i8),
            Kind::I16 => integers!(i16),
            Kind::I32 => integers!(i32),
            Kind::I64 => integers!(i64),
            Kind::U8 => integers!(u8),
            Kind::U16 => integers!(u16),
            Kind::U32 => integers!(u32),
            Kind::U64 => integers!(u64),
            Kind::Bool => wide.iter().all(|v| *v == 0.0 || *v == 1.0).then(|| wide.mapv(|v| v == 1.0).into()),
        }
    }

    /// The first element that is NaN or an infinity; none of those kinds that have neither.
    pub fn not_finite(&self) -> Option<f64> {
        fn first<T: Copy + Into<f64>>(array: &Shared<T>, finite: impl Fn(T) -> bool) -> Option<f64> {
            // Looking at all of them is faster than stopping at the first.
            if array.fold(true, |all, &v| all & finite(v)) {
                return None;
            }
            array.iter().copied().find(|&v| !finite(v)).map(Into::into)
        }
        match self {
            Array::F16(array) => first(array, f16::is_finite),
            Array::F32(array) => first(array, f32::is_finite),
            Array::F64(array) => first(array, f64::is_finite),
            _ => None,
        }
    }

    /// The first number that elements of `kind` cannot stand for: a fraction or a number out of range where these are
    /// integers, an integer of more digits than a floating-point kind has, and what is finite here and infinite there. What
    /// has only to be rounded, floating-point numbers of more digits, is none of these.
    pub fn first_lost(&self, kind: Kind) -> Option<f64> {
        let wide = self.to_f64();
        let there = match kind {
            Kind::F16 => wide.mapv(|v| f16::from_f64(v).to_f64()),
            Kind::F32 => wide.mapv(|v| f64::from(v as f32)),
            Kind::F64 => return None,
            _ if self.to_kind(kind).is_some() => return None,
            // One by one: the numbers that fit are kept.
            _ => {
                let alone = |v: f64| Array::from(ndarray::arr0(v)).to_kind(kind).is_some();
                return wide.iter().copied().find(|&v| !alone(v));
            }
        };
        let floating = self.kind().is_float();
        let lost = |(&v, &there): (&f64, &f64)| if floating { v.is_finite() && !there.is_finite() } else { v != there };
        wide.iter().zip(&there).find(|&pair| lost(pair)).map(|(v, _)| *v)
    }

    /// The array repeated to `shape` as NumPy broadcasts; none where it does not fit.
    pub fn broadcast(&self, shape: &[usize]) -> Option<Self> {
        with_array!(self, array => array.broadcast(shape).map(|wide| wide.to_owned().into()))
    }

    /// These entries of the first axis, in this order; none where one is missing.
    pub fn rows(&self, which: &[usize]) -> Option<Self> {
        let n = self.shape().first().copied()?;
        if which.iter().any(|&i| i >= n) {
            return None;
        }
        Some(with_array!(self, array => array.select(Axis(0), which).into()))
    }

    /// The entries of the first axis from one to another, without a copy; none where one is missing.
    pub fn part(&self, which: Range<usize>) -> Option<Self> {
        if which.start > which.end || which.end > self.shape().first().copied()? {
            return None;
        }
        let mut part = self.clone();
        with_array!(&mut part, array => array.slice_axis_inplace(Axis(0), Slice::from(which)));
        Some(part)
    }

    /// Whether both have the same elements at the same place of memory.
    pub fn is_same(&self, other: &Array) -> bool {
        let at = |array: &Array| with_array!(array, a => (a.as_ptr().cast::<u8>(), a.strides().to_vec()));
        self.kind() == other.kind() && self.shape() == other.shape() && at(self) == at(other)
    }

    /// These arrays one after the other along the first axis; none where kinds or other extents differ.
    pub fn concatenate(parts: &[&Array]) -> Option<Self> {
        macro_rules! of_kinds {
            ($($kind:ident),*) => {
                match parts.first()? {
                    $(Array::$kind(_) => {
                        let mut views = Vec::new();
                        for part in parts {
                            let Array::$kind(array) = part else { return None };
                            views.push(array.view());
                        }
                        Some(ndarray::concatenate(Axis(0), &views).ok()?.into())
                    })*
                }
            };
        }
        of_kinds!(F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool)
    }

    /// The elements as `f64`; exact for every kind but 64-bit integers beyond 2^53.
    pub fn to_f64(&self) -> ArrayD<f64> {
        with_array!(self, array => array.mapv(Cast::f64))
    }

    /// The elements as `i64`: fractions are cut off, and what lies outside takes the nearest end.
    pub fn to_i64(&self) -> ArrayD<i64> {
        with_array!(self, array => array.mapv(Cast::i64))
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 12] = [
        Kind::F16,
        Kind::F32,
        Kind::F64,
        Kind::I8,
        Kind::I16,
        Kind::I32,
        Kind::I64,
        Kind::U8,
        Kind::U16,
        Kind::U32,
        Kind::U64,
        Kind::Bool,
    ];

    /// The bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Kind::I8 | Kind::U8 | Kind::Bool => 1,
            Kind::F16 | Kind::I16 | Kind::U16 => 2,
            Kind::F32 | Kind::I32 | Kind::U32 => 4,
            Kind::F64 | Kind::I64 | Kind::U64 => 8,
        }
    }

    /// Whether its elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Kind::F16 | Kind::F32 | Kind::F64)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::F16 => "float16",
            Kind::F32 => "float32",
            Kind::F64 => "float64",
            Kind::I8 => "int8",
            Kind::I16 => "int16",
            Kind::I32 => "int32",
            Kind::I64 => "int64",
            Kind::U8 => "uint8",
            Kind::U16 => "uint16",
            Kind::U32 => "uint32",
            Kind::U64 => "uint64",
            Kind::Bool => "bool",
        })
    }
}

/// An element seen as one of the kinds that arithmetic is done in.
trait Cast: Copy {
    fn f32(self) -> f32;
    fn f64(self) -> f64;
    fn i64(self) -> i64;
}

macro_rules! cast {
    ($($type:ty: $value:ident => $wide:expr),+ $(,)?) => {$(
        impl Cast for $type {
            fn f32(self) -> f32 {
                let $value = self;
                $wide as f32
            }
            fn f64(self) -> f64 {
                let $value = self;
                $wide as f64
            }
            fn i64(self) -> i64 {
                let $value = self;
                // Straight to i64, a large u64 would wrap round to a negative number.
                ($wide as i128).clamp(i64::MIN.into(), i64::MAX.into()) as i64
            }
        }
    )+};
}

cast! {
    f16: x => x.to_f64(),
    f32: x => x,
    f64: x => x,
    i8: x => x,
    i16: x => x,
    i32: x => x,
    i64: x => x,
    u8: x => x,
    u16: x => x,
    u32: x => x,
    u64: x => x,
    bool: x => u8::from(x),
}

/// An element as its bytes.
trait LittleEndian: Sized {
    fn put(self, bytes: &mut Vec<u8>);
    fn take(bytes: &[u8]) -> Option<Self>;
}

macro_rules! little_endian {
    ($($type:ty),+) => {$(
        impl LittleEndian for $type {
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
            fn take(bytes: &[u8]) -> Option<Self> {
                Some(<$type>::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )+};
}

little_endian!(f16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64);

impl LittleEndian for bool {
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.push(self.into());
    }
    fn take(bytes: &[u8]) -> Option<Self> {
        bytes.first().map(|&byte| byte != 0)
    }
}

macro_rules! from_typed {
    ($($variant:ident($type:ty)),+ $(,)?) => {$(
        impl<D: Dimension> From<ndarray::Array<$type, D>> for Array {
            fn from(array: ndarray::Array<$type, D>) -> Self {
                Array::$variant(array.into_dyn().into_shared())
            }
        }
    )+};
}

from_typed! {
    F16(f16), F32(f32), F64(f64),
    I8(i8), I16(i16), I32(i32), I64(i64),
    U8(u8), U16(u16), U32(u32), U64(u64),
    Bool(bool),
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ndarray::{arr0, array};

    #[test]
    fn knows_shape_and_kind() {
        let pixels = Array::from(array![[1u8, 2], [3, 4], [5, 6]]);
        assert_eq!((pixels.shape(), pixels.len(), pixels.kind()), (&[3, 2][..], 6, Kind::U8));
        assert_eq!(Array::from(arr0(1f32)).shape(), &[] as &[usize]);
        assert!(Array::from(ndarray::Array2::<f32>::zeros((0, 3))).is_empty());
    }

    #[test]
    fn bytes_of_every_kind_are_the_same_array_again() {
        for kind in Kind::ALL {
            let array = Array::from(array![[0i64, 1], [1, 0], [1, 1]]).to_kind(kind).unwrap();
            let bytes = array.to_le_bytes();
            assert_eq!(bytes.len(), 6 * kind.bytes());
            assert_eq!(Array::from_le_bytes(kind, &[3, 2], &bytes).unwrap(), array);
            assert!(Array::from_le_bytes(kind, &[2, 2], &bytes).is_none());
            assert!(Array::from_le_bytes(kind, &[usize::MAX, 3], &bytes).is_none());
        }
        assert_eq!(Array::from(array![1.0f32, -2.0]).to_le_bytes(), [0, 0, 128, 63, 0, 0, 0, 192]);
    }

    #[test]
    fn converts_by_value() {
        assert_eq!(Array::from(array![true, false]).to_f32(), array![1f32, 0.].into_dyn());
        assert_eq!(Array::from(array![f16::from_f32(1.5)]).to_f64(), array![1.5].into_dyn());
        assert_eq!(
            Array::from(array![-1.9f32, 1e30, -1e30, f32::NAN]).to_i64(),
            array![-1, i64::MAX, i64::MIN, 0].into_dyn()
        );
        assert_eq!(Array::from(array![u64::MAX]).to_i64(), array![i64::MAX].into_dyn());
        assert_eq!(Array::from(array![i64::MAX]).to_i64(), array![i64::MAX].into_dyn());
    }

    #[test]
    fn floats_of_any_kind_are_made() {
        for kind in Kind::ALL {
            let made = Array::from_f32(kind, array![1.5f32, -2.].into_dyn());
            assert_eq!(made.is_some(), matches!(kind, Kind::F16 | Kind::F32 | Kind::F64));
            if let Some(made) = made {
                assert_eq!((made.kind(), made.to_f64()), (kind, array![1.5, -2.].into_dyn()));
            }
        }
    }

    #[test]
    fn numbers_keep_their_values_in_another_kind() {
        let whole = array![0f64, 1., 1.].into_dyn();
        for kind in Kind::ALL {
            let made = Array::from(whole.clone()).to_kind(kind).map(|a| (a.kind(), a.to_f64()));
            assert_eq!(made, Some((kind, whole.clone())));
        }
        assert_eq!(Array::from(array![1.5f64]).to_kind(Kind::I32), None);
        assert_eq!(Array::from(array![300i64]).to_kind(Kind::U8), None);
        assert_eq!(Array::from(array![-1i64]).to_kind(Kind::U64), None);
        assert_eq!(Array::from(array![2u8]).to_kind(Kind::Bool), None);
        let large = Array::from(array![i64::MAX]);
        assert_eq!(large.to_kind(Kind::I64), Some(large.clone()));
    }

    #[test]
    fn what_another_kind_cannot_stand_for_is_found() {
        let floats = Array::from(array![1.0f64, 0.1, 255., 1e5]);
        assert_eq!(floats.first_lost(Kind::F64), None);
        assert_eq!(floats.first_lost(Kind::F32), None);
        assert_eq!(floats.first_lost(Kind::F16), Some(1e5));
        assert_eq!(floats.first_lost(Kind::U8), Some(0.1));
        assert_eq!(floats.first_lost(Kind::Bool), Some(0.1));
        let whole = Array::from(array![0i64, 255, 2049, 16_777_217, -1]);
        assert_eq!(whole.first_lost(Kind::F16), Some(2049.));
        assert_eq!(whole.first_lost(Kind::F32), Some(16_777_217.));
        assert_eq!(whole.first_lost(Kind::U8), Some(2049.));
        assert_eq!(whole.first_lost(Kind::U32), Some(-1.));
        assert_eq!(whole.first_lost(Kind::I32), None);
        assert_eq!(Array::from(array![1f32, f32::NAN]).not_finite().map(f64::is_nan), Some(true));
        assert_eq!(Array::from(array![f16::INFINITY]).not_finite(), Some(f64::INFINITY));
        assert_eq!(whole.not_finite(), None);
    }

    #[test]
    fn rows_are_chosen_and_repeated() {
        let table = Array::from(array![[1i32, 2], [3, 4]]);
        assert_eq!(table.rows(&[1, 0, 1]), Some(Array::from(array![[3i32, 4], [1, 2], [3, 4]])));
        assert_eq!(table.rows(&[2]), None);
        assert_eq!(Array::from(arr0(7u8)).broadcast(&[1, 2]), Some(Array::from(array![[7u8, 7]])));
        assert_eq!(table.broadcast(&[3]), None);
    }

    #[test]
    fn parts_and_clones_have_the_same_elements_and_copies_have_not() {
        let table = Array::from(array![[1i32, 2], [3, 4], [5, 6]]);
        let part = table.part(1..3).unwrap();
        assert_eq!(part, Array::from(array![[3i32, 4], [5, 6]]));
        assert!(table.clone().is_same(&table) && table.part(1..3).unwrap().is_same(&part));
        assert!(part.part(0..1).unwrap().is_same(&table.part(1..2).unwrap()));
        assert!(!part.is_same(&table.rows(&[1, 2]).unwrap()) && !part.is_same(&table.part(0..2).unwrap()));
        assert!(table.part(2..4).is_none() && Array::from(arr0(1u8)).part(0..1).is_none());
    }

    #[test]
    fn gives_its_own_without_a_copy() {
        let array = Array::from(array![1f32, 2.]);
        let before = array.as_f32().map(|a| a.as_ptr());
        assert_eq!(Some(array.into_f32().as_ptr()), before);
    }
}
