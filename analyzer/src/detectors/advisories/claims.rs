//! What a device says it is, as claims that advisories can be held against: its product by its maker, and the software on it by whoever
//! makes that.

use crate::inventory::{AttributeSeen, Device};
use crate::signatures::advisories::version::Version;
use crate::signatures::advisories::{Claim, Pack};

/// A claim with what it rests on.
pub(super) struct Stated<'d> {
    pub claim: Claim,
    /// As people are told: maker and product.
    pub product: String,
    /// The attribute that says the version, or else the product.
    pub by: &'d AttributeSeen,
}

/// What a device says.
pub(super) enum Says<'d> {
    /// Nothing about its model or product.
    Nothing,
    /// A model, of nobody.
    NoMaker,
    /// What it is.
    Claims(Vec<Stated<'d>>),
}

/// The attributes that count.
struct Said<'d> {
    vendor: Option<&'d AttributeSeen>,
    product: Option<&'d AttributeSeen>,
    model: Option<&'d AttributeSeen>,
    firmware: Option<&'d AttributeSeen>,
    software: Option<&'d AttributeSeen>,
}

/// Reads the claims of a device.
pub(super) fn claims<'d>(device: &'d Device, pack: &Pack) -> Says<'d> {
    let current = |name: &str| device.attributes.iter().find(|attribute| attribute.current && attribute.name == name);
    let said = Said {
        vendor: current("vendor"),
        product: current("product"),
        model: current("model"),
        firmware: current("firmware"),
        software: current("software"),
    };
    let mut claims = Vec::new();
    for attribute in [said.product, said.model].into_iter().flatten() {
        said.by_wire_name(attribute, &attribute.value, None, pack, &mut claims);
    }
    for attribute in [said.software, said.firmware].into_iter().flatten() {
        if let Some((name, version)) = name_and_version(&attribute.value) {
            said.by_wire_name(attribute, name, Some(version), pack, &mut claims);
        }
    }
    let of_others = !claims.is_empty();
    said.own(of_others, pack, &mut claims);
    match (claims.is_empty(), said.product.or(said.model)) {
        (false, _) => Says::Claims(claims),
        (true, Some(_)) if said.vendor.is_none() => Says::NoMaker,
        (true, _) => Says::Nothing,
    }
}

impl<'d> Said<'d> {
    /// Whether the device itself says who made it: a prefix of an address is no more than a hint.
    fn says_maker(&self) -> bool {
        self.vendor.is_some_and(|vendor| vendor.confidence != "possible")
    }

    /// A claim by a name that tells the maker: software of others, mostly.
    fn by_wire_name(&self, by: &'d AttributeSeen, name: &str, version: Option<&str>, pack: &Pack, claims: &mut Vec<Stated<'d>>) {
        let Some((vendor, product)) = pack.on_the_wire(name, None) else { return };
        if claims.iter().any(|stated| stated.claim.maker == vendor && stated.claim.names.iter().any(|name| name == product)) {
            return;
        }
        let (version, by) = match version {
            Some(version) => (Some(version.to_owned()), by),
            None => self.version_of(name).map_or((None, by), |(version, by)| (Some(version), by)),
        };
        let claim = Claim { maker: vendor.into(), says_maker: true, names: vec![product.into()], version };
        claims.push(Stated { product: called(vendor, product), claim, by });
    }

    /// The version that belongs to a product: one that names it, else the firmware's, else that of software without a name.
    fn version_of(&self, product: &str) -> Option<(String, &'d AttributeSeen)> {
        let both = [self.software, self.firmware];
        let named = both.into_iter().flatten().find_map(|attribute| {
            let (name, version) = name_and_version(&attribute.value)?;
            name.eq_ignore_ascii_case(product).then(|| (version.to_owned(), attribute))
        });
        let bare = |attribute: &&'d AttributeSeen| name_and_version(&attribute.value).is_none();
        let plain = [self.firmware, self.software].into_iter().flatten().find(bare);
        named.or_else(|| plain.map(|attribute| (attribute.value.clone(), attribute)))
    }

    /// The claim of the device's own maker about product and model. Where its product is software of others, the model remains.
    fn own(&self, of_others: bool, pack: &Pack, claims: &mut Vec<Stated<'d>>) {
        let Some(vendor) = self.vendor else { return };
        if of_others && !self.says_maker() {
            return;
        }
        let is_software = |attribute: &&'d AttributeSeen| pack.on_the_wire(&attribute.value, None).is_some();
        let texts: Vec<&'d AttributeSeen> =
            [self.product, self.model].into_iter().flatten().filter(|attribute| !is_software(attribute)).collect();
        let Some(&last) = texts.last() else { return };
        let version = self.version_of(&last.value);
        let by = version.as_ref().map_or(last, |(_, by)| by);
        let names: Vec<&str> = texts.iter().map(|text| text.value.as_str()).collect();
        let version = version.as_ref().map(|(version, _)| version.as_str());
        let claim = Claim::new(pack, &vendor.value, self.says_maker(), &names, version);
        if let Some(name) = claim.names.first() {
            claims.push(Stated { product: called(&vendor.value, name), claim, by });
        }
    }
}

/// A name with a version behind it: `LoRa Basics Station 2.0.6`, `mPower 6.0.1`. Words before a version that are no name are none.
fn name_and_version(text: &str) -> Option<(&str, &str)> {
    let (name, version) = text.trim().rsplit_once(' ')?;
    let name = name.trim();
    let is_name = name.chars().filter(|c| c.is_alphabetic()).count() >= 3 && Version::parse(text).is_none();
    (is_name && version.starts_with(|c: char| c.is_ascii_digit() || c == 'v') && Version::of_device(version).is_some())
        .then_some((name, version))
}

/// Maker and product, without the maker twice.
fn called(vendor: &str, product: &str) -> String {
    let vendor_first = product.to_lowercase().starts_with(&vendor.to_lowercase());
    if vendor_first || product.is_empty() && vendor.is_empty() { product.to_owned() } else { format!("{vendor} {product}") }
}
