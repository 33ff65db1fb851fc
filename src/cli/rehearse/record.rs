//! Records of a CSV file, each with the number of its first line, whatever the bytes.
//!
//! Takes a byte-order mark, CRLF, quoted commas and line breaks, and bytes that are no UTF-8 (read
//! as Latin-1). A quote that is opened and not closed on its line would swallow what follows: such
//! a record is taken only if none of the lines it swallowed is a record by itself. Otherwise its
//! first line alone is bad, and reading goes on behind it. A line that a carriage return cuts is
//! bad too: what stands behind it would be lost.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::cli::exit::{Exit, failure};

/// Longest line of a file, without its end.
const LINE_BYTES_MAX: usize = 1 << 16;

/// Why a line with two records in it cannot be taken.
const CUT: &str = "a carriage return stands in the middle of the line: save the file with LF or \
     CRLF line ends";

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

impl Record {
    /// The place of a column in this header.
    ///
    /// # Errors
    /// It has two of that name: which of them is meant, nobody knows.
    pub(in crate::cli) fn column(&self, name: &str) -> Result<Option<usize>, String> {
        let mut places = self.fields.iter().enumerate().filter(|(_, field)| *field == name);
        let first = places.next().map(|(place, _)| place);
        match places.next() {
            None => Ok(first),
            Some(_) => Err(format!("line {}: the header has {name} twice", self.line)),
        }
    }
}

/// Reads a file that was named.
///
/// # Errors
/// It cannot be read, or a line of it does not end: that of a device never would.
#[expect(clippy::disallowed_methods, reason = "reads the file that was named")]
pub(in crate::cli) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = std::fs::File::open(path).map_err(|error| error.to_string());
    let read = read.and_then(|file| lines(BufReader::new(file)));
    let wrong = |why| failure(Exit::Usage, format!("cannot read {}: {why}", path.display()));
    read.map_err(wrong)
}

fn lines(mut file: impl BufRead) -> Result<Vec<u8>, String> {
    let (mut bytes, mut line) = (Vec::new(), 1_u64);
    loop {
        let mut bounded = file.by_ref().take(LINE_BYTES_MAX as u64 + 1);
        let read = bounded.read_until(b'\n', &mut bytes).map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(bytes);
        }
        if read > LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
            return Err(format!(
                "line {line} is longer than {LINE_BYTES_MAX} bytes: is it a CSV whose lines end \
                 with LF or CRLF?"
            ));
        }
        line += 1;
    }
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

    /// The first record, which names the columns.
    ///
    /// # Errors
    /// There is none, or it cannot be taken.
    pub(in crate::cli) fn header(&mut self) -> Result<Record, String> {
        self.skip_blank_lines();
        if first_line(self.rest).0.contains(&0) {
            let line = self.line;
            return Err(format!(
                "line {line}: there is a byte of 0 in it: it is no text, save it as CSV"
            ));
        }
        let header = self.next().ok_or("it is empty")?;
        match &header.bad {
            None => Ok(header),
            Some(why) => Err(format!("line {}: {why}", header.line)),
        }
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
        let end = end.min(bytes.len());
        // The parser may stop between the two bytes of a line end.
        let (taken, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        let is_split = taken.ends_with(b"\r") && rest.starts_with(b"\n");
        (record, if is_split { end + 1 } else { end })
    }

    /// Whether a line is as wide as the header, taken by itself.
    fn is_record(&self, line: &[u8]) -> bool {
        self.width.is_some_and(|width| self.parse(line).0.len() >= width)
    }

    /// Takes the record that begins here.
    fn take(&mut self) -> Record {
        let line = self.line;
        let (first, behind) = first_line(self.rest);
        let (alone, used) = self.parse(first);
        // Most records are one line; only an open quote makes the parser look further.
        let open = first.contains(&b'"') && self.parse(self.rest).1 > first.len();
        if !open {
            (self.rest, self.line) = (behind, line + 1);
            let unused = first.get(used..).unwrap_or_default();
            let mut record = self.finish(line, &alone);
            if !unused.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                record.bad = Some(CUT.to_owned());
            }
            return record;
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
            let cut = !whole.ends_with(b"\n") && !after.is_empty();
            let after = if cut { first_line(after).1 } else { after };
            (self.rest, self.line) = (after, line + lines);
            let mut record = self.finish(line, &record);
            record.bad = if cut { Some(CUT.to_owned()) } else { record.bad };
            return record;
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
    fn a_carriage_return_inside_a_line_loses_nothing_unsaid() {
        let cut = |line: u64| format!("{line}!{CUT}");
        check(b"a,b\n1,2\r3,4\n5,6\n", &["1:a|b", &cut(2), "3:5|6"]);
        check(b"a,b\r1,2\r3,4\r", &[&cut(1)]);
        check(b"a,b\r1,2\r\n3,4\r\n", &[&cut(1), "2:3|4"]);
        check(b"a,b\n1,2\r3\n", &["1:a|b", &cut(2)]);
        check(b"a,b\n1,\"x\ny\"\r3,4\n5,6\n", &["1:a|b", &cut(2), "4:5|6"]);
        check(b"a,b\n1,2\r\"3\n4,5\n", &["1:a|b", &cut(2), "3:4|5"]);
        // Nothing is lost where the line ends there, or where it stands in quotes.
        check(b"a,b\r\r\n1,2\r", &["1:a|b", "2:1|2"]);
        check(b"a,b\r\n1,\"x\r\ny\"\r\n3,4\r\n", &["1:a|b", "2:1|x\r\ny", "4:3|4"]);
        check(b"a,b\n1,\"x\ry\"\n3,4\n", &["1:a|b", "2:1|x\ry", "3:3|4"]);
    }

    #[test]
    fn header_is_refused_where_it_cannot_be_taken_or_has_a_column_twice() {
        let header = |text| Records::new(text, b',').unwrap().header();
        assert_eq!(header(b"a,b\r1,2\r"), Err(format!("line 1: {CUT}")));
        assert_eq!(header(b""), Err("it is empty".to_owned()));
        let header = header(b"a,b,a\n").unwrap();
        assert_eq!(header.column("a"), Err("line 1: the header has a twice".to_owned()));
        assert_eq!((header.column("b"), header.column("c")), (Ok(Some(1)), Ok(None)));
    }

    #[test]
    fn a_line_that_does_not_end_is_refused_at_once() {
        let told = lines(BufReader::new(std::io::repeat(0))).unwrap_err();
        assert!(told.starts_with("line 1 is longer than 65536 bytes"), "{told}");
        let longest = [&b"a\n"[..], &vec![b'x'; LINE_BYTES_MAX], b"\nb"].concat();
        assert_eq!(lines(&*longest), Ok(longest.clone()));
        let longer = [&b"a\n"[..], &vec![b'x'; LINE_BYTES_MAX + 1]].concat();
        let told = lines(&*longer).unwrap_err();
        assert!(told.starts_with("line 2 is longer"), "{told}");
    }

    #[test]
    fn utf16_is_refused_with_what_to_do() {
        assert!(Records::new(&[0xff, 0xfe, b'a', 0], b',').is_err());
    }
}
