//! Read UBJSON bytes into a [`Value`], without recursion.
//!
//! Holds: what [`value`](super::value) holds; a length is compared with the bytes that are left before anything
//! is allocated for it.
//! Not here: high-precision numbers and the rest of UBJSON that `XGBoost` never writes.

use super::value::{Builder, Step, Value};
use crate::ModelError;

pub(crate) fn parse(bytes: &[u8]) -> Result<Value, ModelError> {
    let mut parser = Parser { bytes, at: 0, counts: Vec::new() };
    parser.document().map_err(|fault| ModelError::Syntax {
        format: "XGBoost UBJSON",
        at: format!("byte {}", parser.at),
        fault,
    })
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    /// For each open list or object: how many items are still due, where that was announced.
    counts: Vec<Option<usize>>,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Value, String> {
        let mut builder = Builder::default();
        loop {
            let mut step = self.item(&mut builder)?;
            // Lists and objects whose announced items are all there close by themselves.
            while matches!(step, Step::More) && self.counts.last() == Some(&Some(0)) {
                step = self.close(&mut builder)?;
            }
            if let Step::Done(value) = step {
                if self.at != self.bytes.len() {
                    return Err("more bytes after the document".into());
                }
                return Ok(value);
            }
        }
    }

    fn item(&mut self, builder: &mut Builder) -> Result<Step, String> {
        let counted = matches!(self.counts.last(), Some(Some(_)));
        let mut marker = self.next()?;
        if marker == b'N' {
            return Ok(Step::More);
        }
        if !counted && (marker == b']' && builder.in_list() || marker == b'}' && builder.in_map()) {
            return self.close(builder);
        }
        if builder.wants_key() {
            let length = self.length(marker)?;
            let name = self.text(length)?;
            builder.key(name);
            marker = self.next()?;
        }
        if let Some(Some(left)) = self.counts.last_mut() {
            *left -= 1;
        }
        match marker {
            b'[' => self.open_list(builder),
            b'{' => {
                builder.open_map()?;
                let count = self.count()?;
                self.counts.push(count);
                Ok(Step::More)
            }
            _ => {
                let value = self.scalar(marker)?;
                builder.value(value)
            }
        }
    }

    fn close(&mut self, builder: &mut Builder) -> Result<Step, String> {
        self.counts.pop();
        builder.close()
    }

    fn open_list(&mut self, builder: &mut Builder) -> Result<Step, String> {
        if self.peek() == Some(b'$') {
            self.at += 1;
            let marker = self.next()?;
            let count = self.count()?.ok_or("a typed list without a count")?;
            let list = self.numbers(marker, count)?;
            return builder.value(list);
        }
        builder.open_list()?;
        let count = self.count()?;
        self.counts.push(count);
        Ok(Step::More)
    }

    /// `#` and a count, where they follow.
    fn count(&mut self) -> Result<Option<usize>, String> {
        if self.peek() != Some(b'#') {
            return Ok(None);
        }
        self.at += 1;
        let marker = self.next()?;
        self.length(marker).map(Some)
    }

    /// A typed list, whole.
    fn numbers(&mut self, marker: u8, count: usize) -> Result<Value, String> {
        let size = match marker {
            b'i' | b'U' => 1,
            b'I' => 2,
            b'l' | b'd' => 4,
            b'L' | b'D' => 8,
            other => return Err(format!("a list of the type `{}`", char::from(other).escape_default())),
        };
        if count > (self.bytes.len() - self.at) / size {
            return Err(format!("a list of {count} numbers, more than bytes are left"));
        }
        if matches!(marker, b'd' | b'D') {
            let mut floats = Vec::with_capacity(count);
            for _ in 0..count {
                floats.push(self.float(marker)?);
            }
            return Ok(Value::Floats(floats));
        }
        let mut ints = Vec::with_capacity(count);
        for _ in 0..count {
            ints.push(self.int(marker)?);
        }
        Ok(Value::Ints(ints))
    }

    fn scalar(&mut self, marker: u8) -> Result<Value, String> {
        Ok(match marker {
            b'Z' => Value::Null,
            b'T' => Value::Bool(true),
            b'F' => Value::Bool(false),
            b'd' | b'D' => Value::Float(self.float(marker)?),
            b'C' => Value::Text(self.text(1)?),
            b'S' => {
                let marker = self.next()?;
                let length = self.length(marker)?;
                Value::Text(self.text(length)?)
            }
            _ => Value::Int(self.int(marker)?),
        })
    }

    fn int(&mut self, marker: u8) -> Result<i64, String> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.take()?)),
            b'U' => i64::from(u8::from_be_bytes(self.take()?)),
            b'I' => i64::from(i16::from_be_bytes(self.take()?)),
            b'l' => i64::from(i32::from_be_bytes(self.take()?)),
            b'L' => i64::from_be_bytes(self.take()?),
            other => return Err(format!("an unknown type `{}`", char::from(other).escape_default())),
        })
    }

    fn float(&mut self, marker: u8) -> Result<f32, String> {
        Ok(match marker {
            b'd' => f32::from_be_bytes(self.take()?),
            // The trainer's own type is f32; it writes a double only for a value that is one.
            _ => f64::from_be_bytes(self.take()?) as f32,
        })
    }

    fn length(&mut self, marker: u8) -> Result<usize, String> {
        let length = self.int(marker)?;
        usize::try_from(length).map_err(|_| format!("a length of {length}"))
    }

    fn text(&mut self, length: usize) -> Result<String, String> {
        let bytes = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| format!("a string of {length} bytes, more than are left"))?;
        self.at += length;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "a string that is not UTF-8".into())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.bytes.get(self.at..self.at + N).and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or("the file ends early")?;
        self.at += N;
        Ok(bytes)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or("the file ends early")?;
        self.at += 1;
        Ok(byte)
    }
}
