//! Text -> syntax tree. The grammar is a subset of CEL's: same operators, precedence and literals.
//!
//! expression text -> **parse** -> compile
//!
//! Holds: recursion is bounded, so that no text can exhaust the stack; every node knows its byte offset.
//! Not here: what names mean and which types fit (`compile`).

use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_TOKENS_MAX};

/// What is wrong, and at which byte of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionFault {
    pub at: usize,
    pub what: String,
}

/// A node and the byte offset of its operator or first character.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    pub at: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Text(String),
    Truth(bool),
    Name(String),
    Not(Box<Tree>),
    Negate(Box<Tree>),
    Binary(Operator, Box<Tree>, Box<Tree>),
    Choose(Box<Tree>, Box<Tree>, Box<Tree>),
    In(Box<Tree>, Vec<Tree>),
    Call(String, Vec<Tree>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Word(String),
    Sign(&'static str),
    End,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Tree, ExpressionFault> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let what = format!("{} bytes are too many; at most {EXPRESSION_BYTES_MAX}", text.len());
        return Err(ExpressionFault { at: 0, what });
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let tree = parser.choice()?;
    match parser.peek() {
        Token::End => Ok(tree),
        token => Err(parser.fault(format!("{} is one too many", name(token)))),
    }
}

/// Longest first, so that `<=` is not `<` and `=`.
const SIGNS: [&str; 20] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "?", ":", "(", ")", "[", "]", ",",
];

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExpressionFault> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let start = at;
        let fault = |what: String| Err(ExpressionFault { at: start, what });
        if tokens.len() >= EXPRESSION_TOKENS_MAX {
            return fault(format!("longer than {EXPRESSION_TOKENS_MAX} words and signs"));
        }
        if byte.is_ascii_digit() || (byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)) {
            at = number_end(bytes, at);
            let digits = &text[start..at];
            match digits.parse::<f64>() {
                Ok(number) if number.is_finite() => tokens.push((start, Token::Number(number))),
                _ => return fault(format!("{digits} is not a number that fits")),
            }
        } else if byte.is_ascii_alphabetic() || byte == b'_' {
            while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || matches!(bytes[at], b'_' | b'.'))
            {
                at += 1;
            }
            tokens.push((start, Token::Word(text[start..at].to_owned())));
        } else if byte == b'\'' || byte == b'"' {
            let (end, literal) = literal(text, start)?;
            at = end;
            tokens.push((start, Token::Text(literal)));
        } else if let Some(sign) = SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) {
            at += sign.len();
            tokens.push((start, Token::Sign(sign)));
        } else {
            let character = text[at..].chars().next().unwrap_or(' ');
            let hint = match character {
                '=' => "; equality is ==",
                '&' => "; and is &&",
                '|' => "; or is ||",
                '%' => "; there is no remainder, use floor",
                _ => "",
            };
            return fault(format!("{character:?} does not belong here{hint}"));
        }
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

fn number_end(bytes: &[u8], mut at: usize) -> usize {
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    at = digits(at);
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        if bytes.get(at + 1 + sign).is_some_and(u8::is_ascii_digit) {
            at = digits(at + 1 + sign);
        }
    }
    at
}

/// The end and the value of a quoted text; `\\`, `\'`, `\"`, `\n` and `\t` are its escapes.
fn literal(text: &str, start: usize) -> Result<(usize, String), ExpressionFault> {
    let quote = text.as_bytes()[start] as char;
    let mut value = String::new();
    let mut characters = text[start + 1..].char_indices();
    while let Some((offset, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, escaped @ ('\\' | '\'' | '"'))) => value.push(escaped),
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                _ => {
                    let what = "this escape is not known; \\\\ \\' \\\" \\n \\t are".to_owned();
                    return Err(ExpressionFault { at: start + 1 + offset, what });
                }
            },
            _ if character == quote => return Ok((start + 1 + offset + 1, value)),
            _ => value.push(character),
        }
    }
    Err(ExpressionFault { at: start, what: format!("the text that {quote} begins has no end") })
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    fn at(&self) -> usize {
        self.tokens[self.next].0
    }

    fn take(&mut self) -> (usize, Token) {
        let token = self.tokens[self.next].clone();
        if token.1 != Token::End {
            self.next += 1;
        }
        token
    }

    /// A fault of the next token, or of the word of another language in front of it.
    fn fault(&self, what: String) -> ExpressionFault {
        let before = self.next.checked_sub(1).map(|before| &self.tokens[before]);
        match (before, self.peek()) {
            // `not x`: x is what is one too many, and not what is wrong.
            (Some((at, Token::Word(word))), Token::Word(_) | Token::Number(_) | Token::Sign("!"))
                if word.eq_ignore_ascii_case("not") =>
            {
                ExpressionFault { at: *at, what: format!("{word} is no operator{}", operator_meant(word)) }
            }
            (Some((_, Token::Sign("<"))), Token::Sign(">")) => {
                ExpressionFault { at: self.at(), what: format!("{what}; unequal is !=") }
            }
            (_, Token::Word(word)) if word == "not" && self.next_is_in() => {
                ExpressionFault { at: self.at(), what: format!("{what}; write !(… in […])") }
            }
            (_, Token::Word(word)) => {
                ExpressionFault { at: self.at(), what: format!("{what}{}", operator_meant(word)) }
            }
            _ => ExpressionFault { at: self.at(), what },
        }
    }

    /// Whether `in` comes after the next token.
    fn next_is_in(&self) -> bool {
        matches!(self.tokens.get(self.next + 1), Some((_, Token::Word(word))) if word == "in")
    }

    fn accept(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.next += usize::from(there);
        there
    }

    fn expect(&mut self, sign: &str, why: &str) -> Result<(), ExpressionFault> {
        if self.accept(sign) {
            return Ok(());
        }
        Err(self.fault(format!("{} where {sign:?} {why}", name(self.peek()))))
    }

    /// One level deeper; every way in passes here.
    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ExpressionFault>,
    ) -> Result<T, ExpressionFault> {
        if self.depth >= EXPRESSION_DEPTH_MAX {
            return Err(self.fault(format!("nested deeper than {EXPRESSION_DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// `condition ? value : value`, the loosest of all.
    fn choice(&mut self) -> Result<Tree, ExpressionFault> {
        self.deeper(|parser| {
            let condition = parser.binary(0)?;
            let at = parser.at();
            if !parser.accept("?") {
                return Ok(condition);
            }
            let yes = parser.choice()?;
            parser.expect(":", "belongs between the two values of ?")?;
            let no = parser.choice()?;
            Ok(Tree { at, kind: Kind::Choose(condition.into(), yes.into(), no.into()) })
        })
    }

    /// Operators of at least this binding strength, left to right.
    fn binary(&mut self, strength: u8) -> Result<Tree, ExpressionFault> {
        let mut left = self.unary()?;
        let mut compared = false;
        loop {
            let at = self.at();
            let (operator, own) = match self.peek() {
                Token::Sign(sign) => match operator(sign) {
                    Some(found) if found.1 >= strength => (Some(found.0), found.1),
                    _ => return Ok(left),
                },
                Token::Word(word) if word == "in" && strength <= COMPARES => (None, COMPARES),
                _ => return Ok(left),
            };
            if own == COMPARES && compared {
                return Err(self.fault("comparisons do not chain; join two with &&".to_owned()));
            }
            compared |= own == COMPARES;
            self.take();
            let kind = match operator {
                Some(operator) => {
                    Kind::Binary(operator, left.into(), self.deeper(|parser| parser.binary(own + 1))?.into())
                }
                None => Kind::In(left.into(), self.list()?),
            };
            left = Tree { at, kind };
        }
    }

    fn list(&mut self) -> Result<Vec<Tree>, ExpressionFault> {
        self.expect("[", "begins the list after in")?;
        let mut members = Vec::new();
        while !self.accept("]") {
            if !members.is_empty() {
                self.expect(",", "or \"]\" belongs in a list")?;
            }
            members.push(self.deeper(Self::unary)?);
        }
        Ok(members)
    }

    fn unary(&mut self) -> Result<Tree, ExpressionFault> {
        let at = self.at();
        if self.accept("!") {
            return Ok(Tree { at, kind: Kind::Not(self.deeper(Self::unary)?.into()) });
        }
        if self.accept("-") {
            let inner = self.deeper(Self::unary)?;
            if let Kind::Number(number) = inner.kind {
                return Ok(Tree { at, kind: Kind::Number(-number) });
            }
            return Ok(Tree { at, kind: Kind::Negate(inner.into()) });
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Tree, ExpressionFault> {
        let start = self.next;
        let (at, token) = self.take();
        let kind = match token {
            Token::Number(number) => Kind::Number(number),
            Token::Text(text) => Kind::Text(text),
            Token::Word(word) if word == "true" || word == "false" => Kind::Truth(word == "true"),
            Token::Word(word) if word != "in" => {
                if self.accept("(") {
                    Kind::Call(word, self.arguments()?)
                } else {
                    Kind::Name(word)
                }
            }
            Token::Sign("(") => {
                let inner = self.choice()?;
                self.expect(")", "closes the bracket")?;
                return Ok(inner);
            }
            token => {
                self.next = start;
                return Err(self.fault(format!("{} where a value belongs", name(&token))));
            }
        };
        Ok(Tree { at, kind })
    }

    fn arguments(&mut self) -> Result<Vec<Tree>, ExpressionFault> {
        let mut arguments = Vec::new();
        while !self.accept(")") {
            if !arguments.is_empty() {
                self.expect(",", "or \")\" belongs between arguments")?;
            }
            arguments.push(self.choice()?);
        }
        Ok(arguments)
    }
}

const COMPARES: u8 = 3;

fn operator(sign: &str) -> Option<(Operator, u8)> {
    Some(match sign {
        "||" => (Operator::Or, 1),
        "&&" => (Operator::And, 2),
        "==" => (Operator::Equal, COMPARES),
        "!=" => (Operator::NotEqual, COMPARES),
        "<" => (Operator::Less, COMPARES),
        "<=" => (Operator::LessEqual, COMPARES),
        ">" => (Operator::Greater, COMPARES),
        ">=" => (Operator::GreaterEqual, COMPARES),
        "+" => (Operator::Add, 4),
        "-" => (Operator::Subtract, 4),
        "*" => (Operator::Multiply, 5),
        "/" => (Operator::Divide, 5),
        _ => return None,
    })
}

/// What stands for a word that is an operator in other languages. A field may be called so, so that it is none by itself.
pub(super) fn operator_meant(word: &str) -> &'static str {
    match word.to_ascii_lowercase().as_str() {
        "or" => "; write ||",
        "and" => "; write &&",
        "not" => "; write !",
        "is" => "; write ==",
        _ => "",
    }
}

fn name(token: &Token) -> String {
    match token {
        Token::Number(number) => number.to_string(),
        Token::Text(text) => format!("the text {text:?}"),
        Token::Word(word) => word.clone(),
        Token::Sign(sign) => format!("{sign:?}"),
        Token::End => "the end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fully bracketed.
    fn shape(tree: &Tree) -> String {
        match &tree.kind {
            Kind::Number(number) => number.to_string(),
            Kind::Text(text) => format!("{text:?}"),
            Kind::Truth(truth) => truth.to_string(),
            Kind::Name(name) => name.clone(),
            Kind::Not(inner) => format!("(!{})", shape(inner)),
            Kind::Negate(inner) => format!("(-{})", shape(inner)),
            Kind::Binary(operator, left, right) => format!("({} {operator:?} {})", shape(left), shape(right)),
            Kind::Choose(c, yes, no) => format!("({} ? {} : {})", shape(c), shape(yes), shape(no)),
            Kind::In(value, list) => {
                format!("({} in {})", shape(value), list.iter().map(shape).collect::<Vec<_>>().join(","))
            }
            Kind::Call(name, list) => {
                format!("{name}({})", list.iter().map(shape).collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn operators_bind_as_in_cel() {
        for (text, expected) in [
            ("1 + 2 * 3", "(1 Add (2 Multiply 3))"),
            ("1 - 2 - 3", "((1 Subtract 2) Subtract 3)"),
            ("8 / 4 / 2", "((8 Divide 4) Divide 2)"),
            ("a || b && c", "(a Or (b And c))"),
            ("a == 1 && b != 2", "((a Equal 1) And (b NotEqual 2))"),
            ("!a && b", "((!a) And b)"),
            ("-a * b", "((-a) Multiply b)"),
            ("- 3", "-3"),
            ("a < b ? 1 : c > d ? 2 : 3", "((a Less b) ? 1 : ((c Greater d) ? 2 : 3))"),
            ("x in ['a', \"b\"] && y", "((x in \"a\",\"b\") And y)"),
            ("min(1, 2 + 3)", "min(1,(2 Add 3))"),
            ("customer.count_1h / 1.5e3", "(customer.count_1h Divide 1500)"),
            ("'it\\'s'", "\"it's\""),
            ("(1 + 2) * .5", "((1 Add 2) Multiply 0.5)"),
        ] {
            assert_eq!(shape(&parse(text).expect(text)), expected, "{text}");
        }
    }

    #[test]
    fn faults_name_their_place() {
        for (text, at, what) in [
            ("", 0, "the end where a value belongs"),
            ("1 +", 3, "the end where a value belongs"),
            ("a = b", 2, "'=' does not belong here; equality is =="),
            ("a & b", 2, "'&' does not belong here; and is &&"),
            ("'abc", 0, "the text that ' begins has no end"),
            ("a b", 2, "b is one too many"),
            ("(a", 2, "the end where \")\" closes the bracket"),
            ("a < b < c", 6, "comparisons do not chain; join two with &&"),
            ("a ? b", 5, "the end where \":\" belongs between the two values of ?"),
            ("x in 3", 5, "3 where \"[\" begins the list after in"),
            ("min(1 2)", 6, "2 where \",\" or \")\" belongs between arguments"),
            ("1e999", 0, "1e999 is not a number that fits"),
            ("a + ü", 4, "'ü' does not belong here"),
            ("a == 1 or b", 7, "or is one too many; write ||"),
            ("(a AND b)", 3, "AND where \")\" closes the bracket; write &&"),
            ("min(a or b, 1)", 6, "or where \",\" or \")\" belongs between arguments; write ||"),
            ("not a", 0, "not is no operator; write !"),
            ("a && not b", 5, "not is no operator; write !"),
            ("x not in ['a']", 2, "not is one too many; write !(… in […])"),
            ("a is 3", 2, "is is one too many; write =="),
            ("a <> b", 3, "\">\" where a value belongs; unequal is !="),
            ("a == 1 && b = 2", 12, "'=' does not belong here; equality is =="),
        ] {
            assert_eq!(parse(text), Err(ExpressionFault { at, what: what.into() }), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
        assert!(parse(&deep(EXPRESSION_DEPTH_MAX - 1)).is_ok());
        assert!(parse(&deep(EXPRESSION_DEPTH_MAX)).is_err());
        assert!(parse(&"!".repeat(4_000)).is_err());
        let long = |n: usize| format!("1{}", "+1".repeat(n));
        assert!(parse(&long(EXPRESSION_TOKENS_MAX / 2 - 1)).is_ok());
        assert!(parse(&long(EXPRESSION_TOKENS_MAX / 2)).is_err());
    }
}
