//! MQTT at Mosquitto, 2.0.11 of Debian 12 and newer: user names with passwords, and TLS-PSK identities -> generations.
//!
//! A slot is a user name: `mosquitto/dev1`. Four [`ways`]: the broker plugin (both passwords under one user name), a second user of dynamic security, a second
//! identity of the psk_file, and the password_file, which holds one password a user and so is a cut-over. A device learns by a [`crate::delivery`].
//!
//! `client` speaks MQTT, `dynsec` the commands of dynamic security, `saved` looks after its file, `passwords` and `files` after the others, `reload` sends
//! SIGHUP. Evidence comes from the plugin (`told`), the broker's log (`log`) and the devices' own words (`heard`), which are no proof.
//!
//! Left out: bridges between brokers; the password_file of several brokers that share one; changing the administrator's own password (use a second one).

#[path = "../../../broker-plugin/src/accepts.rs"]
pub mod accepts; // The file that the broker plugin reads: one source for both sides.
pub mod client;
mod deliver;
pub mod dynsec;
pub mod files;
mod follow;
mod heard;
pub mod log;
pub mod packets;
pub mod passwords;
pub mod reload;
pub mod saved;
pub mod settings;
pub mod told;
#[path = "../../../broker-plugin/src/uses.rs"]
pub mod uses; // What the broker plugin tells, likewise.
pub mod version;
pub mod ways;

pub use deliver::deliver;

use super::{Backend, BackendSpec, Capability, Refusal};
use crate::delivery::{self, DeliverySpec};
use crate::evidence::Evidence;
use crate::journal::Ledger;
use crate::rotation::{Class, Outcome, Procedure};
use crate::secrets::{Alphabet, Profile, Secret};
use crate::slot::{AcceptSet, Effecting, Generation, Slot};
use crate::time::{Span, Timestamp};
use packets::Level;
use settings::{Device, Settings, WayName};
use std::sync::Arc;
use told::Listener;
use ways::{Fault, Way, WayContext};

/// The backend's name.
pub const NAME: &str = "mosquitto";

/// What it is.
pub const SPEC: BackendSpec = BackendSpec {
    name: NAME,
    verifies: "user names with passwords and TLS-PSK identities of MQTT clients at Mosquitto",
    procedures: &[Procedure::SharedSecretReplacement],
    documents: &[
        "MQTT 3.1.1",
        "Mosquitto 2.0.11: plugins/dynamic-security, mosquitto_broker.h, mosquitto_plugin.h (plugin interface 5)",
        "Mosquitto 2.0.11: mosquitto.conf(5), mosquitto_passwd(1)",
    ],
    unproven: "",
    // One file holds all users, and whether a change was saved is seen by comparing it before and after.
    concurrency: 1,
    open,
};

struct Mosquitto {
    context: Arc<WayContext>,
    listener: Option<Arc<Listener>>,
    _heard: Option<heard::Listening>,
    _follow: Option<follow::Following>,
}

/// Opens the backend: binds the plugin's socket and begins to listen to the devices' own words.
fn open(table: &toml::Table, ledger: Arc<dyn Ledger>) -> Result<Arc<dyn Backend>, Refusal> {
    let settings = Settings::read(table)?;
    for name in settings.devices.values().chain([&settings.default]).filter_map(|device| device.delivery.as_deref()) {
        delivery_named(name)?;
    }
    let context = Arc::new(WayContext::new(settings, ledger));
    let settings = &context.settings;
    let listener = match (&settings.uses_socket, &settings.dynamic_security_file) {
        (Some(path), Some(like)) => Some(Listener::start(path, like, context.clone())?),
        _ => None,
    };
    let heard = heard::Listening::start(context.clone());
    let follow = follow::Following::start(context.clone());
    Ok(Arc::new(Mosquitto { context, listener, _heard: heard, _follow: follow }))
}

fn delivery_named(name: &str) -> Result<&'static DeliverySpec, Refusal> {
    delivery::named(name).ok_or_else(|| {
        let names: Vec<&str> = delivery::DELIVERIES.iter().map(|spec| spec.name).collect();
        Refusal::new(format!("mosquitto: no delivery is called {name:?}"), format!("choose one of {}", names.join(", ")))
    })
}

/// How long a delivery can still change what the device uses. Without expiry (MQTT 3.1.1) a message may wait for a device as long as the broker keeps its
/// session; a day is what it gets.
pub fn settles(level: Level, spec: &DeliverySpec, device: &Device) -> Span {
    let waits = if level == Level::V5 { device.expiry() } else { Span::hours(24) };
    Span(spec.settles.0.saturating_add(waits.0.saturating_sub(delivery::EXPIRY.0)))
}

impl Mosquitto {
    fn device(&self, slot: &Slot) -> (Device, &'static dyn Way, WayName) {
        let device = self.context.settings.device(slot);
        let name = device.way.unwrap_or_default();
        (device, ways::named(name), name)
    }

    fn delivery(&self, slot: &Slot) -> Option<&'static DeliverySpec> {
        self.device(slot).0.delivery.as_deref().and_then(delivery::named)
    }

    fn with_secret(secret: Option<&Secret>, change: impl FnOnce(&Secret) -> Result<(), Fault>) -> Outcome {
        match secret {
            Some(secret) => Fault::outcome(change(secret)),
            None => Outcome::Rejected { why: "there is no secret to install".to_owned() },
        }
    }
}

impl Backend for Mosquitto {
    fn spec(&self) -> &'static BackendSpec {
        &SPEC
    }

    fn preflight(&self) -> Result<(), Refusal> {
        let context = &self.context;
        let saved = context.settings.dynamic_security_file.is_some().then(|| context.saved()).transpose()?;
        if let Some(saved) = &saved {
            // First, since a broker that started with half a file refuses us too.
            files::check_writable(saved.path())?;
            let _alone = context.alone();
            saved.before_change()?;
        }
        let version = version::of_broker(context)?;
        if saved.is_some() && version < version::SAVES_SAFELY && !context.settings.accept_unsafe_saving {
            let cause = format!(
                "this is mosquitto {version}, which may leave half a dynamic-security.json and then refuses every client"
            );
            let remedy = format!("install {} or newer, or write accept_unsafe_saving = true", version::SAVES_SAFELY);
            return Err(Refusal::new(cause, remedy));
        }
        context.settings.ways().into_iter().try_for_each(|way| ways::named(way).preflight(context))
    }

    fn capability(&self, slot: &Slot) -> Result<Capability, Refusal> {
        let (device, _, way) = self.device(slot);
        let delivery = self.delivery(slot);
        let class = match (delivery, way) {
            (None, _) => Class::SiteVisit,
            (Some(spec), WayName::PasswordFile) => spec.class,
            (Some(_), _) => Class::Overlap,
        };
        let outage = delivery.map_or(Span::seconds(0), |spec| spec.outage);
        Ok(Capability {
            class,
            procedure: Procedure::SharedSecretReplacement,
            way: delivery.map_or("a person at the device", |spec| spec.way).to_owned(),
            way_back: match class {
                Class::SiteVisit => "the broker goes on accepting the old one".to_owned(),
                _ => delivery.map_or("", |spec| spec.way_back).to_owned(),
            },
            outage,
            reporting: device.reporting(),
            polls: Span::ZERO,
            settles: delivery.map_or(Span::ZERO, |spec| settles(self.context.settings.mqtt, spec, &device)),
            holds_both: way != WayName::PasswordFile,
            airtime: Span::ZERO,
            battery: 0,
            falls_back_to: Vec::new(),
            behind: None,
            unproven: delivery.map_or("", |spec| spec.unproven).to_owned(),
        })
    }

    fn profile(&self, slot: &Slot) -> Option<Profile> {
        let by_hand = Profile { length: 20..=24, alphabet: Alphabet::Alphanumeric };
        Some(match self.device(slot).2 {
            // 16 bytes: more than some small TLS libraries take locks the device out.
            WayName::PskFile => Profile { length: 32..=32, alphabet: Alphabet::Hex },
            _ => self.delivery(slot).map_or(by_hand, |spec| spec.delivery.profile()),
        })
    }

    fn accept(&self, slot: &Slot, generation: Generation, secret: Option<&Secret>, _by: Effecting) -> Outcome {
        Self::with_secret(secret, |secret| self.device(slot).1.accept(&self.context, slot, generation, secret))
    }

    fn switch(&self, slot: &Slot, to: Generation, secret: Option<&Secret>, _by: Effecting) -> Outcome {
        Self::with_secret(secret, |secret| self.device(slot).1.switch(&self.context, slot, to, secret))
    }

    fn deliver(&self, slot: &Slot, from: Generation, to: Generation, secret: Option<&Secret>, by: Effecting) -> Outcome {
        let Some(secret) = secret else { return Outcome::Rejected { why: "there is no secret to deliver".to_owned() } };
        let (_, way, _) = self.device(slot);
        match self.delivery(slot) {
            Some(spec) => deliver(&self.context, slot, way, spec, (from, to), secret, by),
            None => Outcome::Rejected { why: format!("{slot}: no delivery is configured; a person must go to the device") },
        }
    }

    fn read_back(&self, slot: &Slot) -> Result<AcceptSet, Refusal> {
        // A broker that is away accepts nothing, whatever its files say.
        version::of_broker(&self.context)?;
        self.device(slot).1.read_back(&self.context, slot)
    }

    fn evidence(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        if let Some(listener) = &self.listener {
            listener.drain(&self.context)?;
            listener.complete(since)?;
        }
        self.device(slot).1.evidence(&self.context, slot, since)
    }

    fn retire(&self, slot: &Slot, generation: Generation, _by: Effecting) -> Outcome {
        Fault::outcome(self.device(slot).1.retire(&self.context, slot, generation))
    }

    fn quarantine(&self, slot: &Slot, until: Option<Timestamp>, _by: Effecting) -> Outcome {
        let (device, way, _) = self.device(slot);
        let topic = device.topic.as_deref().unwrap_or(slot.name());
        let topics = self.delivery(slot).map(|spec| spec.delivery.topics(topic)).unwrap_or_default();
        Fault::outcome(match until {
            Some(_) => ways::quarantine::begin(&self.context, way, slot, &topics),
            None => ways::quarantine::end(&self.context, way, slot),
        })
    }

    fn leave(&self, slot: &Slot, _by: Effecting) -> Outcome {
        Fault::outcome(self.device(slot).1.leave(&self.context, slot))
    }
}
