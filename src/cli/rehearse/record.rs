//! Records of a CSV file, each with the number of its first line, whatever the bytes.
//!
//! Takes a byte-order mark, CRLF, quoted commas and line breaks, and bytes that are no UTF-8 (read
//! as Latin-1). A quote that is opened and not closed on its line would swallow what follows: such
//! a record is taken only if none of the lines it swallowed is a record by itself. Otherwise its
//! first line alone is bad, and reading goes on behind it.

use std::borrow::Cow;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Record {
    /// Its first line in the file, from 1.
    pub(in crate::cli) line: u64,
    /// Its fields, without blanks around them.
    pub(in crate::cli) fields: Vec<String>,
    /// Why it cannot be taken.
    pub(in crate::cli) bad: Option<String>,
}

/// Reads records one after another.
pub(in crate::cli) struct Records<'a> {
    rest: &'a [u8],
    line: u64,
    delimiter: u8,
    /// Fields of the header, once it is read.
    width: Option<usize>,
    not_utf8: u64,
}

impl<'a> Records<'a> {
    /// The records of a file.
    ///
    /// # Errors
    /// It is UTF-16, as spreadsheets write it under "Unicode text".
    pub(in crate::cli) fn new(bytes: &'a [u8], delimiter: u8) -> Result<Self, String> {
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err("it is UTF-16; save it as CSV in UTF-8".to_owned());
        }
        let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Ok(Self { rest, line: 1, delimiter, width: None, not_utf8: 0 })
    }

    /// Records that were no UTF-8 and were read as Latin-1.
    pub(in crate::cli) fn not_utf8(&self) -> u64 {
        self.not_utf8
    }

    fn skip_blank_lines(&mut self) {
        loop {
            let (line, behind) = first_line(self.rest);
            if line.is_empty() || !line.iter().all(u8::is_ascii_whitespace) {
                break;
            }
            self.rest = behind;
            self.line += 1;
        }
    }

    /// Fields of the record at the start of `bytes`, and how many bytes it takes.
    fn parse(&self, bytes: &[u8]) -> (csv::ByteRecord, usize) {
        let mut builder = csv::ReaderBuilder::new();
        let builder = builder.has_headers(false).flexible(true).delimiter(self.delimiter);
        let mut reader = builder.from_reader(bytes);
        let mut record = csv::ByteRecord::new();
        // Reading from memory with a flexible width cannot fail.
        let _ = reader.read_byte_record(&mut record);
        let end = usize::try_from(reader.position().byte()).unwrap_or(bytes.len());
        (record, end.min(bytes.len()))
    }

    /// Whether a line is as wide as the header, taken by itself.
    fn is_record(&self, line: &[u8]) -> bool {
        self.width.is_some_and(|width| self.parse(line).0.len() >= width)
    }

    /// Takes the record that begins here.
    fn take(&mut self) -> Record {
        let line = self.line;
        let (first, behind) = first_line(self.rest);
        let (alone, _) = self.parse(first);
        // Most records are one line; only an open quote makes the parser look further.
        let open = first.contains(&b'"') && self.parse(self.rest).1 > first.len();
        if !open {
            (self.rest, self.line) = (behind, line + 1);
            return self.finish(line, &alone);
        }
        let (record, bytes) = self.parse(self.rest);
        let (whole, after) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, &[]));
        let mut swallowed = whole.get(first.len()..).unwrap_or_default();
        let (mut lines, mut whole_inside) = (1, false);
        while !swallowed.is_empty() {
            let (next, more) = first_line(swallowed);
            whole_inside |= self.is_record(next);
            (swallowed, lines) = (more, lines + 1);
        }
        let fits = self.width.is_none_or(|width| record.len() == width);
        if fits && !whole_inside {
            (self.rest, self.line) = (after, line + lines);
            return self.finish(line, &record);
        }
        (self.rest, self.line) = (behind, line + 1);
        let mut record = self.finish(line, &alone);
        record.bad = Some("a quote is opened and not closed".to_owned());
        record
    }

    fn finish(&mut self, line: u64, record: &csv::ByteRecord) -> Record {
        let mut not_utf8 = false;
        let fields: Vec<String> = record
            .iter()
            .map(|field| {
                let text = text(field);
                not_utf8 |= matches!(text, Cow::Owned(_));
                text.trim().to_owned()
            })
            .collect();
        self.not_utf8 += u64::from(not_utf8);
        let width = *self.width.get_or_insert(fields.len());
        let bad = (fields.len() != width)
            .then(|| format!("it has {} fields, the header has {width}", fields.len()));
        Record { line, fields, bad }
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.skip_blank_lines();
        if self.rest.is_empty() { None } else { Some(self.take()) }
    }
}

/// The first line with its end, and what is behind it.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |place| place + 1);
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// UTF-8 as it is; other bytes as Latin-1, in which every byte is the character of its number.
fn text(field: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(field) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(field.iter().map(|byte| char::from(*byte)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each record as `LINE:field|field`, a bad one as `LINE!reason`.
    fn check(text: &[u8], expected: &[&str]) {
        let records = Records::new(text, b',').unwrap();
        let told: Vec<String> = records
            .map(|record| match record.bad {
                Some(bad) => format!("{}!{bad}", record.line),
                None => format!("{}:{}", record.line, record.fields.join("|")),
            })
            .collect();
        assert_eq!(told, expected, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn records_are_read_whatever_wrote_them() {
        check(b"a,b\n1,2\n", &["1:a|b", "2:1|2"]);
        check(b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4", &["1:a|b", "2:1|2", "3:3|4"]);
        check(b"a,b\n\n  \n1,\"x,y\"\n\n", &["1:a|b", "4:1|x,y"]);
        check(
            b"a,b\n1,12\" ruler\n2,\"12\"\" ruler\"\n",
            &["1:a|b", "2:1|12\" ruler", "3:2|12\" ruler"],
        );
        check(b"a,b\n1,\"two\nlines\"\n2,c\n", &["1:a|b", "2:1|two\nlines", "4:2|c"]);
        check(b"a,b\n1,\xa35 note\n", &["1:a|b", "2:1|£5 note"]);
        check(b"", &[]);
    }

    #[test]
    fn a_bad_line_loses_nothing_else() {
        let width = |n| format!("2!it has {n} fields, the header has 3");
        check(b"a,b,c\n1,2\n4,5,6\n", &["1:a|b|c", &width(2), "3:4|5|6"]);
        check(b"a,b,c\n1,2,3,4\n4,5,6\n", &["1:a|b|c", &width(4), "3:4|5|6"]);
        let open = "2!a quote is opened and not closed";
        check(b"a,b,c\n1,\"x,3\n4,5,6\n7,8,9\n", &["1:a|b|c", open, "3:4|5|6", "4:7|8|9"]);
        // A second stray quote would make one record of two, with the fields of both.
        check(b"a,b,c\n1,\"x,3\n4,y\",6\n7,8,9\n", &["1:a|b|c", open, "3:4|y\"|6", "4:7|8|9"]);
    }

    #[test]
    fn utf16_is_refused_with_what_to_do() {
        assert!(Records::new(&[0xff, 0xfe, b'a', 0], b',').is_err());
    }
}
