//! Functions of one variable, applied everywhere.
//!
//! At a kink the derivative is the one PyTorch takes, which `fixtures/kinks` records. Where a function saturates its slope
//! is taken from x and not from y: 1 − y of a y near 1 has lost its digits.

use super::form::Form;
use super::{
    Card, EPSILON, FinalActivation, Linearity, Role, affine, aligned, case, degree_of_first, fact, like_first, map,
    never, piecewise, tensor, where_first,
};
use crate::build::Value;
use crate::error::{Fault, unsupported};
use crate::graph::Attributes;
use crate::tensor::{DataType, Tensor, is_float};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The cards of this family.
pub const CARDS: &[Card] = &[
    ABS,
    CAST,
    CELU,
    CLIP,
    DROPOUT,
    ELU,
    ERF,
    EXP,
    GELU,
    GELU_MICROSOFT,
    HARD_SIGMOID,
    HARD_SWISH,
    IDENTITY,
    LEAKY_RELU,
    LOG,
    MISH,
    NEG,
    NOT,
    RECIPROCAL,
    RELU,
    SELU,
    SHRINK,
    SIGMOID,
    SOFTPLUS,
    SOFTSIGN,
    SQRT,
    SWISH,
    TANH,
    THRESHOLDED_RELU,
];

/// The base of cards that apply a function of one variable.
pub(super) const ELEMENTWISE: Card =
    Card { shape: like_first, along: aligned, cases: || vec![case().x(&[2, 3, 4])], ..Card::BASE };

/// y = |x|; the derivative at 0 is 0.
const ABS: Card = Card {
    name: "Abs",
    never_negative: never,
    eval: |_, x| map(x, f64::abs),
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.dy()?);
        Ok(vec![Some(x.by_sign(dy, -dy))])
    }),
    linearity: piecewise,
    degree: degree_of_first,
    ..ELEMENTWISE
};

const CAST: Card = Card {
    name: "Cast",
    never_negative: where_first,
    renames: true,
    covers: |a| cast_to(a).map(drop),
    shape: |a, x| {
        let mut out = like_first(a, x)?;
        for fact in &mut out {
            fact.dtype = cast_to(a)?;
        }
        Ok(out)
    },
    eval: |a, x| {
        let (to, mut out) = (cast_to(a)?, map(x, |v| v)?);
        for t in &mut out {
            t.dtype = to;
            match to {
                DataType::Bool => t.data.mapv_inplace(|v| f64::from(u8::from(v != 0.0))),
                _ if !is_float(to) => t.data.mapv_inplace(f64::trunc),
                _ => {}
            }
        }
        Ok(out)
    },
    vjp: Some(|s| {
        // The cotangent of quantised integers is a float too.
        let (dy, from) = (s.dy()?, s.x(0)?.dtype());
        Ok(vec![Some(if is_float(from) { dy.cast(from) } else { dy })])
    }),
    linearity: affine,
    degree: |a, x| degree_of_first(a, x).filter(|_| cast_to(a).is_ok_and(is_float)),
    role: Role::Movement,
    cases: || vec![case().x(&[2, 3]).set("to", DataType::Float as i64)],
    ..ELEMENTWISE
};

fn cast_to(a: &Attributes) -> Result<DataType, Fault> {
    match DataType::try_from(a.int("to", 0) as i32) {
        Ok(DataType::String | DataType::Undefined) | Err(_) => {
            unsupported(format!("a cast to element type {}", a.int("to", 0)))
        }
        Ok(to) => Ok(to),
    }
}

/// y = max(x, 0) + min(α(eˣᐟᵅ − 1), 0). Barron 2017, arXiv:1704.07483.
const CELU: Card = Card {
    name: "Celu",
    eval: |a, x| {
        let alpha = a.float("alpha", 1.0);
        map(x, |v| v.max(0.0) + (alpha * (v / alpha).exp_m1()).min(0.0))
    },
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.dy()?);
        let positive = x.gt(x.scalar(0.0));
        let slope = (positive.select(x.scalar(0.0), x) * (1.0 / s.attributes.float("alpha", 1.0))).exp();
        Ok(vec![Some(positive.select(dy, dy * slope))])
    }),
    cases: || vec![case().x(&[3, 5]), case().x(&[3, 5]).set("alpha", 0.5f32)],
    ..ELEMENTWISE
};

/// y = min(max(x, low), high); the derivative is 1 strictly between the bounds and 0 at them, as of PyTorch's ReLU6.
const CLIP: Card = Card {
    name: "Clip",
    // Where the bounds contradict each other the upper one counts.
    never_negative: |a, inputs| {
        let bound = |i: usize, name: &str| match a.node.input.get(i).is_some_and(|input| !input.is_empty()) {
            true => Some(inputs.get(i) == Some(&true)),
            false => a.get(name).map(|bound| bound.f() >= 0.0),
        };
        (where_first(a, inputs) || bound(1, "min") == Some(true)) && bound(2, "max") != Some(false)
    },
    eval: |a, x| {
        let (low, high) = clip_bounds(a, x);
        map(x, |v| v.max(low).min(high))
    },
    vjp: Some(|s| {
        // Bounds are inputs since operator set 11. The output tells on which side x was, and engines can go on
        // fusing the Clip into the convolution before it, which a use of x would prevent.
        let (y, dy) = (s.y()?, s.dy()?);
        let bound = |i: usize, name: &str| match s.x.get(i).copied().flatten() {
            Some(v) => Some(v),
            None => s.attributes.get(name).map(|v| y.scalar(v.f().into())),
        };
        let (low, high) = (bound(1, "min"), bound(2, "max"));
        let known = |v: Option<Value>| v.and_then(|v| v.known()?.scalar());
        let wide = known(high).zip(known(low)).is_some_and(|(high, low)| (2.0..256.0).contains(&(high - low)));
        let above = low.map(|low| if known(Some(low)) == Some(0.0) { y } else { y - low });
        let below = high.map(|high| high - y);
        let masks = match above.zip(below) {
            // The product of the distances is 0 where one of them is, and by rounding only where the bounds are nearer than
            // 2. In float16 it has to stay finite too.
            Some((above, below)) if wide => vec![above * below],
            _ => above.into_iter().chain(below).collect(),
        };
        let d = masks.into_iter().fold(dy, |d, mask| mask.mask(d.dtype()) * d);
        Ok(vec![Some(d)])
    }),
    linearity: piecewise,
    // Bounds are homogeneous at 0 alone, and next to nothing where they keep a divisor from it.
    degree: |a, x| {
        let low = match (x.get(1).copied().flatten(), a.get("min")) {
            (Some(low), _) => low.is_within(EPSILON),
            (None, low) => low.is_none_or(|low| (0.0..=EPSILON).contains(&low.f().into())),
        };
        let high = x.get(2).copied().flatten().is_some() || a.get("max").is_some();
        degree_of_first(a, x).filter(|_| low && !high)
    },
    cases: || {
        vec![
            case().x(&[3, 5]).scalar(-0.5).scalar(1.0),
            case().x(&[3, 5]).absent().scalar(1.0),
            case().x(&[3, 5]).absent().scalar(-0.5),
            case().x(&[3, 5]).scalar(0.0),
            case().x(&[3, 5]).scalar(0.0).scalar(-0.5),
            case().x(&[3, 5]),
            case().x(&[3, 5]).set("min", 0.0f32).set("max", 1.5f32).opset(10),
            case().x(&[3, 5]).set("max", -0.5f32).opset(10),
            case().x(&[3, 5]).set("min", -1.5f32).set("max", -0.5f32).opset(10),
        ]
    },
    ..ELEMENTWISE
};

fn clip_bounds(a: &Attributes, x: &[Option<&Tensor>]) -> (f64, f64) {
    let bound = |i: usize, name: &str, open: f64| {
        let given = x.get(i).copied().flatten().and_then(Tensor::scalar);
        given.or(a.get(name).map(|a| a.f().into())).unwrap_or(open)
    };
    (bound(1, "min", f64::NEG_INFINITY), bound(2, "max", f64::INFINITY))
}

/// y = x: at inference nothing is dropped.
const DROPOUT: Card = Card {
    name: "Dropout",
    never_negative: where_first,
    renames: true,
    shape: |a, x| {
        let x = fact(x, 0)?;
        let mut out = vec![super::Fact::new(x.dtype, x.shape.clone())];
        if a.node.output.len() > 1 {
            out.push(super::Fact::new(DataType::Bool, x.shape.clone()));
        }
        Ok(out)
    },
    eval: |a, x| {
        let given = |i: usize| x.get(i).copied().flatten().and_then(Tensor::scalar);
        if given(2).is_some_and(|training| training != 0.0) && given(1) != Some(0.0) {
            return unsupported("Dropout in training mode");
        }
        let mut out = map(x, |v| v)?;
        if a.node.output.len() > 1 {
            out.push(Tensor { dtype: DataType::Bool, data: tensor(x, 0)?.data.mapv(|_| 1.0) });
        }
        Ok(out)
    },
    vjp: Some(|s| {
        let training = s.x.get(2).copied().flatten();
        match training.map(|t| t.known().and_then(|t| t.scalar())) {
            None | Some(Some(0.0)) => Ok(vec![Some(s.dy()?)]),
            _ => unsupported("Dropout in training mode"),
        }
    }),
    switch: Some(2),
    // With a third input it may drop, and what it drops differs from run to run.
    linearity: |a, _| if a.node.input.len() > 2 { Linearity::Smooth } else { Linearity::Affine },
    degree: |a, x| degree_of_first(a, x).filter(|_| x.len() <= 2),
    role: Role::Movement,
    limits: "inference only",
    ..ELEMENTWISE
};

/// y = x for x > 0, else α(eˣ − 1). Clevert et al. 2015, arXiv:1511.07289.
const ELU: Card = Card {
    name: "Elu",
    eval: |a, x| {
        let alpha = a.float("alpha", 1.0);
        map(x, |v| if v > 0.0 { v } else { alpha * v.exp_m1() })
    },
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.dy()?);
        let positive = x.gt(x.scalar(0.0));
        let slope = positive.select(x.scalar(0.0), x).exp() * s.attributes.float("alpha", 1.0);
        Ok(vec![Some(positive.select(dy, dy * slope))])
    }),
    cases: || vec![case().x(&[3, 5]), case().x(&[3, 5]).set("alpha", 0.5f32)],
    ..ELEMENTWISE
};

const ERF: Card = Card {
    name: "Erf",
    eval: |_, x| map(x, erf),
    vjp: Some(|s| {
        let x = s.x(0)?;
        Ok(vec![Some(s.dy()? * (-(x * x)).exp() * (2.0 / PI.sqrt()))])
    }),
    ..ELEMENTWISE
};

/// The error function to 1e-15: its Taylor series near 0, a continued fraction of erfc beyond.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 2.5 {
        let (mut term, mut sum) = (a, a);
        for n in 1..80 {
            let n = f64::from(n);
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        (2.0 / PI.sqrt() * sum).copysign(x)
    } else {
        let mut tail = a;
        for k in (1..=60).rev() {
            tail = a + f64::from(k) / 2.0 / tail;
        }
        (1.0 - (-a * a).exp() / PI.sqrt() / tail).copysign(x)
    }
}

const EXP: Card = Card {
    name: "Exp",
    never_negative: never,
    eval: |_, x| map(x, f64::exp),
    vjp: Some(|s| Ok(vec![Some(s.dy()? * s.y()?)])),
    ..ELEMENTWISE
};

/// y = x·Φ(x), or with `approximate = "tanh"` x/2·(1 + tanh(√(2/π)(x + 0.044715x³))).
/// Hendrycks & Gimpel 2016, arXiv:1606.08415.
const GELU: Card = Card {
    name: "Gelu",
    covers: |a| a.one_of("approximate", "none", &["none", "tanh"]),
    eval: |a, x| match a.string("approximate", "none") {
        "tanh" => map(x, |v| v / 2.0 * (1.0 + (TANH_SCALE * (v + 0.044715 * v * v * v)).tanh())),
        _ => map(x, |v| v / 2.0 * (1.0 + erf(v * FRAC_1_SQRT_2))),
    },
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.dy()?);
        let slope = if s.attributes.string("approximate", "none") == "tanh" {
            // (1 + tanh u)/2 is σ(2u), and 1 − tanh² u is 4σ(2u)σ(−2u).
            let square = x * x;
            let u = (square * 0.044715 + 1.0) * x * (2.0 * TANH_SCALE);
            let inner = (square * (3.0 * 0.044715) + 1.0) * (2.0 * TANH_SCALE);
            sigmoid(u) * (x * inner * sigmoid(-u) + 1.0)
        } else {
            let density = (x * x * -0.5).exp() * (1.0 / (2.0 * PI).sqrt());
            let cdf = ((x * FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
            let cdf = match x.dtype() {
                DataType::Float => x.lt(x.scalar(GELU_TAIL)).select(lower_tail(x, density), cdf),
                _ => cdf,
            };
            cdf + x * density
        };
        Ok(vec![Some(dy * slope)])
    }),
    cases: || {
        let case = || case().opset(20);
        vec![case().x(&[3, 5]), case().x_in(&[3, 5], -6.0, -3.0), case().x(&[3, 5]).set("approximate", "tanh")]
    },
    ..ELEMENTWISE
};

/// Below this 1 + erf has lost its digits in float32: the slope would be wrong by more than 1e-4 of itself.
const GELU_TAIL: f64 = -3.5;

/// Φ(x) far below 0, by the first steps of Laplace's continued fraction: to 1e-5 of itself below [`GELU_TAIL`].
fn lower_tail<'g>(x: Value<'g>, density: Value<'g>) -> Value<'g> {
    let fraction = [4.0, 3.0, 2.0, 1.0].into_iter().fold(x, |below, n| x + x.scalar(n) / below);
    -(density / fraction)
}

/// √(2/π).
const TANH_SCALE: f64 = 0.797_884_560_802_865_4;

const GELU_MICROSOFT: Card = Card { domain: "com.microsoft", forms: &[Form::UNARY], cases: Vec::new, ..GELU };

/// y = min(max(αx + β, 0), 1).
const HARD_SIGMOID: Card = Card {
    name: "HardSigmoid",
    never_negative: never,
    eval: |a, x| {
        let (alpha, beta) = (a.float("alpha", 0.2), a.float("beta", 0.5));
        map(x, |v| (alpha * v + beta).clamp(0.0, 1.0))
    },
    vjp: Some(|s| {
        let (y, dy) = (s.y()?, s.dy()?);
        let inside = (y * (y.scalar(1.0) - y)).mask(dy.dtype());
        Ok(vec![Some(dy * inside * s.attributes.float("alpha", 0.2))])
    }),
    linearity: piecewise,
    cases: || vec![case().x_in(&[3, 7], -4.0, 4.0), case().x_in(&[3, 7], -4.0, 4.0).set("alpha", 1.0f32 / 6.0)],
    ..ELEMENTWISE
};

/// y = x·min(max(x/6 + ½, 0), 1). Howard et al. 2019, arXiv:1905.02244.
const HARD_SWISH: Card = Card {
    name: "HardSwish",
    eval: |_, x| map(x, |v| v * (v / 6.0 + 0.5).clamp(0.0, 1.0)),
    vjp: Some(|s| {
        // y = x·h with h = min(max(x/6 + ½, 0), 1), whose slope is 1/6 where it is neither.
        let (x, dy) = (s.x(0)?, s.dy()?);
        let h = x.hard_sigmoid(1.0 / 6.0, 0.5);
        let inside = (h * (h.scalar(1.0) - h)).mask(dy.dtype());
        Ok(vec![Some(dy * (h + x * inside * (1.0 / 6.0)))])
    }),
    cases: || vec![case().x_in(&[3, 7], -4.5, 4.5)],
    ..ELEMENTWISE
};

const IDENTITY: Card = Card {
    name: "Identity",
    never_negative: where_first,
    renames: true,
    eval: |_, x| map(x, |v| v),
    vjp: Some(|s| Ok(vec![Some(s.dy()?)])),
    linearity: affine,
    degree: degree_of_first,
    role: Role::Movement,
    ..ELEMENTWISE
};

/// y = x for x > 0, else αx; the derivative at 0 is α.
const LEAKY_RELU: Card = Card {
    name: "LeakyRelu",
    eval: |a, x| {
        let alpha = a.float("alpha", 0.01);
        map(x, |v| if v > 0.0 { v } else { alpha * v })
    },
    vjp: Some(|s| {
        let (alpha, dy) = (s.attributes.float("alpha", 0.01), s.dy()?);
        // With α ≥ 0 the output has the input's sign, and engines can go on fusing the convolution before it.
        let sign = if alpha >= 0.0 { s.y()? } else { s.x(0)? };
        let positive = sign.gt(sign.scalar(0.0));
        // Before operator set 8, Max does not broadcast.
        let leaky = (0.0..1.0).contains(&alpha) && s.attributes.opset >= 8;
        let d =
            if leaky { dy * positive.mask(dy.dtype()).max(dy.scalar(alpha)) } else { positive.select(dy, dy * alpha) };
        Ok(vec![Some(d)])
    }),
    linearity: piecewise,
    degree: degree_of_first,
    cases: || vec![case().x(&[3, 5]), case().x(&[3, 5]).set("alpha", -0.3f32)],
    ..ELEMENTWISE
};

const LOG: Card = Card {
    name: "Log",
    eval: |_, x| map(x, f64::ln),
    vjp: Some(|s| Ok(vec![Some(s.dy()? / s.x(0)?)])),
    cases: || vec![case().x_in(&[3, 5], 0.2, 3.0)],
    ..ELEMENTWISE
};

/// y = x·tanh(ln(1 + eˣ)). Misra 2019, arXiv:1908.08681.
const MISH: Card = Card {
    name: "Mish",
    eval: |_, x| map(x, |v| v * softplus(v).tanh()),
    vjp: Some(|s| {
        // With σ = 1/(1 + e⁻ˣ) and τ = 1 − σ the hyperbolic tangent is (1 − τ²)/(1 + τ²): nothing overflows.
        let (x, dy) = (s.x(0)?, s.dy()?);
        let (sigma, tau) = (sigmoid(x), sigmoid(-x));
        let square = tau * tau;
        let over = square + 1.0;
        let slope = sigma * (tau + 1.0) / over + x * sigma * square * 4.0 / (over * over);
        Ok(vec![Some(dy * slope)])
    }),
    cases: || vec![case().x_in(&[3, 5], -4.0, 4.0).opset(18), case().x_in(&[3, 5], -100.0, 100.0).opset(18)],
    ..ELEMENTWISE
};

const NEG: Card = Card {
    name: "Neg",
    eval: |_, x| map(x, |v| -v),
    vjp: Some(|s| Ok(vec![Some(-s.dy()?)])),
    linearity: affine,
    degree: degree_of_first,
    ..ELEMENTWISE
};

const NOT: Card =
    Card { name: "Not", eval: |_, x| map(x, |v| f64::from(u8::from(v == 0.0))), cases: Vec::new, ..ELEMENTWISE };

const RECIPROCAL: Card = Card {
    name: "Reciprocal",
    eval: |_, x| map(x, |v| 1.0 / v),
    vjp: Some(|s| {
        let y = s.y()?;
        Ok(vec![Some(-(s.dy()? * y * y))])
    }),
    degree: |a, x| degree_of_first(a, x).map(|degree| -degree),
    cases: || vec![case().x_in(&[3, 5], 0.3, 3.0)],
    ..ELEMENTWISE
};

/// y = max(x, 0); the derivative at 0 is 0. Taken from the output, so that engines can go on fusing the convolution
/// before it.
const RELU: Card = Card {
    name: "Relu",
    never_negative: never,
    eval: |_, x| map(x, |v| v.max(0.0)),
    vjp: Some(|s| Ok(vec![Some(s.dy()? * s.y()?.mask(s.dy()?.dtype()))])),
    linearity: piecewise,
    degree: degree_of_first,
    ..ELEMENTWISE
};

/// y = γx for x > 0, else γα(eˣ − 1). Klambauer et al. 2017, arXiv:1706.02515.
const SELU: Card = Card {
    name: "Selu",
    eval: |a, x| {
        let (alpha, gamma) = selu_constants(a);
        map(x, |v| gamma * if v > 0.0 { v } else { alpha * v.exp_m1() })
    },
    vjp: Some(|s| {
        let (x, dy) = (s.x(0)?, s.dy()?);
        let (alpha, gamma) = selu_constants(&s.attributes);
        let positive = x.gt(x.scalar(0.0));
        let slope = positive.select(x.scalar(0.0), x).exp() * (alpha * gamma);
        Ok(vec![Some(positive.select(dy * gamma, dy * slope))])
    }),
    cases: || vec![case().x(&[3, 5]), case().x(&[3, 5]).set("alpha", 0.5f32).set("gamma", 2.0f32)],
    ..ELEMENTWISE
};

fn selu_constants(a: &Attributes) -> (f64, f64) {
    (a.float("alpha", 1.673_263_2), a.float("gamma", 1.050_701))
}

/// y = x + bias for x < −λ, x − bias for x > λ, else 0.
const SHRINK: Card = Card {
    name: "Shrink",
    eval: |a, x| {
        let (bias, lambda) = (a.float("bias", 0.0), a.float("lambd", 0.5));
        map(x, |v| match v {
            v if v < -lambda => v + bias,
            v if v > lambda => v - bias,
            _ => 0.0,
        })
    },
    vjp: Some(|s| {
        let (x, dy, lambda) = (s.x(0)?, s.dy()?, s.attributes.float("lambd", 0.5));
        Ok(vec![Some(x.lt(x.scalar(-lambda)).select(dy, x.where_gt(lambda, dy)))])
    }),
    linearity: piecewise,
    cases: || vec![case().x(&[3, 5]), case().x(&[3, 5]).set("bias", 0.5f32).set("lambd", 1.0f32)],
    ..ELEMENTWISE
};

/// y = 1/(1 + e⁻ˣ), with the slope σ(x)·σ(−x) = 1/(2 + eˣ + e⁻ˣ): 0 where an exponential overflows.
const SIGMOID: Card = Card {
    name: "Sigmoid",
    never_negative: never,
    final_activation: Some(FinalActivation::Each),
    eval: |_, x| map(x, |v| 1.0 / (1.0 + (-v).exp())),
    vjp: Some(|s| {
        let e = s.x(0)?.exp();
        Ok(vec![Some(s.dy()? / (e + e.scalar(1.0) / e + 2.0))])
    }),
    ..ELEMENTWISE
};

/// 1/(1 + e⁻ˣ); where the exponential overflows, the quotient is the 0 it should be.
fn sigmoid(x: Value<'_>) -> Value<'_> {
    x.scalar(1.0) / ((-x).exp() + 1.0)
}

fn softplus(v: f64) -> f64 {
    v.max(0.0) + (-v.abs()).exp().ln_1p()
}

/// y = ln(1 + eˣ).
const SOFTPLUS: Card = Card {
    name: "Softplus",
    never_negative: never,
    eval: |_, x| map(x, softplus),
    vjp: Some(|s| Ok(vec![Some(s.dy()? * sigmoid(s.x(0)?))])),
    cases: || vec![case().x(&[2, 3, 4]), case().x_in(&[3, 5], -100.0, 100.0)],
    ..ELEMENTWISE
};

/// y = x/(1 + |x|).
const SOFTSIGN: Card = Card {
    name: "Softsign",
    eval: |_, x| map(x, |v| v / (1.0 + v.abs())),
    vjp: Some(|s| {
        let root = s.x(0)?.abs() + 1.0;
        Ok(vec![Some(s.dy()? / (root * root))])
    }),
    ..ELEMENTWISE
};

const SQRT: Card = Card {
    name: "Sqrt",
    never_negative: never,
    eval: |_, x| map(x, f64::sqrt),
    vjp: Some(|s| Ok(vec![Some(s.dy()? / (s.y()? * 2.0))])),
    cases: || vec![case().x_in(&[3, 5], 0.2, 3.0)],
    degree: |a, x| degree_of_first(a, x).map(|degree| degree / 2.0),
    ..ELEMENTWISE
};

/// y = x·σ(αx). Ramachandran et al. 2017, arXiv:1710.05941; with α = 1 the SiLU.
const SWISH: Card = Card {
    name: "Swish",
    eval: |a, x| {
        let alpha = a.float("alpha", 1.0);
        map(x, |v| v / (1.0 + (-alpha * v).exp()))
    },
    vjp: Some(|s| {
        let inner = s.x(0)? * s.attributes.float("alpha", 1.0);
        Ok(vec![Some(s.dy()? * sigmoid(inner) * (inner * sigmoid(-inner) + 1.0))])
    }),
    cases: || vec![case().x(&[3, 5]).opset(24), case().x_in(&[3, 5], -100.0, 100.0).set("alpha", 1.702f32).opset(24)],
    ..ELEMENTWISE
};

/// y = tanh x, with the slope 4σ(2x)σ(−2x) = (2/(eˣ + e⁻ˣ))²: 0 where an exponential overflows.
const TANH: Card = Card {
    name: "Tanh",
    eval: |_, x| map(x, f64::tanh),
    vjp: Some(|s| {
        let e = s.x(0)?.exp();
        let secant = e.scalar(2.0) / (e + e.scalar(1.0) / e);
        Ok(vec![Some(s.dy()? * secant * secant)])
    }),
    ..ELEMENTWISE
};

/// y = x for x > α, else 0; the derivative at α is 0.
const THRESHOLDED_RELU: Card = Card {
    name: "ThresholdedRelu",
    eval: |a, x| {
        let alpha = a.float("alpha", 1.0);
        map(x, |v| if v > alpha { v } else { 0.0 })
    },
    vjp: Some(|s| Ok(vec![Some(s.x(0)?.where_gt(s.attributes.float("alpha", 1.0), s.dy()?))])),
    linearity: piecewise,
    cases: || vec![case().x(&[3, 5]), case().x(&[3, 5]).set("alpha", -0.5f32)],
    ..ELEMENTWISE
};
