//! Random expressions over random events: a naive evaluator must agree, bit for bit.

#![expect(clippy::float_cmp, reason = "equal means equal")]

use super::tests::{World, number, program, word};
use crate::event::MISSING;
use proptest::prelude::*;

/// A tree as a person would evaluate it: `None` is missing or unknown.
#[derive(Clone, Debug)]
enum Naive {
    Number(f64),
    Discount,
    Count,
    Arithmetic(&'static str, Box<Naive>, Box<Naive>),
    Function(&'static str, Box<Naive>),
    Choose(Box<Truth>, Box<Naive>, Box<Naive>),
}

#[derive(Clone, Debug)]
enum Truth {
    Constant(bool),
    Compare(&'static str, Naive, Naive),
    Country(&'static str, &'static str),
    Both(Box<Truth>, Box<Truth>),
    Either(Box<Truth>, Box<Truth>),
    Not(Box<Truth>),
    Missing(Naive),
}

impl Naive {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => format!("{number:?}"),
            Self::Discount => "discount".to_owned(),
            Self::Count => "customer.count_1h".to_owned(),
            Self::Arithmetic(sign @ ("min" | "max"), left, right) => {
                format!("{sign}({}, {})", left.text(), right.text())
            }
            Self::Arithmetic(sign, left, right) => format!("({} {sign} {})", left.text(), right.text()),
            Self::Function(name, inner) => format!("{name}({})", inner.text()),
            Self::Choose(truth, yes, no) => format!("({} ? {} : {})", truth.text(), yes.text(), no.text()),
        }
    }

    fn value(&self, world: &World) -> Option<f64> {
        let value = match self {
            Self::Number(number) => *number,
            Self::Discount if world.slots[2] == MISSING => return None,
            Self::Discount => world.slots[2] as f64 / 1e6,
            Self::Count => world.features[0],
            Self::Arithmetic(sign, left, right) => {
                let (left, right) = (left.value(world)?, right.value(world)?);
                match *sign {
                    "+" => left + right,
                    "-" => left - right,
                    "*" => left * right,
                    "/" => left / right,
                    "min" => {
                        if right < left {
                            right
                        } else {
                            left
                        }
                    }
                    _ => {
                        if right > left {
                            right
                        } else {
                            left
                        }
                    }
                }
            }
            Self::Function(name, inner) => {
                let inner = inner.value(world)?;
                match *name {
                    "abs" => inner.abs(),
                    "floor" => inner.floor(),
                    "sqrt" => inner.sqrt(),
                    _ => -inner,
                }
            }
            Self::Choose(truth, yes, no) => {
                return if truth.value(world)? { yes.value(world) } else { no.value(world) };
            }
        };
        value.is_finite().then_some(value)
    }
}

impl Truth {
    fn text(&self) -> String {
        match self {
            Self::Constant(truth) => truth.to_string(),
            Self::Compare(sign, left, right) => format!("({} {sign} {})", left.text(), right.text()),
            Self::Country(sign, text) => format!("(country {sign} '{text}')"),
            Self::Both(left, right) => format!("({} && {})", left.text(), right.text()),
            Self::Either(left, right) => format!("({} || {})", left.text(), right.text()),
            Self::Not(inner) => format!("!{}", inner.text()),
            Self::Missing(inner) => format!("is_missing({})", inner.text()),
        }
    }

    fn value(&self, world: &World) -> Option<bool> {
        match self {
            Self::Constant(truth) => Some(*truth),
            Self::Compare(sign, left, right) => {
                let (left, right) = (left.value(world)?, right.value(world)?);
                Some(match *sign {
                    "<" => left < right,
                    "<=" => left <= right,
                    ">" => left > right,
                    ">=" => left >= right,
                    "==" => left == right,
                    _ => left != right,
                })
            }
            Self::Country(sign, text) => {
                let country = world.slots[0];
                (country != MISSING).then(|| (country == word(text)) == (*sign == "=="))
            }
            Self::Both(left, right) => match (left.value(world), right.value(world)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Either(left, right) => match (left.value(world), right.value(world)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(inner) => inner.value(world).map(|truth| !truth),
            Self::Missing(inner) => Some(inner.value(world).is_none()),
        }
    }
}

fn leaf() -> impl Strategy<Value = Naive> {
    let number = prop_oneof![Just(0.0), Just(1.0), Just(2.5), Just(1e300), 0.0..1e6];
    prop_oneof![number.prop_map(Naive::Number), Just(Naive::Discount), Just(Naive::Count)]
}

fn numbers() -> impl Strategy<Value = Naive> {
    leaf().prop_recursive(4, 24, 3, |inner| {
        let signs = prop::sample::select(vec!["+", "-", "*", "/", "min", "max"]);
        let names = prop::sample::select(vec!["abs", "floor", "sqrt", "-"]);
        let compares = prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]);
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (signs, two.clone()).prop_map(|(sign, (l, r))| Naive::Arithmetic(sign, l.into(), r.into())),
            (names, inner.clone()).prop_map(|(name, x)| Naive::Function(name, x.into())),
            (compares, inner.clone(), inner, two).prop_map(|(sign, l, r, (yes, no))| {
                Naive::Choose(Truth::Compare(sign, l, r).into(), yes.into(), no.into())
            }),
        ]
    })
}

fn truths() -> impl Strategy<Value = Truth> {
    let compares = prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]);
    let leaf = prop_oneof![
        any::<bool>().prop_map(Truth::Constant),
        (compares, numbers(), numbers()).prop_map(|(sign, l, r)| Truth::Compare(sign, l, r)),
        (prop::sample::select(vec!["==", "!="]), prop::sample::select(vec!["DE", "FR"]))
            .prop_map(|(sign, text)| Truth::Country(sign, text)),
        numbers().prop_map(Truth::Missing),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(l, r)| Truth::Both(l.into(), r.into())),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| Truth::Either(l.into(), r.into())),
            inner.prop_map(|truth| Truth::Not(truth.into())),
        ]
    })
}

fn worlds() -> impl Strategy<Value = World> {
    let country = prop::sample::select(vec![MISSING, word("DE"), word("FR"), word("AT")]);
    let discount = prop_oneof![Just(MISSING), Just(0), -1_000_000_000..1_000_000_000_i64];
    (country, discount, 0.0..100.0_f64).prop_map(|(country, discount, count)| {
        let mut world = World::bare().with(0, country).with(2, discount);
        world.features[0] = count.floor();
        world
    })
}

proptest! {
    #[test]
    fn numbers_equal_the_naive_ones(tree in numbers(), world in worlds()) {
        let value = number(&tree.text(), &world);
        let expected = tree.value(&world).filter(|value| (*value as f32).is_finite());
        prop_assert_eq!(value.is_nan(), expected.is_none(), "{}", tree.text());
        if let Some(expected) = expected {
            prop_assert_eq!(value.to_bits(), expected.to_bits(), "{}", tree.text());
        }
    }

    #[test]
    fn truths_equal_the_naive_ones(tree in truths(), world in worlds()) {
        let program = program(&tree.text());
        let expected = tree.value(&world);
        prop_assert_eq!(program.truth(&world.context()), expected == Some(true), "{}", tree.text());
        prop_assert_eq!(program.number(&world.context()).is_nan(), expected.is_none(), "{}", tree.text());
    }
}
