//! Read JSON text into a [`Value`], without recursion.
//!
//! Holds: what [`value`](super::value) holds. `NaN`, `Infinity` and `-Infinity` are read as `XGBoost` writes them.
//! Not here: a general JSON parser; numbers with a fraction are f32, and so nothing but `XGBoost` models are read
//! with it.

use super::value::{Builder, Step, Value, brief};
use crate::ModelError;

const FORMAT: &str = "XGBoost JSON";

pub(crate) fn parse(bytes: &[u8]) -> Result<Value, ModelError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        ModelError::Syntax { format: FORMAT, at: format!("byte {at}"), fault: "not UTF-8".into() }
    })?;
    let mut parser = Parser { text: text.as_bytes(), at: 0 };
    parser.document().map_err(|fault| ModelError::Syntax {
        format: FORMAT,
        at: format!("byte {}", parser.at),
        fault,
    })
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Value, String> {
        let mut builder = Builder::default();
        // Whether an opening bracket stands right before: only there may a list or object close without a value.
        let mut fresh = false;
        loop {
            self.skip_space();
            let mut step = if fresh && self.closes(&builder) {
                self.at += 1;
                builder.close()?
            } else {
                if builder.wants_key() {
                    self.member_name(&mut builder)?;
                }
                fresh = self.opens(&mut builder)?;
                if fresh {
                    continue;
                }
                let value = self.scalar()?;
                builder.value(value)?
            };
            fresh = false;
            loop {
                if let Step::Done(value) = step {
                    return self.end(value);
                }
                self.skip_space();
                if self.closes(&builder) {
                    self.at += 1;
                    step = builder.close()?;
                } else {
                    self.expect(b',')?;
                    break;
                }
            }
        }
    }

    fn end(&mut self, value: Value) -> Result<Value, String> {
        self.skip_space();
        // Some writers end the text with a zero byte.
        if self.text[self.at..].iter().any(|byte| *byte != 0) {
            return Err("more text after the document".into());
        }
        Ok(value)
    }

    fn closes(&self, builder: &Builder) -> bool {
        match self.peek() {
            Some(b']') => builder.in_list(),
            Some(b'}') => builder.in_map(),
            _ => false,
        }
    }

    fn opens(&mut self, builder: &mut Builder) -> Result<bool, String> {
        match self.peek() {
            Some(b'[') => builder.open_list()?,
            Some(b'{') => builder.open_map()?,
            _ => return Ok(false),
        }
        self.at += 1;
        Ok(true)
    }

    fn member_name(&mut self, builder: &mut Builder) -> Result<(), String> {
        let key = self.string()?;
        builder.key(key);
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        Ok(())
    }

    fn scalar(&mut self) -> Result<Value, String> {
        if self.peek() == Some(b'"') {
            return self.string().map(Value::Text);
        }
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or("");
        match text {
            "null" => return Ok(Value::Null),
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            "NaN" | "nan" | "-nan" => return Ok(Value::Float(f32::NAN)),
            "Infinity" => return Ok(Value::Float(f32::INFINITY)),
            "-Infinity" => return Ok(Value::Float(f32::NEG_INFINITY)),
            _ => {}
        }
        let digits =
            text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
        if digits
            && text != "-0"
            && let Ok(int) = text.parse::<i64>()
        {
            return Ok(Value::Int(int));
        }
        if digits && let Ok(float) = text.parse::<f32>() {
            return Ok(Value::Float(float));
        }
        Err(format!("`{}` is no value", brief(text)))
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect(b'"')?;
        let mut out = Vec::new();
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => self.escape(&mut out)?,
                byte if byte < 0x20 => return Err("a control character in a string".into()),
                byte => out.push(byte),
            }
        }
        // The text was valid UTF-8 and escapes add whole characters.
        String::from_utf8(out).map_err(|_| "a string that is not UTF-8".into())
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let plain = match self.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'u' => {
                let mut code = u32::from(self.hex()?);
                if (0xd800..0xdc00).contains(&code) && self.text[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = u32::from(self.hex()?);
                    code = 0x10000 + ((code - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                }
                let letter = char::from_u32(code).ok_or("half of a surrogate pair")?;
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err("an unknown escape".into()),
        };
        out.push(plain);
        Ok(())
    }

    fn hex(&mut self) -> Result<u16, String> {
        let digits = self.text.get(self.at..self.at + 4).ok_or("the text ends early")?;
        self.at += 4;
        let text = std::str::from_utf8(digits).map_err(|_| "an unknown escape")?;
        u16::from_str_radix(text, 16).map_err(|_| "an unknown escape".into())
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or("the text ends early")?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        match self.next()? {
            found if found == byte => Ok(()),
            found => Err(format!("`{}` where `{}` is due", char::from(found), char::from(byte))),
        }
    }
}
