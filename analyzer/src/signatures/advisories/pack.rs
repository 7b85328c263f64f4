//! The pack as it is embedded: lines of `signatures/advisories/pack.tsv.gz` become makers, products and rows. `signatures/build/advisories.py`
//! says what the lines are. It is unpacked when the first device with a model is judged.

use super::super::{ADVISORIES, PackError};
use super::makers;
use super::model::{Index, Model, squash};
use super::own::{self, OwnError};
use flate2::read::GzDecoder;
use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

/// All that is known of makers' products.
#[derive(Default)]
pub struct Pack {
    /// The newest date of its sources, as in `2026-07-16`.
    pub date: String,
    /// Files that it was made from: name, newest date, SHA-256.
    pub sources: Vec<String>,
    /// CVEs, sorted.
    pub cves: Vec<Cve>,
    /// Makers, sorted by name.
    pub makers: Vec<Maker>,
    /// Products, by maker.
    pub products: Vec<Product>,
    /// Rows, by product.
    pub rows: Vec<Row>,
    keys: HashMap<String, Vec<u32>>,
    wire: Vec<Wire>,
}

/// A published weakness.
#[derive(Clone, Debug)]
pub struct Cve {
    /// As in `CVE-2021-22779`.
    pub id: Box<str>,
    /// CVSS base score in tenths, where one is published.
    pub score: Option<u8>,
    /// CWE number.
    pub cwe: Option<u32>,
    /// Since when CISA lists it as exploited.
    pub exploited: Option<Box<str>>,
    /// Whether ransomware used it.
    pub ransomware: bool,
}

/// A maker.
pub struct Maker {
    /// Its name.
    pub name: Box<str>,
    /// Its products.
    pub products: Range<usize>,
    index: OnceLock<(Vec<Model>, Index)>,
}

/// A product as its advisories name it.
pub struct Product {
    /// Its name.
    pub name: Box<str>,
    /// Part numbers joined with `|`.
    pub numbers: Box<str>,
    /// What is said of it.
    pub rows: Range<usize>,
}

/// What an advisory says of versions of a product.
pub struct Row {
    /// The versions, as published.
    pub versions: Box<str>,
    /// The version that mends it, where the source says so apart from the versions.
    pub fixed: Option<Box<str>>,
    /// The advisory's id, or the address of its source.
    pub advisory: Box<str>,
    /// Places of its CVEs.
    pub cves: Box<[u32]>,
}

/// What devices call a product.
struct Wire {
    start: String,
    whole: bool,
    /// As it is compared.
    maker: Option<String>,
    vendor: Box<str>,
    product: Box<str>,
}

/// CVEs of one row: a document names some hundreds for one product; more is a damaged file.
pub(super) const MANY: usize = 1 << 12;

static EMBEDDED: LazyLock<Pack> = LazyLock::new(|| embedded().unwrap_or_default());

/// The pack with what a person brought beside it, where that was asked for.
static OWN: OnceLock<(Pack, Vec<(String, String)>)> = OnceLock::new();

impl Pack {
    /// The pack that comes with the program.
    pub fn shipped() -> &'static Pack {
        &EMBEDDED
    }

    /// The pack that this process goes by.
    pub fn current() -> &'static Pack {
        OWN.get().map_or_else(Self::shipped, |(pack, _)| pack)
    }

    /// From now on, what a folder holds is used beside the pack. Answers how many files it holds.
    ///
    /// # Errors
    /// A file that cannot be read or is none that an import wrote.
    pub fn use_also(folder: &Path) -> Result<usize, OwnError> {
        let own = own::with_folder(&unpacked().unwrap_or_default(), folder)?;
        let files = own.1.len();
        // A second folder is never asked for.
        drop(OWN.set(own));
        Ok(files)
    }

    /// The files of the folder that is used beside the pack, with their SHA-256.
    pub fn own_files() -> &'static [(String, String)] {
        OWN.get().map_or(&[], |(_, files)| files)
    }

    /// Takes in all of another pack. A maker that both know is found in both.
    pub(super) fn join(&mut self, other: Pack) {
        let shift = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (cves, makers, products, rows) =
            (shift(self.cves.len()), shift(self.makers.len()), self.products.len(), self.rows.len());
        let moved = |range: Range<usize>, by: usize| range.start + by..range.end + by;
        self.date = std::mem::take(&mut self.date).max(other.date);
        self.sources.extend(other.sources);
        self.cves.extend(other.cves);
        self.makers.extend(other.makers.into_iter().map(|maker| Maker { products: moved(maker.products, products), ..maker }));
        self.products.extend(other.products.into_iter().map(|product| Product { rows: moved(product.rows, rows), ..product }));
        self.rows
            .extend(other.rows.into_iter().map(|row| Row { cves: row.cves.iter().map(|place| place + cves).collect(), ..row }));
        // A name that stands for another maker here stands for it there: `MOXA Inc.` in a person's file is Moxa.
        for (key, own) in other.keys {
            let here: Vec<u32> = self.keys.get(&key).cloned().unwrap_or_default();
            let alike: Vec<String> = self
                .keys
                .iter()
                .filter(|(_, makers)| makers.iter().any(|maker| here.contains(maker)))
                .map(|(key, _)| key.clone())
                .collect();
            for key in alike.into_iter().chain([key]) {
                let entry = self.keys.entry(key).or_default();
                entry.extend(own.iter().map(|maker| maker + makers).filter(|maker| !here.contains(maker)));
                entry.sort_unstable();
                entry.dedup();
            }
        }
        self.wire.extend(other.wire);
    }

    /// How far it reaches, in words: its date, and that of CISA's OT advisories where they end before it.
    pub fn stand(&self) -> String {
        let of_csaf = self.sources.iter().find_map(|source| {
            let mut parts = source.split(' ');
            (parts.next()? == "csaf_ot.tsv.gz").then(|| parts.next()).flatten()
        });
        match of_csaf.filter(|date| *date < self.date.as_str()) {
            Some(date) => format!("pack of {}, CISA's OT advisories up to {date}", self.date),
            None => format!("pack of {}", self.date),
        }
    }

    /// Reads the lines of a pack.
    ///
    /// # Errors
    /// The first line that is none of a pack's, with what is wrong.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut pack = Self::default();
        for (line, at) in text.lines().zip(1..) {
            pack.line(line).map_err(|what| (at, what))?;
        }
        for (maker, place) in pack.makers.iter().zip(0..) {
            let own = pack.keys.entry(makers::key(&maker.name)).or_default();
            if !own.contains(&place) {
                own.insert(0, place);
            }
        }
        Ok(pack)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix('#') {
            if let Some(date) = comment.strip_prefix(" date: ") {
                self.date = date.trim().into();
            } else if let Some(source) = comment.strip_prefix(" from: ") {
                self.sources.push(source.trim().into());
            }
            return Ok(());
        }
        let cells: Vec<&str> = line.split('\t').collect();
        match cells.as_slice() {
            ["C", id, score, cwe, exploited, ransomware] => self.cves.push(Cve {
                id: (*id).into(),
                score: optional(score, "score")?,
                cwe: optional(cwe, "CWE number")?,
                exploited: text(exploited),
                ransomware: *ransomware == "r",
            }),
            ["W", name, maker, vendor, product] => {
                let whole = name.strip_suffix('*');
                self.wire.push(Wire {
                    start: squash(whole.unwrap_or(name)),
                    whole: whole.is_none(),
                    maker: Some(*maker).filter(|maker| *maker != "any").map(makers::key),
                    vendor: (*vendor).into(),
                    product: (*product).into(),
                });
            }
            ["V", name, others] => {
                let place = u32::try_from(self.makers.len()).map_err(|_| "too many makers")?;
                for other in others.split('|').filter(|other| !other.is_empty()) {
                    self.keys.entry(other.to_owned()).or_default().push(place);
                }
                let products = self.products.len()..self.products.len();
                self.makers.push(Maker { name: (*name).into(), products, index: OnceLock::new() });
            }
            ["P", name, numbers] => {
                let maker = self.makers.last_mut().ok_or("a product without a maker")?;
                let rows = self.rows.len()..self.rows.len();
                self.products.push(Product { name: (*name).into(), numbers: (*numbers).into(), rows });
                maker.products.end = self.products.len();
            }
            ["R", versions, fixed, advisory, steps] => {
                let product = self.products.last_mut().ok_or("a row without a product")?;
                let cves = places(steps, self.cves.len())?;
                self.rows.push(Row { versions: (*versions).into(), fixed: text(fixed), advisory: (*advisory).into(), cves });
                product.rows.end = self.rows.len();
            }
            _ => return Err(format!("not a line of a pack: {}", line.chars().take(40).collect::<String>())),
        }
        Ok(())
    }

    /// The makers that a name may mean; most often one.
    pub fn makers_named(&self, name: &str) -> impl Iterator<Item = &Maker> {
        self.keys.get(&makers::key(name)).into_iter().flatten().filter_map(|&place| self.makers.get(place as usize))
    }

    /// How advisories name what a device calls its product or model: maker and product.
    pub fn on_the_wire(&self, text: &str, maker: Option<&str>) -> Option<(&str, &str)> {
        let text = squash(text);
        let maker = maker.map(makers::key);
        let fits = |wire: &&Wire| {
            let says = if wire.whole { text == wire.start } else { text.starts_with(&wire.start) };
            says && (wire.maker.is_none() || wire.maker == maker)
        };
        self.wire.iter().find(fits).map(|wire| (&*wire.vendor, &*wire.product))
    }

    /// A maker's products, ready to be compared, and their index.
    pub fn models<'p>(&'p self, maker: &'p Maker) -> &'p (Vec<Model>, Index) {
        maker.index.get_or_init(|| {
            let products = self.products.get(maker.products.clone()).unwrap_or_default();
            let models: Vec<Model> =
                products.iter().map(|product| Model::parse(&product.name, &product.numbers, &maker.name)).collect();
            let mut index = Index::default();
            models.iter().zip(0..).for_each(|(model, number)| index.add(number, model));
            (models, index)
        })
    }

    /// The rows of a product.
    pub fn rows_of(&self, product: &Product) -> &[Row] {
        self.rows.get(product.rows.clone()).unwrap_or_default()
    }

    /// The CVEs of a row.
    pub fn cves_of<'p>(&'p self, row: &'p Row) -> impl Iterator<Item = &'p Cve> {
        row.cves.iter().filter_map(|&place| self.cves.get(place as usize))
    }
}

fn unpacked() -> Result<String, PackError> {
    let mut text = String::new();
    GzDecoder::new(ADVISORIES.bytes).read_to_string(&mut text).map_err(|error| ADVISORIES.error(1, error.to_string()))?;
    Ok(text)
}

fn embedded() -> Result<Pack, PackError> {
    Pack::parse(&unpacked()?).map_err(|(line, what)| ADVISORIES.error(line, what))
}

/// Reads the embedded pack whole.
///
/// # Errors
/// The first line that is wrong.
pub fn check() -> Result<(), PackError> {
    let pack = embedded()?;
    let dated = pack.date.len() == 10 && pack.date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !dated || pack.sources.is_empty() {
        return Err(ADVISORIES.error(1, "says no date or no sources"));
    }
    if !pack.cves.iter().all(|cve| cve.id.starts_with("CVE-")) {
        return Err(ADVISORIES.error(1, "names something that is no CVE"));
    }
    Ok(())
}

fn text(cell: &str) -> Option<Box<str>> {
    (!cell.is_empty()).then(|| cell.into())
}

fn optional<T: std::str::FromStr>(cell: &str, what: &str) -> Result<Option<T>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    cell.parse().map(Some).map_err(|_| format!("`{cell}` is no {what}"))
}

/// Sorted places as steps.
pub(super) fn steps(places: &[u32]) -> String {
    let steps = places.iter().scan(0, |before, &place| Some(place - std::mem::replace(before, place)));
    steps.map(|step: u32| step.to_string()).collect::<Vec<_>>().join(",")
}

/// `3,1,2` are the places 3, 4 and 6.
fn places(steps: &str, known: usize) -> Result<Box<[u32]>, String> {
    let mut at = 0_u32;
    let mut found = Vec::new();
    for step in steps.split(',') {
        let step: u32 = step.parse().map_err(|_| format!("`{step}` is no number"))?;
        at = at.checked_add(step).filter(|at| (*at as usize) < known).ok_or_else(|| format!("{steps} points at no CVE"))?;
        found.push(at);
        if found.len() > MANY {
            return Err("too many CVEs in one row".into());
        }
    }
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::path::PathBuf;

    const SMALL: &str = "# date: 2026-01-02\nC\tCVE-2020-1\t98\t79\t\t\nC\tCVE-2020-2\t\t\t2021-01-01\tr\nW\tboxos\tany\tAcme\tBox\nV\tAcme\tacmeinternational\n\
        P\tBox 100\t\nR\t< 2.0\t\tICSA-20-1\t0,1\n";

    #[test]
    fn lines_become_makers_products_and_rows() {
        let pack = Pack::parse(SMALL).expect("is a pack");
        let maker = pack.makers_named("ACME International, Inc.").next().expect("is known by its other name");
        assert_eq!((&*maker.name, maker.products.clone(), pack.date.as_str()), ("Acme", 0..1, "2026-01-02"));
        let row = &pack.rows_of(&pack.products[0])[0];
        assert_eq!(pack.cves_of(row).map(|cve| &*cve.id).collect::<Vec<_>>(), ["CVE-2020-1", "CVE-2020-2"]);
        assert_eq!((pack.cves[0].score, pack.cves[1].score, pack.cves[1].ransomware), (Some(98), None, true));
        assert_eq!(pack.on_the_wire("Box-OS", None), Some(("Acme", "Box")));
    }

    #[test]
    fn a_damaged_pack_is_refused_with_the_line() {
        for (line, text) in [(1, "X\tsomething"), (1, "P\tBox\t"), (2, "V\tAcme\t\nR\t1\t\tA\t0"), (1, "C\tCVE-1\tninety\t\t\t")]
        {
            assert_eq!(Pack::parse(text).err().map(|(at, _)| at), Some(line), "{text}");
        }
        let beyond = SMALL.replace("\t0,1\n", "\t0,2\n");
        assert!(Pack::parse(&beyond).is_err_and(|(at, what)| at == 7 && what.contains("no CVE")));
    }

    #[test]
    fn the_embedded_pack_knows_the_makers_of_a_city() {
        let pack = Pack::shipped();
        for name in ["SIEMENS AG", "Schneider  Electric", "Moxa Inc", "Group Schneider Electric SE", "Eclipse"] {
            let found = pack.makers_named(name).map(|maker| &*maker.name).collect::<Vec<_>>();
            assert_eq!(found.len(), usize::from(name != "Group Schneider Electric SE"), "{name}: {found:?}");
        }
        assert!(pack.rows.len() > 15_000 && pack.cves.len() > 7_000);
    }

    fn signatures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../signatures")
    }

    #[test]
    fn the_pack_was_made_from_the_tables_that_lie_beside_it() {
        for name in ["city.tsv", "products.tsv", "vendors.tsv"] {
            let bytes = std::fs::read(signatures().join("advisories").join(name)).expect("is there");
            let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let source = Pack::shipped().sources.iter().find(|source| source.starts_with(name)).expect("is named");
            assert!(source.ends_with(&digest), "{name} has changed: run signatures/build/advisories.py");
        }
    }

    /// Where what the pack is made from lies beside the checkout, as the captures do.
    #[test]
    fn the_script_makes_the_same_pack_again() {
        let data = signatures().join("../../shared/data");
        if !data.join("csaf_ot.tsv.gz").is_file() {
            return;
        }
        let script = signatures().join("build/advisories.py");
        let output = std::process::Command::new("python3").arg(script).arg(data).arg("--check").output().expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
