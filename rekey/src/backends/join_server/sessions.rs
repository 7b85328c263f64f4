//! Session keys as a credential with generations: generation N are the sessions that were opened since it was asked for, up to the next.

use super::JoinServer;
use crate::backends::Refusal;
use crate::rotation::Outcome;
use crate::slot::Generation;

/// Generations kept of a device's sessions: rekeys are monthly at most (TR007-1.1 §4.1), and old ones are retired.
const KEPT: usize = 16;

/// A generation and the first JoinNonce of its sessions.
pub(super) type Begin = (Generation, u32);

/// The generation of the session of this JoinNonce; `None` where it was retired.
pub(super) fn generation_at(generations: &[Begin], join_nonce: u32) -> Option<Generation> {
    generations.iter().rev().find(|(_, first)| *first <= join_nonce).map(|(generation, _)| *generation)
}

/// `s` and the DevEUI.
fn key(dev_eui: u64) -> Vec<u8> {
    [&b"s"[..], &dev_eui.to_be_bytes()].concat()
}

impl JoinServer {
    /// The generations of a device's sessions, by their first JoinNonce.
    pub(super) fn session_generations(&self, dev_eui: u64) -> Result<Vec<Begin>, Refusal> {
        let kept = self
            .shared
            .ledger
            .get(&key(dev_eui))
            .map_err(|error| Refusal::new(error.to_string(), "doctor shows what is wrong"))?;
        let Some((_, bytes)) = kept else { return Ok(vec![(Generation::FIRST, 0)]) };
        let kept: Vec<(u32, u32)> = serde_json::from_slice(&bytes).map_err(|error| {
            Refusal::new(format!("the sessions of {dev_eui:016x}: {error}"), "restore the journal from its standby")
        })?;
        Ok(kept.into_iter().map(|(generation, first)| (Generation(generation), first)).collect())
    }

    fn save_session_generations(&self, dev_eui: u64, generations: &[Begin]) -> Outcome {
        let kept: Vec<(u32, u32)> = generations.iter().map(|(generation, first)| (generation.0, *first)).collect();
        let saved = serde_json::to_vec(&kept).map_err(|error| error.to_string());
        match saved.and_then(|bytes| self.shared.ledger.put(&[(key(dev_eui), Some(bytes))]).map_err(|error| error.to_string())) {
            Ok(()) => Outcome::Done,
            Err(why) => Outcome::Unknown { why },
        }
    }

    /// From now on sessions are of this generation.
    pub(super) fn accept_session(&self, dev_eui: u64, generation: Generation) -> Outcome {
        let next = self.with_device(dev_eui, |device| device.state.next_join_nonce());
        let (next, mut generations) = match (next, self.session_generations(dev_eui)) {
            (Ok(Some(next)), Ok(generations)) => (next, generations),
            (Ok(None), _) => return Outcome::Rejected { why: format!("{dev_eui:016x} has no key in the Join Server") },
            (Err(refusal), _) | (_, Err(refusal)) => return Outcome::Rejected { why: refusal.to_string() },
        };
        if generations.iter().any(|(known, _)| *known == generation) {
            return Outcome::Done;
        }
        if generations.len() >= KEPT {
            return Outcome::Rejected { why: "too many generations of sessions; retire one first".into() };
        }
        generations.push((generation, next));
        self.save_session_generations(dev_eui, &generations)
    }

    /// Sessions of this generation are over.
    pub(super) fn retire_session(&self, dev_eui: u64, generation: Generation) -> Outcome {
        match self.session_generations(dev_eui) {
            Err(refusal) => Outcome::Rejected { why: refusal.to_string() },
            Ok(generations) if generations.len() == 1 => Outcome::Rejected { why: "these are the device's only sessions".into() },
            Ok(mut generations) => {
                generations.retain(|(known, _)| *known != generation);
                self.save_session_generations(dev_eui, &generations)
            }
        }
    }
}
