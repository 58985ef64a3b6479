//! Flags and layers: §6.

use crate::plan::{Definition, Event, Flag, Operand, Value};

/// The layer of every definition and of every flag. `conditions` are those of events, before the flags.
pub(crate) fn layers(
    definitions: &[Definition],
    flags: &[Flag],
    conditions: usize,
) -> (Vec<usize>, Vec<usize>) {
    (
        (0..definitions.len()).map(|at| definition_layer(definitions, flags, conditions, at, 0)).collect(),
        (0..flags.len()).map(|at| flag_layer(definitions, flags, conditions, at, 0)).collect(),
    )
}

/// "A window over a flag has the flag's layer, every other window layer 0."
fn definition_layer(
    definitions: &[Definition],
    flags: &[Flag],
    conditions: usize,
    at: usize,
    depth: usize,
) -> usize {
    match definitions[at].condition.and_then(|condition| condition.checked_sub(conditions)) {
        Some(flag) => flag_layer(definitions, flags, conditions, flag, depth + 1),
        None => 0,
    }
}

/// "A flag's layer is one more than the highest layer of the windows that it reads, itself or through other flags."
fn flag_layer(
    definitions: &[Definition],
    flags: &[Flag],
    conditions: usize,
    at: usize,
    depth: usize,
) -> usize {
    assert!(depth <= 2 * flags.len(), "flag {at} depends on itself");
    let flag = &flags[at];
    let windows = [flag.left, flag.right].into_iter().filter_map(|operand| match operand {
        Operand::Feature(at) => Some(definition_layer(definitions, flags, conditions, at, depth) + 1),
        Operand::Constant(_) | Operand::Amount => None,
    });
    let other = flag.and.map(|(other, _)| flag_layer(definitions, flags, conditions, other, depth + 1));
    windows.chain(other).max().unwrap_or(0)
}

/// Whether a flag holds; None where that is unknown. `or` of a feature is in its value already.
pub(crate) fn holds(flags: &[Flag], at: usize, event: &Event, values: &[Value], digits: u32) -> Option<bool> {
    let flag = &flags[at];
    let number = |operand| match operand {
        Operand::Constant(constant) => Some(constant),
        Operand::Amount => event.columns[0].map(|amount| amount as f64 / 10f64.powi(digits as i32)),
        Operand::Feature(at) => values[at].as_operand(),
    };
    let larger = match (number(flag.left), number(flag.right)) {
        (Some(left), Some(right)) => Some(left > flag.factor * right),
        (Some(_) | None, Some(_) | None) => None,
    };
    let Some((other, wanted)) = flag.and else { return larger };
    match (larger, holds(flags, other, event, values, digits).map(|other| other == wanted)) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        (None, _) | (_, None) => None,
    }
}
