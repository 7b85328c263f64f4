//! Published weaknesses by maker, product and version, and which of them a device has.
//!
//! What turns into what: what a device says of its maker, model and version (a [`Claim`]) is held against the [`Pack`]: the maker by its
//! names ([`makers`]), the product by part number, else by name, else by likeness ([`model`]), the version last ([`range`], [`version`]).
//! The answer ([`Judged`]) says which weaknesses it has, which it may have, and which hang on a version that was not seen.
//!
//! What it leaves out: nothing is ever concluded from a prefix of an address alone, nothing found to be so by a version that was not understood,
//! and whether a weak function is turned on is not known here.

mod csaf;
pub mod end_of_life;
pub mod makers;
pub mod model;
pub mod own;
pub mod pack;
pub mod range;
pub mod version;

#[cfg(test)]
mod measured;

pub use pack::{Cve, Pack};

use model::{Fit, Model, Names};
use pack::{Product, Row};
use range::{Among, Range};
use std::collections::{BTreeMap, BTreeSet};
use version::Version;

/// What a device says it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// Who made it.
    pub maker: String,
    /// Whether it says so itself; else the prefix of an address does.
    pub says_maker: bool,
    /// Product and model, in its words or in those of advisories.
    pub names: Vec<String>,
    /// The version of its firmware or software.
    pub version: Option<String>,
}

/// How a weakness concerns a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// The product is alike, and the version is among those named.
    Alike,
    /// It is the product; the advisory is about all versions, or says which in a way that is not understood.
    Unclear,
    /// It is the product, and its version is among those named.
    Affected,
}

/// A weakness of a device.
#[derive(Clone, Debug)]
pub struct Weakness<'p> {
    /// Which.
    pub cve: &'p Cve,
    /// How sure.
    pub concern: Concern,
    /// Who says so.
    pub advisory: &'p str,
    /// The version that mends it, where the advisory names one.
    pub mended_in: Option<String>,
}

/// The answer about a claim.
#[derive(Clone, Debug, Default)]
pub struct Judged<'p> {
    /// The maker, where the pack knows it.
    pub maker: Option<&'p str>,
    /// Advisories about this maker's products.
    pub of_maker: usize,
    /// Advisories about the product, whatever the version.
    pub tested: usize,
    /// Weaknesses, by CVE.
    pub weaknesses: Vec<Weakness<'p>>,
    /// CVEs of the product that hang on the version, where none was seen.
    pub waiting: usize,
}

impl Claim {
    /// What a device says, and how advisories name that.
    pub fn new(pack: &Pack, maker: &str, says_maker: bool, said: &[&str], version: Option<&str>) -> Self {
        let family = said.iter().find_map(|name| pack.on_the_wire(name, Some(maker))).map(|(_, product)| product);
        let mut names: Vec<String> = Vec::new();
        for name in family.into_iter().chain(said.iter().copied()) {
            // `Modicon M340 or M580` is a guess, not a name.
            if !name.contains(" or ") && !names.iter().any(|known| known == name) {
                names.push(name.into());
            }
        }
        Self { maker: maker.into(), says_maker, names, version: version.map(str::to_owned) }
    }
}

impl Pack {
    /// Which weaknesses a device has by what it says.
    pub fn judge(&self, claim: &Claim) -> Judged<'_> {
        let mut judged = Judged::default();
        let mut advisories = BTreeSet::new();
        for maker in self.makers_named(&claim.maker) {
            judged.maker.get_or_insert(&maker.name);
            let products = self.products.get(maker.products.clone()).unwrap_or_default();
            advisories.extend(products.iter().flat_map(|product| self.rows_of(product)).map(|row| &*row.advisory));
        }
        let version = claim.read_version();
        let (mut tested, mut waiting) = (BTreeSet::new(), BTreeSet::new());
        let mut found: BTreeMap<&str, Weakness<'_>> = BTreeMap::new();
        self.each(claim, &mut |_, row, holds| {
            tested.insert(&*row.advisory);
            match holds {
                Holds::Yes(concern) => self.note(row, concern, version.as_ref(), &mut found),
                Holds::Waiting => waiting.extend(row.cves.iter().copied()),
                Holds::No => {}
            }
        });
        judged.of_maker = advisories.len();
        judged.tested = tested.len();
        judged.waiting = waiting.len();
        judged.weaknesses = found.into_values().collect();
        judged
    }

    /// Goes through the rows about products that a device is or is like.
    fn each<'p>(&'p self, claim: &Claim, take: &mut dyn FnMut(&'p Product, &'p Row, Holds)) {
        let version = claim.read_version();
        for maker in self.makers_named(&claim.maker) {
            let products = self.products.get(maker.products.clone()).unwrap_or_default();
            let names = Names::new(claim.names.iter().map(String::as_str), &maker.name);
            let (models, index) = self.models(maker);
            for number in index.candidates(&names) {
                let number = number as usize;
                let (Some(model), Some(product)) = (models.get(number), products.get(number)) else { continue };
                let Some(fit) = model.fit(&names).and_then(|fit| within_scope(model, fit, version.as_ref())) else { continue };
                let fit = if claim.says_maker { fit } else { Fit::Likely };
                self.rows_of(product).iter().for_each(|row| take(product, row, concern(product, row, fit, version.as_ref())));
            }
        }
    }

    fn note<'p>(
        &'p self,
        row: &'p Row,
        concern: Concern,
        version: Option<&Option<Version>>,
        found: &mut BTreeMap<&'p str, Weakness<'p>>,
    ) {
        let by_range = || as_published(&row.versions, Range::parse(&row.versions).mended_in(version?.as_ref()?)?);
        let mended_in = row.fixed.as_deref().map(str::to_owned).or_else(by_range);
        for cve in self.cves_of(row) {
            let new = Weakness { cve, concern, advisory: &row.advisory, mended_in: mended_in.clone() };
            let known = found.entry(&cve.id).or_insert_with(|| new.clone());
            if (known.concern, known.mended_in.is_some()) < (new.concern, new.mended_in.is_some()) {
                *known = new;
            }
        }
    }
}

impl Claim {
    /// `None` where none was seen; `Some(None)` where it is not understood.
    fn read_version(&self) -> Option<Option<Version>> {
        self.version.as_deref().map(Version::of_device)
    }
}

/// A product's name can be about one major version alone: then a device of another is none, and one of an unknown version only alike.
fn within_scope(model: &Model, fit: Fit, version: Option<&Option<Version>>) -> Option<Fit> {
    let Some(scope) = &model.scope else { return Some(fit) };
    let Some(Some(version)) = version else { return Some(Fit::Likely) };
    match Range::parse(&narrowed(scope)).contains(version) {
        Among::Yes => Some(fit),
        Among::Open => Some(Fit::Likely),
        Among::No => None,
    }
}

/// Whether a row concerns a device.
enum Holds {
    Yes(Concern),
    Waiting,
    No,
}

fn concern(product: &Product, row: &Row, fit: Fit, version: Option<&Option<Version>>) -> Holds {
    let range = if is_of_something_else(&product.name) { Range::Unread } else { Range::parse(&row.versions) };
    let exact = fit == Fit::Exact;
    let unclear = || if exact { Concern::Unclear } else { Concern::Alike };
    match (&range, version) {
        (Range::All | Range::Unread, _) => Holds::Yes(unclear()),
        (Range::Some(_), None) => Holds::Waiting,
        (Range::Some(_), Some(None)) => Holds::Yes(unclear()),
        (Range::Some(_), Some(Some(version))) => match range.contains(version) {
            Among::Yes if exact => Holds::Yes(Concern::Affected),
            Among::Yes => Holds::Yes(Concern::Alike),
            Among::Open => Holds::Yes(unclear()),
            Among::No => Holds::No,
        },
    }
}

/// A bound, which was read in lower case, as it was published.
fn as_published(versions: &str, bound: &str) -> Option<String> {
    let at = versions.to_lowercase().replace('_', " ").find(bound)?;
    versions.get(at..at + bound.len()).map(|text| text.replace('_', " "))
}

/// Versions of these are not those of the firmware: serial numbers, the start-up firmware of a computer.
fn is_of_something_else(product: &str) -> bool {
    let product = product.to_lowercase();
    ["serial", "bios", "operating system"].iter().any(|word| product.contains(word))
}

/// `V8.1` in a product's name stands for all versions that begin with it.
fn narrowed(scope: &str) -> String {
    let stem = scope.trim_end_matches(['x', 'X']).trim_end_matches('.');
    format!("{stem}.x")
}
