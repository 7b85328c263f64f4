//! `citytap replay`: captures in, an inventory with findings out.

use super::advisories::OwnAdvisories;
use super::config::Configured;
use super::out::{print, tell_damage};
use super::progress::Progress;
use super::rules::OwnRules;
use super::{DONE, FAILED, Failure, UNREADABLE, USAGE, severity};
use crate::config::{Config, Flags, Layer, SITE};
use crate::engine::{self, Report, Setup};
use crate::expect::Expectations;
use crate::export::run_folder;
use crate::findings::Severity;
use crate::screen::{self, counted};
use crate::store::{Added, City, Run, StoreError};
use citytap_sensor::capture::{CaptureInfo, CaptureSource, Merge, ReadOptions, digest_file};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Read captures and print devices, checks and what to do.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap replay monday.pcap tuesday.pcap.gz\n  citytap replay fixture.pcap --expect fixture.toml --fail-on high\n  \
    citytap replay capture.pcapng --out results --threads 2\n  citytap replay monday.pcap --store city && citytap devices --store city\n  \
    citytap replay monday.pcap --config citytap.toml"
)]
pub struct Replay {
    /// Capture files, pcap or pcapng, plain, gzip or zstd; - for standard input. Several are merged by time.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// Write devices.jsonl, findings.jsonl, actions.jsonl, alerts.jsonl, checks.jsonl, coverage.json and manifest.json into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Add what is found to this store; it is made if need be. A capture that was added before is passed over.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// With --store: judge a capture again that was added before, without counting its packets twice.
    #[arg(long, requires = "store")]
    again: bool,
    /// Tell what deviates from this baseline, at once: a file that citytap baseline export wrote.
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    baseline: Option<PathBuf>,
    /// Compare with a file of expectations; see --write-expect.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Write the present result as a first file of expectations.
    #[arg(long, value_name = "FILE")]
    write_expect: Option<PathBuf>,
    /// Exit with code 1 if a finding of this severity or above is found: info, low, medium, high, critical.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    fail_on: Option<Severity>,
    /// Threads to use; the result is the same for any number.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::threads)]
    threads: usize,
    /// What to print: a table for people, or one JSON object.
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    format: String,
    /// Tell on standard error how long each stage took.
    #[arg(long)]
    timings: bool,
    /// Name of the site; part of every device's id. Without it: the configuration's, the store's, or city.
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
    #[command(flatten)]
    own_advisories: OwnAdvisories,
    #[command(flatten)]
    own_rules: OwnRules,
    #[command(flatten)]
    configured: Configured,
}

impl Replay {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let expectations = match &self.expect {
            Some(path) => match Expectations::load(path) {
                Ok(expectations) => Some(expectations),
                Err(error) => {
                    eprintln!("citytap: {error}");
                    return Ok(USAGE);
                }
            },
            None => None,
        };
        let mut config = match self.configured.load(&Flags { site: self.site.clone() }) {
            Ok(config) => config,
            Err(code) => return Ok(code),
        };
        self.own_advisories.load()?;
        let rules = self.own_rules.load()?;
        let policy = match config.policy(&rules) {
            Ok(policy) => policy,
            Err(problems) => return Ok(super::config::refuse(&problems)),
        };
        let mut city = match &self.store {
            Some(path) => Some(open(path, &config)?),
            None => None,
        };
        if let Some(city) = &city {
            config.set_site_of_store(&city.about().site);
        }
        let site = config.site.value.clone();
        let digest_key = match &mut city {
            Some(city) => city.digest_key()?,
            None => None,
        };
        if let Some(city) = &city {
            tell_damage(city);
            if let Some(code) = self.known_before(city) {
                return Ok(code);
            }
        }
        let digests = (self.out.is_some() || self.store.is_some()).then(|| digests(&self.captures));
        // Standard input cannot be read a second time, so its digest is made while it is read.
        let digest = self.captures.iter().any(|capture| capture.as_os_str() == "-");
        let mut source = Progress::new(Merge::open(&self.captures, ReadOptions { digest, ..ReadOptions::default() }));
        let baseline = match (&self.baseline, &city) {
            (Some(path), _) => Some(Arc::new(super::baseline::read(path)?)),
            (None, city) => city.as_ref().map(|city| city.contents().baseline.clone()),
        };
        let setup = Setup { threads: self.threads, config, digest_key, rules, policy, baseline, ..Setup::default() };
        let report = engine::replay(&mut source, &setup);
        let source = source.into_inner();
        let report = report?;
        let digests = digests.map(|thread| thread.join().unwrap_or_default());
        let captures = source.describe();
        let mut digests = digests.unwrap_or_default();
        digests.resize(captures.len(), None);
        for (digest, capture) in digests.iter_mut().zip(&captures) {
            *digest = digest.take().or(capture.digest.map(|digest| digest.to_string()));
        }
        for damage in source.damage() {
            eprintln!("citytap: {}", damage.error);
        }
        if captures.iter().all(|capture| capture.packets == 0) && !source.damage().is_empty() {
            return Ok(UNREADABLE);
        }
        if self.timings {
            report.stages.iter().for_each(|(stage, took)| eprintln!("{:>10.3} s  {stage}", took.as_secs_f64()));
        }
        let added = match &mut city {
            Some(city) => self.add(city, &report, &captures, &digests, &site)?,
            None => None,
        };
        self.print(&report, &captures, source.damage().len(), added, &site)?;
        if let Some(folder) = &self.out {
            run_folder::write(folder, &report, &captures, &digests, &site)?;
        }
        if let Some(path) = &self.write_expect {
            write_new(path, &Expectations::of(&report).to_text())?;
        }
        let code = self.verdict(&report, expectations);
        // The process ends here: taking a city's hundred thousand devices apart first would only cost time.
        std::mem::forget(report);
        Ok(code)
    }

    /// Where captures are in the store already and are not to be judged again: tells so, and with which code to end. Captures that were
    /// counted and captures that were not are never one run, since the counts of the one add up and those of the other do not.
    fn known_before(&self, city: &City) -> Option<u8> {
        if city.contents().runs.is_empty() {
            return None;
        }
        let digest = |path: &PathBuf| digest_file(path).ok().filter(|_| path.as_os_str() != "-").map(|digest| digest.to_string());
        let runs = self.captures.iter().map(|path| (path, digest(path).and_then(|digest| city.contents().run_of(&digest))));
        let (known, new): (Vec<_>, Vec<_>) = runs.partition(|(_, run)| run.is_some());
        if known.is_empty() || (self.again && new.is_empty()) {
            return None;
        }
        for (path, run) in &known {
            let run = run.map_or(0, |run| run.number);
            eprintln!(
                "citytap: {} is in the store already (run {run}); nothing was added. --again judges it again.",
                path.display()
            );
        }
        if new.is_empty() {
            return Some(DONE);
        }
        let new: Vec<String> = new.iter().map(|(path, _)| path.display().to_string()).collect();
        eprintln!("citytap: leave it out to add the others: {}", new.join(" "));
        Some(USAGE)
    }

    fn add(
        &self,
        city: &mut City,
        report: &Report,
        captures: &[CaptureInfo],
        digests: &[Option<String>],
        site: &str,
    ) -> Result<Option<Added>, Failure> {
        let before = |digest: &String| city.contents().run_of(digest);
        let counted_before = digests.iter().flatten().any(|digest| before(digest).is_some());
        if let (Some(run), false) = (digests.iter().flatten().find_map(before), self.again) {
            eprintln!(
                "citytap: what was read is in the store already (run {}); nothing was added. --again judges it again.",
                run.number
            );
            return Ok(None);
        }
        let run = Run::new(report, captures, digests, site, self.again && counted_before);
        Ok(Some(city.add(report, run)?))
    }

    fn print(
        &self,
        report: &Report,
        captures: &[CaptureInfo],
        damaged: usize,
        added: Option<Added>,
        site: &str,
    ) -> Result<(), Failure> {
        if self.format == "json" {
            return print(&run_folder::as_one_object(report, captures, site));
        }
        let mut text = screen::replay(report, damaged);
        if let (Some(added), Some(path)) = (added, &self.store) {
            text.push_str(&stored(path, &added));
        }
        print(&text)
    }

    fn verdict(&self, report: &Report, expectations: Option<Expectations>) -> u8 {
        let mut failed = false;
        if let Some(expectations) = expectations {
            for failure in expectations.check(report) {
                eprintln!("citytap: {failure}");
                failed = true;
            }
        }
        if let Some(limit) = self.fail_on {
            let beyond = report.judgement.findings.iter().filter(|finding| finding.severity >= limit).count();
            if beyond > 0 {
                let beyond = counted(beyond, "finding", "findings");
                eprintln!("citytap: {beyond} of severity {} or above (--fail-on).", limit.name());
                failed = true;
            }
        }
        if failed { FAILED } else { DONE }
    }
}

/// Opens the store to add to. A site that the configuration file names is refused where it is not the store's, and told by its line.
fn open(path: &Path, config: &Config) -> Result<City, Failure> {
    City::open_or_make(path, config.said_site(), SITE).map_err(|error| match (&error, &config.site.layer) {
        (StoreError::Site { path, is, wanted }, place @ Layer::File { .. }) => format!(
            "{place}: the site is '{wanted}', and the store {} is about the site '{is}'; change the name, or use a store of that site",
            path.display()
        )
        .into(),
        _ => error.into(),
    })
}

/// Digests are computed beside the replay, not in its way. Standard input has none.
fn digests(captures: &[PathBuf]) -> std::thread::JoinHandle<Vec<Option<String>>> {
    let captures = captures.to_vec();
    std::thread::spawn(move || {
        let digest = |path: &PathBuf| digest_file(path).ok().map(|digest| digest.to_string());
        captures.iter().map(digest).collect()
    })
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

/// What adding to a store did.
fn stored(path: &Path, added: &Added) -> String {
    let mut parts = vec![
        format!("{} new and {} known before", counted(added.new_devices, "device", "devices"), added.known_devices),
        format!("{} new and {} known before", counted(added.new_findings, "finding", "findings"), added.known_findings),
    ];
    if added.joined_devices > 0 {
        parts.push(format!("{} turned out to be part of another", counted(added.joined_devices, "device", "devices")));
    }
    if added.cleared_findings > 0 {
        parts.push(format!("{} found clear now", counted(added.cleared_findings, "finding", "findings")));
    }
    if added.dropped > 0 {
        parts.push(format!("{} dropped for want of room", counted(added.dropped, "entry", "entries")));
    }
    let mut text = screen::text::wrapped("stored    ", &format!("run {} in {}: {}", added.run, path.display(), parts.join("; ")));
    text.push_str(&screen::text::wrapped("          ", &format!("next: citytap devices --store {}", path.display())));
    text
}
