//! `citytap-rekey approve`: a person's yes, signed with the person's own key.

use super::host::{keep, kept, read, text_of};
use super::plan::shown;
use super::{Answer, DONE, Stop, now, print};
use crate::config::Config;
use crate::planning::PlanFile;
use crate::policy::Policy;
use crate::policy::approvals::{Counted, Signed, Word, count, sign};
use citytap_signing::Signer;
use std::path::{Path, PathBuf};

/// Say yes to a plan, with your own key. Each person does so for themselves; a cut-over and the retirement of old keys need two.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap-rekey approve plan.json --key ada.pem\n  citytap-rekey approve plan.json --key bo.pem --also retire\n  \
    citytap-rekey approve plan.json --key ada.pem --also cut-over --also retire --out ada.json    on another machine\n  \
    citytap-rekey approve plan.json --add ada.json                                          then here"
)]
pub struct Approve {
    /// The plan.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Your private key.
    #[arg(long, value_name = "KEY", required_unless_present = "add")]
    key: Option<PathBuf>,
    /// Say yes to this as well.
    #[arg(long, value_name = "WHAT", value_enum)]
    also: Vec<Word>,
    /// Write the approval into this file instead of the module's folder.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Take an approval that was made elsewhere.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    add: Option<PathBuf>,
}

/// Where the approvals of a plan lie.
pub fn file(config: &Config, plan: &PlanFile) -> PathBuf {
    config.folder.join(format!("approvals-{}.json", plan.short()))
}

/// Reads a plan.
pub fn plan_of(path: &Path) -> Result<PlanFile, Stop> {
    PlanFile::parse(&path.display().to_string(), &text_of(path)?).map_err(Stop::refused)
}

/// The approvals of a plan that count.
pub fn counted(config: &Config, plan: &PlanFile, policy: &Policy) -> Result<(Counted, Vec<String>), Stop> {
    let signed: Vec<Signed> = kept(&file(config, plan))?;
    let (counted, not) = count(&signed, &plan.hash, policy, now());
    Ok((counted, not.iter().map(ToString::to_string).collect()))
}

impl Approve {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let plan = plan_of(&self.plan)?;
        let signed = match (&self.key, &self.add) {
            (Some(key), _) => {
                let what: Vec<Word> = std::iter::once(Word::Plan).chain(self.also).collect();
                sign(&Signer::read(key).map_err(Stop::file)?, &plan.hash, &what, now())
            }
            (None, Some(file)) => {
                serde_json::from_str(&text_of(file)?).map_err(|_| Stop::refused(format!("{} is no approval", file.display())))?
            }
            (None, None) => return Err(Stop::usage("give your key with --key, or an approval with --add")),
        };
        if let Some(out) = &self.out {
            keep(out, &signed)?;
            print(&format!(
                "Approved {} of plan {}; give {} to whoever carries it out\n",
                words(&signed.what),
                plan.short(),
                out.display()
            ))?;
            return Ok(DONE);
        }
        let (config, policy) = read(config)?;
        let (_, not) = count(std::slice::from_ref(&signed), &plan.hash, &policy, now());
        if let Some(why) = not.first() {
            return Err(Stop::refused(why));
        }
        let path = file(&config, &plan);
        let mut all: Vec<Signed> = kept(&path)?;
        all.push(signed);
        keep(&path, &all)?;
        let (counted, _) = counted(&config, &plan, &policy)?;
        print(&shown(&plan, &policy))?;
        print(&state(&plan, &counted, &policy))?;
        Ok(DONE)
    }
}

/// What is approved by whom, and what is missing.
pub fn state(plan: &PlanFile, counted: &Counted, policy: &Policy) -> String {
    let mut text = String::new();
    let risky = plan.items.iter().any(|item| item.plan.may_lock_out());
    let asked = [Word::Plan, Word::CutOver, Word::Retire].into_iter().filter(|word| *word != Word::CutOver || risky);
    for word in asked {
        let people = counted.to(word).iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let people = if people.is_empty() { "nobody".into() } else { people };
        let missing = match counted.missing(word, policy) {
            0 => "that is enough".to_owned(),
            missing => format!("{missing} more needed"),
        };
        text.push_str(&format!("  {}: approved by {people}; {missing}\n", word.name()));
    }
    text
}

fn words(what: &[Word]) -> String {
    what.iter().map(|word| word.name()).collect::<Vec<_>>().join(", ")
}
