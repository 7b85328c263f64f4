//! CSAF 2.0 documents (OASIS, "Common Security Advisory Framework Version 2.0"): products from the tree of branches, weaknesses with the products
//! that they affect.
//!
//! What it leaves out: products that are only under investigation or fixed, remediations in prose, and signatures, which are checked where
//! the document is fetched.

use super::own::Own;
use serde_json::Value;
use std::collections::BTreeMap;

/// Branches inside branches: makers nest five deep.
const DEEP: usize = 32;

/// Products of one document.
const PRODUCTS: usize = 1 << 16;

/// A product of the tree.
#[derive(Clone, Default)]
struct Product {
    vendor: String,
    name: String,
    models: String,
    versions: String,
}

/// The rows of a document.
///
/// # Errors
/// The line where it is no JSON, or line 1 and what is missing.
pub fn rows(bytes: &[u8]) -> Result<Vec<Own>, (usize, String)> {
    let document: Value = serde_json::from_slice(bytes).map_err(|error| (error.line().max(1), format!("is no JSON: {error}")))?;
    let about = &document["document"];
    let missing = |what: &str| (1, format!("is no CSAF 2.0 document: {what} is missing (OASIS CSAF 2.0)"));
    match about["csaf_version"].as_str() {
        Some("2.0") => {}
        Some(other) => return Err((1, format!("is CSAF {other}; only CSAF 2.0 is read"))),
        None => return Err(missing("document.csaf_version")),
    }
    let id = about["tracking"]["id"].as_str().ok_or_else(|| missing("document.tracking.id"))?;
    let date = about["tracking"]["current_release_date"].as_str().unwrap_or_default();
    let date = date.get(..10).unwrap_or_default();
    let mut products = BTreeMap::new();
    for branch in list(&document["product_tree"]["branches"]) {
        walk(branch, &Product::default(), 0, &mut products);
    }
    for relation in list(&document["product_tree"]["relationships"]) {
        let whole = relation["full_product_name"]["product_id"].as_str();
        let part = relation["product_reference"].as_str().and_then(|part| products.get(part).cloned());
        if let (Some(whole), Some(part)) = (whole, part) {
            products.insert(whole.to_owned(), part);
        }
    }
    if products.is_empty() {
        return Err(missing("product_tree.branches with a product"));
    }
    let mut found = Vec::new();
    for weakness in list(&document["vulnerabilities"]) {
        let Some(cve) = weakness["cve"].as_str() else { continue };
        for affected in list(&weakness["product_status"]["known_affected"]).iter().filter_map(Value::as_str) {
            let Some(product) = products.get(affected) else { continue };
            let row = Own {
                vendor: product.vendor.clone(),
                product: product.name.clone(),
                models: product.models.clone(),
                versions: if product.versions.is_empty() { "vers:all/*".into() } else { product.versions.clone() },
                cve: cve.to_uppercase(),
                score: score(weakness, affected),
                cwe: weakness["cwe"]["id"].as_str().and_then(|cwe| cwe.trim_start_matches("CWE-").parse().ok()),
                fixed: String::new(),
                published: date.into(),
                source: id.into(),
            };
            // A product without a name or maker cannot be recognised on the wire.
            if row.check().is_ok() {
                found.push(row);
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn walk(branch: &Value, above: &Product, deep: usize, products: &mut BTreeMap<String, Product>) {
    if deep > DEEP || products.len() >= PRODUCTS {
        return;
    }
    let mut own = above.clone();
    let name = branch["name"].as_str().unwrap_or_default().trim();
    match branch["category"].as_str() {
        Some("vendor") => own.vendor = name.into(),
        Some("product_name") => own.name = name.into(),
        Some("product_version" | "product_version_range") => own.versions = name.into(),
        _ => {}
    }
    let helper = &branch["product"]["product_identification_helper"];
    let numbers: Vec<&str> =
        ["model_numbers", "skus"].iter().flat_map(|kind| list(&helper[*kind])).filter_map(Value::as_str).collect();
    if !numbers.is_empty() {
        own.models = numbers.join("|");
    }
    if let Some(id) = branch["product"]["product_id"].as_str() {
        products.insert(id.into(), own.clone());
    }
    list(&branch["branches"]).iter().for_each(|inner| walk(inner, &own, deep + 1, products));
}

/// The base score for a product, in tenths: CVSS 3 before 2.
fn score(weakness: &Value, product: &str) -> Option<u8> {
    let scores =
        list(&weakness["scores"]).iter().filter(|score| list(&score["products"]).iter().any(|id| id.as_str() == Some(product)));
    let base = scores.filter_map(|score| ["cvss_v3", "cvss_v2"].iter().find_map(|version| score[*version]["baseScore"].as_f64()));
    base.filter(|base| (0.0..=10.0).contains(base)).map(|base| (base * 10.0).round() as u8).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{
      "document": { "csaf_version": "2.0", "tracking": { "id": "ACME-2026-1", "current_release_date": "2026-09-02T10:00:00Z" } },
      "product_tree": { "branches": [ { "category": "vendor", "name": "Acme", "branches": [
        { "category": "product_name", "name": "Box 100", "branches": [
          { "category": "product_version_range", "name": "vers:all/<2.0",
            "product": { "product_id": "P1", "name": "Acme Box 100 <2.0", "product_identification_helper": { "model_numbers": ["B100-1"] } } },
          { "category": "product_version", "name": "2.0", "product": { "product_id": "P2", "name": "Acme Box 100 2.0" } } ] } ] } ] },
      "vulnerabilities": [ { "cve": "CVE-2026-1111", "cwe": { "id": "CWE-79", "name": "x" },
        "product_status": { "known_affected": ["P1"], "fixed": ["P2"] },
        "scores": [ { "products": ["P1"], "cvss_v3": { "baseScore": 9.8 } } ] } ] }"#;

    #[test]
    fn affected_products_become_rows_and_fixed_ones_do_not() {
        let rows = rows(DOCUMENT.as_bytes()).expect("is read");
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(
            (row.vendor.as_str(), row.product.as_str(), row.models.as_str(), row.versions.as_str()),
            ("Acme", "Box 100", "B100-1", "vers:all/<2.0")
        );
        assert_eq!(
            (row.cve.as_str(), row.score, row.cwe, row.published.as_str(), row.source.as_str()),
            ("CVE-2026-1111", Some(98), Some(79), "2026-09-02", "ACME-2026-1")
        );
    }

    #[test]
    fn what_is_no_csaf_is_refused_with_what_is_missing() {
        let wrong = |text: &str| rows(text.as_bytes()).expect_err("is refused");
        assert!(wrong("{\n \"document\": {\n").0 >= 2);
        assert!(wrong("{}").1.contains("document.csaf_version"));
        assert!(wrong(&DOCUMENT.replace("\"2.0\", \"tracking\"", "\"1.2\", \"tracking\"")).1.contains("only CSAF 2.0"));
        assert!(wrong(&DOCUMENT.replace("branches", "twigs")).1.contains("product_tree"));
    }

    #[test]
    fn branches_without_end_are_not_followed_without_end() {
        let deep = format!("{}{}", r#"{"category":"product_family","branches":["#.repeat(40), "]}".repeat(40));
        let text = DOCUMENT
            .replace(r#""branches": [ { "category": "vendor""#, &format!(r#""branches": [ {deep}, {{ "category": "vendor""#));
        assert_eq!(rows(text.as_bytes()).expect("is read").len(), 1);
    }
}
