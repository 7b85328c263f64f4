//! Who said yes to what: signed by each person's own key, over the plan's hash, so that a plan that changed is approved by nobody.

use super::Policy;
use crate::rotation::Approval;
use crate::time::Timestamp;
use crate::words::{moment, parse_moment, span};
use citytap_signing::{Signer, base64, from_base64};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One person's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Always [`KIND`].
    pub kind: String,
    /// Hash of the plan, in hex.
    pub plan: String,
    /// To what.
    pub what: Vec<Word>,
    /// When, in UTC.
    pub at: String,
    /// Id of the person's key.
    pub key: String,
    /// Ed25519 signature over the rest, in base64.
    pub signature: String,
}

/// What an approval file begins with.
pub const KIND: &str = "citytap-rekey.approval";

/// What a person says yes to, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// To carry the plan out.
    Plan,
    /// To carry it out although devices without a way back may be locked out.
    CutOver,
    /// To retire the old keys once the new ones are proven.
    Retire,
    /// To retire them although somebody still uses them: a leaked key in a stranger's hand.
    RetireThoughUsed,
}

impl Word {
    /// As the rotation knows it.
    pub fn approval(self) -> Approval {
        match self {
            Word::Plan => Approval::Rotate,
            Word::CutOver => Approval::MayLockOut,
            Word::Retire => Approval::Retire,
            Word::RetireThoughUsed => Approval::RetireThoughUsed,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Word::Plan => "plan",
            Word::CutOver => "cut-over",
            Word::Retire => "retire",
            Word::RetireThoughUsed => "retire-though-used",
        }
    }
}

/// Why an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoApproval {
    /// Nobody of the policy signed it.
    #[error("the key {0} is no approver's: the policy names those who may approve as [[approver]]")]
    Stranger(String),
    /// The signature does not hold.
    #[error("the signature of {0} does not hold: the approval was changed")]
    Forged(String),
    /// It is about another plan.
    #[error("{0} approved another plan, or this plan before it changed; show the person this one")]
    OtherPlan(String),
    /// It is too old, or from the future.
    #[error("the approval of {who} is of {at} and holds for {valid}; approve once more")]
    Over {
        /// Whose.
        who: String,
        /// When.
        at: String,
        /// How long.
        valid: String,
    },
}

/// The approvals that count for a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Names of those who said yes, by what.
    pub plan: BTreeSet<String>,
    /// To cut-over.
    pub cut_over: BTreeSet<String>,
    /// To retirement.
    pub retire: BTreeSet<String>,
    /// To retirement although somebody still uses the old key.
    pub retire_though_used: BTreeSet<String>,
}

impl Counted {
    /// Those who said yes to this.
    pub fn to(&self, what: Word) -> &BTreeSet<String> {
        match what {
            Word::Plan => &self.plan,
            Word::CutOver => &self.cut_over,
            Word::Retire => &self.retire,
            Word::RetireThoughUsed => &self.retire_though_used,
        }
    }

    /// How many people are still missing for this; 0: it is approved.
    pub fn missing(&self, what: Word, policy: &Policy) -> usize {
        let needed = match what {
            Word::Plan => policy.approvals.plan,
            Word::CutOver => policy.approvals.cut_over,
            Word::Retire | Word::RetireThoughUsed => policy.approvals.retire,
        };
        (needed as usize).saturating_sub(self.to(what).len())
    }
}

/// Signs an approval.
pub fn sign(signer: &Signer, plan: &str, what: &[Word], now: Timestamp) -> Signed {
    let what: Vec<Word> = what.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut signed = Signed {
        kind: KIND.into(),
        plan: plan.into(),
        what,
        at: moment(now),
        key: signer.verifier().id().0,
        signature: String::new(),
    };
    signed.signature = base64(&signer.sign(&said(&signed)));
    signed
}

/// The bytes that are signed.
fn said(signed: &Signed) -> Vec<u8> {
    let unsigned = Signed { signature: String::new(), ..signed.clone() };
    // Our own type has string keys alone: writing it to memory cannot fail.
    serde_json::to_vec(&unsigned).unwrap_or_default()
}

/// Counts the approvals of a plan. Each person counts once for each thing; what does not count is told, and counts for nothing.
pub fn count(signed: &[Signed], plan: &str, policy: &Policy, now: Timestamp) -> (Counted, Vec<NoApproval>) {
    let (mut counted, mut not) = (Counted::default(), Vec::new());
    for one in signed {
        match judge(one, plan, policy, now) {
            Ok(name) => {
                for what in &one.what {
                    let people = match what {
                        Word::Plan => &mut counted.plan,
                        Word::CutOver => &mut counted.cut_over,
                        Word::Retire => &mut counted.retire,
                        Word::RetireThoughUsed => &mut counted.retire_though_used,
                    };
                    people.insert(name.clone());
                }
            }
            Err(why) => not.push(why),
        }
    }
    (counted, not)
}

fn judge(one: &Signed, plan: &str, policy: &Policy, now: Timestamp) -> Result<String, NoApproval> {
    let approver = policy.approvers.iter().find(|approver| approver.key.id().0 == one.key);
    let approver = approver.ok_or_else(|| NoApproval::Stranger(one.key.chars().take(16).collect()))?;
    let who = approver.name.clone();
    let signature = from_base64(&one.signature).unwrap_or_default();
    if one.kind != KIND || !approver.key.verifies(&said(one), &signature) {
        return Err(NoApproval::Forged(who));
    }
    if one.plan != plan {
        return Err(NoApproval::OtherPlan(who));
    }
    let over = || NoApproval::Over { who: who.clone(), at: one.at.clone(), valid: span(policy.approvals.valid) };
    let at = parse_moment(&one.at).ok_or_else(over)?;
    // The approver's clock may be some minutes ahead of ours.
    let is_now = at <= now.plus(crate::time::Span::seconds(600)) && now <= at.plus(policy.approvals.valid);
    if is_now { Ok(who) } else { Err(over()) }
}

#[cfg(test)]
mod tests {
    use super::super::Approver;
    use super::*;
    use crate::time::Span;

    fn policy(names: &[&str]) -> (Policy, Vec<Signer>) {
        let signers: Vec<Signer> = names.iter().map(|_| Signer::make().unwrap()).collect();
        let approver = |(name, signer): (&&str, &Signer)| Approver { name: (*name).into(), key: signer.verifier() };
        let approvers = names.iter().zip(&signers).map(approver).collect();
        (Policy { approvers, ..Policy::shipped() }, signers)
    }

    const NOW: Timestamp = Timestamp(1_795_800_000_000_000_000);

    #[test]
    fn two_people_approve_a_cut_over_and_one_twice_does_not() {
        let (policy, keys) = policy(&["Ada", "Bo"]);
        let yes = |key: &Signer| sign(key, "abc", &[Word::Plan, Word::CutOver], NOW);
        let (counted, not) = count(&[yes(&keys[0]), yes(&keys[0])], "abc", &policy, NOW);
        assert_eq!((counted.missing(Word::Plan, &policy), counted.missing(Word::CutOver, &policy), not.len()), (0, 1, 0));
        let (counted, _) = count(&[yes(&keys[0]), yes(&keys[1])], "abc", &policy, NOW);
        assert_eq!((counted.missing(Word::CutOver, &policy), counted.missing(Word::Retire, &policy)), (0, 2));
    }

    #[test]
    fn an_approval_of_another_plan_person_or_time_counts_for_nothing() {
        let (policy, keys) = policy(&["Ada"]);
        let good = sign(&keys[0], "abc", &[Word::Plan], NOW);
        let stranger = sign(&Signer::make().unwrap(), "abc", &[Word::Plan], NOW);
        let widened = Signed { what: vec![Word::Plan, Word::Retire], ..good.clone() };
        let other_plan = Signed { plan: "abd".into(), ..good.clone() };
        for (one, plan, now) in [
            (&stranger, "abc", NOW),
            (&widened, "abc", NOW),
            (&other_plan, "abd", NOW),
            (&good, "abd", NOW),
            (&good, "abc", NOW.plus(Span::hours(24 * 8))),
            (&good, "abc", Timestamp(NOW.0 - Span::hours(1).0)),
        ] {
            let (counted, not) = count(std::slice::from_ref(one), plan, &policy, now);
            assert_eq!((counted, not.len()), (Counted::default(), 1));
        }
        assert!(count(&[good], "abc", &policy, NOW).1.is_empty());
    }
}
