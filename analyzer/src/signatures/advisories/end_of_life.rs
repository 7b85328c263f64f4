//! Products whose makers stopped mending them, or say when they will: `signatures/advisories/end_of_life.tsv`.

use super::super::{END_OF_LIFE, PackError, tsv};
use super::Claim;
use super::makers;
use super::model::{Fit, Model, Names};
use super::range::{Among, Range};
use super::version::Version;
use std::sync::LazyLock;

/// An end.
pub struct End {
    /// Who makes it.
    pub vendor: &'static str,
    /// What.
    pub product: &'static str,
    /// Which versions, as in advisories.
    pub versions: &'static str,
    /// The last day on which the maker mends it, as in `2024-06-30`.
    pub date: &'static str,
    /// Who says so.
    pub source: &'static str,
    model: Model,
    range: Range,
}

static ENDS: LazyLock<Vec<End>> = LazyLock::new(|| rows().unwrap_or_default());

/// All ends that are known, as they stand in the file.
pub fn all() -> &'static [End] {
    &ENDS
}

/// What is known of the end of a product.
#[derive(Clone, Copy)]
pub struct Known {
    /// The end that comes first.
    pub end: &'static End,
    /// Whether it is of the device for sure: the product and, where the end is of some versions, the version.
    pub sure: bool,
}

/// The end of what a device says it is: the earliest one.
pub fn of(claim: &Claim) -> Option<Known> {
    let maker = makers::key(&claim.maker);
    let version = claim.version.as_deref().and_then(Version::of_device);
    let known = all().iter().filter(|end| makers::key(end.vendor) == maker).filter_map(|end| {
        let fit = end.model.fit(&Names::new(claim.names.iter().map(String::as_str), end.vendor))?;
        let among = match (&end.range, &version) {
            (Range::All, _) => Among::Yes,
            (range, Some(version)) => range.contains(version),
            (_, None) => return None,
        };
        let sure = fit == Fit::Exact && among == Among::Yes && claim.says_maker;
        (among != Among::No).then_some(Known { end, sure })
    });
    known.min_by_key(|known| (!known.sure, known.end.date))
}

fn rows() -> Result<Vec<End>, PackError> {
    let rows = tsv::rows(END_OF_LIFE, ["vendor", "product", "versions", "ends", "source"])?;
    rows.into_iter()
        .map(|row| {
            let [vendor, product, versions, date, source] = row.cells;
            let is_date = date.len() == 10
                && date.bytes().enumerate().all(|(at, c)| if at == 4 || at == 7 { c == b'-' } else { c.is_ascii_digit() });
            let range = Range::parse(versions);
            if !is_date {
                return Err(END_OF_LIFE.error(row.line, format!("`{date}` is no date; write 2024-06-30")));
            }
            if range == Range::Unread {
                return Err(
                    END_OF_LIFE.error(row.line, format!("`{versions}` is not understood; write `< 2.0`, `5.x` or `vers:all/*`"))
                );
            }
            Ok(End { vendor, product, versions, date, source, model: Model::parse(product, "", vendor), range })
        })
        .collect()
}

/// Reads the file whole.
///
/// # Errors
/// The first line that is wrong.
pub fn check() -> Result<(), PackError> {
    rows().map(drop)
}
