//! Advisories that a person brings: CSAF 2.0 documents of makers, or rows in our own format, put into a folder and used beside the pack.
//!
//! What turns into what: a file becomes rows ([`Own`]), those become the lines of a pack, in `NAME.advisories.tsv` of the folder. The file is
//! written aside and put in its place at once, so that who reads the folder finds the old one or the new one, whole.

use super::makers;
use super::pack::{MANY, Pack};
use super::{csaf, pack};
use crate::nearest::nearest;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One product's versions with one weakness.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Own {
    /// Who makes it.
    pub vendor: String,
    /// What.
    pub product: String,
    /// Part numbers joined with `|`.
    pub models: String,
    /// Which versions.
    pub versions: String,
    /// The weakness.
    pub cve: String,
    /// CVSS base score in tenths.
    pub score: Option<u8>,
    /// CWE number.
    pub cwe: Option<u32>,
    /// The version that mends it.
    pub fixed: String,
    /// When it was published, as in `2026-07-16`.
    pub published: String,
    /// The advisory, or the address of the source.
    pub source: String,
}

/// What is wrong with a file of advisories, and where.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// It cannot be read or written.
    #[error("cannot {what} {}: {error}", path.display())]
    Io {
        /// Read or write.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not what it should be.
    #[error("{}:{line}: {what}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong, and what to write instead.
        what: String,
    },
    /// It is larger than what is read.
    #[error("{} is larger than {} MB, which no advisory is; import makers' documents one by one", path.display(), LARGEST >> 20)]
    Large {
        /// Which.
        path: PathBuf,
    },
}

/// A file of advisories: the largest that makers publish is below 20 MB.
const LARGEST: u64 = 64 << 20;

/// The end of the files that a folder is read for.
const ENDING: &str = ".advisories.tsv";

/// The columns of a file in our own format, those of `signatures/advisories/city.tsv`.
const COLUMNS: [&str; 10] = ["vendor", "product", "models", "versions", "cve", "cvss", "cwe", "fixed", "published", "source"];

/// What an import did.
#[derive(Debug)]
pub struct Imported {
    /// Where it was written.
    pub file: PathBuf,
    /// Rows: product, versions, CVE.
    pub rows: usize,
    /// Different products.
    pub products: usize,
}

/// Reads a file and puts its rows into a folder, in the place of what an earlier file of this name brought.
///
/// # Errors
/// What is wrong, with file and line. Then the folder is as it was.
pub fn import(file: &Path, folder: &Path) -> Result<Imported, OwnError> {
    let bytes = read(file)?;
    let rows = if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        csaf::rows(&bytes).map_err(|(line, what)| OwnError::Content { path: file.into(), line, what })?
    } else {
        table(&bytes).map_err(|(line, what)| OwnError::Content { path: file.into(), line, what })?
    };
    if rows.is_empty() {
        return Err(OwnError::Content {
            path: file.into(),
            line: 1,
            what: "names no affected product; nothing was imported".into(),
        });
    }
    let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = lines(&rows, &format!("{name} {digest}"));
    Pack::parse(&text).map_err(|(line, what)| OwnError::Content { path: file.into(), line, what })?;
    let place = folder.join(format!("{}{ENDING}", name.trim_end_matches(ENDING)));
    write(folder, &place, &text)?;
    let mut products: Vec<(&str, &str)> = rows.iter().map(|row| (row.vendor.as_str(), row.product.as_str())).collect();
    products.sort_unstable();
    products.dedup();
    Ok(Imported { file: place, rows: rows.len(), products: products.len() })
}

/// A pack with what a folder holds beside it; the names and digests of the folder's files come with it.
///
/// # Errors
/// A file that cannot be read, or is none that [`import`] wrote.
pub fn with_folder(shipped: &str, folder: &Path) -> Result<(Pack, Vec<(String, String)>), OwnError> {
    let failed = |error| OwnError::Io { what: "read", path: folder.into(), error };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING)));
    files.sort();
    let mut whole = Pack::parse(shipped).unwrap_or_default();
    let mut digests = Vec::new();
    for path in files {
        let bytes = read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let own = Pack::parse(&text).map_err(|(line, what)| OwnError::Content { path: path.clone(), line, what })?;
        whole.join(own);
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        digests.push((name, Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()));
    }
    Ok((whole, digests))
}

fn read(path: &Path) -> Result<Vec<u8>, OwnError> {
    let failed = |error| OwnError::Io { what: "read", path: path.into(), error };
    if fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(OwnError::Large { path: path.into() });
    }
    fs::read(path).map_err(failed)
}

/// Writes aside, then puts it in its place.
fn write(folder: &Path, place: &Path, text: &str) -> Result<(), OwnError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| OwnError::Io { what: "write", path, error }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let aside = place.with_extension("new");
    fs::write(&aside, text).and_then(|()| fs::File::open(&aside)?.sync_all()).map_err(failed(&aside))?;
    fs::rename(&aside, place).map_err(failed(place))
}

/// The rows of a file in our own format, separated by tabs or commas.
fn table(bytes: &[u8]) -> Result<Vec<Own>, (usize, String)> {
    let tab = bytes.split(|&byte| byte == b'\n').find(|line| !line.starts_with(b"#")).is_some_and(|line| line.contains(&b'\t'));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if tab { b'\t' } else { b',' })
        .comment(Some(b'#'))
        .quoting(!tab)
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    let mut records = reader.records();
    let line = |record: &csv::StringRecord| record.position().map_or(1, |position| usize::try_from(position.line()).unwrap_or(1));
    let unread = |error: csv::Error| {
        (error.position().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1)), format!("cannot be read: {error}"))
    };
    let head =
        records.next().ok_or((1, format!("is empty; it must begin with the columns {}", COLUMNS.join(", "))))?.map_err(unread)?;
    let mut order = Vec::new();
    for cell in &head {
        let known = COLUMNS.iter().position(|column| column.eq_ignore_ascii_case(cell.trim()));
        order.push(known.ok_or_else(|| (line(&head), unknown_column(cell)))?);
    }
    if let Some(missing) =
        ["vendor", "product", "versions", "cve"].iter().find(|name| !order.iter().any(|at| COLUMNS.get(*at) == Some(*name)))
    {
        return Err((line(&head), format!("the column `{missing}` is missing; columns are {}", COLUMNS.join(", "))));
    }
    let mut rows = Vec::new();
    for record in records {
        let record = record.map_err(unread)?;
        if record.len() != order.len() {
            return Err((line(&record), format!("has {} cells, and there are {} columns", record.len(), order.len())));
        }
        let mut row = Own::default();
        for (cell, at) in record.iter().zip(&order) {
            set(&mut row, COLUMNS.get(*at).copied().unwrap_or_default(), cell.trim()).map_err(|what| (line(&record), what))?;
        }
        row.check().map_err(|what| (line(&record), what))?;
        rows.push(row);
    }
    Ok(rows)
}

fn unknown_column(cell: &str) -> String {
    let meant = nearest(cell, COLUMNS).map(|word| format!(" Did you mean `{word}`?")).unwrap_or_default();
    format!("no column is called `{}`.{meant} Columns are {}.", cell.trim(), COLUMNS.join(", "))
}

fn set(row: &mut Own, column: &str, cell: &str) -> Result<(), String> {
    match column {
        "vendor" => row.vendor = cell.into(),
        "product" => row.product = cell.into(),
        "models" => row.models = cell.into(),
        "versions" => row.versions = cell.into(),
        "cve" => row.cve = cell.to_uppercase(),
        "cvss" => row.score = score(cell)?,
        "cwe" if cell.is_empty() => {}
        "cwe" => {
            row.cwe = Some(cell.trim_start_matches("CWE-").parse().map_err(|_| format!("`{cell}` is no CWE; write CWE-79"))?)
        }
        "fixed" => row.fixed = cell.into(),
        "published" => row.published = cell.into(),
        _ => row.source = cell.into(),
    }
    Ok(())
}

/// A CVSS base score as tenths.
fn score(cell: &str) -> Result<Option<u8>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    let score: f64 = cell.parse().map_err(|_| format!("`{cell}` is no CVSS score; write 9.8"))?;
    if !(0.0..=10.0).contains(&score) {
        return Err(format!("a CVSS score is between 0 and 10, and this is {cell}"));
    }
    Ok(Some((score * 10.0).round() as u8))
}

impl Own {
    /// Whether a pack can hold it.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, text) in [("vendor", &self.vendor), ("product", &self.product), ("versions", &self.versions)] {
            if text.is_empty() {
                return Err(format!(
                    "`{name}` is empty{}",
                    if name == "versions" { "; for all versions write vers:all/*" } else { "" }
                ));
            }
        }
        let id = self.cve.strip_prefix("CVE-").unwrap_or_default();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return Err(format!("`{}` is no CVE; write CVE-2026-1234", self.cve));
        }
        Ok(())
    }
}

/// The rows as lines of a pack.
fn lines(rows: &[Own], from: &str) -> String {
    let mut cves: BTreeMap<&str, (Option<u8>, Option<u32>)> = BTreeMap::new();
    for row in rows {
        let known = cves.entry(&row.cve).or_default();
        known.0 = known.0.max(row.score);
        known.1 = known.1.or(row.cwe);
    }
    let date = rows.iter().map(|row| row.published.as_str()).max().unwrap_or_default();
    let from = cell(from);
    let mut text = format!("# Advisories of your own, made by `citytap advisories import`.\n# date: {date}\n# from: {from}\n");
    let told = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    for (cve, (score, cwe)) in &cves {
        let _ = writeln!(text, "C\t{cve}\t{}\t{}\t\t", told(score.map(u32::from)), told(*cwe));
    }
    let places: BTreeMap<&str, u32> = cves.keys().copied().zip(0..).collect();
    let product = |row: &Own| [row.vendor.clone(), row.product.clone(), row.models.clone()];
    let versions = |row: &Own| [row.versions.clone(), row.fixed.clone(), row.source.clone()];
    let mut sorted: Vec<&Own> = rows.iter().collect();
    sorted.sort_by_cached_key(|row| (product(row), versions(row)));
    let mut vendor = None;
    for of_product in sorted.chunk_by(|a, b| product(a) == product(b)) {
        for of_versions in of_product.chunk_by(|a, b| versions(a) == versions(b)) {
            let Some(row) = of_versions.first() else { continue };
            if vendor.replace(&row.vendor) != Some(&row.vendor) {
                let _ = writeln!(text, "V\t{}\t{}", cell(&row.vendor), makers::key(&row.vendor));
            }
            if of_product.first() == Some(row) {
                let _ = writeln!(text, "P\t{}\t{}", cell(&row.product), cell(&row.models));
            }
            let mut at: Vec<u32> = of_versions.iter().filter_map(|row| places.get(row.cve.as_str()).copied()).collect();
            at.sort_unstable();
            at.dedup();
            for part in at.chunks(MANY) {
                let [versions, fixed, source] = [&row.versions, &row.fixed, &row.source].map(|text| cell(text));
                let _ = writeln!(text, "R\t{versions}\t{fixed}\t{source}\t{}", pack::steps(part));
            }
        }
    }
    text
}

/// A text that keeps to its cell.
fn cell(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::{Claim, Concern};
    use super::*;

    fn imported(name: &str, text: &str) -> (tempfile::TempDir, Result<Imported, OwnError>) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(name);
        fs::write(&file, text).expect("is written");
        let result = import(&file, &folder.path().join("own"));
        (folder, result)
    }

    const ROWS: &str = "vendor,product,versions,cve,cvss,published,source\nAcme GmbH,Box 100,< 2.0,CVE-2026-1111,9.8,2026-09-01,https://acme.example/1\n\
        Moxa,NPort X9,<= 1.2,CVE-2026-2222,,2026-10-01,https://moxa.example/2\n";

    #[test]
    fn rows_of_ones_own_are_found_beside_those_of_the_pack() {
        let (folder, result) = imported("mine.csv", ROWS);
        let told = result.expect("is imported");
        assert_eq!((told.rows, told.products), (2, 2));
        let (pack, digests) = with_folder("# date: 2026-01-01\nV\tMoxa\t\n", &folder.path().join("own")).expect("is read");
        assert_eq!((pack.date.as_str(), digests.len()), ("2026-10-01", 1));
        let judged = |maker, name, version| {
            pack.judge(&Claim::new(&pack, maker, true, &[name], Some(version))).weaknesses.first().map(|one| one.concern)
        };
        assert_eq!(judged("Acme", "Box-100", "1.9"), Some(Concern::Affected));
        assert_eq!(judged("Acme", "Box-100", "2.0"), None);
        assert_eq!(judged("MOXA Inc.", "NPort X9", "1.1"), Some(Concern::Affected));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_changes_nothing() {
        for (text, line, what) in [
            ("vendor,product,version,cve\n", 1, "Did you mean `versions`?"),
            ("vendor,product,cve\n", 1, "the column `versions` is missing"),
            ("vendor,product,versions,cve\nA,B,<1,CVE-2026-1\nA,B,<1\n", 3, "has 3 cells"),
            ("# mine\nvendor,product,versions,cve\nA,B,,CVE-2026-1\n", 3, "write vers:all/*"),
            ("vendor,product,versions,cve,cvss\nA,B,<1,CVE-2026-1,eleven\n", 2, "is no CVSS score"),
            ("vendor,product,versions,cve\nA,B,<1,2026-1\n", 2, "is no CVE"),
        ] {
            let (folder, result) = imported("mine.csv", text);
            let told = result.expect_err("is refused").to_string();
            assert!(told.contains(&format!("mine.csv:{line}: ")) && told.contains(what), "{told}");
            assert!(!folder.path().join("own").exists());
        }
    }

    #[test]
    fn importing_again_puts_the_new_in_the_place_of_the_old() {
        let (folder, result) = imported("mine.csv", ROWS);
        let first = result.expect("is imported");
        let file = folder.path().join("mine.csv");
        fs::write(&file, ROWS.replace("Box 100", "Box 200")).expect("is written");
        let again = import(&file, &folder.path().join("own")).expect("is imported");
        assert_eq!(first.file, again.file);
        let text = fs::read_to_string(&again.file).expect("is there");
        assert!(text.contains("Box 200") && !text.contains("Box 100"));
        assert_eq!(fs::read_dir(folder.path().join("own")).expect("is there").count(), 1);
    }
}
