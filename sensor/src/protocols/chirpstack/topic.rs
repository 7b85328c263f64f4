//! Topics: `[region/]gateway/<EUI>/event/up`, `[region/]gateway/<EUI>/command/down`, `[region/]gateway/<EUI>/state/conn`,
//! `application/<id>/device/<EUI>/event/up`, `application/<id>/device/<EUI>/command/down`, and `application/<id>/device/<EUI>/rx` of early versions 3.

use crate::observation::Eui;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic<'a> {
    Gateway { region: Option<&'a str>, gateway: Eui, what: What, name: &'a str },
    Device { application: &'a str, dev_eui: Eui, what: What, name: &'a str },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Event,
    Command,
    State,
}

impl<'a> Topic<'a> {
    pub(super) fn parse(topic: &'a str) -> Option<Self> {
        let mut segments = topic.split('/').peekable();
        let first = segments.next()?;
        if first == "application" {
            let application = segments.next()?;
            let dev_eui = (segments.next()? == "device").then(|| segments.next()).flatten().and_then(eui)?;
            let next = segments.next()?;
            let (what, name) = match (next, segments.next()) {
                ("event", Some(name)) => (What::Event, name),
                ("command", Some(name)) => (What::Command, name),
                ("rx", None) => (What::Event, "up"),
                ("tx", None) => (What::Command, "down"),
                ("join" | "ack" | "error" | "status" | "location", None) => (What::Event, next),
                _ => return None,
            };
            return segments.next().is_none().then_some(Topic::Device { application, dev_eui, what, name });
        }
        let region = (first != "gateway").then_some(first);
        if region.is_some() && segments.next()? != "gateway" {
            return None;
        }
        let gateway = eui(segments.next()?)?;
        let what = match segments.next()? {
            "event" => What::Event,
            "command" => What::Command,
            "state" => What::State,
            _ => return None,
        };
        let name = segments.next()?;
        segments.next().is_none().then_some(Topic::Gateway { region, gateway, what, name })
    }
}

/// 16 hex digits.
pub(super) fn eui(text: &str) -> Option<Eui> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits { u64::from_str_radix(text, 16).ok().map(Eui) } else { None }
}
