//! The Join Server's part in a rotation: generations in and out, ways to the device, what was seen.

use super::config::{Facts, Family};
use super::devices::{self, Device, GENERATIONS};
use super::keys::RootKeys;
use super::multicast::{self, Group, SETUP_LENGTH};
use super::state::Session;
use super::{JoinServer, NAME, SPEC, config};
use crate::backends::{Backend, BackendSpec, Capability, Refusal};
use crate::delivery::lorawan::{Route, Uplink, airtime};
use crate::delivery::{dragino, lobaro};
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::rotation::{Class, Outcome, Procedure};
use crate::secrets::{Alphabet, Profile, Secret};
use crate::slot::{AcceptSet, Effecting, Generation, Slot, Step};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError};

/// What a slot of this backend is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `join_server/<DevEUI>`: the root key.
    Root(u64),
    /// `join_server/<DevEUI>.session`: the session keys. They have one generation, since the root key stays; a re-key shows as another session of it.
    Session(u64),
}

impl Target {
    pub(super) fn of(slot: &Slot) -> Result<Self, Refusal> {
        let read = || {
            let name = Some(slot).filter(|slot| slot.backend() == NAME)?.name();
            match name.strip_suffix(".session") {
                Some(dev_eui) => config::eui64(dev_eui).map(Target::Session),
                None => config::eui64(name).map(Target::Root),
            }
        };
        read().ok_or_else(|| {
            Refusal::new(
                format!("{slot} is no slot of the Join Server"),
                "write join_server/ and the DevEUI as 16 hexadecimal digits; .session after it stands for the session keys",
            )
        })
    }

    pub(super) fn dev_eui(self) -> u64 {
        match self {
            Target::Root(dev_eui) | Target::Session(dev_eui) => dev_eui,
        }
    }
}

/// A key on its way to a Lobaro device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Talk {
    to: Generation,
    since: Timestamp,
    by: Effecting,
    /// The device repeated the key, and was told to test and keep it.
    told_to_keep: bool,
}

/// Under which key a talk is kept: `d` and the DevEUI.
fn talk_key(dev_eui: u64) -> Vec<u8> {
    [&b"d"[..], &dev_eui.to_be_bytes()].concat()
}

impl JoinServer {
    fn route(&self) -> Option<Arc<dyn Route>> {
        self.route.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The device behind a slot, under the lock of its part of the table.
    pub(super) fn with_device<T>(&self, dev_eui: u64, act: impl FnOnce(&mut Device) -> T) -> Result<Option<T>, Refusal> {
        let mut shard = self.shared.devices.shard(dev_eui);
        let device = devices::find(&mut shard, dev_eui, &*self.shared.ledger, &self.shared.config)
            .map_err(|missing| Refusal::new(missing.to_string(), "doctor shows what is wrong with the journal"))?;
        Ok(device.map(act))
    }

    /// Writes what must not be forgotten of a device, and waits for the disk.
    fn keep(&self, dev_eui: u64, state: &super::state::State) -> Result<(), Refusal> {
        if self.shared.writer.put(devices::change(dev_eui, state)).blocking_recv().unwrap_or(false) {
            Ok(())
        } else {
            Err(Refusal::new("the journal cannot be written", "make room on its disk"))
        }
    }

    /// A person says that the device lost its DevNonce counter: what was used is forgotten. A join-request that somebody recorded is accepted once more
    /// afterwards.
    ///
    /// # Errors
    /// The device is not known, or the journal cannot be written.
    pub fn forget_nonces(&self, slot: &Slot) -> Result<(), Refusal> {
        let dev_eui = Target::of(slot)?.dev_eui();
        let state = self.with_device(dev_eui, |device| {
            device.state.forget_nonces();
            device.state.clone()
        })?;
        self.keep(dev_eui, &state.ok_or_else(|| unknown(slot))?)
    }

    /// The commands that set up a device's multicast groups again under its new key, to be sent on [`multicast::PORT`] as soon as that key is proven. Empty
    /// where the change does not touch them.
    ///
    /// # Errors
    /// The generations are not held, or hold no key for multicast.
    pub fn multicast_again(
        &self,
        slot: &Slot,
        from: Generation,
        to: Generation,
        v1_1: bool,
        groups: &[Group],
    ) -> Result<Vec<[u8; SETUP_LENGTH]>, Refusal> {
        let root =
            |device: &Device, which| device.roots.iter().find(|(number, _)| *number == which).map(|(_, root)| root.clone());
        let held = self.with_device(Target::of(slot)?.dev_eui(), |device| Some((root(device, from)?, root(device, to)?)))?;
        let (old, new) = held.flatten().ok_or_else(|| unknown(slot))?;
        if !multicast::is_touched(&old, &new) {
            return Ok(Vec::new());
        }
        let commands = groups.iter().map(|group| multicast::group_setup(&new, v1_1, group)).collect::<Option<_>>();
        commands.ok_or_else(|| {
            Refusal::new(
                format!("{slot}: {to} holds no key for multicast, or a group's number is above 3"),
                "enter NwkKey and AppKey (1.1), or AppKey and GenAppKey (1.0.x), as one key of 32 bytes",
            )
        })
    }

    fn talk(&self, dev_eui: u64) -> Result<Option<Talk>, Refusal> {
        let kept = self.shared.ledger.get(&talk_key(dev_eui)).map_err(journal)?;
        Ok(kept.and_then(|(_, bytes)| serde_json::from_slice(&bytes).ok()))
    }

    /// Asks whether a Lobaro device repeated its key, and then tells it to test and keep it.
    fn talk_on(&self, slot: &Slot, dev_eui: u64) -> Result<Option<Evidence>, Refusal> {
        let Some(mut talk) = self.talk(dev_eui)? else { return Ok(None) };
        let (Some(route), Some(secret)) = (self.route(), self.shared.ledger.secret(slot, talk.to).map_err(journal)?) else {
            return Ok(None);
        };
        let uplinks = route.uplinks(dev_eui, lobaro::PORT, talk.since)?;
        if lobaro::repeated(&secret, &uplinks) != lobaro::Repeated::Right {
            return Ok(None);
        }
        if !talk.told_to_keep {
            // The step has a number of its own, so that a repeated question queues it once.
            let by = Effecting { step: Step(talk.by.step.0 | 1 << 31), ..talk.by };
            let keep = lobaro::keep().map_err(|denied| Refusal::new(denied.to_string(), "report this"))?;
            if matches!(route.enqueue(dev_eui, &[keep], by), Outcome::Sent | Outcome::Done) {
                talk.told_to_keep = true;
                self.save_talk(dev_eui, &talk)?;
            }
        }
        let right = |uplink: &&Uplink| lobaro::repeated(&secret, std::slice::from_ref(*uplink)) == lobaro::Repeated::Right;
        let at = uplinks.iter().find(right).map_or(talk.since, |uplink| uplink.at);
        Ok(Some(Evidence::Acknowledged { generation: talk.to, at }))
    }

    /// A Lobaro device takes a key into use by a restart and in no other way: a join with the key that it repeated shows that it had it, and restarted with it.
    fn restarted(&self, dev_eui: u64, opened: &[Session]) -> Result<Vec<Evidence>, Refusal> {
        let Some(talk) = self.talk(dev_eui)?.filter(|talk| talk.told_to_keep) else { return Ok(Vec::new()) };
        let Some(joined) = opened.iter().find(|session| session.generation == talk.to && session.at > talk.since) else {
            return Ok(Vec::new());
        };
        let before = |by: i64| Timestamp(joined.at.0.saturating_sub(by));
        Ok(vec![Evidence::Acknowledged { generation: talk.to, at: before(2) }, Evidence::Restarted { at: before(1) }])
    }

    /// Data that the network server decrypted after the last join belongs to that session.
    fn data(&self, dev_eui: u64, last: Option<&Evidence>) -> Result<Option<Evidence>, Refusal> {
        let (Some(route), Some(Evidence::Used(joined))) = (self.route(), last) else { return Ok(None) };
        let at = route.last_data(dev_eui)?.filter(|at| *at > joined.at);
        Ok(at.map(|at| Evidence::Used(Use { at, reach: Reach::Data, ..*joined })))
    }

    fn save_talk(&self, dev_eui: u64, talk: &Talk) -> Result<(), Refusal> {
        let bytes = serde_json::to_vec(talk).map_err(|error| Refusal::new(error.to_string(), "report this"))?;
        self.shared.ledger.put(&[(talk_key(dev_eui), Some(bytes))]).map_err(journal)
    }

    fn deliver_lobaro(&self, dev_eui: u64, to: Generation, secret: &Secret, by: Effecting) -> Outcome {
        let Some(route) = self.route() else { return rejected(NO_ROUTE) };
        let downlink = match lobaro::give(secret) {
            Some(Ok(downlink)) => downlink,
            Some(Err(denied)) => return rejected(denied.to_string()),
            None => return rejected("a Lobaro device takes a key of 16 bytes"),
        };
        // The same key again: what was agreed before stands, since the device may have repeated it already.
        let talk = self.talk(dev_eui).ok().flatten().filter(|talk| talk.to == to).unwrap_or(Talk {
            to,
            since: super::now(),
            by,
            told_to_keep: false,
        });
        if let Err(refusal) = self.save_talk(dev_eui, &talk) {
            return rejected(refusal.to_string());
        }
        if talk.told_to_keep { Outcome::Sent } else { route.enqueue(dev_eui, &[downlink], by) }
    }

    fn capability_of(&self, target: Target, facts: &Facts) -> Capability {
        let join = airtime(33, facts.spreading_factor, false);
        let base = Capability {
            class: Class::SiteVisit,
            procedure: Procedure::SharedSecretReplacement,
            way: "a person enters the key at the device; the Join Server accepts it beforehand, beside the old one".into(),
            way_back: "the old key stays accepted: the device joins with either".into(),
            outage: Span::ZERO,
            reporting: facts.reporting,
            polls: Span::ZERO,
            settles: Span::ZERO,
            holds_both: true,
            airtime: join,
            battery: microampere_hours(airtime(23, facts.spreading_factor, true), join),
            falls_back_to: Vec::new(),
            behind: None,
            unproven: String::new(),
        };
        let has_route = self.route().is_some();
        match (target, facts.family) {
            (Target::Root(_), Family::Lobaro) if has_route => {
                let sent =
                    airtime(40 + 13, facts.spreading_factor, false).0 + airtime(1 + 13, facts.spreading_factor, false).0 + join.0;
                Capability {
                    class: Class::Overlap,
                    way: "Lobaro remote configuration by downlink: the key, its repetition by the device, then a restart that tests it".into(),
                    way_back: "the device restores its old key when no join succeeds within about 10 minutes, and the old key stays accepted"
                        .into(),
                    outage: lobaro::OUTAGE,
                    // What is queued leaves after the device's next uplinks.
                    settles: Span(facts.reporting.times(2).0.saturating_add(lobaro::OUTAGE.0)),
                    airtime: Span(sent),
                    battery: microampere_hours(airtime(53, facts.spreading_factor, true), Span(sent)) + base.battery,
                    unproven: "documented, unproven on hardware: Lobaro remote configuration".into(),
                    ..base
                }
            }
            (Target::Session(_), Family::Dragino) if has_route => Capability {
                class: Class::Overlap,
                procedure: Procedure::SessionRekey,
                way: "Dragino restart by downlink (04FF); the device joins again".into(),
                way_back: "the root key stays as it is, and the old session stays valid until the join".into(),
                outage: dragino::OUTAGE,
                settles: Span(facts.reporting.times(2).0.saturating_add(dragino::OUTAGE.0)),
                airtime: Span(airtime(2 + 13, facts.spreading_factor, false).0 + join.0),
                unproven: "documented, unproven on hardware: Dragino restart".into(),
                ..base
            },
            (Target::Session(_), _) => Capability {
                procedure: Procedure::SessionRekey,
                way: "a person restarts the device; it joins again".into(),
                way_back: "the root key stays as it is, and the old session stays valid until the join".into(),
                ..base
            },
            _ => base,
        }
    }

    fn hand_over(&self, dev_eui: u64) -> Result<(), Refusal> {
        let folder = self.shared.config.written.hand_over_to.clone().ok_or_else(|| {
            Refusal::new(
                "[join_server] has no hand_over_to",
                "name a folder in which keys are laid down for the next Join Server",
            )
        })?;
        let lines = self.with_device(dev_eui, |device| {
            let last = device.state.sessions().last();
            let (used, root) = last
                .and_then(|last| device.roots.iter().find(|(generation, _)| *generation == last.generation))
                .or(device.roots.last())?;
            Some(hand_over_text(dev_eui, *used, root, device.state.next_join_nonce()))
        })?;
        let text = lines.flatten().ok_or_else(|| Refusal::new(format!("{dev_eui:016x} is not known"), "check the DevEUI"))?;
        write_private(&folder.join(format!("{dev_eui:016x}.json")), text.as_bytes()).map_err(|error| {
            Refusal::new(format!("{}: {error}", folder.display()), "check that the folder is there and can be written")
        })
    }
}

const NO_ROUTE: &str = "no network server is configured by which the device could be reached";

fn rejected(why: impl Into<String>) -> Outcome {
    Outcome::Rejected { why: why.into() }
}

fn unknown(slot: &Slot) -> Refusal {
    Refusal::new(format!("{slot} has no key in the Join Server"), "enter its key first")
}

fn journal(error: crate::journal::JournalError) -> Refusal {
    Refusal::new(error.to_string(), "doctor shows what is wrong with the journal")
}

/// A join at 14 dBm draws about 40 mA, listening about 12 mA (Semtech SX1261/2 data sheet rev. 2.1 §3.5.2, with a microcontroller).
fn microampere_hours(sent: Span, received: Span) -> u64 {
    let micro_seconds = (sent.0 / 1000) * 40 + (received.0 / 1000) * 12;
    u64::try_from(micro_seconds / 3_600_000).unwrap_or(0)
}

/// What the next Join Server must know: the key in use and from which JoinNonce on it may count.
fn hand_over_text(dev_eui: u64, used: Generation, root: &RootKeys, next_join_nonce: u32) -> zeroize::Zeroizing<String> {
    let bytes = root.to_bytes();
    let (nwk_key, app_key) = bytes.split_at(16.min(bytes.len()));
    zeroize::Zeroizing::new(format!(
        "{{\"dev_eui\":\"{dev_eui:016x}\",\"generation\":{},\"nwk_key\":\"{}\",\"app_key\":\"{}\",\"next_join_nonce\":{next_join_nonce}}}\n",
        used.0,
        super::message::to_hex(nwk_key),
        super::message::to_hex(app_key)
    ))
}

fn write_private(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

/// The mark is the DevAddr, which the tap sees too: so data that it saw belongs to the join. Network servers choose it anew for each join; one that does not
/// makes two joins look like one, which proves less and breaks nothing.
fn used(session: &Session, generation: Generation) -> Evidence {
    let (session_mark, at) = (session.dev_addr.into(), session.at);
    Evidence::Used(Use { generation, session: session_mark, at, by: Witness::Verifier, reach: Reach::Authenticated })
}

impl Backend for JoinServer {
    fn spec(&self) -> &'static BackendSpec {
        &SPEC
    }

    fn preflight(&self) -> Result<(), Refusal> {
        self.shared.ledger.slots().map_err(journal)?;
        // The server asks itself over its own socket: it listens and its threads run.
        std::net::TcpStream::connect_timeout(&reachable(self.address()), std::time::Duration::from_secs(2)).map(drop).map_err(
            |error| {
                Refusal::new(
                    format!("the Join Server does not answer on {}: {error}", self.address()),
                    "look for a firewall on this host",
                )
            },
        )
    }

    fn capability(&self, slot: &Slot) -> Result<Capability, Refusal> {
        let target = Target::of(slot)?;
        let facts = self.shared.config.facts(target.dev_eui());
        if let Some(holder) = &facts.held_by {
            return Err(Refusal::new(
                format!("{holder} holds the root key of {slot}"),
                "ask them for a new key, or for the key itself and move the device here; nothing is planned",
            ));
        }
        self.with_device(target.dev_eui(), |_| ())?.ok_or_else(|| unknown(slot))?;
        Ok(self.capability_of(target, facts))
    }

    fn profile(&self, slot: &Slot) -> Option<Profile> {
        let Ok(Target::Root(dev_eui)) = Target::of(slot) else { return None };
        let lengths = self.with_device(dev_eui, |device| device.roots.first().map(|(_, root)| root.to_bytes().len()));
        let length = lengths.ok().flatten().flatten().unwrap_or(16);
        Some(Profile { length: length..=length, alphabet: Alphabet::Bytes })
    }

    fn accept(&self, slot: &Slot, generation: Generation, secret: Option<&Secret>, _by: Effecting) -> Outcome {
        let target = match Target::of(slot) {
            Ok(target) => target,
            Err(refusal) => return rejected(refusal.to_string()),
        };
        if let Target::Session(_) = target {
            return if generation == Generation::FIRST {
                Outcome::Done
            } else {
                rejected("session keys have no generations: the device joins again")
            };
        }
        let Some(root) = secret.and_then(|secret| RootKeys::from_bytes(secret.expose())) else {
            return rejected(
                "a LoRaWAN root key has 16 bytes (1.0.x), or 32 (NwkKey and AppKey of 1.1, AppKey and GenAppKey of 1.0.x)",
            );
        };
        let mut shard = self.shared.devices.shard(target.dev_eui());
        let found =
            devices::find(&mut shard, target.dev_eui(), &*self.shared.ledger, &self.shared.config).map(|device| device.is_some());
        let device = match found {
            Ok(true) => shard.entry(target.dev_eui()).or_default(),
            Ok(false) => match devices::load(target.dev_eui(), &*self.shared.ledger, &self.shared.config) {
                Ok(device) => shard.entry(target.dev_eui()).or_insert(device),
                Err(missing) => return rejected(missing.to_string()),
            },
            Err(missing) => return rejected(missing.to_string()),
        };
        match device.roots.iter().find(|(number, _)| *number == generation) {
            Some((_, held)) if held.nwk_key == root.nwk_key && held.app_key == root.app_key => Outcome::Done,
            Some(_) => rejected(format!("another key is accepted as {generation} of {slot} already")),
            None if device.roots.len() >= GENERATIONS => {
                rejected(format!("{slot} has {GENERATIONS} keys already; retire one first"))
            }
            None => {
                device.roots.push((generation, root));
                device.roots.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
                Outcome::Done
            }
        }
    }

    fn deliver(&self, slot: &Slot, _from: Generation, to: Generation, secret: Option<&Secret>, by: Effecting) -> Outcome {
        let target = match Target::of(slot) {
            Ok(target) => target,
            Err(refusal) => return rejected(refusal.to_string()),
        };
        let family = self.shared.config.facts(target.dev_eui()).family;
        match (target, family, secret) {
            (Target::Root(dev_eui), Family::Lobaro, Some(secret)) => self.deliver_lobaro(dev_eui, to, secret, by),
            (Target::Session(dev_eui), Family::Dragino, _) => match (self.route(), dragino::restart()) {
                (Some(route), Ok(restart)) => route.enqueue(dev_eui, &[restart], by),
                (None, _) => rejected(NO_ROUTE),
                (_, Err(denied)) => rejected(denied.to_string()),
            },
            _ => rejected("no remote way to this device is known: a person must go there"),
        }
    }

    fn read_back(&self, slot: &Slot) -> Result<AcceptSet, Refusal> {
        match Target::of(slot)? {
            Target::Session(_) => Ok(AcceptSet::of([Generation::FIRST])),
            Target::Root(dev_eui) => {
                let held =
                    self.with_device(dev_eui, |device| AcceptSet::of(device.roots.iter().map(|(generation, _)| *generation)))?;
                Ok(held.unwrap_or_default())
            }
        }
    }

    fn evidence(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        let target = Target::of(slot)?;
        let dev_eui = target.dev_eui();
        let said = if let Target::Root(dev_eui) = target { self.talk_on(slot, dev_eui)? } else { None };
        let seen = self.with_device(dev_eui, |device| (device.state.sessions().to_vec(), device.refused))?;
        let (opened, refused) = seen.ok_or_else(|| unknown(slot))?;
        let generation =
            |session: &Session| if matches!(target, Target::Root(_)) { session.generation } else { Generation::FIRST };
        let mut evidence: Vec<Evidence> = opened.iter().map(|session| used(session, generation(session))).collect();
        let data = self.data(dev_eui, evidence.last())?;
        evidence.extend(data);
        evidence.extend(self.restarted(dev_eui, &opened)?);
        evidence.extend(refused.map(|at| Evidence::Refused { at }));
        evidence.extend(said);
        evidence.retain(|seen| seen.at() >= since);
        evidence.sort_by_key(|seen| (seen.at(), *seen));
        Ok(evidence)
    }

    fn retire(&self, slot: &Slot, generation: Generation, _by: Effecting) -> Outcome {
        let target = match Target::of(slot) {
            Ok(target) => target,
            Err(refusal) => return rejected(refusal.to_string()),
        };
        if let Target::Session(_) = target {
            return rejected("session keys end with the next join: there is nothing to retire");
        }
        let dev_eui = target.dev_eui();
        let left = self.with_device(dev_eui, |device| {
            let others = device.roots.iter().any(|(number, _)| *number != generation);
            others.then(|| {
                device.roots.retain(|(number, _)| *number != generation);
                device.state.forget_generation(generation);
                device.state.clone()
            })
        });
        match left {
            Ok(Some(Some(state))) => match self.keep(dev_eui, &state) {
                Ok(()) => Outcome::Done,
                // It is no longer accepted by this process; what the disk says decides after a restart.
                Err(refusal) => Outcome::Unknown { why: refusal.to_string() },
            },
            Ok(Some(None)) => rejected(format!("{generation} is the only key of {slot}: the device could never join again")),
            Ok(None) => rejected(unknown(slot).to_string()),
            Err(refusal) => rejected(refusal.to_string()),
        }
    }

    fn quarantine(&self, slot: &Slot, _until: Option<Timestamp>, _by: Effecting) -> Outcome {
        rejected(format!(
            "{slot}: a Join Server that refuses joins cuts off the way back and not the traffic; disable the device at its network server"
        ))
    }

    fn leave(&self, slot: &Slot, _by: Effecting) -> Outcome {
        match Target::of(slot) {
            Ok(Target::Session(_)) => Outcome::Done,
            Ok(Target::Root(dev_eui)) => match self.hand_over(dev_eui) {
                Ok(()) => Outcome::Done,
                Err(refusal) => rejected(refusal.to_string()),
            },
            Err(refusal) => rejected(refusal.to_string()),
        }
    }
}

/// An address to connect to for a socket that listens on all.
fn reachable(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}
