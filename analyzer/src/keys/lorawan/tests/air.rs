//! Frames as devices and networks make them, with other implementations of AES and CMAC than the product's; and a tap that hears them.

use crate::findings::{Answer, Found, Verdict};
use crate::hot::owned::{Event, OwnedFact, OwnedValue, Seen};
use crate::keys::lorawan::{Budget, KeyConfig, LorawanKeys};
use crate::keys::testing::heard;
use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use citytap_sensor::flow::{Direction, Endpoint};
use citytap_sensor::observation::{KindId, Place};
use citytap_sensor::time::Timestamp;
use cmac::{Cmac, Mac};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

pub type Raw = [u8; 16];

pub fn hex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub fn raw(text: &str) -> Raw {
    hex(text).try_into().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn code(key: &Raw, message: &[u8]) -> [u8; 16] {
    let mut mac = <Cmac<Aes128> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn encrypted(key: &Raw, block: Raw) -> Raw {
    let mut block = block.into();
    Aes128::new(&(*key).into()).encrypt_block(&mut block);
    block.into()
}

fn padded(bytes: &[u8]) -> Raw {
    let mut block = [0; 16];
    block[..bytes.len()].copy_from_slice(bytes);
    block
}

pub const DEVICE: Device = Device { dev_eui: 0x24e1_24ff_fe01_0203, join_eui: 0x24e1_24c0_002a_0001 };
pub const ADDRESS: u32 = 0x2601_1bda;

/// A key that nobody published.
pub fn own() -> Raw {
    raw("c0ffee0102a3b4c5d6e7f80912233445")
}

/// Another one.
pub fn other() -> Raw {
    raw("5eed5eed0102a3b4c5d6e7f809122334")
}

/// A key that stands on a list: the example of FIPS 197.
pub fn listed() -> Raw {
    raw("2b7e151628aed2a6abf7158809cf4f3c")
}

/// A device's names.
#[derive(Clone, Copy)]
pub struct Device {
    pub dev_eui: u64,
    pub join_eui: u64,
}

impl Device {
    pub fn join(&self, key: &Raw, nonce: u16) -> Vec<u8> {
        let mut frame = [&[0x00][..], &self.join_eui.to_le_bytes(), &self.dev_eui.to_le_bytes(), &nonce.to_le_bytes()].concat();
        frame.extend(&code(key, &frame)[..4]);
        frame
    }

    /// A rejoin-request of type 1.
    pub fn rejoin(&self, nwk_key: &Raw, count: u16) -> Vec<u8> {
        let mut frame =
            [&[0xc0, 1][..], &self.join_eui.to_le_bytes(), &self.dev_eui.to_le_bytes(), &count.to_le_bytes()].concat();
        frame.extend(&code(&self.join_server(nwk_key, 6), &frame)[..4]);
        frame
    }

    fn join_server(&self, nwk_key: &Raw, which: u8) -> Raw {
        encrypted(nwk_key, padded(&[&[which][..], &self.dev_eui.to_le_bytes()].concat()))
    }

    /// A join-accept of a 1.1 network; `kind` 0xff answers a join, else the rejoin type.
    pub fn accept_1_1(&self, nwk_key: &Raw, kind: u8, nonce: u16, join_nonce: u32, dev_addr: u32) -> Vec<u8> {
        let message = accept_message(join_nonce, dev_addr, 0x80, &[]);
        let head = [&[kind][..], &self.join_eui.to_le_bytes(), &nonce.to_le_bytes()].concat();
        let mic = code(&self.join_server(nwk_key, 6), &[&head[..], &message].concat());
        let key = if kind == 0xff { *nwk_key } else { self.join_server(nwk_key, 5) };
        sealed(&key, &message, &mic)
    }

    /// FNwkSIntKey (1), SNwkSIntKey (3), NwkSEncKey (4) of a NwkKey, AppSKey (2) of an AppKey.
    pub fn session_1_1(&self, root: &Raw, which: u8, nonce: u16, join_nonce: u32) -> Raw {
        let parts = [&[which][..], &join_nonce.to_le_bytes()[..3], &self.join_eui.to_le_bytes(), &nonce.to_le_bytes()];
        encrypted(root, padded(&parts.concat()))
    }
}

const NET_ID: [u8; 3] = [0x13, 0, 0];

/// MHDR and what is encrypted, without the MIC.
fn accept_message(join_nonce: u32, dev_addr: u32, dl_settings: u8, cf_list: &[u8]) -> Vec<u8> {
    [&[0x20][..], &join_nonce.to_le_bytes()[..3], &NET_ID, &dev_addr.to_le_bytes(), &[dl_settings, 1], cf_list].concat()
}

fn sealed(key: &Raw, message: &[u8], mic: &[u8]) -> Vec<u8> {
    let mut frame = [message, &mic[..4]].concat();
    let cipher = Aes128::new(&(*key).into());
    for block in frame[1..].chunks_mut(16) {
        let mut plain = aes::Block::try_from(&*block).unwrap();
        cipher.decrypt_block(&mut plain);
        block.copy_from_slice(&plain);
    }
    frame
}

/// A join-accept of a 1.0 network.
pub fn accept_1_0(app_key: &Raw, join_nonce: u32, dev_addr: u32, cf_list: &[u8]) -> Vec<u8> {
    let message = accept_message(join_nonce, dev_addr, 0x03, cf_list);
    sealed(app_key, &message, &code(app_key, &message))
}

/// NwkSKey (1) and AppSKey (2) of a 1.0 session.
pub fn session_1_0(app_key: &Raw, which: u8, nonce: u16, join_nonce: u32) -> Raw {
    encrypted(app_key, padded(&[&[which][..], &join_nonce.to_le_bytes()[..3], &NET_ID, &nonce.to_le_bytes()].concat()))
}

/// A data frame before it is sealed.
#[derive(Clone)]
pub struct Data {
    /// MHDR: 0x40 up, 0x60 down, 0x80 and 0xa0 confirmed.
    pub mhdr: u8,
    pub dev_addr: u32,
    pub f_ctrl: u8,
    pub f_cnt: u32,
    pub f_opts: Vec<u8>,
    pub f_port: u8,
    pub payload: Vec<u8>,
}

impl Data {
    pub fn up(dev_addr: u32, f_cnt: u32, f_port: u8, payload: &[u8]) -> Self {
        Self { mhdr: 0x40, dev_addr, f_ctrl: 0, f_cnt, f_opts: Vec::new(), f_port, payload: payload.into() }
    }

    fn block(&self, first: u8, four: [u8; 4], last: u8) -> Raw {
        let dir = u8::from(self.mhdr & 0x20 != 0);
        let parts = [&[first][..], &four, &[dir], &self.dev_addr.to_le_bytes(), &self.f_cnt.to_le_bytes(), &[0, last]].concat();
        parts.try_into().unwrap()
    }

    fn message(&self, payload_key: &Raw) -> Vec<u8> {
        let mut payload = self.payload.clone();
        for (chunk, i) in payload.chunks_mut(16).zip(1..) {
            let stream = encrypted(payload_key, self.block(0x01, [0; 4], i));
            chunk.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
        }
        let f_ctrl = self.f_ctrl | self.f_opts.len() as u8;
        let head = [&[self.mhdr][..], &self.dev_addr.to_le_bytes(), &[f_ctrl], &self.f_cnt.to_le_bytes()[..2]].concat();
        [&head[..], &self.f_opts, &[self.f_port], &payload].concat()
    }

    /// Sealed as in 1.0.x.
    pub fn seal(&self, nwk_s_key: &Raw, app_s_key: &Raw) -> Vec<u8> {
        let mut frame = self.message(if self.f_port == 0 { nwk_s_key } else { app_s_key });
        let mic = code(nwk_s_key, &[&self.block(0x49, [0; 4], frame.len() as u8)[..], &frame].concat());
        frame.extend(&mic[..4]);
        frame
    }

    /// Sealed as in 1.1, on data rate 5 and channel 2. `acknowledged` goes into the blocks of frames that acknowledge.
    pub fn seal_1_1(&self, f_int: &Raw, s_int: &Raw, enc: &Raw, app_s: &Raw, acknowledged: u16) -> Vec<u8> {
        let mut sealed = self.clone();
        let counter = if self.mhdr & 0x20 != 0 && self.f_port > 0 { 2 } else { 1 };
        let stream = encrypted(enc, self.block(0x01, [0, 0, 0, counter], 1));
        sealed.f_opts.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
        let mut frame = sealed.message(if self.f_port == 0 { enc } else { app_s });
        let [c0, c1] = acknowledged.to_le_bytes();
        let length = frame.len() as u8;
        if self.mhdr & 0x20 != 0 {
            let mic = code(s_int, &[&self.block(0x49, [c0, c1, 0, 0], length)[..], &frame].concat());
            frame.extend(&mic[..4]);
        } else {
            let by_s = code(s_int, &[&self.block(0x49, [c0, c1, 5, 2], length)[..], &frame].concat());
            let by_f = code(f_int, &[&self.block(0x49, [0; 4], length)[..], &frame].concat());
            frame.extend([by_s[0], by_s[1], by_f[0], by_f[1]]);
        }
        frame
    }
}

/// The stage under test, fed frame by frame. Times are in milliseconds.
pub struct Tap {
    pub keys: LorawanKeys,
    frame: u64,
    now: u64,
    pub facts: Vec<OwnedFact>,
}

pub const GATEWAY: u64 = 0xa840_41ff_ff00_0001;

impl Tap {
    pub fn new() -> Self {
        Self::with(KeyConfig::default(), Budget::default())
    }

    pub fn with(config: KeyConfig, budget: Budget) -> Self {
        Self { keys: LorawanKeys::new(config, budget), frame: 0, now: 1_000_000, facts: Vec::new() }
    }

    pub fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds;
    }

    /// A frame at a gateway that tells no clock.
    pub fn hear(&mut self, phy_payload: &[u8]) {
        self.hear_at(phy_payload, Some(GATEWAY), None);
    }

    pub fn hear_at(&mut self, phy_payload: &[u8], gateway: Option<u64>, tmst_us: Option<u32>) {
        self.frame += 1;
        self.now += 10;
        let endpoint = Endpoint { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 1700 };
        self.keys.observe(&Event {
            stages: 1,
            seen: Seen { place: Place { frame: self.frame, sequence: 0 }, time: Timestamp(self.now * 1_000_000) },
            network: 0,
            sender: endpoint,
            receiver: endpoint,
            direction: Direction::ToServer,
            kind: KindId::of("lorawan.data"),
            fields: vec![
                OwnedValue::Bytes(phy_payload.into()),
                gateway.map_or(OwnedValue::Absent, OwnedValue::Unsigned),
                tmst_us.map_or(OwnedValue::Absent, |tmst| OwnedValue::Unsigned(tmst.into())),
            ],
        });
    }

    /// An epoch's end.
    pub fn epoch(&mut self) {
        self.keys.work(Timestamp(self.now * 1_000_000), false);
        self.facts.extend(self.keys.take_facts().into_iter().map(|(_, fact)| fact));
    }

    /// The end of the capture.
    pub fn end(&mut self) {
        self.keys.work(Timestamp(self.now * 1_000_000), true);
        self.facts.extend(self.keys.take_facts().into_iter().map(|(_, fact)| fact));
    }

    /// All answers, sorted by name and check.
    pub fn verdicts(&self) -> Vec<Verdict> {
        heard(|take| self.keys.verdicts(take))
    }

    pub fn verdict(&self, check: &str, subject: &str) -> Option<Verdict> {
        self.verdicts().into_iter().find(|verdict| verdict.check.id == check && verdict.subject.to_string() == subject)
    }

    /// The answer to `lorawan-known-key` for a DevEUI.
    pub fn known_key(&self, dev_eui: u64) -> Answer {
        self.verdict("lorawan-known-key", &format!("dev_eui:{dev_eui:016x}")).expect("a verdict").answer
    }

    /// The answer to `lorawan-known-session-key` for a DevAddr.
    pub fn session_key(&self, dev_addr: u32) -> Answer {
        self.verdict("lorawan-known-session-key", &format!("dev_addr:{dev_addr:08x}")).expect("a verdict").answer
    }

    /// Links as `dev_eui = dev_addr: basis confidence`.
    pub fn links(&self) -> Vec<String> {
        let links = self.facts.iter().filter_map(|fact| match fact {
            OwnedFact::SameAs { a, b, basis, confidence } => Some(format!("{a} = {b}: {basis} {confidence:?}")),
            _ => None,
        });
        links.collect()
    }

    /// The JSON of derived records since the last call.
    pub fn derived(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for derived in self.keys.take_derived() {
            derived.with_record(&mut |record| {
                let mut json = Vec::new();
                record.write_json(&mut json);
                lines.push(format!("{} {}", record.kind().name, String::from_utf8(json).unwrap()));
            });
        }
        lines
    }
}

/// What was found.
pub fn found(answer: Answer) -> Found {
    match answer {
        Answer::Found(found) => found,
        other => panic!("not found: {other:?}"),
    }
}

/// An argument of a finding.
pub fn argument<'a>(found: &'a Found, name: &str) -> &'a str {
    found.arguments.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value).unwrap()
}
