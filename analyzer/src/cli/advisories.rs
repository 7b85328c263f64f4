//! `citytap advisories`: what is known of products' published weaknesses.

use super::out::{nearest, print, print_json};
use super::{DONE, FAILED, Failure, UNREADABLE, USAGE};
use crate::screen::counted;
use crate::screen::text::{Columns, wrapped};
use crate::signatures::advisories::model::squash;
use crate::signatures::advisories::own::{self, OwnError};
use crate::signatures::advisories::pack::{Maker, Product, Row};
use crate::signatures::advisories::{Cve, Pack, end_of_life};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// List makers and products with published weaknesses, and show what is known of one.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap advisories list\n  citytap advisories list --vendor Moxa\n  citytap advisories show \"Modicon M221\"\n  \
    citytap advisories show CVE-2023-28366 --format json\n  citytap advisories import acme-2026-1.json --advisories own && \
    citytap replay monday.pcap --advisories own"
)]
pub struct Advisories {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    own: OwnAdvisories,
}

/// Advisories of a person's own, beside those that come with the program.
#[derive(clap::Args)]
pub struct OwnAdvisories {
    /// A folder with advisories of your own, as `citytap advisories import` fills it; they are used beside those that come with the program.
    #[arg(long = "advisories", value_name = "DIR", global = true)]
    folder: Option<PathBuf>,
}

impl OwnAdvisories {
    /// Takes the folder's advisories into use, and says on a terminal when all of them are old.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn load(&self) -> Result<(), Failure> {
        if let Some(folder) = &self.folder
            && Pack::use_also(folder)? == 0
        {
            eprintln!(
                "citytap: {} holds no advisories; `citytap advisories import FILE --advisories {0}` puts some there.",
                folder.display()
            );
        }
        warn_if_old();
        Ok(())
    }
}

#[derive(clap::Subcommand)]
enum What {
    /// List how old the advisories are, what they are made from, and the makers; or the products of one maker.
    List {
        /// Only this maker, under any name that it goes by.
        #[arg(long, value_name = "NAME")]
        vendor: Option<String>,
        /// What to print: a table for people, or JSON.
        #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
        format: String,
    },
    /// Show what is known of a product, or whom a CVE concerns.
    Show {
        /// A product's name or part number, or a CVE.
        #[arg(value_name = "PRODUCT|CVE")]
        what: String,
        /// Only products of this maker.
        #[arg(long, value_name = "NAME")]
        vendor: Option<String>,
        /// What to print: a table for people, or JSON.
        #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
        format: String,
    },
    /// Put advisories of your own into the folder that --advisories names: CSAF 2.0 documents, or tables with the columns vendor, product,
    /// versions, cve and, where known, models, cvss, cwe, fixed, published, source.
    Import {
        /// Files: .json in CSAF 2.0, .csv or .tsv. One imported again takes the place of what it brought before.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

impl Advisories {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        if let What::Import { files } = &self.what {
            return import(files, self.own.folder.as_deref());
        }
        self.own.load()?;
        let pack = Pack::current();
        match self.what {
            What::Import { .. } => Ok(DONE),
            What::List { vendor: None, format } => makers(pack, format == "json"),
            What::List { vendor: Some(name), format } => products(pack, &name, format == "json"),
            What::Show { what, vendor, format } => show(pack, &what, vendor.as_deref(), format == "json"),
        }
    }
}

fn import(files: &[PathBuf], folder: Option<&Path>) -> Result<u8, Failure> {
    let Some(folder) = folder else {
        eprintln!("citytap: say into which folder with --advisories DIR; `citytap replay --advisories DIR` then uses it.");
        return Ok(USAGE);
    };
    let mut code = DONE;
    for file in files {
        match own::import(file, folder) {
            Ok(told) => {
                let rows = counted(told.rows, "row", "rows");
                print(&format!(
                    "{}: {rows} about {}, in {}\n",
                    file.display(),
                    counted(told.products, "product", "products"),
                    told.file.display()
                ))?;
            }
            Err(error) => {
                eprintln!("citytap: {error}");
                code = if matches!(error, OwnError::Io { .. }) { UNREADABLE } else { FAILED };
            }
        }
    }
    Ok(code)
}

/// Days after which advisories are old: most makers publish once a month.
const OLD: u64 = 30;

/// Says on a terminal, and nowhere else, that the advisories are old. What is judged does not depend on it.
pub fn warn_if_old() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let date = &Pack::current().date;
    let Some(age) = days(date).and_then(|day| now.checked_sub(day)).filter(|age| *age > OLD) else { return };
    if std::io::stderr().is_terminal() {
        eprintln!(
            "citytap: the advisories are {age} days old ({}): what was published since is not found. A newer version of this program brings newer ones, and `citytap advisories import` takes those of makers.",
            Pack::current().stand()
        );
    }
}

/// Days from 1970-01-01 to a date such as `2026-07-16`.
fn days(date: &str) -> Option<u64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Years that begin in March: then the leap day is the last one.
    let (year, month) = if month <= 2 { (year.checked_sub(1)?, month + 9) } else { (year, month.checked_sub(3)?) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    (of_years + (153 * month + 2) / 5 + day).checked_sub(719_469)
}

fn makers(pack: &Pack, json: bool) -> Result<u8, Failure> {
    let ends = end_of_life::all().len();
    if json {
        let makers: Vec<_> = pack
            .makers
            .iter()
            .map(|maker| json!({ "vendor": &*maker.name, "products": maker.products.len(), "cves": cves(pack, maker).len() }))
            .collect();
        let sources = &pack.sources;
        print_json(
            &json!({ "date": pack.date, "sources": sources, "cves": pack.cves.len(), "rows": pack.rows.len(), "ends_of_life": ends, "vendors": makers }),
        )?;
        return Ok(DONE);
    }
    let mut columns = Columns::new(&["VENDOR", "PRODUCTS", "CVES", "EXPLOITED"]);
    for maker in &pack.makers {
        let found = cves(pack, maker);
        let exploited = found.iter().filter(|cve| cve.exploited.is_some()).count();
        columns.row([maker.name.to_string(), maker.products.len().to_string(), found.len().to_string(), exploited.to_string()]);
    }
    let mut text = columns.to_text();
    text.push_str(&wrapped(
        "",
        &format!(
            "{}, {}, {}, {} of support; the newest of {}. Each row stands in the pack as its source has it.",
            counted(pack.makers.len(), "vendor", "vendors"),
            counted(pack.products.len(), "product", "products"),
            counted(pack.cves.len(), "CVE", "CVEs"),
            counted(ends, "end", "ends"),
            pack.date
        ),
    ));
    for source in &pack.sources {
        let mut parts = source.split(' ');
        let (name, date) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        text.push_str(&format!("  {name}  {}\n", if date == "-" { "" } else { date }));
    }
    print(&text)?;
    Ok(DONE)
}

/// The CVEs of a maker's products.
fn cves<'p>(pack: &'p Pack, maker: &Maker) -> Vec<&'p Cve> {
    let products = pack.products.get(maker.products.clone()).unwrap_or_default();
    let places: BTreeSet<u32> =
        products.iter().flat_map(|product| pack.rows_of(product)).flat_map(|row| row.cves.iter().copied()).collect();
    places.into_iter().filter_map(|place| pack.cves.get(place as usize)).collect()
}

fn unknown_vendor(pack: &Pack, typed: &str) -> u8 {
    let meant = nearest(typed, pack.makers.iter().map(|maker| &*maker.name));
    let meant = meant.map_or(" `citytap advisories list` lists them.".to_owned(), |word| format!(" Did you mean '{word}'?"));
    eprintln!("citytap: no advisory is known about a vendor '{typed}'.{meant}");
    USAGE
}

fn products(pack: &Pack, name: &str, json: bool) -> Result<u8, Failure> {
    let makers: Vec<&Maker> = pack.makers_named(name).collect();
    let Some(maker) = makers.first() else { return Ok(unknown_vendor(pack, name)) };
    let products = makers.iter().flat_map(|maker| pack.products.get(maker.products.clone()).unwrap_or_default());
    let mut columns = Columns::new(&["PRODUCT", "PART NUMBERS", "CVES", "WORST"]);
    let mut listed = Vec::new();
    for product in products {
        let found: BTreeSet<u32> = pack.rows_of(product).iter().flat_map(|row| row.cves.iter().copied()).collect();
        let worst = found.iter().filter_map(|place| pack.cves.get(*place as usize)?.score).max();
        let worst = worst.map(|score| format!("{}.{}", score / 10, score % 10)).unwrap_or_default();
        listed.push(json!({ "product": &*product.name, "part_numbers": &*product.numbers, "cves": found.len(), "worst": worst }));
        columns.row([product.name.to_string(), product.numbers.to_string(), found.len().to_string(), worst]);
    }
    if json {
        print_json(&listed)?;
        return Ok(DONE);
    }
    print(&format!(
        "{}{} of {}; {}\n",
        columns.to_text(),
        counted(listed.len(), "product", "products"),
        maker.name,
        pack.stand()
    ))?;
    Ok(DONE)
}

/// A row with its product and maker.
struct Told<'p> {
    maker: &'p Maker,
    product: &'p Product,
    row: &'p Row,
}

fn show(pack: &Pack, what: &str, vendor: Option<&str>, json: bool) -> Result<u8, Failure> {
    let only: Option<Vec<&str>> = vendor.map(|name| pack.makers_named(name).map(|maker| &*maker.name).collect());
    if let (Some(name), Some([])) = (vendor, only.as_deref()) {
        return Ok(unknown_vendor(pack, name));
    }
    let cve = pack.cves.iter().position(|cve| cve.id.eq_ignore_ascii_case(what));
    let wanted = squash(what);
    let mut found: Vec<Told<'_>> = Vec::new();
    for maker in pack.makers.iter().filter(|maker| only.as_ref().is_none_or(|only| only.contains(&&*maker.name))) {
        for product in pack.products.get(maker.products.clone()).unwrap_or_default() {
            let named = cve.is_none() && (squash(&product.name).contains(&wanted) || squash(&product.numbers).contains(&wanted));
            let rows = pack
                .rows_of(product)
                .iter()
                .filter(|row| named || cve.is_some_and(|cve| row.cves.iter().any(|place| *place as usize == cve)));
            found.extend(rows.map(|row| Told { maker, product, row }));
        }
    }
    if found.is_empty() || wanted.is_empty() {
        let names = pack.products.iter().map(|product| &*product.name);
        let meant = nearest(what, names.chain(pack.cves.iter().map(|cve| &*cve.id)))
            .map(|word| format!(" Did you mean '{word}'?"))
            .unwrap_or_default();
        eprintln!(
            "citytap: no advisory of {} names '{what}'.{meant} `citytap advisories list --vendor NAME` lists the products of a vendor.",
            pack.date
        );
        return Ok(USAGE);
    }
    if json {
        print_json(&found.iter().map(|told| told.json(pack)).collect::<Vec<_>>())?
    } else {
        print(&page(pack, cve, &found))?
    }
    Ok(DONE)
}

fn page(pack: &Pack, cve: Option<usize>, found: &[Told<'_>]) -> String {
    let mut text = String::new();
    if let Some(cve) = cve.and_then(|cve| pack.cves.get(cve)) {
        text.push_str(&format!("{}\n", describe(cve)));
    }
    let mut columns = Columns::new(&["VENDOR", "PRODUCT", "VERSIONS", "MENDED IN", "CVES", "ADVISORY"]);
    for told in found {
        let cves = told.row.cves.len();
        let first = pack.cves_of(told.row).map(|cve| &*cve.id).next().unwrap_or_default();
        columns.row([
            told.maker.name.to_string(),
            told.product.name.to_string(),
            told.row.versions.to_string(),
            told.row.fixed.as_deref().unwrap_or_default().to_owned(),
            if cves > 1 { format!("{first} and {} more", cves - 1) } else { first.to_owned() },
            told.row.advisory.to_string(),
        ]);
    }
    text.push_str(&columns.to_text());
    text.push_str(&format!("{}; {}\n", counted(found.len(), "row", "rows"), pack.stand()));
    text
}

impl Told<'_> {
    fn json(&self, pack: &Pack) -> serde_json::Value {
        let cves: Vec<_> = pack.cves_of(self.row).map(|cve| {
            json!({ "cve": &*cve.id, "cvss": cve.score.map(|score| f64::from(score) / 10.0), "cwe": cve.cwe, "exploited_since": cve.exploited, "ransomware": cve.ransomware })
        }).collect();
        json!({ "vendor": &*self.maker.name, "product": &*self.product.name, "part_numbers": &*self.product.numbers, "versions": &*self.row.versions,
            "mended_in": self.row.fixed, "advisory": &*self.row.advisory, "cves": cves })
    }
}

fn describe(cve: &Cve) -> String {
    let score = cve.score.map(|score| format!("CVSS {}.{}", score / 10, score % 10));
    let cwe = cve.cwe.map(|cwe| format!("CWE-{cwe}"));
    let used = cve.exploited.as_ref().map(|since| {
        format!("used in attacks{}, listed by CISA since {since}", if cve.ransomware { " and by ransomware" } else { "" })
    });
    let notes: Vec<String> = [score, cwe, used].into_iter().flatten().collect();
    format!("{}  {}", cve.id, notes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        for (date, number) in [("1970-01-01", 0), ("1970-03-01", 59), ("2000-02-29", 11_016), ("2026-07-16", 20_650)] {
            assert_eq!(days(date), Some(number), "{date}");
        }
        assert_eq!(days("soon"), None);
        assert!(days(&Pack::shipped().date).is_some());
    }
}
