//! SenML in JSON (RFC 8428 §5, LwM2M Core 1.1 §7.4.4) and the JSON of LwM2M 1.0 (LwM2M Core 1.0 §6.4.4).

use super::super::path::Path;
use super::{Malformed, Raw, Sink, joined};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Deserialize;

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    bn: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    v: Option<serde_json::Number>,
    #[serde(default, alias = "sv")]
    vs: Option<String>,
    #[serde(default, alias = "bv")]
    vb: Option<bool>,
    #[serde(default)]
    vd: Option<String>,
    #[serde(default, alias = "ov")]
    vlo: Option<String>,
}

#[derive(Deserialize)]
struct Pack {
    #[serde(default)]
    bn: Option<String>,
    #[serde(default)]
    e: Vec<Entry>,
}

impl Entry {
    fn value<'a>(self) -> Raw<'a> {
        match self {
            Entry { v: Some(number), .. } => match number.as_i64() {
                Some(whole) => Raw::Integer(whole),
                None => Raw::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Entry { vs: Some(text), .. } | Entry { vlo: Some(text), .. } => Raw::Text(text.into()),
            Entry { vb: Some(value), .. } => Raw::Boolean(value),
            Entry { vd: Some(text), .. } => {
                let text = text.trim_end_matches('=');
                let bytes = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text));
                bytes.map_or(Raw::Text(text.to_owned().into()), |bytes| Raw::Opaque(bytes.into()))
            }
            _ => Raw::Nothing,
        }
    }
}

/// An array of entries; a base name holds for those that follow.
pub(super) fn senml(payload: &[u8], sink: &mut Sink<'_, '_>) -> Result<(), Malformed> {
    let entries: Vec<Entry> = serde_json::from_slice(payload).map_err(|_| Malformed)?;
    let mut base = String::new();
    for mut entry in entries {
        if let Some(name) = entry.bn.take() {
            base = name;
        }
        let name = entry.n.take().unwrap_or_default();
        if let Some(path) = joined(&base, &name) {
            sink(path, entry.value());
        }
    }
    Ok(())
}

/// An object with a base name and entries; without the former, names follow the path that was asked for.
pub(super) fn lwm2m(base: Path, payload: &[u8], sink: &mut Sink<'_, '_>) -> Result<(), Malformed> {
    let pack: Pack = serde_json::from_slice(payload).map_err(|_| Malformed)?;
    let asked = base.text();
    let mut prefix = pack.bn.unwrap_or_else(|| asked.as_str().to_owned());
    for mut entry in pack.e {
        let name = entry.n.take().unwrap_or_default();
        if !name.is_empty() && !prefix.ends_with('/') && !name.starts_with('/') {
            prefix.push('/');
        }
        if let Some(path) = joined(&prefix, &name) {
            sink(path, entry.value());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(result: Result<(), Malformed>, found: Vec<String>) -> Result<Vec<String>, Malformed> {
        result.map(|()| found)
    }

    #[test]
    fn senml_of_every_kind() {
        let document = br#"[{"bn":"/3/0/","n":"0","vs":"OMA"},{"n":"9","v":95},{"n":"13","v":1.5},{"n":"5","vb":true},
            {"n":"4","vd":"AQI="},{"n":"22","vlo":"1:0"},{"bn":"/5/0/6"}]"#;
        let mut list = Vec::new();
        let result = senml(document, &mut |path, raw| list.push(format!("{} {raw:?}", path.text().as_str())));
        let expected = [
            "/3/0/0 Text(\"OMA\")",
            "/3/0/9 Integer(95)",
            "/3/0/13 Float(1.5)",
            "/3/0/5 Boolean(true)",
            "/3/0/4 Opaque([1, 2])",
            "/3/0/22 Text(\"1:0\")",
            "/5/0/6 Nothing",
        ];
        assert_eq!(found(result, list).unwrap(), expected);
    }

    #[test]
    fn the_json_of_the_first_version() {
        let mut list = Vec::new();
        let document = br#"{"bn":"/3/0/","e":[{"n":"0","sv":"OMA"},{"n":"6/1","v":5}]}"#;
        let result = lwm2m(Path::ROOT, document, &mut |path, raw| list.push(format!("{} {raw:?}", path.text().as_str())));
        assert_eq!(found(result, list).unwrap(), ["/3/0/0 Text(\"OMA\")", "/3/0/6/1 Integer(5)"]);
        assert!(lwm2m(Path::ROOT, b"{", &mut |_, _| {}).is_err());
    }
}
