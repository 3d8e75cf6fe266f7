//! Einstein sums.

use super::{Along, Card, Entries, Layout, Vjp, case, product, tensor};
use crate::build::Value;
use crate::error::{Fault, invalid, unsupported};
use crate::graph::Attributes;
use crate::shape::{Dim, Fact};
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// The cards of this family.
pub const CARDS: &[Card] = &[EINSUM];

/// An equation with a letter for each axis of each value.
struct Equation {
    terms: Vec<String>,
    output: String,
}

/// Reads the equation for inputs with so many axes. An ellipsis becomes letters of its own, aligned at the end.
fn equation(a: &Attributes, ranks: &[usize]) -> Result<Equation, Fault> {
    let text: String = a.string("equation", "").chars().filter(|c| *c != ' ').collect();
    let fault = || Fault::Invalid(format!("the equation {text:?} for inputs with {ranks:?} axes"));
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (text.as_str(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != ranks.len() {
        return Err(fault());
    }
    // How many axes each ellipsis stands for.
    let hidden = |(term, &rank): (&&str, &usize)| match term.split_once("...") {
        Some((before, after)) => rank.checked_sub(before.len() + after.len()).ok_or_else(fault),
        None => Ok(0),
    };
    let hidden: Vec<usize> = terms.iter().zip(ranks).map(hidden).collect::<Result<_, _>>()?;
    let most = hidden.iter().copied().max().unwrap_or(0);
    let fresh: String = ('a'..='z').chain('A'..='Z').filter(|c| !text.contains(*c)).take(most).collect();
    if fresh.len() < most {
        return unsupported("more axes than there are letters");
    }
    let spelled = |term: &str, n: usize| {
        let last: String = fresh.chars().skip(most - n).collect();
        term.replacen("...", &last, 1)
    };
    let terms: Vec<String> = terms.iter().zip(&hidden).map(|(term, &n)| spelled(term, n)).collect();
    let letters = || terms.iter().flat_map(|t| t.chars());
    let output = match right {
        Some(right) => spelled(right, most),
        None => {
            let mut uses = BTreeMap::new();
            letters().filter(|c| !fresh.contains(*c)).for_each(|c| *uses.entry(c).or_insert(0usize) += 1);
            fresh.chars().chain(uses.into_iter().filter(|&(_, n)| n == 1).map(|(c, _)| c)).collect()
        }
    };
    if fresh.chars().any(|c| !output.contains(c)) {
        return unsupported("an ellipsis that is summed over");
    }
    let known = output.chars().enumerate().all(|(i, c)| letters().any(|l| l == c) && output.find(c) == Some(i));
    let fits = terms.iter().zip(ranks).all(|(t, &rank)| t.len() == rank);
    if known && fits && letters().all(|c| c.is_ascii_alphabetic()) {
        Ok(Equation { terms, output })
    } else {
        Err(fault())
    }
}

/// The letters of the axes of each input, which have so many, and of the output.
pub(crate) fn letters(a: &Attributes, ranks: &[usize]) -> Option<(Vec<String>, String)> {
    equation(a, ranks).ok().map(|equation| (equation.terms, equation.output))
}

/// The extent that each letter runs over: that of all its axes but those of 1, which broadcast.
type Extents = BTreeMap<char, usize>;

/// The equation for inputs of these shapes, the extents of its letters and the shape of the output.
fn plan(a: &Attributes, shapes: &[&[usize]]) -> Result<(Equation, Extents, Vec<usize>), Fault> {
    let equation = equation(a, &shapes.iter().map(|s| s.len()).collect::<Vec<_>>())?;
    let mut extents = Extents::new();
    for (term, shape) in equation.terms.iter().zip(shapes) {
        for (c, &n) in term.chars().zip(*shape) {
            let extent = extents.entry(c).or_insert(n);
            match (*extent, n) {
                (a, b) if a == b || b == 1 => {}
                (1, b) => *extent = b,
                (a, b) => return invalid(format!("the letter {c:?} runs over {a} and over {b} places")),
            }
        }
    }
    let unread = |c: char| Fault::Invalid(format!("no input has the letter {c:?}"));
    let extent = |c: char| extents.get(&c).copied().ok_or_else(|| unread(c));
    let shape: Vec<usize> = equation.output.chars().map(extent).collect::<Result<_, _>>()?;
    count(shape.iter().copied())?;
    Ok((equation, extents, shape))
}

/// The most elements of an output, and of products that go into one.
const LARGEST: usize = 1 << 31;

fn count(mut sizes: impl Iterator<Item = usize>) -> Result<usize, Fault> {
    let count = sizes.try_fold(1usize, |p, n| p.checked_mul(n));
    count.filter(|&n| n <= LARGEST).ok_or_else(|| Fault::Unsupported("an Einstein sum of so many terms".into()))
}

/// How far apart neighbours along `letter` lie in a value of this `shape`: 0 where it lacks the letter or broadcasts
/// along it.
fn stride(term: &str, shape: &[usize], letter: char) -> usize {
    let mut step = 1;
    let own = |(c, &n): (char, &usize)| {
        let own = if c == letter && n != 1 { step } else { 0 };
        step *= n;
        own
    };
    term.chars().rev().zip(shape.iter().rev()).map(own).sum()
}

/// A letter while all its places are counted through.
struct Counter {
    place: usize,
    extent: usize,
    /// How far apart its neighbours lie in each input.
    inputs: Vec<usize>,
    output: usize,
}

fn einsum(a: &Attributes, x: &[&Tensor]) -> Result<Tensor, Fault> {
    let first = x.first().ok_or_else(|| Fault::Invalid("it has no input".into()))?;
    let shapes: Vec<&[usize]> = x.iter().map(|t| t.shape()).collect();
    let (equation, extents, shape) = plan(a, &shapes)?;
    let counter = |(&letter, &extent): (&char, &usize)| Counter {
        place: 0,
        extent,
        inputs: equation.terms.iter().zip(&shapes).map(|(term, shape)| stride(term, shape, letter)).collect(),
        output: stride(&equation.output, &shape, letter),
    };
    // Through all places of all letters, the last fastest; `at` and `to` are where the inputs and the output then stand.
    let mut counters: Vec<Counter> = extents.iter().map(counter).collect();
    let data: Vec<Vec<f64>> = x.iter().map(|t| t.data.iter().copied().collect()).collect();
    let mut output = vec![0.0; shape.iter().product()];
    let (mut at, mut to) = (vec![0; data.len()], 0);
    for _ in 0..count(extents.values().copied())? {
        let factors = data.iter().zip(&at).map(|(data, &at)| data.get(at).copied());
        let (Some(product), Some(sum)) = (factors.product::<Option<f64>>(), output.get_mut(to)) else {
            return invalid("its letters run beyond a value");
        };
        *sum += product;
        for letter in counters.iter_mut().rev() {
            letter.place += 1;
            at.iter_mut().zip(&letter.inputs).for_each(|(at, step)| *at += step);
            to += letter.output;
            if letter.place < letter.extent {
                break;
            }
            letter.place = 0;
            at.iter_mut().zip(&letter.inputs).for_each(|(at, step)| *at -= step * letter.extent);
            to -= letter.output * letter.extent;
        }
    }
    Tensor::new(first.dtype, &shape, output)
}

/// A factor of a product: a letter for each axis, and the value.
type Factor<'g> = (String, Value<'g>);

/// Without the axes of 1, along which a value is the same wherever it is read.
fn narrow<'g>(term: &str, v: Value<'g>) -> Factor<'g> {
    let kept = |&(_, d): &(char, Dim)| d != Dim::Fixed(1);
    let (term, dims): (String, Vec<Dim>) = term.chars().zip(v.dims()).filter(kept).unzip();
    (term, v.reshape(&dims))
}

/// Sums out the letters of `term` that `needed` lacks.
fn summed<'g>((term, v): Factor<'g>, needed: &str) -> Factor<'g> {
    let gone: Vec<usize> = term.chars().enumerate().filter(|(_, c)| !needed.contains(*c)).map(|(i, _)| i).collect();
    (term.chars().filter(|c| needed.contains(*c)).collect(), v.reduce_sum(&gone, false))
}

/// The product of two factors, summed over the letters that `needed` lacks.
fn multiplied<'g>(a: Factor<'g>, b: Factor<'g>, needed: &str) -> Factor<'g> {
    let (p, v) = summed(a, &[needed, &b.0].concat());
    let (q, w) = summed(b, &[needed, &p].concat());
    if p.is_empty() || q.is_empty() || p == q && p.chars().all(|c| needed.contains(c)) {
        return ([p, q].into_iter().max_by_key(String::len).unwrap_or_default(), v * w);
    }
    let made =
        p.chars().chain(q.chars().filter(|c| !p.contains(*c))).filter(|c| needed.contains(*c)).collect::<String>();
    let product = v.einsum(w, &format!("{p},{q}->{made}"));
    (made, product)
}

/// The cotangent of input `i`: the Einstein sum of the output's cotangent and the other inputs, onto its letters. A
/// letter that none of these has stands for an axis along which the cotangent is the same.
fn cotangent<'g>(s: &Vjp<'g, '_>, equation: &Equation, i: usize) -> Result<Value<'g>, Fault> {
    let x = s.x(i)?.dims();
    let own = equation.terms.get(i).ok_or_else(|| Fault::Invalid(format!("input {i} has no term")))?;
    let wanted: String = own.chars().zip(&x).filter(|(_, d)| **d != Dim::Fixed(1)).map(|(c, _)| c).collect();
    let mut factors = vec![narrow(&equation.output, s.dy()?.with_rank(equation.output.len()))];
    for (j, term) in equation.terms.iter().enumerate().filter(|(j, _)| *j != i) {
        factors.push(narrow(term, s.x(j)?));
    }
    let mut rest = factors.into_iter();
    let mut made = rest.next().ok_or_else(|| Fault::Invalid("it has no output".into()))?;
    while let Some(factor) = rest.next() {
        let later: String = rest.as_slice().iter().map(|f| f.0.as_str()).collect();
        made = multiplied(made, factor, &[wanted.as_str(), &later].concat());
    }
    let (term, v) = summed(made, &wanted);
    let order: Vec<usize> = wanted.chars().filter_map(|c| term.find(c)).collect();
    let dims: Vec<Dim> = own.chars().zip(&x).map(|(c, d)| if term.contains(c) { *d } else { Dim::Fixed(1) }).collect();
    Ok(v.transpose(&order).reshape(&dims))
}

/// The sum over all letters that the output lacks of the product of the inputs: `bij,bjk->bik` is a batch of matrix
/// products. Its derivative is one again.
const EINSUM: Card = Card {
    name: "Einsum",
    entries: Entries::Equation,
    shape: |a, x| {
        let facts: Vec<&Fact> = (0..x.len()).map(|i| super::fact(x, i)).collect::<Result<_, _>>()?;
        let shapes: Vec<&[usize]> = facts.iter().map(|f| f.shape.as_slice()).collect();
        Ok(vec![Fact::new(super::fact(x, 0)?.dtype, plan(a, &shapes)?.2)])
    },
    eval: |a, x| {
        let inputs: Vec<&Tensor> = (0..x.len()).map(|i| tensor(x, i)).collect::<Result<_, _>>()?;
        Ok(vec![einsum(a, &inputs)?])
    },
    vjp: Some(|s| {
        let ranks = (0..s.x.len()).map(|i| Ok(s.x(i)?.rank())).collect::<Result<Vec<_>, Fault>>()?;
        let equation = equation(&s.attributes, &ranks)?;
        if equation.terms.iter().any(|t| t.chars().enumerate().any(|(i, c)| t.find(c) != Some(i))) {
            return unsupported("the diagonal of a value in an Einstein sum");
        }
        (0..ranks.len()).map(|i| Ok(Some(cotangent(s, &equation, i)?))).collect()
    }),
    linearity: product,
    degree: |_, x| Some(x.iter().flatten().map(|factor| factor.degree).sum()),
    layout: Layout::Other,
    along: |a, x, input, axis| {
        let ranks: Vec<usize> = x.iter().flatten().map(|f| f.shape.len()).collect();
        let Ok(Equation { terms, output }) = equation(a, &ranks) else { return Along::Unknown };
        let Some((term, letter)) = terms.get(input).and_then(|t| Some((t, t.chars().nth(axis)?))) else {
            return Along::Unknown;
        };
        match output.find(letter) {
            Some(to) if term.matches(letter).count() == 1 => Along::To(to),
            Some(_) => Along::Unknown,
            None => Along::Across,
        }
    },
    limits: "no derivative of diagonals (a letter twice in one term), no sums over an ellipsis",
    cases: || {
        let one = |equation: &str, x: &[usize]| case().x(x).set("equation", equation);
        let two = |equation: &str, x: &[usize], y: &[usize]| case().x(x).x(y).set("equation", equation);
        vec![
            one("ij->ji", &[2, 3]),
            one("bchw->bc", &[2, 3, 2, 2]),
            one("ij->", &[2, 3]),
            one("ba", &[2, 3]),
            one("...ij->...ji", &[2, 2, 3]),
            two("ij,jk->ik", &[2, 3], &[3, 4]),
            two("ij,jk", &[2, 3], &[3, 4]).opset(12),
            two("bij,bjk->bik", &[2, 3, 4], &[2, 4, 2]),
            two("b h i d, b h j d -> b h i j", &[2, 2, 3, 4], &[2, 2, 2, 4]),
            two("bchw,kc->bkhw", &[2, 3, 2, 2], &[4, 3]),
            two("nchw,kc->nk", &[2, 3, 2, 2], &[4, 3]),
            two("...i,ij->...j", &[2, 3, 4], &[4, 2]),
            two("...ij,...jk->...ik", &[2, 1, 3, 4], &[2, 5, 4, 2]),
            two("i,j->ij", &[3], &[4]),
            two("ij,ij->ij", &[2, 3], &[2, 3]),
            two("i,i->", &[3], &[3]),
            two("bij,k->bj", &[2, 3, 4], &[2]),
            two("ij,jk->ik", &[2, 1], &[3, 4]),
            two("aB,Bc", &[2, 3], &[3, 2]),
            case().x(&[2, 3]).x(&[3, 4]).x(&[4, 2]).set("equation", "ij,jk,kl->il"),
        ]
    },
    ..Card::BASE
};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::onnx::attribute;
    use crate::onnx::messages::NodeProto;
    use ndarray::{ArrayD, IxDyn};

    fn shape(text: &str, shapes: &[&[usize]]) -> Result<Vec<usize>, Fault> {
        let node = NodeProto { attribute: vec![attribute("equation", text)], ..Default::default() };
        let facts: Vec<Fact> = shapes.iter().map(|s| Fact::new(crate::tensor::DataType::Float, *s)).collect();
        let inputs: Vec<Option<&Fact>> = facts.iter().map(Some).collect();
        Ok((EINSUM.shape)(&Attributes { node: &node, opset: 12 }, &inputs)?.remove(0).shape)
    }

    #[test]
    fn an_implicit_output_is_sorted_with_capitals_first() {
        assert_eq!(shape("bA", &[&[2, 3]]).unwrap(), [3, 2]);
        assert_eq!(shape("b...A", &[&[2, 4, 5, 3]]).unwrap(), [4, 5, 3, 2]);
        assert_eq!(shape("ij,jk", &[&[2, 3], &[3, 4]]).unwrap(), [2, 4]);
    }

    #[test]
    fn what_is_no_equation_is_an_error() {
        let wrong: [(&str, &[&[usize]]); 9] = [
            ("", &[&[2, 3]]),
            ("ij->ij", &[&[2]]),
            ("ij,jk->ik", &[&[2, 3]]),
            ("ij->ik", &[&[2, 3]]),
            ("ij->ii", &[&[2, 3]]),
            ("i1->i", &[&[2, 3]]),
            ("......i->i", &[&[2]]),
            ("ii->i", &[&[2, 3]]),
            ("a,b->ab", &[&[1 << 40], &[1 << 40]]),
        ];
        for (text, shapes) in wrong {
            assert!(shape(text, shapes).is_err(), "{text:?} is taken");
        }
    }

    #[test]
    fn a_letter_twice_in_a_term_is_the_diagonal() {
        let x = Tensor::float(ArrayD::from_shape_fn(IxDyn(&[2, 2]), |i| (2 * i[0] + i[1]) as f64));
        let node = NodeProto { attribute: vec![attribute("equation", "ii->i")], ..Default::default() };
        let y = einsum(&Attributes { node: &node, opset: 12 }, &[&x]).unwrap();
        assert_eq!(y.to_ints(), [0, 3]);
    }
}
