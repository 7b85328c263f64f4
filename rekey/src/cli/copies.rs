//! `citytap-rekey copy | restore`: the journal's copies.

use super::host::{Host, JOURNAL};
use super::{Answer, DONE, Stop, now, print};
use crate::config::Config;
use crate::journal::Journal;
use std::path::{Path, PathBuf};

/// Write a consistent copy of the journal, to be kept on another machine. Its secrets stay sealed: keep the sealing key too, elsewhere.
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
        let host = Host::open(config)?;
        if let Some(version) = self.carried {
            host.journal.copied(version).map_err(Stop::file)?;
            print(&format!("The copy up to version {version} is off this machine\n"))?;
        }
        if let Some(out) = &self.out {
            let version = host.journal.copy(out).map_err(Stop::file)?;
            print(&format!(
                "{} goes up to version {version}; once it is on another machine: citytap-rekey copy --carried {version}\n",
                out.display()
            ))?;
        }
        Ok(DONE)
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
