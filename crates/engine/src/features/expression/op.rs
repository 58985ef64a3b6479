//! The operations of a program and how they run.

#![expect(clippy::float_cmp, reason = "truths are exactly 0 and 1, and == in an expression means equal")]

use super::Context;
use crate::currency::Currency;
use crate::event::{EventRef, MISSING, NO_KEY};
use crate::features::cell::{Cell, Shape};
use crate::features::math;
use crate::limits::EXPRESSION_STACK_MAX;

/// One step. Operands come from the stack, the result goes there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    Constant(f64),
    /// In units of its own currency.
    Amount,
    /// In the window scale, divided by this power of ten.
    BaseAmount(f64),
    /// Hundredths of the unit, 0 to 99 (with a fraction where the currency has three or four digits).
    AmountCents,
    /// A slot in millionths.
    Number(u16),
    /// A slot that is the number itself: a time, ms, or a count.
    Whole(u16),
    /// (t − slot) / 1000.
    AgeSeconds(u16),
    Calendar(Calendar),
    /// How many of the first slots, and of all keys, have no value.
    MissingFields(u16),
    /// The published value of a feature.
    Feature(u32),
    /// Whether a slot equals a word.
    SlotIs(u16, i64),
    SlotsEqual(u16, u16),
    /// Whether a slot is among so many of the program's words from an index on.
    SlotIn {
        slot: u16,
        from: u16,
        count: u16,
    },
    SlotMissing(u16),
    KeyMissing(u16),
    IsMissing,
    Negate,
    Not,
    Add,
    Subtract,
    Multiply,
    Divide,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    And,
    Or,
    /// Condition, value, value: the first where it holds, the second where not, missing where unknown.
    Choose,
    Abs,
    Min,
    Max,
    Log,
    Log1p,
    Sqrt,
    Floor,
}

/// What a calendar says of the event time, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calendar {
    Hour,
    Weekday,
    HourSin,
    HourCos,
    WeekdaySin,
    WeekdayCos,
    Night,
    Weekend,
}

/// A checked, compiled expression.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub(super) ops: Vec<Op>,
    /// Words of lists.
    pub(super) words: Vec<i64>,
    pub(super) reads: Vec<usize>,
    pub(super) slots: Vec<usize>,
    pub(super) truth: bool,
    pub(in crate::features) shape: Option<Shape>,
}

impl Program {
    /// The number; NaN where missing. Of a truth: 1 or 0, NaN where unknown.
    pub fn number(&self, context: &Context<'_>) -> f64 {
        let value = self.run(context);
        // Past the range of f32 it would be infinite to the model.
        if (value as f32).is_finite() { value } else { f64::NAN }
    }

    /// The truth; a comparison with a missing operand is false, and so is its negation.
    pub fn truth(&self, context: &Context<'_>) -> bool {
        self.run(context) == 1.0
    }

    /// The value as it is published, rounded once.
    pub fn cell(&self, context: &Context<'_>) -> Cell {
        match self.shape() {
            Shape::Real => Cell::real(self.number(context) as f32),
            Shape::Integer => {
                let value = self.number(context);
                if value.is_nan() { Cell::MISSING } else { Cell(value as i64) }
            }
            // The only decimal there is: the amount, of a currency with no more digits than this.
            Shape::Decimal { digits } => {
                let head = context.event.head;
                let own = Currency(head.currency).digits();
                Cell(head.amount_minor.saturating_mul(10_i64.pow(digits.saturating_sub(own))))
            }
        }
    }

    /// How the value is published: the amount alone is a decimal; flags and what counts whole things are integers.
    pub fn shape(&self) -> Shape {
        self.shape.unwrap_or(Shape::Real)
    }

    /// Whether it is a truth and not a number.
    pub fn is_truth(&self) -> bool {
        self.truth
    }

    /// Indices of the features that it reads.
    pub fn reads(&self) -> &[usize] {
        &self.reads
    }

    /// Slots of the event that it reads.
    pub fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Most programs are one operand, or a step or two on it: no stack is made for these.
    #[inline]
    fn run(&self, context: &Context<'_>) -> f64 {
        let Some((&first, rest)) = self.ops.split_first() else { return f64::NAN };
        let value = self.operand(first, context);
        if rest.is_empty() { value } else { self.run_on(value, rest, context) }
    }

    /// Goes on from a value.
    #[inline(never)]
    fn run_on(&self, mut value: f64, rest: &[Op], context: &Context<'_>) -> f64 {
        for (at, &op) in rest.iter().enumerate() {
            if !op.is_unary() {
                return self.run_on_stack(value, &rest[at..], context);
            }
            value = unary(op, value);
        }
        value
    }

    /// The same, of operations that need more than one.
    #[inline(never)]
    fn run_on_stack(&self, value: f64, ops: &[Op], context: &Context<'_>) -> f64 {
        let mut stack = [f64::NAN; EXPRESSION_STACK_MAX];
        stack[0] = value;
        let mut top = 1;
        for &op in ops {
            if op.is_unary() {
                stack[top - 1] = unary(op, stack[top - 1]);
            } else if op.is_binary() {
                stack[top - 2] = binary(op, stack[top - 2], stack[top - 1]);
                top -= 1;
            } else if op == Op::Choose {
                let (condition, yes, no) = (stack[top - 3], stack[top - 2], stack[top - 1]);
                stack[top - 3] = if condition.is_nan() {
                    f64::NAN
                } else if condition == 1.0 {
                    yes
                } else {
                    no
                };
                top -= 2;
            } else {
                stack[top] = self.operand(op, context);
                top += 1;
            }
        }
        stack[top - 1]
    }

    /// What an operand pushes.
    #[inline]
    fn operand(&self, op: Op, context: &Context<'_>) -> f64 {
        let event = context.event;
        match op {
            Op::Constant(value) => value,
            Op::Amount => amount(event),
            Op::BaseAmount(scale) => event.head.amount_scaled as f64 / scale,
            Op::AmountCents => cents(event),
            Op::Number(slot) => word(event, slot).map_or(f64::NAN, |word| word as f64 / 1e6),
            Op::Whole(slot) => word(event, slot).map_or(f64::NAN, |word| word as f64),
            Op::AgeSeconds(slot) => {
                word(event, slot).map_or(f64::NAN, |word| (event.head.time_ms - word) as f64 / 1_000.0)
            }
            Op::Calendar(calendar) => calendar.of(event.head.time_ms),
            Op::MissingFields(fields) => missing_fields(event, usize::from(fields)),
            Op::Feature(index) => context.operands[index as usize],
            Op::SlotIs(slot, constant) => word(event, slot).map_or(f64::NAN, |word| truth(word == constant)),
            Op::SlotsEqual(left, right) => match (word(event, left), word(event, right)) {
                (Some(left), Some(right)) => truth(left == right),
                _ => f64::NAN,
            },
            Op::SlotIn { slot, from, count } => word(event, slot).map_or(f64::NAN, |word| {
                let from = usize::from(from);
                truth(self.words[from..from + usize::from(count)].contains(&word))
            }),
            Op::SlotMissing(slot) => truth(word(event, slot).is_none()),
            Op::KeyMissing(entity) => truth(event.keys[usize::from(entity)] == NO_KEY),
            // A program is checked: its other operations find their operands on the stack.
            _ => f64::NAN,
        }
    }
}

impl Op {
    /// Whether it changes the value on top.
    fn is_unary(self) -> bool {
        matches!(
            self,
            Self::IsMissing
                | Self::Negate
                | Self::Not
                | Self::Abs
                | Self::Log
                | Self::Log1p
                | Self::Sqrt
                | Self::Floor
        )
    }

    /// Whether it joins the two values on top.
    fn is_binary(self) -> bool {
        matches!(
            self,
            Self::Add
                | Self::Subtract
                | Self::Multiply
                | Self::Divide
                | Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessEqual
                | Self::And
                | Self::Or
                | Self::Min
                | Self::Max
        )
    }
}

fn unary(op: Op, x: f64) -> f64 {
    match op {
        Op::IsMissing => truth(x.is_nan()),
        Op::Negate => -x,
        // 1 − NaN is NaN: unknown stays unknown.
        Op::Not => 1.0 - x,
        Op::Abs => x.abs(),
        Op::Log => finite(math::ln(x)),
        Op::Log1p => finite(math::ln_1p(x)),
        Op::Sqrt => finite(x.sqrt()),
        _ => x.floor(),
    }
}

fn binary(op: Op, left: f64, right: f64) -> f64 {
    match op {
        // Kleene: one false decides an and, one true an or.
        Op::And if left == 0.0 || right == 0.0 => return 0.0,
        Op::Or if left == 1.0 || right == 1.0 => return 1.0,
        _ => {}
    }
    if left.is_nan() || right.is_nan() {
        return f64::NAN;
    }
    match op {
        Op::Add => finite(left + right),
        Op::Subtract => finite(left - right),
        Op::Multiply => finite(left * right),
        Op::Divide => finite(left / right),
        Op::Equal => truth(left == right),
        Op::NotEqual => truth(left != right),
        Op::Less => truth(left < right),
        Op::LessEqual => truth(left <= right),
        Op::Min => {
            if right < left {
                right
            } else {
                left
            }
        }
        Op::Max => {
            if right > left {
                right
            } else {
                left
            }
        }
        // And: both are true. Or: both are false.
        _ => truth(op == Op::And),
    }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// Overflow, a division by 0 and what a function is not defined for are missing.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}

fn word(event: EventRef<'_>, slot: u16) -> Option<i64> {
    let word = event.slots[usize::from(slot)];
    (word != MISSING).then_some(word)
}

/// Powers of ten by digits of a currency.
const POWERS: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];

/// At most 10^13 over a power of ten: the quotient of two exact numbers, so the nearest f64 of the decimal.
fn amount(event: EventRef<'_>) -> f64 {
    let digits = Currency(event.head.currency).digits().min(4) as usize;
    event.head.amount_minor as f64 / POWERS[digits]
}

fn cents(event: EventRef<'_>) -> f64 {
    let digits = Currency(event.head.currency).digits().min(4);
    let part = event.head.amount_minor % 10_i64.pow(digits);
    (part * 100) as f64 / POWERS[digits as usize]
}

fn missing_fields(event: EventRef<'_>, fields: usize) -> f64 {
    let slots = event.slots[..fields].iter().filter(|word| **word == MISSING).count();
    let keys = event.keys.iter().filter(|key| **key == NO_KEY).count();
    (slots + keys) as f64
}

/// sin and cos of whole parts of a turn, computed when compiling: the same bits everywhere.
const fn turn<const N: usize>(cosine: bool) -> [f64; N] {
    let mut table = [0.0; N];
    let mut i = 0;
    while i < N {
        let angle = std::f64::consts::TAU * (i as f64 / N as f64);
        table[i] = if cosine { math::cos(angle) } else { math::sin(angle) };
        i += 1;
    }
    table
}

static HOUR_SIN: [f64; 24] = turn(false);
static HOUR_COS: [f64; 24] = turn(true);
static WEEKDAY_SIN: [f64; 7] = turn(false);
static WEEKDAY_COS: [f64; 7] = turn(true);

impl Calendar {
    fn of(self, time_ms: i64) -> f64 {
        let hours = time_ms.div_euclid(3_600_000);
        let hour = || hours.rem_euclid(24) as usize;
        // 1970-01-01 was a Thursday: 3 where Monday is 0.
        let weekday = || (hours.div_euclid(24) + 3).rem_euclid(7) as usize;
        match self {
            Self::Hour => hour() as f64,
            Self::Weekday => weekday() as f64,
            Self::HourSin => HOUR_SIN[hour()],
            Self::HourCos => HOUR_COS[hour()],
            Self::WeekdaySin => WEEKDAY_SIN[weekday()],
            Self::WeekdayCos => WEEKDAY_COS[weekday()],
            Self::Night => truth(hour() <= 6),
            Self::Weekend => truth(weekday() >= 5),
        }
    }
}
