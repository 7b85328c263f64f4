//! What can be read once a key is known: derived observations for rules and outputs, and the facts that they imply.
//!
//! Join-accepts are always read: they name the session. Payloads and MAC commands are decrypted only where the configuration allows it.

use super::config::KeyConfig;
use super::derive::{OpenedAccept, SessionKeys};
use super::key::Key;
use super::mic;
use crate::hot::owned::{IdentityKey, OwnedFact, Seen};
use crate::signatures::fingerprints::{self, About, Input, Set};
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::record::push_hex;
use citytap_sensor::observation::{Attribute, Confidence, DevAddr, Eui, Hex, Record};
use citytap_sensor::protocols::lorawan::commands::{self, Command, Commands};
use citytap_sensor::protocols::lorawan::join::CfList;
use citytap_sensor::protocols::lorawan::packages::{self, Package, PackageCommands};
use citytap_sensor::protocols::lorawan::wire::{DataFrame, Link};
use citytap_sensor::protocols::lorawan::{
    ApplicationPayload, JoinAcceptDecrypted, MacCommands, PackageMessage, blocks, dev_addr, dev_eui,
};
use smallvec::SmallVec;

/// Derived observations kept until they are taken: more than an epoch of packets can hold.
pub const DERIVED: usize = 16_384;

/// Something that a key made readable. It has no `Debug`: a payload is shown only where the configuration says so.
pub struct Derived {
    /// The packet of the encrypted frame.
    pub seen: Seen,
    /// Its network.
    pub network: NetworkId,
    /// The device, where a join told it.
    pub dev_eui: Option<u64>,
    /// The device's address.
    pub dev_addr: u32,
    /// What was read.
    pub content: Content,
}

/// What was read.
pub enum Content {
    /// A join-accept.
    JoinAccept(OpenedAccept),
    /// MAC commands: on port 0, or in encrypted FOpts.
    MacCommands {
        /// Which way.
        link: Link,
        /// The whole frame counter.
        f_cnt: u32,
        /// The commands.
        commands: Commands,
        /// Whether all bytes were commands.
        complete: bool,
        /// The commands as bytes.
        bytes: SmallVec<[u8; 16]>,
    },
    /// A message of an application package.
    Package {
        /// Which way.
        link: Link,
        /// FPort.
        f_port: u8,
        /// The package.
        package: Package,
        /// The commands.
        commands: PackageCommands,
        /// Whether all bytes were commands.
        complete: bool,
    },
    /// Another payload. What the fingerprints of an uplink say is among the facts already.
    Payload {
        /// Which way.
        link: Link,
        /// The whole frame counter.
        f_cnt: u32,
        /// FPort.
        f_port: u8,
        /// FRMPayload, at most 242 bytes.
        payload: Box<[u8]>,
    },
}

impl Derived {
    /// Shows it as the record that `citytap schema` declares.
    pub fn with_record(&self, show: &mut dyn FnMut(&dyn Record)) {
        let (eui, address) = (self.dev_eui.map(Eui), DevAddr(self.dev_addr));
        match &self.content {
            Content::JoinAccept(opened) => {
                let Some(accept) = opened.content() else { return };
                let (frequencies_hz, channel_masks): (&[u32], &[u16]) = match &accept.cf_list {
                    Some(CfList::Frequencies(list)) => (list, &[]),
                    Some(CfList::ChannelMasks(list)) => (&[], list),
                    _ => (&[], &[]),
                };
                show(&JoinAcceptDecrypted {
                    dev_eui: eui,
                    join_nonce: accept.join_nonce,
                    net_id: accept.net_id,
                    dev_addr: accept.dev_addr,
                    opt_neg: accept.opt_neg,
                    rx1_data_rate_offset: accept.rx1_data_rate_offset,
                    rx2_data_rate: accept.rx2_data_rate,
                    rx_delay_s: accept.rx_delay_s,
                    frequencies_hz,
                    channel_masks,
                });
            }
            Content::MacCommands { link, f_cnt, commands, complete, bytes } => show(&MacCommands {
                direction: link.name(),
                dev_eui: eui,
                dev_addr: address,
                f_cnt: *f_cnt,
                commands,
                commands_complete: *complete,
                bytes: Hex(bytes),
            }),
            Content::Package { link, f_port, package, commands, complete } => show(&PackageMessage {
                direction: link.name(),
                dev_eui: eui,
                dev_addr: address,
                f_port: *f_port,
                package: package.name(),
                commands,
                commands_complete: *complete,
            }),
            Content::Payload { link, f_cnt, f_port, payload } => show(&ApplicationPayload {
                direction: link.name(),
                dev_eui: eui,
                dev_addr: address,
                f_cnt: *f_cnt,
                f_port: *f_port,
                payload: Hex(payload),
            }),
        }
    }

    /// The name of the device that it is about.
    pub fn bearer(&self) -> IdentityKey {
        let id = match self.dev_eui {
            Some(eui) => dev_eui(eui),
            None => dev_addr(self.dev_addr),
        };
        IdentityKey::new(&id, self.network)
    }

    /// Name of its kind of record.
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::JoinAccept(_) => JoinAcceptDecrypted::KIND.name,
            Content::MacCommands { .. } => MacCommands::KIND.name,
            Content::Package { .. } => PackageMessage::KIND.name,
            Content::Payload { .. } => ApplicationPayload::KIND.name,
        }
    }

    /// What the inventory learns.
    pub(super) fn facts(&self) -> SmallVec<[OwnedFact; 2]> {
        let mut facts = SmallVec::new();
        match &self.content {
            Content::JoinAccept(opened) => {
                let version = |opt_neg| if opt_neg { "1.1" } else { "1.0" };
                facts.extend(
                    opened.content().map(|accept| {
                        self.attribute(Attribute::ProtocolVersion, version(accept.opt_neg).into(), "lorawan.opt_neg")
                    }),
                );
            }
            Content::MacCommands { commands, link: Link::Up, .. } => {
                let version = commands.iter().find_map(|command| command.minor_version);
                facts.extend(version.map(|minor| {
                    self.attribute(Attribute::ProtocolVersion, format!("1.{minor}").into(), "lorawan.commands.minor_version")
                }));
            }
            Content::Package { commands, link: Link::Up, complete: true, .. } => {
                for command in commands {
                    let firmware = command.firmware_version.filter(|_| command.name == "DevVersionAns");
                    facts.extend(firmware.map(|version| {
                        self.attribute(Attribute::Firmware, version.to_string().into(), "lorawan.commands.firmware_version")
                    }));
                    facts.extend(command.hardware_version.map(|version| {
                        self.attribute(Attribute::Hardware, version.to_string().into(), "lorawan.commands.hardware_version")
                    }));
                }
            }
            Content::Payload { link: Link::Up, f_port, payload, .. } => self.fingerprint(*f_port, payload, &mut facts),
            _ => {}
        }
        facts
    }

    /// What product and firmware a payload shows. The payload itself goes no further.
    fn fingerprint(&self, f_port: u8, payload: &[u8], facts: &mut SmallVec<[OwnedFact; 2]>) {
        let (port, mut hex) = (f_port.to_string(), String::new());
        push_hex(payload, &mut hex);
        let frames = [self.seen.place.frame; 2];
        let inputs = [("lorawan.f_port", port.as_str()), ("lorawan.payload", hex.as_str())];
        let inputs = inputs.map(|(attribute, value)| Input { attribute, value, frames });
        for conclusion in fingerprints::conclude(&inputs) {
            if let (Set::Attribute(name), About::Itself) = (conclusion.set, conclusion.about) {
                let mut fact = self.attribute(name, conclusion.value.into(), "lorawan.payload");
                if let OwnedFact::Attribute { confidence, .. } = &mut fact {
                    *confidence = conclusion.confidence;
                }
                facts.push(fact);
            }
        }
    }

    fn attribute(&self, name: Attribute, value: Box<str>, field: &'static str) -> OwnedFact {
        OwnedFact::Attribute { id: self.bearer(), name, value, confidence: Confidence::Seen, field }
    }
}

/// Reads what a data frame hides, once its MIC was found right with the session's keys.
pub(super) fn contents(config: &KeyConfig, keys: &SessionKeys, data: &DataFrame<'_>, f_cnt: u32) -> SmallVec<[Content; 2]> {
    let mut contents = SmallVec::new();
    if !config.decrypt {
        return contents;
    }
    let link = data.link;
    if keys.v1_1 && !data.f_opts.is_empty() {
        let (walk, bytes) = f_opts(&keys.nwk_s_enc, data, f_cnt);
        contents.push(Content::MacCommands { link, f_cnt, commands: walk.commands, complete: walk.complete, bytes });
    }
    let Some(f_port) = data.f_port.filter(|_| !data.frm_payload.is_empty()) else { return contents };
    if f_port == 0 {
        let bytes = SmallVec::from_vec(decrypted(&keys.nwk_s_enc, data, f_cnt));
        let walk = commands::parse(link, &bytes);
        contents.push(Content::MacCommands { link, f_cnt, commands: walk.commands, complete: walk.complete, bytes });
        return contents;
    }
    let Some(app_s) = &keys.app_s else { return contents };
    let payload = decrypted(app_s, data, f_cnt);
    if let Some(package) = Package::on_port(f_port) {
        let walk = packages::parse(package, link, &payload);
        contents.push(Content::Package { link, f_port, package, commands: walk.commands, complete: walk.complete });
    } else {
        contents.push(Content::Payload { link, f_cnt, f_port, payload: payload.into() });
    }
    contents
}

/// FRMPayload decrypted (TS001-1.0.4 §4.3.3).
pub(super) fn decrypted(key: &Key, data: &DataFrame<'_>, f_cnt: u32) -> Vec<u8> {
    let mut plain = data.frm_payload.to_vec();
    for (chunk, i) in plain.chunks_mut(16).zip(1..=u8::MAX) {
        let stream = mic::encrypt(key, blocks::a(data, f_cnt, i));
        chunk.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
    }
    plain
}

/// FOpts of 1.1. The published text and its erratum differ in the fifth byte of the block: the reading that makes commands is right.
fn f_opts(key: &Key, data: &DataFrame<'_>, f_cnt: u32) -> (commands::Walk, SmallVec<[u8; 16]>) {
    let read = |fifth: u8, last: u8| {
        let mut block = blocks::a(data, f_cnt, last);
        if let Some(byte) = block.get_mut(4) {
            *byte = fifth;
        }
        let stream = mic::encrypt(key, block);
        let plain: SmallVec<[u8; 16]> = data.f_opts.iter().zip(stream).map(|(byte, mask)| byte ^ mask).collect();
        (commands::parse(data.link, &plain), plain)
    };
    // AFCntDown, the counter of downlinks with an application port, has a value of its own.
    let application_down = data.link == Link::Down && data.f_port.is_some_and(|port| port > 0);
    let corrected = read(if application_down { 2 } else { 1 }, 1);
    if corrected.0.complete {
        return corrected;
    }
    let published = read(0, 0);
    let unreadable = || (commands::Walk { commands: SmallVec::<[Command; 4]>::new(), complete: false }, SmallVec::new());
    if published.0.complete { published } else { unreadable() }
}
