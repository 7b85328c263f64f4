//! What the outputs can say: every protocol with its record kinds, fields, anomalies, identity kinds and bounds, and every check. It is
//! read from the declarations that decoders and rules use, so it cannot be out of date.

use crate::checks;
use crate::detectors::parameters;
use crate::findings::CheckSpec;
use crate::findings::risk::{POINTS, VERDICTS};
use crate::policy::Parameter;
use crate::rules::{CONTEXT, findings};
use crate::screen::text::wrapped;
use crate::signatures::clauses;
use citytap_sensor::observation::record::{FieldSpec, FieldType, RecordKind};
use citytap_sensor::observation::{AnomalyCode, IdentityKind};
use citytap_sensor::protocols::{Bound, DECODERS, DecoderSpec};
use serde_json::{Value, json};

/// As JSON: of all protocols, or of those named.
pub fn json(protocols: &[String]) -> Value {
    let mut schema = json!({
        "schema_version": super::run_folder::SCHEMA_VERSION,
        "version": env!("CARGO_PKG_VERSION"),
        "protocols": wanted(protocols).map(protocol).collect::<Vec<_>>(),
    });
    if let (true, Some(schema)) = (protocols.is_empty(), schema.as_object_mut()) {
        schema.insert("context".into(), CONTEXT.iter().map(|(_, field)| self::field(field)).collect());
        schema.insert("findings".into(), record(&findings::KIND));
        schema.insert("checks".into(), checks::all().map(check).collect());
        schema.insert("numbers".into(), parameters().map(number).collect());
        schema.insert("risk".into(), risk());
    }
    schema
}

/// As text for reading.
pub fn text(protocols: &[String]) -> String {
    let mut text = String::new();
    for spec in wanted(protocols) {
        one_protocol(&mut text, spec);
    }
    if protocols.is_empty() {
        text.push_str("AROUND EVERY MESSAGE: what rules may name beside its fields\n");
        CONTEXT.iter().for_each(|(_, field)| one_field(&mut text, "  ", field));
        text.push_str("FINDINGS: what rules of the service citytap may name\n");
        findings::KIND.fields.iter().for_each(|field| one_field(&mut text, "  citytap.", field));
        text.push_str("CHECKS\n");
        for check in checks::all() {
            text.push_str(&wrapped("  ", &format!("{}: {}", check.id, check.title)));
            for (first, line) in [("      found  ", check.finding), ("      do     ", check.remedy), ("      why    ", check.why)]
            {
                text.push_str(&wrapped(first, line));
            }
            text.push_str(&wrapped("      see    ", &check.references.join("; ")));
            clauses::of(check.id).lines().iter().for_each(|clause| text.push_str(&wrapped("      clause ", clause)));
        }
        text.push_str("RISK: from 0 to 100, the sum of\n");
        for points in POINTS.iter() {
            text.push_str(&wrapped(&format!("  {:<16}  {:>+4}  ", points.term, points.points), &points.when));
        }
        text.push_str(&wrapped("  ", VERDICTS));
    }
    text
}

fn wanted(protocols: &[String]) -> impl Iterator<Item = &'static DecoderSpec> {
    DECODERS.iter().copied().filter(move |spec| protocols.is_empty() || protocols.iter().any(|name| name == spec.name))
}

fn one_protocol(text: &mut String, spec: &DecoderSpec) {
    text.push_str(&wrapped("", &format!("{}: {}", spec.name, spec.title)));
    text.push_str(&wrapped("  follows  ", &spec.documents.join("; ")));
    for record in spec.records {
        text.push_str(&wrapped("  ", &format!("{}: {}", record.name, record.doc)));
        for field in record.fields {
            one_field(text, "    ", field);
        }
    }
    for (title, lines) in [
        ("identities", spec.identities.iter().map(|kind| (kind.name, kind.doc.to_owned())).collect::<Vec<_>>()),
        ("anomalies", spec.anomalies.iter().map(|code| (code.name, code.doc.to_owned())).collect()),
        ("bounds", spec.bounds.iter().map(|bound| (bound.name, format!("{}: {}", bound.value, bound.reason))).collect()),
    ] {
        if !lines.is_empty() {
            text.push_str(&format!("  {title}\n"));
        }
        for (name, doc) in lines {
            text.push_str(&wrapped(&format!("    {name:<28}  "), &doc));
        }
    }
    text.push('\n');
}

fn one_field(text: &mut String, indent: &str, field: &FieldSpec) {
    let first = format!("{indent}{:<28}  {:<8}  ", field.name, field.ty.name());
    text.push_str(&wrapped(&first, field.doc));
    if let FieldType::Parts(parts) = field.ty {
        let indent = format!("{indent}  ");
        parts.iter().for_each(|part| one_field(text, &indent, part));
    }
}

fn protocol(spec: &'static DecoderSpec) -> Value {
    json!({
        "name": spec.name,
        "title": spec.title,
        "documents": spec.documents,
        "records": spec.records.iter().map(|kind| record(kind)).collect::<Vec<_>>(),
        "identities": spec.identities.iter().map(|kind| identity(kind)).collect::<Vec<_>>(),
        "anomalies": spec.anomalies.iter().map(|code| anomaly(code)).collect::<Vec<_>>(),
        "bounds": spec.bounds.iter().map(bound).collect::<Vec<_>>(),
        "largest_message": spec.max_message,
    })
}

fn number(number: &Parameter) -> Value {
    let Parameter { check, name, doc, shipped, range } = number;
    json!({ "check": check, "name": name, "doc": doc, "shipped": shipped, "least": range.start(), "most": range.end() })
}

fn record(kind: &RecordKind) -> Value {
    json!({ "name": kind.name, "doc": kind.doc, "fields": kind.fields.iter().map(field).collect::<Vec<_>>() })
}

fn field(field: &FieldSpec) -> Value {
    let mut value = json!({ "name": field.name, "type": field.ty.name(), "doc": field.doc });
    if let (FieldType::Parts(parts), Some(value)) = (field.ty, value.as_object_mut()) {
        value.insert("fields".into(), parts.iter().map(self::field).collect());
    }
    value
}

fn identity(kind: &IdentityKind) -> Value {
    let name = |variant: String| variant.to_lowercase();
    json!({
        "name": kind.name,
        "doc": kind.doc,
        "scope": name(format!("{:?}", kind.scope)),
        "strength": name(format!("{:?}", kind.strength)),
        "lifetime": name(format!("{:?}", kind.lifetime)),
    })
}

fn anomaly(code: &AnomalyCode) -> Value {
    json!({ "name": code.name, "doc": code.doc })
}

fn bound(bound: &Bound) -> Value {
    json!({ "name": bound.name, "value": bound.value, "reason": bound.reason })
}

fn risk() -> Value {
    json!({ "points": *POINTS, "verdicts": VERDICTS })
}

fn check(check: &CheckSpec) -> Value {
    json!({
        "id": check.id,
        "title": check.title,
        "finding": check.finding,
        "remedy": check.remedy,
        "why": check.why,
        "references": check.references,
        "clauses": clauses::of(check.id),
    })
}
