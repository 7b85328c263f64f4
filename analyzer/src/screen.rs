//! What the screen shows after a replay: what was read and what was not seen, devices by class, checks with their three answers, and what
//! to do.

pub mod device;
pub mod text;

use crate::engine::Report;
use crate::findings::actions::{Action, Directory};
use crate::findings::judge::{Check, Finding, Outcome};
use crate::findings::risk::Verdict;
use crate::inventory::{Inventory, confidence_name};
use crate::signatures::classes::class_words;
use citytap_sensor::counters::Counter;
use citytap_sensor::time::Timestamp;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use text::{WIDTH, wrapped};

/// Actions shown; the rest is counted, and `--out` has them all.
const ACTIONS_SHOWN: usize = 25;

/// The screen of a replay. `damaged` captures were told of already.
pub fn replay(report: &Report, damaged: usize) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = read(&mut text, report, damaged);
    let _ = devices(&mut text, &report.inventory);
    let _ = checks(&mut text, &report.judgement.checks, &report.judgement.findings);
    let rest = "--out DIR writes them all to actions.jsonl";
    if report.actions.is_empty() {
        text.push_str(&wrapped("ACT  ", nothing_found(report)));
    } else {
        let _ = actions(&mut text, &report.actions, &report.inventory, ACTIONS_SHOWN, rest);
    }
    text
}

/// What it means that there is nothing to do: that nothing was looked at must not read as safe.
fn nothing_found(report: &Report) -> &'static str {
    let coverage = &report.coverage;
    if coverage.counters.get(Counter::Packets) == 0 {
        "nothing was tested: no packet was read."
    } else if coverage.records.is_empty() {
        "nothing was tested: no message could be read. That does not mean that it is safe."
    } else if report.judgement.checks.is_empty() {
        "nothing was tested: no check is about what was seen. That does not mean that it is safe."
    } else {
        "nothing was found. What could not be tested stands above."
    }
}

fn read(text: &mut String, report: &Report, damaged: usize) -> std::fmt::Result {
    let coverage = &report.coverage;
    let packets = coverage.counters.get(Counter::Packets);
    let span = coverage.span.map_or_else(String::new, |(first, last)| format!(", {}", span(first, last)));
    let damage = match damaged {
        0 => "none damaged".to_owned(),
        1 => "1 capture damaged".to_owned(),
        n => format!("{n} captures damaged"),
    };
    writeln!(text, "read      {}{span}, {damage}", counted(packets, "packet", "packets"))?;
    let mut unseen = Vec::new();
    let mut say = |count: u64, one: &str, many: &str| {
        if count > 0 {
            unseen.push(counted(count, one, many));
        }
    };
    say(coverage.one_way, "one-way flow", "one-way flows");
    say(coverage.encrypted(), "encrypted flow unread", "encrypted flows unread");
    say(coverage.counters.get(Counter::UndecodedFlows), "flow of an unknown protocol", "flows of unknown protocols");
    let dropped = [Counter::PacketsDroppedByKernel, Counter::PacketsDroppedByInterface, Counter::PacketsDroppedInQueue];
    let dropped = dropped.into_iter().map(|counter| coverage.counters.get(counter)).sum();
    say(dropped, "packet dropped before it was read", "packets dropped before they were read");
    say(coverage.counters.get(Counter::PacketsCut), "packet cut short by the capture", "packets cut short by the capture");
    say(coverage.counters.get(Counter::TcpGapBytes), "byte missing in streams", "bytes missing in streams");
    for (link_type, &packets) in &coverage.undecoded_link_types {
        let one = format!("packet of link type {link_type}, which is not decoded");
        say(packets, &one, &one.replacen("packet", "packets", 1));
    }
    let further = coverage.counters.get(Counter::LinkTypeUnknown) - coverage.undecoded_link_types.values().sum::<u64>();
    say(further, "packet of another link type that is not decoded", "packets of other link types that are not decoded");
    say(coverage.counters.get(Counter::FlowsEvicted), "flow dropped for want of room", "flows dropped for want of room");
    say(coverage.shed.values().sum(), "entry dropped for want of room", "entries dropped for want of room");
    if !unseen.is_empty() {
        text.push_str(&wrapped("not seen  ", &unseen.join(" · ")));
    }
    keys(text, &coverage.keys)
}

/// What the owner's keys did, and what was decrypted.
fn keys(text: &mut String, keys: &BTreeMap<&'static str, u64>) -> std::fmt::Result {
    let count = |name: &str| keys.get(name).copied().unwrap_or(0);
    let (right, wrong, read) = (count("configured_keys_right"), count("configured_keys_wrong"), count("payloads_read"));
    if right + wrong + read == 0 {
        return Ok(());
    }
    let mut parts = vec![format!("{} of your keys in use", grouped(right))];
    if wrong > 0 {
        parts.push(format!("{} of your keys wrong: the devices use others", grouped(wrong)));
    }
    parts.push(format!("{} frames verified", grouped(count("frames_right"))));
    if count("frames_wrong") > 0 {
        parts.push(format!("{} frames that no known key made", grouped(count("frames_wrong"))));
    }
    if read > 0 {
        parts.push(format!("{} payloads decrypted", grouped(read)));
    }
    text.push_str(&wrapped("keys      ", &parts.join(" · ")));
    Ok(())
}

fn devices(text: &mut String, inventory: &Inventory) -> std::fmt::Result {
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut total, mut unclassed, mut provisional) = (0, 0, 0);
    for (class, mentioned_alone) in inventory.classes().iter().zip(inventory.provisional()) {
        if mentioned_alone {
            provisional += 1;
            continue;
        }
        total += 1;
        match class.and_then(class_words) {
            Some((name, _)) => *classes.entry(name).or_insert(0) += 1,
            None => unclassed += 1,
        }
    }
    writeln!(text, "DEVICES {}", grouped(total))?;
    let mut classes: Vec<(usize, &str)> = classes.into_iter().map(|(name, count)| (count, name)).collect();
    classes.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    if unclassed > 0 {
        classes.push((unclassed, "unclassed"));
    }
    wrap(text, classes.iter().map(|(count, name)| format!("{name} {}", grouped(*count as u64))))?;
    if provisional > 0 {
        let silent =
            counted(provisional, "address that was mentioned but never spoke", "addresses that were mentioned but never spoke");
        writeln!(text, "  and {silent}")?;
    }
    Ok(())
}

fn checks(text: &mut String, checks: &[Check], findings: &[Finding]) -> std::fmt::Result {
    let mut by_check: BTreeMap<&str, Vec<&Check>> = BTreeMap::new();
    checks.iter().for_each(|check| by_check.entry(check.spec.title).or_default().push(check));
    if !by_check.is_empty() {
        writeln!(text, "CHECKS")?;
    }
    for (title, checks) in by_check {
        let count = |wanted| checks.iter().filter(|check| check.outcome == wanted).count() as u64;
        let mut parts = Vec::new();
        if count(Outcome::Found) > 0 {
            let sure = findings.iter().filter(|finding| finding.spec.title == title).map(|finding| finding.confidence).max();
            let sure = sure.map_or("", confidence_name);
            parts.push(format!("{} found [{sure}]", grouped(count(Outcome::Found))));
        }
        if count(Outcome::Clear) > 0 {
            parts.push(format!("{} tested and clear", grouped(count(Outcome::Clear))));
        }
        if count(Outcome::Untested) > 0 {
            parts.push(format!("{} could not test ({})", grouped(count(Outcome::Untested)), reasons(&checks)));
        }
        text.push_str(&wrapped("  ", &format!("{title}: {}", parts.join(" · "))));
    }
    Ok(())
}

/// The reasons why devices could not be tested, the most frequent first.
fn reasons(checks: &[&Check]) -> String {
    let mut reasons: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
    for check in checks.iter().filter(|check| check.outcome == Outcome::Untested) {
        *reasons.entry(check.reason()).or_insert(0) += 1;
    }
    let mut reasons: Vec<(Cow<'_, str>, usize)> = reasons.into_iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    match reasons.as_slice() {
        [(only, _)] => only.to_string(),
        many => many.iter().take(3).map(|(reason, count)| format!("{count}: {reason}")).collect::<Vec<_>>().join("; "),
    }
}

/// Actions as lines, with the devices as `devices` knows them: at most `shown` of them, the rest is counted. Nothing where there is none.
pub fn act(actions: &[Action], devices: &dyn Directory, shown: usize, rest: &str) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = self::actions(&mut text, actions, devices, shown, rest);
    text
}

fn actions(text: &mut String, actions: &[Action], devices: &dyn Directory, shown: usize, rest: &str) -> std::fmt::Result {
    for action in actions.iter().take(shown) {
        let (severity, confidence) = (action.severity.name(), confidence_name(action.confidence));
        let verdict = action.verdict.name().to_uppercase();
        let title = action.title(devices);
        let what = format!("{title}  [{severity}, {confidence}, risk {}]", action.risk.score());
        text.push_str(&wrapped(&format!("{verdict:<5}  "), &what));
        // What is only to be watched asks for nothing; `--format json` and the files have its remedy.
        if action.verdict > Verdict::Watch {
            let remedy = action.spec.remedy;
            let (first, _) = remedy.split_once(". ").unwrap_or((remedy.trim_end_matches('.'), ""));
            text.push_str(&wrapped("       do: ", &format!("{first}.")));
        }
    }
    let more = actions.len().saturating_sub(shown);
    if more > 0 {
        writeln!(text, "and {}: {rest}", counted(more, "more action", "more actions"))?;
    }
    Ok(())
}

/// Joins pieces into indented lines of a terminal's width.
fn wrap(text: &mut String, pieces: impl Iterator<Item = String>) -> std::fmt::Result {
    let mut line = String::new();
    for piece in pieces {
        if !line.is_empty() && line.len() + piece.len() + 3 > WIDTH {
            writeln!(text, "  {line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push_str("   ");
        }
        line.push_str(&piece);
    }
    if line.is_empty() { Ok(()) } else { writeln!(text, "  {line}") }
}

/// `06:00–12:12 UTC` within a day, dates where it spans several.
fn span(first: Timestamp, last: Timestamp) -> String {
    let (first, last) = (first.to_string(), last.to_string());
    let day = |stamp: &str| stamp.get(..10).unwrap_or_default().to_owned();
    let minute = |stamp: &str| stamp.get(11..16).unwrap_or_default().to_owned();
    if day(&first) == day(&last) {
        format!("{} {}–{} UTC", day(&first), minute(&first), minute(&last))
    } else {
        format!("{} {} to {} {} UTC", day(&first), minute(&first), day(&last), minute(&last))
    }
}

/// Day and minute of a time, in UTC.
pub fn moment(time: Timestamp) -> String {
    time.to_string().get(..16).unwrap_or_default().replacen('T', " ", 1)
}

/// `1 device`, `2,000 devices`.
pub fn counted(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Digits in groups of three.
pub fn grouped(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
