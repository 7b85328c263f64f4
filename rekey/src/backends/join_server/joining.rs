//! What is answered: join-requests, rejoin-requests, who a device's home network is, and the AppSKey of a session. TS002 §8.1, §12, §16.

use super::accept::{self, JOIN, OPT_NEG, Settings};
use super::config::Sender;
use super::devices::{self, Device, Missing};
use super::frame::Frame;
use super::keys::{NetworkKeys, RootKeys, SessionInput, js_int_key};
use super::message::{Answer, JoinReq, KeyEnvelope, MacVersion, Refused, Request, ResultCode, to_hex};
use super::state::{NonceRefusal, NonceRule, Opening, Session};
use super::{Shared, now};
use crate::slot::Generation;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// An answer, and whether what it depends on is on the disk: it must not leave before.
pub(super) struct Prepared {
    pub(super) answer: Answer,
    pub(super) durable: Option<oneshot::Receiver<bool>>,
}

impl From<Answer> for Prepared {
    fn from(answer: Answer) -> Self {
        Self { answer, durable: None }
    }
}

impl From<Missing> for Refused {
    fn from(missing: Missing) -> Self {
        Refused::new(ResultCode::Other, missing.to_string())
    }
}

pub(super) fn answer(shared: &Shared, sender: Option<&Sender>, request: &Request) -> Result<Prepared, Refused> {
    match request {
        Request::Join(join) => open(shared, sender, join, true),
        Request::Rejoin(join) => open(shared, sender, join, false),
        Request::HomeNs(dev_eui) => home_network(shared, *dev_eui).map(Into::into),
        Request::AppSKey { dev_eui, session_key_id } => app_s_key(shared, sender, *dev_eui, session_key_id).map(Into::into),
    }
}

fn unknown() -> Refused {
    Refused::new(ResultCode::UnknownDevEui, "this Join Server has no key of this DevEUI")
}

fn malformed(why: &'static str) -> Refused {
    Refused::new(ResultCode::Malformed, why)
}

/// JoinReq and RejoinReq.
fn open(shared: &Shared, sender: Option<&Sender>, request: &JoinReq, is_join: bool) -> Result<Prepared, Refused> {
    let frame = Frame::parse(&request.phy_payload)?;
    check(request, &frame, is_join)?;
    if shared.config.facts(request.dev_eui).held_by.is_some() {
        return Err(unknown());
    }
    let (root, session, durable) = {
        let mut shard = shared.devices.shard(request.dev_eui);
        let device = devices::find(&mut shard, request.dev_eui, &*shared.ledger, &shared.config)?.ok_or_else(unknown)?;
        let opened = open_session(shared, device, request, &frame);
        if opened.is_err() {
            device.refused = Some(now());
        }
        let (generation, session, shed) = opened?;
        shared.counts.nonces_forgotten.fetch_add(shed, Ordering::Relaxed);
        let root = device.roots.iter().find(|(number, _)| *number == generation).map(|(_, root)| root.clone());
        // Under the lock, so that the changes of one device are written in the order in which they were made.
        (root.ok_or_else(unknown)?, session, shared.writer.put(devices::change(request.dev_eui, &device.state)))
    };
    let phy_payload = accept::phy_payload(&root.nwk_key, request.dev_eui, frame.kind, &session.input, &request.settings);
    let mut answer = session_answer(shared, sender, request.dev_eui, &root, &session.input)?;
    answer.phy_payload = Some(to_hex(&phy_payload));
    answer.lifetime = Some(0);
    Ok(Prepared { answer, durable: Some(durable) })
}

/// What must hold whatever the keys.
fn check(request: &JoinReq, frame: &Frame<'_>, is_join: bool) -> Result<(), Refused> {
    if (frame.kind == JOIN) != is_join {
        return Err(malformed("PHYPayload is another frame than MessageType says"));
    }
    if frame.dev_eui != request.dev_eui {
        return Err(malformed("DevEUI is another than that of PHYPayload"));
    }
    if frame.join_eui.is_some_and(|join_eui| join_eui != request.join_eui) {
        return Err(malformed("ReceiverID is another than the JoinEUI of PHYPayload"));
    }
    if frame.net_id.is_some_and(|net_id| net_id != request.net_id) && frame.kind == 2 {
        return Err(malformed("NetID of a rejoin-request of type 2 is another than SenderID"));
    }
    let opt_neg = opt_neg(&request.settings);
    if opt_neg && request.mac_version != MacVersion::V1_1 {
        return Err(malformed("OptNeg is for LoRaWAN 1.1"));
    }
    if !is_join && !opt_neg {
        return Err(malformed("a rejoin-request is answered with OptNeg"));
    }
    Ok(())
}

fn opt_neg(settings: &Settings) -> bool {
    settings.dl_settings & OPT_NEG != 0
}

/// Finds the key that the frame was made with, and takes its number.
fn open_session(
    shared: &Shared,
    device: &mut Device,
    request: &JoinReq,
    frame: &Frame<'_>,
) -> Result<(Generation, Session, u64), Refused> {
    let proved = prove(device, request, frame).ok_or_else(|| {
        Refused::new(ResultCode::MicFailed, "the code of the frame fits none of the keys that are accepted for this device")
    })?;
    let opt_neg = opt_neg(&request.settings);
    if opt_neg && proved.root.app_key.is_none() {
        return Err(Refused::new(
            ResultCode::JoinReqFailed,
            "a 1.1 session needs an AppKey, and one key alone is held for this device",
        ));
    }
    let generation = proved.generation;
    let rule = match shared.config.facts(request.dev_eui).mac_version.unwrap_or(request.mac_version) {
        MacVersion::Before1_0_4 => NonceRule::Random,
        MacVersion::V1_0_4 | MacVersion::V1_1 => NonceRule::Counter,
    };
    let opening = Opening {
        generation,
        kind: frame.kind,
        opt_neg,
        net_id: request.net_id,
        join_eui: request.join_eui,
        nonce: frame.nonce,
        rule,
        from: proved.from,
        dev_addr: request.settings.dev_addr,
        at: now(),
    };
    match device.state.open(&opening) {
        Ok((session, shed)) => Ok((generation, session, shed)),
        Err(refusal) => {
            if refusal == NonceRefusal::Restored {
                // What it taught must outlive us too; that nobody waits for it changes nothing.
                drop(shared.writer.put(devices::change(request.dev_eui, &device.state)));
            }
            Err(told(refusal, frame.nonce))
        }
    }
}

fn told(refusal: NonceRefusal, nonce: u16) -> Refused {
    let (code, why) = match refusal {
        NonceRefusal::Used => (ResultCode::FrameReplayed, format!("DevNonce {nonce} was used before")),
        NonceRefusal::NotAbove(highest) => (
            ResultCode::FrameReplayed,
            format!(
                "number {nonce} is not above {highest}: a replay, or a device that lost its counter or chooses at random (then set its mac_version to 1.0.3)"
            ),
        ),
        NonceRefusal::Restored => (
            ResultCode::JoinReqFailed,
            "the journal was restored from a backup: this first request may be a replay, the device's next one is taken"
                .to_owned(),
        ),
        NonceRefusal::Exhausted => {
            (ResultCode::JoinReqFailed, "no JoinNonce is left: the device needs another DevEUI".to_owned())
        }
    };
    Refused::new(code, why)
}

struct Proved<'a> {
    generation: Generation,
    root: &'a RootKeys,
    /// The session in which the device made a rejoin-request of type 0 or 2.
    from: Option<u32>,
}

fn prove<'a>(device: &'a Device, request: &JoinReq, frame: &Frame<'_>) -> Option<Proved<'a>> {
    if matches!(frame.kind, 0 | 2) {
        // Made with the SNwkSIntKey of the session in which it is, which the network server checks too (LoRaWAN 1.1 §6.2.4.1).
        let sessions = device.state.sessions().iter().rev().filter(|session| session.input.opt_neg);
        return sessions.filter(|session| session.input.join_eui == request.join_eui).find_map(|session| {
            let (generation, root) = device.roots.iter().find(|(generation, _)| *generation == session.generation)?;
            let from = Some(session.input.join_nonce);
            frame.fits(&session.input.s_nwk_s_int_key(root)).then_some(Proved { generation: *generation, root, from })
        });
    }
    generation_of(&device.roots, frame).map(|(generation, root)| Proved { generation, root, from: None })
}

/// The generation under which the code of a join-request, or of a rejoin-request of type 1, is right.
pub(super) fn generation_of<'a>(roots: &'a [(Generation, RootKeys)], frame: &Frame<'_>) -> Option<(Generation, &'a RootKeys)> {
    let fits = |root: &RootKeys| match frame.kind {
        JOIN => frame.fits(&root.nwk_key),
        1 => frame.fits(&js_int_key(&root.nwk_key, frame.dev_eui)),
        _ => false,
    };
    roots.iter().find(|(_, root)| fits(root)).map(|(generation, root)| (*generation, root))
}

fn session_answer(
    shared: &Shared,
    sender: Option<&Sender>,
    dev_eui: u64,
    root: &RootKeys,
    input: &SessionInput,
) -> Result<Answer, Refused> {
    let kek = sender.and_then(|sender| sender.kek.as_ref());
    let envelope = |key| Some(KeyEnvelope::new(key, kek));
    let mut answer = Answer { session_key_id: Some(to_hex(&session_key_id(dev_eui, input.join_nonce))), ..Answer::default() };
    match input.network_keys(root) {
        NetworkKeys::V1_0 { nwk_s_key } => answer.nwk_s_key = envelope(&nwk_s_key),
        NetworkKeys::V1_1 { f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key } => {
            answer.f_nwk_s_int_key = envelope(&f_nwk_s_int_key);
            answer.s_nwk_s_int_key = envelope(&s_nwk_s_int_key);
            answer.nwk_s_enc_key = envelope(&nwk_s_enc_key);
        }
    }
    let app_s_key =
        input.app_s_key(root).ok_or_else(|| Refused::new(ResultCode::JoinReqFailed, "no AppKey is held for this device"))?;
    answer.app_s_key = Some(KeyEnvelope::new(&app_s_key, shared.config.application_kek.as_ref().or(kek)));
    Ok(answer)
}

/// SessionKeyID: DevEUI and JoinNonce, which never come together twice.
fn session_key_id(dev_eui: u64, join_nonce: u32) -> [u8; 12] {
    let mut id = [0; 12];
    id.iter_mut().zip(dev_eui.to_be_bytes().into_iter().chain(join_nonce.to_be_bytes())).for_each(|(to, from)| *to = from);
    id
}

fn home_network(shared: &Shared, dev_eui: u64) -> Result<Answer, Refused> {
    let mut shard = shared.devices.shard(dev_eui);
    devices::find(&mut shard, dev_eui, &*shared.ledger, &shared.config)?.ok_or_else(unknown)?;
    let net_id = shared.config.home_net_id.ok_or_else(|| Refused::new(ResultCode::Other, "no home_net_id is configured"))?;
    Ok(Answer { h_net_id: Some(format!("{net_id:06x}")), ..Answer::default() })
}

fn app_s_key(shared: &Shared, sender: Option<&Sender>, dev_eui: u64, session_key_id: &[u8]) -> Result<Answer, Refused> {
    let gone = || Refused::new(ResultCode::Other, "this session is not known, or its root key was destroyed");
    let mut shard = shared.devices.shard(dev_eui);
    let device = devices::find(&mut shard, dev_eui, &*shared.ledger, &shared.config)?.ok_or_else(unknown)?;
    let (eui, join_nonce) = session_key_id.split_first_chunk::<8>().ok_or_else(gone)?;
    let join_nonce = u32::from_be_bytes(join_nonce.try_into().map_err(|_| gone())?);
    let session = device.state.session(join_nonce).filter(|_| u64::from_be_bytes(*eui) == dev_eui).ok_or_else(gone)?;
    let (_, root) = device.roots.iter().find(|(generation, _)| *generation == session.generation).ok_or_else(gone)?;
    let key = session.input.app_s_key(root).ok_or_else(gone)?;
    let kek = shared.config.application_kek.as_ref().or(sender.and_then(|sender| sender.kek.as_ref()));
    Ok(Answer {
        app_s_key: Some(KeyEnvelope::new(&key, kek)),
        session_key_id: Some(to_hex(session_key_id)),
        dev_eui: Some(format!("{dev_eui:016x}")),
        ..Answer::default()
    })
}
