//! The questions about published weaknesses, in plain words.

use crate::findings::CheckSpec;

/// All of them.
pub const ALL: &[&CheckSpec] = &[&KNOWN_VULNERABILITY, &END_OF_LIFE];

/// A device whose product and version an advisory names.
pub static KNOWN_VULNERABILITY: CheckSpec = CheckSpec {
    id: "known-vulnerability",
    title: "published weaknesses of its version",
    finding: "{product} {version} {has} {weaknesses}; the worst is {worst}. To do: {fix}. ({_cves}; {_pack}.)",
    action: "{devices} are {product} {version}, which {has} {weaknesses}, the worst {worst}; {fix}",
    remedy: "Install the version named here or a later one. Where none is named, ask the maker. Until then let only those devices reach it \
             that need it. The version is what the device says of itself: if it was mended without a new number, accept the finding with \
             that reason.",
    why: "How to use a published weakness is public too, and tools look for the versions that have it.",
    references: &["CWE-1395", "ATT&CK for ICS T0866", "ETSI EN 303 645 5.3-8"],
};

/// A device that its maker no longer mends.
pub static END_OF_LIFE: CheckSpec = CheckSpec {
    id: "end-of-life",
    title: "products that are no longer mended",
    finding: "{product} {end}; weaknesses found since stay open. ({_source})",
    action: "{devices} are {product}, which {end}",
    remedy: "Move to a version or a product that is still mended. Until then let only those devices reach it that need it.",
    why: "Weaknesses that are found after the end are published like all others, and are never mended.",
    references: &["CWE-1104", "ETSI EN 303 645 5.3-13"],
};
