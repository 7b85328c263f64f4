//! Names of makers, as they are compared. `signatures/build/advisories.py` makes the pack's keys by the same rules.

/// Legal forms: taken off the end of a name, as often as they stand there.
const LEGAL: &[&str] = &[
    "inc",
    "incorporated",
    "corp",
    "corporation",
    "co",
    "company",
    "ltd",
    "limited",
    "llc",
    "plc",
    "gmbh",
    "ag",
    "kg",
    "kgaa",
    "mbh",
    "sas",
    "sa",
    "srl",
    "spa",
    "bv",
    "nv",
    "as",
    "aps",
    "oy",
    "oyj",
    "ab",
    "asa",
    "pty",
    "pte",
    "pvt",
    "private",
    "sdn",
    "bhd",
    "kk",
    "sro",
    "se",
    "lda",
    "ltda",
    "uab",
    "jsc",
    "sl",
    "kft",
];

/// A name without case, punctuation and legal forms: `Moxa Technologies Co., Ltd.` is `moxatechnologies`.
pub fn key(name: &str) -> String {
    let name = name.to_lowercase();
    let mut words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    loop {
        match words.as_slice() {
            [_, .., last] if LEGAL.contains(last) => words.truncate(words.len() - 1),
            // `S.A.`, `B.V.`, `A/S`: letters that stand alone.
            [_, .., a, b] if a.chars().count() == 1 && b.chars().count() == 1 && LEGAL.contains(&format!("{a}{b}").as_str()) => {
                words.truncate(words.len() - 2);
            }
            _ => break,
        }
    }
    words.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_forms_and_spelling_do_not_part_a_maker() {
        for name in ["Moxa", "MOXA Inc.", "Moxa Co., Ltd.", "moxa  CO LTD"] {
            assert_eq!(key(name), "moxa", "{name}");
        }
        assert_eq!(key("Grundfos Holding A/S"), "grundfosholding");
        assert_eq!(key("Phoenix Contact GmbH & Co. KG"), "phoenixcontact");
        assert_eq!(key("AB"), "ab");
        assert_eq!(key("Dräger"), "dräger");
    }
}
