//! Listens to what devices say of themselves: starts, and which generation they have. Kept as evidence; what a device says is a hint, never a proof.

use super::client::{Client, Message};
use super::told::journal;
use super::ways::WayContext;
use crate::backends::Refusal;
use crate::delivery::{self, DeliverySpec, Heard};
use crate::evidence::Evidence;
use crate::slot::Slot;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long after a lost connection the next is tried.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked at whether the backend still lives.
const GLANCE: Duration = Duration::from_millis(500);

/// The listening thread; it ends when this is dropped.
pub struct Listening(Arc<AtomicBool>);

impl Listening {
    /// Begins, where a delivery in use tells something.
    pub fn start(context: Arc<WayContext>) -> Option<Self> {
        let settings = &context.settings;
        let names = settings.devices.values().chain([&settings.default]).filter_map(|device| device.delivery.as_deref());
        let specs: BTreeMap<&'static str, &'static DeliverySpec> =
            names.filter_map(delivery::named).filter_map(|spec| Some((spec.delivery.tells_on()?, spec))).collect();
        if specs.is_empty() {
            return None;
        }
        let topics = settings.devices.iter().filter_map(|(name, device)| Some((device.topic.clone()?, name.clone()))).collect();
        let ends = Arc::new(AtomicBool::new(false));
        let until = ends.clone();
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                // The broker is away: evidence from elsewhere says what is needed, and this is tried again.
                let _ = listen(&context, &specs, &topics, &until);
                std::thread::sleep(PAUSE);
            }
        });
        Some(Self(ends))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Topics = BTreeMap<String, String>;

fn listen(context: &WayContext, specs: &BTreeMap<&str, &DeliverySpec>, topics: &Topics, ends: &AtomicBool) -> Result<(), ()> {
    let mut client: Client = context.client("heard").map_err(drop)?;
    for filter in specs.keys() {
        client.subscribe(filter).map_err(drop)?;
    }
    while !ends.load(Ordering::Relaxed) {
        if let Some(message) = client.receive(Instant::now() + GLANCE).map_err(drop)?
            && !message.retained
        {
            for (filter, spec) in specs {
                if let Some(slot) = slot_of(filter, &message, topics) {
                    let _ = keep(context, &slot, &spec.delivery.heard(&message.payload)); // A journal's fault shows at the next effect.
                }
            }
        }
    }
    client.close();
    Ok(())
}

/// The slot of a message on a filter with one `+`.
fn slot_of(filter: &str, message: &Message, topics: &Topics) -> Option<Slot> {
    let (before, after) = filter.split_once('+')?;
    let topic = message.topic.strip_prefix(before)?.strip_suffix(after)?;
    Slot::new(super::NAME, topics.get(topic).map_or(topic, String::as_str)).ok()
}

fn keep(context: &WayContext, slot: &Slot, heard: &[Heard]) -> Result<(), Refusal> {
    // Anybody may publish under any name; what the journal does not know is not kept.
    if context.ledger.accepted(slot).map_err(journal)?.generations.is_empty() {
        return Ok(());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = Timestamp(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
    let mut evidence = BTreeSet::new();
    for heard in heard {
        match *heard {
            Heard::Booted(ago) => drop(evidence.insert(Evidence::Restarted { at: before(at, ago) })),
            Heard::Has(generation) => drop(evidence.insert(Evidence::Acknowledged { generation, at })),
            Heard::BootCount(count, ago) => {
                let key = format!("boots/{}", slot.name()).into_bytes();
                let known = context
                    .ledger
                    .get(&key)
                    .map_err(journal)?
                    .and_then(|(_, bytes)| bytes.try_into().ok())
                    .map(u64::from_be_bytes);
                if known != Some(count) {
                    context.ledger.put(&[(key, Some(count.to_be_bytes().to_vec()))]).map_err(journal)?;
                    evidence.extend(known.map(|_| Evidence::Restarted { at: before(at, ago) }));
                }
            }
        }
    }
    if evidence.is_empty() {
        Ok(())
    } else {
        context.ledger.saw(slot, &evidence.into_iter().collect::<Vec<_>>()).map_err(journal)
    }
}

fn before(at: Timestamp, ago: crate::time::Span) -> Timestamp {
    Timestamp(at.0.saturating_sub(ago.0))
}
