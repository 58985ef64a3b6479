//! Syntax tree -> flat program: names resolved, types checked, the depth of the stack known.
//!
//! parse -> **compile** -> op
//!
//! Types: a number; a truth (true, false, unknown); a category, which can only be compared; a time, which is a number
//! of milliseconds where a number is wanted. Unlike CEL there is one kind of number, and an absent value is no error.

use super::ExpressionFault;
use super::op::{Calendar, Op, Program};
use super::parse::{Kind, Operator, Tree, operator_meant, parse};
use super::vocabulary::{BUILTINS, Builtin, FUNCTIONS};
use crate::decode::hash;
use crate::document::did_you_mean;
use crate::features::cell::Shape;
use crate::limits::{EXPRESSION_STACK_MAX, EXPRESSION_WORDS_MAX};
use crate::schema::{CurrencySource, FieldKind, ItemStat, Schema};
use std::collections::BTreeMap;

/// The names that an expression may use.
pub struct Scope<'a> {
    pub schema: &'a Schema,
    /// Features by full name, and flags; none for a condition, which reads the event's own fields only.
    pub operands: Option<&'a BTreeMap<String, usize>>,
    /// Operands from this number on are flags, which are truths.
    pub flags_from: usize,
}

/// Compiles an expression, or tells everything that is wrong with it.
pub fn compile(text: &str, scope: &Scope<'_>) -> Result<Program, Vec<ExpressionFault>> {
    let tree = parse(text).map_err(|fault| vec![fault])?;
    let mut compiler =
        Compiler { scope, program: Program::default(), faults: Vec::new(), depth: 0, deepest: 0 };
    let kind = compiler.value(&tree);
    if matches!(kind, Type::Category(_)) {
        compiler.fault(&tree, "a category is not a value; compare it with == or !=");
    }
    if compiler.deepest > EXPRESSION_STACK_MAX {
        compiler.fault(&tree, format!("holds more than {EXPRESSION_STACK_MAX} values at once"));
    }
    if !compiler.faults.is_empty() {
        return Err(compiler.faults);
    }
    let mut program = compiler.program;
    for reads in [&mut program.reads, &mut program.slots] {
        reads.sort_unstable();
        reads.dedup();
    }
    program.truth = kind == Type::Truth;
    program.shape = Some(shape(&program, kind, scope.schema));
    Ok(program)
}

/// What a tree is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Number,
    Truth,
    Category(Category),
    Time(u16),
    /// Was a fault; told already.
    Wrong,
}

/// Where a category comes from. It never stands on the stack: comparisons name it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Category {
    Slot(u16),
    Constant(i64),
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::Category(Category::Slot(_)) => "a category",
            Self::Category(Category::Constant(_)) => "a text",
            Self::Time(_) => "a time",
            Self::Wrong => "wrong",
        }
    }
}

struct Compiler<'a> {
    scope: &'a Scope<'a>,
    program: Program,
    faults: Vec<ExpressionFault>,
    depth: usize,
    deepest: usize,
}

impl Compiler<'_> {
    fn fault(&mut self, tree: &Tree, what: impl Into<String>) -> Type {
        self.faults.push(ExpressionFault { at: tree.at, what: what.into() });
        Type::Wrong
    }

    /// Appends a step that takes so many values off the stack and puts one on it.
    fn emit(&mut self, op: Op, takes: usize) {
        self.program.ops.push(op);
        self.depth = (self.depth + 1).saturating_sub(takes);
        self.deepest = self.deepest.max(self.depth);
    }

    /// Compiles a tree; unless it is a category, its value is then on the stack.
    fn value(&mut self, tree: &Tree) -> Type {
        match &tree.kind {
            Kind::Number(number) => {
                self.emit(Op::Constant(*number), 0);
                Type::Number
            }
            Kind::Truth(truth) => {
                self.emit(Op::Constant(f64::from(u8::from(*truth))), 0);
                Type::Truth
            }
            Kind::Text(text) => {
                let word = hash::category(self.scope.schema.hash_seed, text.as_bytes());
                Type::Category(Category::Constant(word))
            }
            Kind::Name(name) => self.name(tree, name),
            Kind::Not(inner) => {
                if !self.truth(inner) {
                    return Type::Wrong;
                }
                self.emit(Op::Not, 1);
                Type::Truth
            }
            Kind::Negate(inner) => {
                if !self.number(inner) {
                    return Type::Wrong;
                }
                self.emit(Op::Negate, 1);
                Type::Number
            }
            Kind::Binary(operator, left, right) => self.binary(tree, *operator, left, right),
            Kind::Choose(condition, yes, no) => self.choose(tree, condition, yes, no),
            Kind::In(value, list) => self.membership(tree, value, list),
            Kind::Call(name, arguments) => self.call(tree, name, arguments),
        }
    }

    /// Compiles what must be a number.
    fn number(&mut self, tree: &Tree) -> bool {
        match self.value(tree) {
            Type::Number | Type::Time(_) => true,
            Type::Wrong => false,
            other @ (Type::Truth | Type::Category(_)) => {
                let hint = if other == Type::Truth { "; write condition ? 1 : 0" } else { "" };
                self.fault(tree, format!("{} where a number belongs{hint}", other.name()));
                false
            }
        }
    }

    /// Compiles what must be a truth.
    fn truth(&mut self, tree: &Tree) -> bool {
        match self.value(tree) {
            Type::Truth => true,
            Type::Wrong => false,
            other @ (Type::Number | Type::Category(_) | Type::Time(_)) => {
                self.fault(tree, format!("{} where true or false belongs; compare it", other.name()));
                false
            }
        }
    }

    fn name(&mut self, tree: &Tree, name: &str) -> Type {
        let schema = self.scope.schema;
        if let Some((_, _, builtin)) = BUILTINS.iter().find(|(known, ..)| *known == name) {
            return self.builtin(tree, *builtin);
        }
        if let Some(slot) = schema.fields.iter().position(|field| field.name == name) {
            self.program.slots.push(slot);
            return match schema.fields[slot].kind {
                FieldKind::Category => Type::Category(Category::Slot(slot as u16)),
                FieldKind::Number => {
                    self.emit(Op::Number(slot as u16), 0);
                    Type::Number
                }
                FieldKind::Time(_) => {
                    self.emit(Op::Whole(slot as u16), 0);
                    Type::Time(slot as u16)
                }
            };
        }
        if let Some(index) = self.scope.operands.and_then(|operands| operands.get(name)) {
            self.program.reads.push(*index);
            self.emit(Op::Feature(*index as u32), 0);
            return if *index < self.scope.flags_from { Type::Number } else { Type::Truth };
        }
        self.unknown(tree, name)
    }

    fn unknown(&mut self, tree: &Tree, name: &str) -> Type {
        let schema = self.scope.schema;
        if schema.entities.iter().any(|entity| entity.name == name) {
            return self.fault(tree, format!("{name} is an entity; only is_missing({name}) can ask for it"));
        }
        if FUNCTIONS.iter().any(|(known, _)| *known == name) {
            return self.fault(tree, format!("{name} is a function; its arguments go in brackets"));
        }
        let fields = schema.fields.iter().map(|field| field.name.as_str());
        let features = self.scope.operands.into_iter().flatten().map(|(feature, _)| feature.as_str());
        let guess =
            did_you_mean(name, BUILTINS.iter().map(|(known, ..)| *known).chain(fields).chain(features));
        let what = if self.scope.operands.is_some() {
            format!("{name} is no mapped field, feature, flag or built-in name{guess}")
        } else {
            format!(
                "{name} is no mapped field or built-in name; a condition reads the event's own fields only{guess}"
            )
        };
        self.fault(tree, what)
    }

    fn builtin(&mut self, tree: &Tree, builtin: Builtin) -> Type {
        let schema = self.scope.schema;
        let op = match builtin {
            Builtin::Amount => Op::Amount,
            Builtin::BaseAmount => Op::BaseAmount(10_f64.powi(schema.scale_digits() as i32)),
            Builtin::AmountCents => Op::AmountCents,
            Builtin::Calendar(calendar) => Op::Calendar(calendar),
            Builtin::MissingFields => Op::MissingFields(schema.fields.len() as u16),
            Builtin::Item(stat) => {
                let Some(slot) = schema.item_slot(stat) else {
                    return self.fault(tree, "no basket is mapped; give [event] items");
                };
                self.program.slots.push(slot);
                if stat == ItemStat::Lines { Op::Whole(slot as u16) } else { Op::Number(slot as u16) }
            }
        };
        self.emit(op, 0);
        match builtin {
            Builtin::Calendar(Calendar::Night | Calendar::Weekend) => Type::Truth,
            _ => Type::Number,
        }
    }

    fn binary(&mut self, tree: &Tree, operator: Operator, left: &Tree, right: &Tree) -> Type {
        let (op, kind) = match operator {
            Operator::Equal | Operator::NotEqual => return self.equality(tree, operator, left, right),
            Operator::Or => (Op::Or, Type::Truth),
            Operator::And => (Op::And, Type::Truth),
            // a > b is b < a: the operands change places on the stack, their order of evaluation cannot be told.
            Operator::Less | Operator::Greater => (Op::Less, Type::Truth),
            Operator::LessEqual | Operator::GreaterEqual => (Op::LessEqual, Type::Truth),
            Operator::Add => (Op::Add, Type::Number),
            Operator::Subtract => (Op::Subtract, Type::Number),
            Operator::Multiply => (Op::Multiply, Type::Number),
            Operator::Divide => (Op::Divide, Type::Number),
        };
        let swapped = matches!(operator, Operator::Greater | Operator::GreaterEqual);
        let (first, second) = if swapped { (right, left) } else { (left, right) };
        let fits = match operator {
            Operator::Or | Operator::And => [self.truth(first), self.truth(second)],
            _ => [self.number(first), self.number(second)],
        };
        if fits != [true; 2] {
            return Type::Wrong;
        }
        self.emit(op, 2);
        kind
    }

    fn equality(&mut self, tree: &Tree, operator: Operator, left: &Tree, right: &Tree) -> Type {
        let kinds = (self.value(left), self.value(right));
        match kinds {
            (Type::Wrong, _) | (_, Type::Wrong) => return Type::Wrong,
            (Type::Category(left), Type::Category(right)) => {
                if !self.same_category(tree, left, right) {
                    return Type::Wrong;
                }
                if operator == Operator::NotEqual {
                    self.emit(Op::Not, 1);
                }
                return Type::Truth;
            }
            (Type::Number | Type::Time(_), Type::Number | Type::Time(_)) | (Type::Truth, Type::Truth) => {}
            (left, right) => {
                return self.fault(tree, format!("compares {} with {}", left.name(), right.name()));
            }
        }
        self.emit(if operator == Operator::Equal { Op::Equal } else { Op::NotEqual }, 2);
        Type::Truth
    }

    /// Puts on the stack whether two categories are equal.
    fn same_category(&mut self, tree: &Tree, left: Category, right: Category) -> bool {
        let op = match (left, right) {
            (Category::Slot(left), Category::Slot(right)) => Op::SlotsEqual(left, right),
            (Category::Slot(slot), Category::Constant(word))
            | (Category::Constant(word), Category::Slot(slot)) => Op::SlotIs(slot, word),
            (Category::Constant(_), Category::Constant(_)) => {
                self.fault(tree, "compares two constant texts");
                return false;
            }
        };
        self.emit(op, 0);
        true
    }

    fn choose(&mut self, tree: &Tree, condition: &Tree, yes: &Tree, no: &Tree) -> Type {
        let holds = self.truth(condition);
        let kinds = (self.value(yes), self.value(no));
        let kind = match kinds {
            (Type::Wrong, _) | (_, Type::Wrong) => return Type::Wrong,
            (Type::Number | Type::Time(_), Type::Number | Type::Time(_)) => Type::Number,
            (Type::Truth, Type::Truth) => Type::Truth,
            (yes, no) => {
                let what =
                    format!("chooses between {} and {}; both numbers or both truths", yes.name(), no.name());
                return self.fault(tree, what);
            }
        };
        if !holds {
            return Type::Wrong;
        }
        self.emit(Op::Choose, 3);
        kind
    }

    fn membership(&mut self, tree: &Tree, value: &Tree, list: &[Tree]) -> Type {
        if list.is_empty() {
            return self.fault(tree, "the list is empty; nothing is in it");
        }
        match self.value(value) {
            Type::Wrong => Type::Wrong,
            Type::Category(Category::Slot(slot)) => self.in_texts(slot, list),
            Type::Number | Type::Time(_) => {
                // x in [a, b] is x == a || x == b; the value is compiled once for each.
                for (index, member) in list.iter().enumerate() {
                    let Kind::Number(number) = member.kind else {
                        return self.fault(member, "not a number; a number is looked for in numbers only");
                    };
                    if index > 0 {
                        self.value(value);
                    }
                    self.emit(Op::Constant(number), 0);
                    self.emit(Op::Equal, 2);
                    if index > 0 {
                        self.emit(Op::Or, 2);
                    }
                }
                Type::Truth
            }
            other @ (Type::Truth | Type::Category(Category::Constant(_))) => {
                self.fault(value, format!("{} cannot be looked for in a list", other.name()))
            }
        }
    }

    fn in_texts(&mut self, slot: u16, list: &[Tree]) -> Type {
        let from = self.program.words.len();
        for member in list {
            let Kind::Text(text) = &member.kind else {
                return self.fault(member, "not a text; a category is looked for in texts only");
            };
            self.program.words.push(hash::category(self.scope.schema.hash_seed, text.as_bytes()));
        }
        if self.program.words.len() > EXPRESSION_WORDS_MAX {
            return self.fault(&list[0], format!("more than {EXPRESSION_WORDS_MAX} words in lists"));
        }
        self.emit(Op::SlotIn { slot, from: from as u16, count: list.len() as u16 }, 0);
        Type::Truth
    }

    fn call(&mut self, tree: &Tree, name: &str, arguments: &[Tree]) -> Type {
        let Some((_, usage)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            let guess = did_you_mean(name, FUNCTIONS.iter().map(|(known, _)| *known));
            let known: Vec<_> = FUNCTIONS.iter().map(|(known, _)| *known).collect();
            let operator = operator_meant(name);
            if !operator.is_empty() {
                return self.fault(tree, format!("{name} is no function{operator}"));
            }
            return self.fault(tree, format!("{name} is no function; there are {}{guess}", known.join(", ")));
        };
        let wanted = match name {
            "min" | "max" => 2..=usize::MAX,
            "mismatch" => 2..=2,
            _ => 1..=1,
        };
        if !wanted.contains(&arguments.len()) {
            return self.fault(tree, format!("{} arguments do not fit {usage}", arguments.len()));
        }
        match name {
            "min" => self.fold(Op::Min, arguments),
            "max" => self.fold(Op::Max, arguments),
            "is_missing" => self.is_missing(tree, &arguments[0]),
            "mismatch" => self.mismatch(tree, &arguments[0], &arguments[1]),
            "age_seconds" => self.age(&arguments[0]),
            _ => {
                let op = match name {
                    "abs" => Op::Abs,
                    "log" => Op::Log,
                    "log1p" => Op::Log1p,
                    "sqrt" => Op::Sqrt,
                    _ => Op::Floor,
                };
                if !self.number(&arguments[0]) {
                    return Type::Wrong;
                }
                self.emit(op, 1);
                Type::Number
            }
        }
    }

    fn fold(&mut self, op: Op, arguments: &[Tree]) -> Type {
        let mut fits = true;
        for (index, argument) in arguments.iter().enumerate() {
            fits &= self.number(argument);
            if index > 0 && fits {
                self.emit(op, 2);
            }
        }
        if fits { Type::Number } else { Type::Wrong }
    }

    fn is_missing(&mut self, tree: &Tree, argument: &Tree) -> Type {
        let schema = self.scope.schema;
        if let Kind::Name(name) = &argument.kind
            && !schema.fields.iter().any(|field| field.name == *name)
            && let Some(entity) = schema.entities.iter().position(|entity| entity.name == *name)
        {
            self.emit(Op::KeyMissing(entity as u16), 0);
            return Type::Truth;
        }
        match self.value(argument) {
            Type::Wrong => return Type::Wrong,
            Type::Category(Category::Slot(slot)) => self.emit(Op::SlotMissing(slot), 0),
            Type::Category(Category::Constant(_)) => return self.fault(tree, "a constant is never missing"),
            Type::Number | Type::Truth | Type::Time(_) => self.emit(Op::IsMissing, 1),
        }
        Type::Truth
    }

    fn mismatch(&mut self, tree: &Tree, left: &Tree, right: &Tree) -> Type {
        match self.equality(tree, Operator::NotEqual, left, right) {
            Type::Truth => Type::Number,
            other => other,
        }
    }

    fn age(&mut self, argument: &Tree) -> Type {
        let before = self.program.ops.len();
        let depth = self.depth;
        match self.value(argument) {
            Type::Wrong => Type::Wrong,
            Type::Time(slot) => {
                self.program.ops.truncate(before);
                self.depth = depth;
                self.emit(Op::AgeSeconds(slot), 0);
                Type::Number
            }
            other @ (Type::Number | Type::Truth | Type::Category(_)) => {
                self.fault(argument, format!("{} where a field of type time belongs", other.name()))
            }
        }
    }
}

/// Only what is exact by construction is published as an integer or a decimal.
fn shape(program: &Program, kind: Type, schema: &Schema) -> Shape {
    if kind == Type::Truth {
        return Shape::Integer;
    }
    match program.ops.as_slice() {
        [Op::Amount] => Shape::Decimal {
            digits: match &schema.currency {
                CurrencySource::Constant(currency) => currency.digits(),
                CurrencySource::Path { .. } => 4,
            },
        },
        [Op::Whole(_) | Op::MissingFields(_) | Op::Calendar(Calendar::Hour | Calendar::Weekday)]
        | [Op::SlotsEqual(..) | Op::SlotIs(..), Op::Not] => Shape::Integer,
        _ => Shape::Real,
    }
}
