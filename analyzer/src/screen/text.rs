//! Text for a terminal: plain, wrapped, in columns.

/// Columns that everything fits into.
pub const WIDTH: usize = 100;

/// A text from the wire as one plain line: control characters and what changes the direction of writing become a mark, so that no device
/// can move the cursor, colour the screen or reorder what is read.
pub fn plain(text: &str) -> String {
    let odd = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if odd(c) { '\u{fffd}' } else { c }).collect()
}

/// At most so many characters, with a mark where something was cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// Lines of at most [`WIDTH`] characters: the first begins with `first`, the others with as many spaces.
pub fn wrapped(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut length = indent;
    let mut begun = false;
    for word in text.split_whitespace() {
        let word = plain(word);
        let wide = word.chars().count();
        if begun && length + 1 + wide > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            length = indent;
            begun = false;
        }
        if begun {
            line.push(' ');
            length += 1;
        }
        line.push_str(&word);
        length += wide;
        begun = true;
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

/// Rows in columns. Columns are as wide as their widest cell; where that is too much, the widest column gives way.
pub struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// Columns with these heads.
    pub fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell)).collect());
    }

    /// The rows as lines.
    pub fn to_text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let wide = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let mut widths: Vec<usize> = (0..columns).map(|column| wide(column).unwrap_or_default()).collect();
        while widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1) > WIDTH {
            let Some(widest) = widths.iter_mut().rev().max_by_key(|width| **width).filter(|width| **width > 8) else { break };
            *widest -= 1;
        }
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{:<width$}", cut(cell, width)));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(plain("pump\u{1b}[2J\r\nroot"), "pump\u{fffd}[2J\u{fffd}\u{fffd}root");
        assert_eq!(plain("\u{202e}txt.exe"), "\u{fffd}txt.exe");
        assert_eq!(plain("Straße 7 — Nord"), "Straße 7 — Nord");
    }

    #[test]
    fn wide_tables_give_way_in_their_widest_column() {
        let mut table = Columns::new(&["ID", "WHAT"]);
        table.row(["1".to_owned(), "x".repeat(300)]);
        let text = table.to_text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.ends_with("…\n"));
    }

    #[test]
    fn long_sentences_wrap_under_their_beginning() {
        let text = wrapped("do: ", &"change the password ".repeat(7));
        assert!(text.lines().count() == 2 && text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("    ")), "{text}");
    }
}
