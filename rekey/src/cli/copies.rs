//! `citytap-rekey copy | restore`: the journal's copies.

use super::host::{Host, JOURNAL, open_journal, write};
use super::{Answer, DONE, Stop, now, print};
use crate::config::Config;
use crate::journal::Journal;
use crate::time::{Span, Timestamp};
use std::path::{Path, PathBuf};

/// The file in the copies' folder that says up to which version they were carried away.
const CARRIED: &str = "carried";
/// How often `run` writes a copy while something is under way.
const EVERY: Span = Span::seconds(10);

/// Write a consistent copy of the journal, to be kept on another machine. Its secrets stay sealed: keep the sealing key too, elsewhere.
///
/// With copies = "DIR" below [state], `run` writes DIR/journal.copy and its version every ten seconds, and deliveries and retirements wait until somebody
/// who carried it away says so with --carried.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  citytap-rekey copy --out journal.copy && scp journal.copy standby: && citytap-rekey copy --carried 12"
)]
pub struct Copy {
    /// Where to.
    #[arg(long, value_name = "FILE", required_unless_present = "carried")]
    out: Option<PathBuf>,
    /// Say that the copy up to this version is off this machine.
    #[arg(long, value_name = "VERSION", conflicts_with = "out")]
    carried: Option<u64>,
}

/// Make a journal of a copy. What the world may know better by now is distrusted: open rotations are held, and numbers are not used twice.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  citytap-rekey restore --from journal.copy")]
pub struct Restore {
    /// The copy.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

impl Copy {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        if let Some(version) = self.carried {
            carried(&Config::read(config).map_err(Stop::file)?, version)?;
            print(&format!("The copy up to version {version} is off this machine\n"))?;
        }
        if let Some(out) = &self.out {
            let host = Host::open(config)?;
            let version = host.journal.copy(out).map_err(Stop::file)?;
            print(&format!(
                "{} goes up to version {version}; once it is on another machine: citytap-rekey copy --carried {version}\n",
                out.display()
            ))?;
        }
        Ok(DONE)
    }
}

/// Says that a copy is off this host: to `run` by a file, where copies have a folder, else to the journal itself.
fn carried(config: &Config, version: u64) -> Result<(), Stop> {
    match &config.copies {
        Some(folder) => write(&folder.join(CARRIED), version.to_string().as_bytes()),
        None => open_journal(config)?.1.copied(version).map_err(Stop::file),
    }
}

/// Copies that `run` writes, each named by its version, and what it hears of those that were carried away.
pub struct Copies {
    folder: Option<PathBuf>,
    written: Timestamp,
    known: u64,
}

impl Copies {
    /// Those of a configuration.
    pub fn new(config: &Config) -> Self {
        Self { folder: config.copies.clone(), written: Timestamp(0), known: 0 }
    }

    /// Writes one where it is time, and takes in which was carried away.
    pub fn follow(&mut self, journal: &Journal, is_open: bool, now: Timestamp) -> Result<(), Stop> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let carried = std::fs::read_to_string(folder.join(CARRIED)).ok().and_then(|text| text.trim().parse::<u64>().ok());
        if let Some(version) = carried.filter(|version| *version > self.known) {
            journal.copied(version).map_err(Stop::file)?;
            self.known = version;
        }
        if is_open && now.since(self.written) >= EVERY {
            let new = folder.join("journal.new");
            let version = journal.copy(&new).map_err(Stop::file)?;
            let named = folder.join("journal.copy");
            std::fs::rename(&new, &named).map_err(|error| Stop::file(format!("cannot write {}: {error}", named.display())))?;
            write(&folder.join("version"), version.to_string().as_bytes())?;
            self.written = now;
        }
        Ok(())
    }
}

impl Restore {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let config = Config::read(config).map_err(Stop::file)?;
        Journal::restore(&self.from, &config.folder.join(JOURNAL), now()).map_err(Stop::file)?;
        print(
            "Restored. Open rotations are held: `citytap-rekey status`, then `citytap-rekey continue SLOT` for each that you looked at\n",
        )?;
        Ok(DONE)
    }
}
