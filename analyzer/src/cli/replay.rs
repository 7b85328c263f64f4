//! `citytap replay`: captures in, an inventory with findings out.

use super::{DONE, FAILED, Failure, UNREADABLE, USAGE};
use crate::engine::{self, Report, Setup};
use crate::expect::Expectations;
use crate::export::run_folder;
use crate::findings::Severity;
use crate::screen;
use citytap_sensor::capture::{CaptureInfo, CaptureSource, Merge, digest_file};
use citytap_sensor::pipeline::SensorConfig;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Read captures and print devices, checks and what to do.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap replay monday.pcap tuesday.pcap.gz\n  citytap replay fixture.pcap --expect fixture.toml --fail-on high\n  \
    citytap replay capture.pcapng --out results --threads 2"
)]
pub struct Replay {
    /// Capture files, pcap or pcapng, plain, gzip or zstd; - for standard input. Several are merged by time.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// Write devices.jsonl, findings.jsonl, actions.jsonl, checks.jsonl, coverage.json and manifest.json into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// What to print: a table for people, or one JSON object.
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    format: String,
    /// Tell on standard error how long each stage took.
    #[arg(long)]
    timings: bool,
    /// Name of the site; part of every device's id.
    #[arg(long, value_name = "NAME", default_value = "city")]
    site: String,
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::ALL
        .into_iter()
        .find(|severity| severity.name() == text)
        .ok_or_else(|| "severities are info, low, medium, high and critical".into())
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
        let digests = self.out.is_some().then(|| digests(&self.captures));
        let mut source = Merge::open(&self.captures, Default::default());
        let setup = Setup { threads: self.threads, site: self.site.clone(), sensor: SensorConfig::default() };
        let report = engine::replay(&mut source, &setup)?;
        let digests = digests.map(|thread| thread.join().unwrap_or_default());
        let captures = source.describe();
        for damage in source.damage() {
            eprintln!("citytap: {}", damage.error);
        }
        if captures.iter().all(|capture| capture.packets == 0) && !source.damage().is_empty() {
            return Ok(UNREADABLE);
        }
        if self.timings {
            report.stages.iter().for_each(|(stage, took)| eprintln!("{:>10.3} s  {stage}", took.as_secs_f64()));
        }
        self.print(&report, &captures, source.damage().len())?;
        if let Some(folder) = &self.out {
            run_folder::write(folder, &report, &captures, &digests.unwrap_or_default(), &self.site)?;
        }
        if let Some(path) = &self.write_expect {
            write_new(path, &Expectations::of(&report).to_text())?;
        }
        Ok(self.verdict(&report, expectations))
    }

    fn print(&self, report: &Report, captures: &[CaptureInfo], damaged: usize) -> Result<(), Failure> {
        let text = if self.format == "json" {
            run_folder::as_one_object(report, captures, &self.site)
        } else {
            screen::replay(report, damaged)
        };
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(format!("cannot write to standard output: {error}").into())
            }
            _ => Ok(()),
        }
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
                eprintln!("citytap: {beyond} findings of severity {} or above (--fail-on).", limit.name());
                failed = true;
            }
        }
        if failed { FAILED } else { DONE }
    }
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
