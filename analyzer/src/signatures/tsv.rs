//! Tables: comment lines that start with `#`, one row of column names, then rows; cells are separated by one tab.

use super::{File, PackError};

/// A row: its line and its cells.
pub(super) struct Row<const N: usize> {
    pub(super) line: usize,
    pub(super) cells: [&'static str; N],
}

/// The rows of a table that has these columns.
pub(super) fn rows<const N: usize>(file: File, columns: [&str; N]) -> Result<Vec<Row<N>>, PackError> {
    let mut lines = file.text().lines().zip(1..).filter(|(text, _)| !text.starts_with('#'));
    let (head, line) = lines.next().ok_or_else(|| file.error(1, "has no rows"))?;
    if !head.split('\t').eq(columns) {
        return Err(file.error(line, format!("the columns are not {}", columns.join(", "))));
    }
    lines.map(|(text, line)| row(file, text, line)).collect()
}

fn row<const N: usize>(file: File, text: &'static str, line: usize) -> Result<Row<N>, PackError> {
    let mut cells = [""; N];
    let mut parts = text.split('\t');
    for cell in &mut cells {
        *cell = parts.next().ok_or_else(|| file.error(line, format!("has fewer than {N} cells")))?;
    }
    match parts.next() {
        None => Ok(Row { line, cells }),
        Some(_) => Err(file.error(line, format!("has more than {N} cells"))),
    }
}

/// Bytes of a text of hex digits.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}
