//! The right word for one that a person typed wrong: a file's key, an argument, a name.

/// The known word that is most like the one typed, if any is like it.
pub fn nearest<'w>(typed: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let typed = typed.to_lowercase();
    let near = known.into_iter().map(|word| (distance(&typed, &word.to_lowercase()), word));
    let (far, word) = near.min()?;
    (far <= 1 + typed.chars().count() / 4).then_some(word)
}

/// Edits that make one word of the other: insert, remove, replace, swap neighbours.
fn distance(a: &str, b: &str) -> usize {
    /// Longer words are no words that a person types.
    const LONGEST: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(LONGEST).collect(), b.chars().take(LONGEST).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let words = ["street_light", "water_meter", "gateway"];
        assert_eq!(nearest("stret_light", words), Some("street_light"));
        assert_eq!(nearest("gatewya", words), Some("gateway"));
        assert_eq!(nearest("toaster", words), None);
        assert_eq!(nearest("x", []), None);
    }
}
