//! The page of one device, and devices as a table.

use super::text::{Columns, plain, wrapped};
use super::{counted, grouped, moment};
use crate::checks;
use crate::findings::actions::name_device;
use crate::findings::judge::Outcome;
use crate::findings::risk::Risk;
use crate::inventory::{AttributeSeen, Device, DeviceId, Name, Sighting, role_name};
use crate::register;
use crate::signatures::clauses;
use crate::store::Contents;
use citytap_sensor::observation::Role;
use citytap_sensor::time::Timestamp;
use std::borrow::Cow;

/// Peers, objects and the like shown on a page; the rest is counted, and JSON has them all.
const SHOWN: usize = 12;

/// Devices as rows, in the order given.
pub fn table<'a>(devices: impl IntoIterator<Item = &'a Device>) -> String {
    let mut columns = Columns::new(&["ID", "CLASS", "NAME", "MAKER AND PRODUCT", "LAST SEEN"]);
    devices.into_iter().for_each(|device| columns.row(cells(device)));
    columns.to_text()
}

/// Devices with their risks as rows, in the order given.
pub fn weighed(devices: &[(Cow<'_, Device>, Risk)]) -> String {
    let mut columns = Columns::new(&["RISK", "ID", "CLASS", "NAME", "MAKER AND PRODUCT", "LAST SEEN"]);
    for (device, risk) in devices {
        let verdict = if risk.gravest.is_some() { risk.verdict().name() } else { "" };
        columns.row(std::iter::once(format!("{:>3} {verdict}", risk.score())).chain(cells(device)));
    }
    columns.to_text()
}

fn cells(device: &Device) -> [String; 5] {
    let class = device.class.as_ref().map_or("-", |class| class.name.as_str());
    let product = device.product.as_deref().or(device.model.as_deref());
    let vendor = device.vendor.as_deref().filter(|vendor| !product.is_some_and(|product| product.starts_with(vendor)));
    let made = [vendor, product].into_iter().flatten().collect::<Vec<_>>().join(" ");
    [device.id.to_string(), class.to_owned(), called(device), made, moment(device.last_seen)]
}

/// The name that people know a device by: a given one, an EUI and the like as it stands, an address, or what it is called at a server.
pub fn called(device: &Device) -> String {
    let founding = device.identities.first();
    let everywhere = founding.filter(|name| name.at.is_none() && name.kind != "mac").map(|name| name.value.clone());
    let address = device.identities.iter().find(|name| name.kind == "ip").map(|name| name.value.clone());
    // A number says nothing without its server.
    let is_number = |name: &Name| name.value.bytes().all(|byte| byte.is_ascii_digit());
    let otherwise = founding.map(|name| if name.at.is_some() && is_number(name) { name.to_string() } else { name.value.clone() });
    device.name.clone().or(everywhere).or(address).or(otherwise).unwrap_or_else(|| "-".into())
}

/// All that is known of a device, for reading.
pub fn page(device: &Device, contents: &Contents) -> String {
    let Some((device, risk)) = contents.shown(std::iter::once(device)).pop() else { return String::new() };
    let device = &*device;
    let mut page = Page { text: String::new(), contents };
    page.head(device);
    page.risk(risk);
    page.names(device);
    page.attributes(device);
    page.where_it_is(device);
    page.security(device);
    page.checks(device.id);
    page.findings(device.id);
    page.sources(device);
    page.text
}

struct Page<'a> {
    text: String,
    contents: &'a Contents,
}

impl Page<'_> {
    fn line(&mut self, first: &str, text: &str) {
        self.text.push_str(&wrapped(first, text));
    }

    fn section(&mut self, title: &str) {
        self.text.push('\n');
        self.text.push_str(title);
        self.text.push('\n');
    }

    /// Rows in columns, indented; what is beyond [`SHOWN`] is counted.
    fn rows(&mut self, rows: Vec<Vec<String>>) {
        let more = rows.len().saturating_sub(SHOWN);
        let wide = |column: usize| {
            rows.iter().take(SHOWN).filter_map(|row| row.get(column)).map(|cell| cell.chars().count().min(44)).max()
        };
        let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(|column| wide(column).unwrap_or(0)).collect();
        for row in rows.into_iter().take(SHOWN) {
            let last = row.len().saturating_sub(1);
            let (cells, rest) = row.split_at_checked(last).unwrap_or((&row, &[]));
            let mut first = "  ".to_owned();
            for (cell, width) in cells.iter().zip(&widths) {
                first.push_str(&format!("{:<width$}  ", plain(cell)));
            }
            self.line(&first, &rest.concat());
        }
        if more > 0 {
            self.line("  ", &format!("and {} more; --format json has them all", grouped(more as u64)));
        }
    }

    fn head(&mut self, device: &Device) {
        self.line("", &name_device(device));
        self.line("  id      ", &device.id.to_string());
        if !device.aliases.is_empty() {
            let aliases: Vec<String> = device.aliases.iter().take(SHOWN).map(ToString::to_string).collect();
            self.line("  also    ", &aliases.join(" "));
        }
        self.line("  site    ", &device.site);
        self.line("  seen    ", &format!("{} to {}", moment(device.first_seen), moment(device.last_seen)));
        let messages = counted(device.messages, "message", "messages");
        let packets = counted(device.packets, "packet", "packets");
        let bytes = counted(device.bytes, "byte", "bytes");
        let counts = format!("{messages}; {packets} and {bytes} from and to its addresses");
        self.line("  traffic ", &counts);
        if device.provisional {
            self.line("  note    ", "mentioned by others; it neither answered nor showed itself in a protocol");
        }
        if device.roles.iter().any(|seen| seen.role == role_name(Role::AnswersAnyName)) {
            self.line("  note    ", "it answers under any number that it is asked for: its many names are one device");
        }
        match &device.class {
            Some(class) => {
                self.line("  class   ", &format!("{} ({} of 100 points)", class.name, class.score));
                for reason in &class.reasons {
                    self.line("          because ", reason);
                }
            }
            None => self.line("  class   ", "not known: what was seen does not suffice"),
        }
    }

    fn risk(&mut self, risk: Risk) {
        self.section("RISK");
        let verdict = match risk.gravest {
            Some(_) => risk.verdict().name(),
            None => "watch: nothing was found; what could not be tested stands below",
        };
        self.line("  ", &format!("{} of 100, {verdict}", risk.score()));
        for term in risk.terms() {
            self.line(&format!("  {:>+4}  {:<16}", term.points, term.term.replace('_', " ")), &term.because);
        }
    }

    fn names(&mut self, device: &Device) {
        self.section("NAMES");
        let rows = device.identities.iter().map(|name| vec![name.to_string(), name.presence.clone(), self.when(&name.seen)]);
        let rows = rows.collect();
        self.rows(rows);
    }

    fn attributes(&mut self, device: &Device) {
        if device.attributes.is_empty() {
            return;
        }
        self.section("WHAT IS KNOWN, AND FROM WHERE");
        let row = |attribute: &AttributeSeen| {
            if register::is_entered(attribute) {
                let source = format!("entered by a person: {}", attribute.source);
                return vec![attribute.name.clone(), attribute.value.clone(), source];
            }
            let by = attribute.by.as_ref().map(|by| format!(", {by}")).unwrap_or_default();
            let source = format!("[{}] {}{by}; {}", attribute.confidence, attribute.source, self.when(&attribute.seen));
            let name = if attribute.current { attribute.name.clone() } else { format!("  also {}", attribute.name) };
            vec![name, attribute.value.clone(), source]
        };
        let rows = device.attributes.iter().map(row).collect();
        self.rows(rows);
    }

    fn where_it_is(&mut self, device: &Device) {
        if !device.roles.is_empty() || !device.services.is_empty() {
            self.section("WHAT IT DOES");
            let roles = device.roles.iter().map(|role| vec!["role".to_owned(), role.role.clone(), self.when(&role.seen)]);
            let service = |service: &crate::inventory::ServiceSeen| {
                let port = service.port.map(|port| format!(" on port {port}")).unwrap_or_default();
                let protected = if service.protected { ", protected" } else { "" };
                vec!["serves".to_owned(), format!("{}{port}{protected}", service.protocol), self.when(&service.seen)]
            };
            let rows = roles.chain(device.services.iter().map(service)).collect();
            self.rows(rows);
        }
        if !device.via.is_empty() || !device.vlans.is_empty() {
            self.section("REACHED THROUGH");
            let via = device.via.iter().map(|via| vec![self.who(via.device, &via.via), self.when(&via.seen)]);
            let vlans = device.vlans.iter().map(|vlan| vec![format!("VLAN {vlan}"), String::new()]);
            let rows = via.chain(vlans).collect();
            self.rows(rows);
        }
        if !device.peers.is_empty() {
            self.section("TALKS WITH");
            let mut peers: Vec<_> = device.peers.iter().collect();
            peers.sort_by_key(|peer| std::cmp::Reverse(peer.seen.count));
            let side = |side: &str| if side == "client" { "asks" } else { "answers" };
            let row = |peer: &&crate::inventory::PeerSeen| {
                vec![peer.protocol.clone(), side(&peer.side).to_owned(), self.who(peer.device, &peer.peer), self.when(&peer.seen)]
            };
            let rows = peers.iter().map(row).collect();
            self.rows(rows);
        }
        if !device.objects.is_empty() {
            self.section("OBJECTS");
            let rows =
                device.objects.iter().map(|object| vec![object.kind.clone(), object.name.clone(), self.when(&object.seen)]);
            let rows = rows.collect();
            self.rows(rows);
        }
        if !device.refused_links.is_empty() {
            self.section("NOT TAKEN FOR ONE DEVICE WITH");
            let row =
                |link: &crate::inventory::RefusedLink| vec![link.other.clone(), format!("{} ({})", link.reason, link.basis)];
            self.rows(device.refused_links.iter().map(row).collect());
        }
    }

    fn security(&mut self, device: &Device) {
        if device.security.is_empty() && device.certificates.is_empty() {
            return;
        }
        self.section("PROTECTION");
        let stated = device.security.iter().map(|seen| vec![seen.aspect.clone(), seen.value.clone(), self.when(&seen.seen)]);
        let certificate = |seen: &crate::inventory::CertificateSeen| {
            let day = |seconds: i64| moment(Timestamp::from_parts(u64::try_from(seconds).unwrap_or_default(), 0));
            let valid = format!("by {}, valid {} to {}", seen.issuer, day(seen.not_before), day(seen.not_after));
            vec!["certificate".to_owned(), seen.subject.clone(), valid]
        };
        let rows = stated.chain(device.certificates.iter().map(certificate)).collect();
        self.rows(rows);
    }

    fn checks(&mut self, device: DeviceId) {
        self.section("CHECKS");
        let mut answers: Vec<_> = self.contents.checks_of(device).collect();
        answers.sort_by_key(|check| std::cmp::Reverse(check.outcome));
        if answers.is_empty() {
            self.line(
                "  ",
                "none was asked: nothing that it showed is what a check is about, which does not mean that it is safe",
            );
        }
        for check in answers {
            let title = checks::by_id(&check.check).map_or(&*check.check, |spec| spec.title);
            let outcome = match check.outcome {
                Outcome::Found => "found",
                Outcome::Clear => "tested and clear",
                Outcome::Untested => "could not test",
            };
            let before =
                self.contents.findings.values().filter(|finding| finding.device == device && finding.check == check.check);
            let until = before.filter_map(|finding| finding.last_seen).max().filter(|_| check.outcome == Outcome::Clear);
            let until = until.map(|until| format!(" (found before, last {})", moment(until))).unwrap_or_default();
            self.line(&format!("  {outcome:<16}  "), &format!("{title}: {}{until}", check.reason));
        }
    }

    fn findings(&mut self, device: DeviceId) {
        let contents = self.contents;
        let mut open: Vec<_> = contents.open_findings();
        open.retain(|finding| finding.device == device);
        if open.is_empty() {
            return;
        }
        self.section("FINDINGS");
        for finding in open {
            let mark = format!("  [{}, {}]  ", finding.severity.name(), finding.confidence);
            self.line(&mark, &finding.message);
            self.line("    why   ", &finding.why);
            self.line("    do    ", &finding.remedy);
            let times = if finding.count == 1 { "once".to_owned() } else { format!("{} times", grouped(finding.count)) };
            let places = finding.evidence.iter().map(|place| {
                let of = place.run.filter(|_| contents.runs.len() > 1).map(|run| format!(" of run {run}")).unwrap_or_default();
                format!("frame {}{of} ({}, {})", place.frame, moment(place.time), place.field)
            });
            self.line("    seen  ", &format!("{times}: {}", places.collect::<Vec<_>>().join("; ")));
            if !finding.references.is_empty() {
                self.line("    see   ", &finding.references.join("; "));
            }
            clauses::of(&finding.check).lines().iter().for_each(|clause| self.line("    clause  ", clause));
        }
    }

    /// What the frame numbers count in.
    fn sources(&mut self, device: &Device) {
        self.section("SOURCES");
        let during =
            |run: &&crate::store::Run| run.first_packet <= Some(device.last_seen) && Some(device.first_seen) <= run.last_packet;
        let contents = self.contents;
        for run in contents.runs.values().filter(during) {
            let span =
                run.first_packet.zip(run.last_packet).map(|(first, last)| format!(", {} to {}", moment(first), moment(last)));
            self.line("  ", &format!("run {}: {}{}", run.number, run.names(), span.unwrap_or_default()));
        }
    }

    fn who(&self, device: Option<DeviceId>, name: &str) -> String {
        match device.and_then(|id| self.contents.devices.get(&id)) {
            Some(device) => format!("{} ({})", name_device(device), device.id),
            None => name.to_owned(),
        }
    }

    fn when(&self, seen: &Sighting) -> String {
        let runs = self.contents.runs_at(seen.first_seen);
        let of = match runs.as_slice() {
            _ if self.contents.runs.len() == 1 => String::new(),
            [run] => format!(" of run {}", run.number),
            _ => format!(" at {}", moment(seen.first_seen)),
        };
        let first = format!("frame {}{of}", seen.first_frame);
        match seen.count {
            0 | 1 => first,
            count => format!("{first}, {} times, last {}", grouped(count), moment(seen.last_seen)),
        }
    }
}
