//! What one device address did: which of its counters is the device's own, what else was sent under it, and what that comes to.

use super::super::lorawan_radio::{Delivery, Known, Reception};
use super::joins::AFTER_JOIN;
use super::track::{Step, Track};
use crate::findings::Evidence;
use crate::hot::owned::Seen;
use citytap_sensor::protocols::lorawan::wire::DataFrame;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use smallvec::SmallVec;

/// Counters followed at one address: its own, and two that appear beside it.
const TRACKS: usize = 3;

/// Frames that make a counter more than noise.
const REAL: u32 = 3;

/// Frames after which the device of an address is known well enough to see that another one appears.
const ESTABLISHED: u32 = 8;

/// Frames after which a counter that starts again is one.
const FOLLOWED: u32 = 5;

/// A counter this small can be the first that is heard of a new session.
pub(super) const FIRST: u16 = 3;

/// A second sender that starts within this many of the device's own counter was made from it; two that share an address by chance are rarely this
/// close.
const NEAR: u16 = 256;

/// Frames that a backhaul can hold back.
const LATE: u16 = 64;

/// A backhaul in order delivers within this time.
const SLOW: Nanos = 45 * SECOND;

/// Repeats that wait for the device's next frame.
const REPEATS: usize = 16;

/// What was seen of one address.
#[derive(Default)]
pub(super) struct Address {
    /// The device's own first.
    tracks: SmallVec<[Track; 1]>,
    /// Which track the last frame was of.
    turn: usize,
    /// Distinct uplinks.
    pub(super) uplinks: u32,
    repeats: SmallVec<[Repeat; 1]>,
    /// Whether several devices use the address.
    pub(super) shared: bool,
    pub(super) found: Option<Box<Findings>>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) replays: Evidence,
    /// How long after the frame was first sent, and whether a gateway's clock says that it was on the air again.
    pub(super) after: Nanos,
    pub(super) by_clock: bool,
    pub(super) parallel: Evidence,
    pub(super) restarts: Evidence,
    /// Whether all began at 0, or one went back elsewhere.
    pub(super) went_back: bool,
    pub(super) jumps: Evidence,
}

/// An old frame that was on the air again.
#[derive(Clone, Copy)]
struct Repeat {
    f_cnt: u16,
    seen: Seen,
    after: Nanos,
    by_clock: bool,
}

/// What a person may set, and what is known beside the frame.
pub(super) struct Around<'a> {
    pub(super) replay_gap: Nanos,
    pub(super) counter_gap: u16,
    pub(super) delivery: Delivery,
    /// When a device last joined that can be the one of this address.
    pub(super) joined: &'a dyn Fn() -> Option<Timestamp>,
}

impl Address {
    /// When the device's own counter was first heard.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.tracks.first().map(|main| main.began.time)
    }

    /// A frame that was never heard before.
    pub(super) fn new_frame(&mut self, data: &DataFrame<'_>, reception: &Reception, around: &Around<'_>) {
        self.uplinks = self.uplinks.saturating_add(1);
        match self.place(data, reception.time()) {
            Place::Same(at) => self.tracks.get_mut(at).into_iter().for_each(|track| track.copy(reception)),
            Place::On(at) => {
                if at == 0 {
                    self.settle_repeats(data.f_cnt_lsb);
                }
                self.go_on(at, data, reception, around);
            }
            Place::Nowhere if self.is_late(data, reception.time(), around) => {}
            Place::Nowhere => self.begin(data, reception, around, false),
        }
    }

    /// A copy of a frame that was heard a moment ago.
    pub(super) fn copy(&mut self, data: &DataFrame<'_>, reception: &Reception) {
        let track = self.tracks.iter_mut().find(|track| track.last == data.f_cnt_lsb);
        track.into_iter().for_each(|track| track.copy(reception));
    }

    /// A frame that was heard before, and not a moment ago.
    pub(super) fn again(&mut self, data: &DataFrame<'_>, reception: &Reception, known: &Known, around: &Around<'_>) {
        match self.place(data, reception.time()) {
            // The last frame again, with nothing in between, is a retransmission, however slow: the duty cycle can take half an hour.
            Place::Same(_) => {
                let caught_up = |repeat: &Repeat| data.f_cnt_lsb.wrapping_sub(repeat.f_cnt) <= FIRST;
                if self.repeats.last().is_some_and(caught_up) {
                    self.repeats.clear();
                }
            }
            // After a restart a device can say the same under the same counter.
            Place::On(0) if self.tracks.first().is_some_and(|main| main.is_next(data.f_cnt_lsb)) => {
                self.go_on(0, data, reception, around);
            }
            place if is_on_air(reception, known, around.delivery) => {
                self.repeat(data, reception, known, around);
                match place {
                    Place::On(at) if at > 0 => self.go_on(at, data, reception, around),
                    _ => self.begin(data, reception, around, true),
                }
            }
            _ => {}
        }
    }

    fn place(&self, data: &DataFrame<'_>, now: Timestamp) -> Place {
        let mut best: Option<(u16, usize)> = None;
        for (at, track) in self.tracks.iter().enumerate() {
            match track.step(data, now) {
                Step::Same => return Place::Same(at),
                Step::On(by) if best.is_none_or(|(least, _)| by < least) => best = Some((by, at)),
                _ => {}
            }
        }
        best.map_or(Place::Nowhere, |(_, at)| Place::On(at))
    }

    /// Whether a frame with a lower counter was probably sent before the last one and came late.
    fn is_late(&self, data: &DataFrame<'_>, now: Timestamp, around: &Around<'_>) -> bool {
        let Some(main) = self.tracks.first() else { return false };
        let back = main.last.wrapping_sub(data.f_cnt_lsb);
        let held_back = back <= LATE && data.f_cnt_lsb > FIRST && !around.delivery.is_timely();
        let overtaken = back <= FIRST && now.since(main.heard) <= around.replay_gap;
        held_back || overtaken
    }

    fn go_on(&mut self, at: usize, data: &DataFrame<'_>, reception: &Reception, around: &Around<'_>) {
        let turns = self.turn != at;
        for (number, track) in self.tracks.iter_mut().enumerate() {
            track.turns += u32::from(turns && number > 0 && (number == at || number == self.turn));
        }
        self.turn = at;
        let Some(track) = self.tracks.get_mut(at) else { return };
        track.take(data, reception);
        if at > 0 {
            self.judge(at, reception.seen, around);
        }
    }

    fn begin(&mut self, data: &DataFrame<'_>, reception: &Reception, around: &Around, copies: bool) {
        let mut track = Track::new(data, reception);
        if let Some(main) = self.tracks.first() {
            track.main = (main.frames, main.last, main.heard);
            track.copies = copies;
            track.timely = around.delivery.is_timely();
            let joined = |join: Timestamp| join >= main.heard && reception.time().since(join) <= AFTER_JOIN;
            track.joined = (around.joined)().is_some_and(joined);
        }
        if self.tracks.len() == TRACKS {
            // The least of those beside the device's own makes room.
            let least = self.tracks.iter().enumerate().skip(1).min_by_key(|(_, track)| (track.frames, track.heard));
            let least = least.map_or(1, |(at, _)| at);
            self.tracks.remove(least);
        }
        self.turn = self.tracks.len();
        self.tracks.push(track);
    }

    /// Decides what a counter beside the device's own is, as soon as that can be told.
    fn judge(&mut self, at: usize, seen: Seen, around: &Around<'_>) {
        let (Some(main), Some(other)) = (self.tracks.first(), self.tracks.get(at)) else { return };
        if other.judged || other.frames < REAL {
            return;
        }
        if main.frames < REAL {
            // The first that was heard was noise.
            return self.replace(at);
        }
        let main_since = main.frames.saturating_sub(other.main.0);
        if main_since == 0 {
            let patience = (3 * main.pace().unwrap_or_default()).max(2 * main.longest);
            if seen.time.since(main.heard) >= patience {
                self.taken_over(at, around);
            }
        } else if main_since >= REAL && other.turns >= REAL {
            self.beside(at);
        }
    }

    /// The device's own counter fell silent and another one goes on.
    fn taken_over(&mut self, at: usize, around: &Around<'_>) {
        let (Some(main), Some(other)) = (self.tracks.first(), self.tracks.get(at)) else { return };
        let began = other.began;
        let at_once = began.time.since(main.heard) <= (4 * main.pace().unwrap_or_default()).max(2 * main.longest) + 60 * SECOND;
        let ahead = other.first.wrapping_sub(main.last);
        let followed = main.frames >= FOLLOWED && !other.joined;
        let same_device = followed && at_once && other.timely && main.is_like(other);
        let from_the_start = other.first <= FIRST && main.last > other.first.saturating_add(FIRST);
        let what = match ahead {
            _ if from_the_start => (followed && at_once && main.is_like(other)).then_some(Takeover::Restart),
            _ if !same_device => None,
            0x8000.. | 0 => Some(Takeover::Back),
            _ if ahead > around.counter_gap || other.first < main.last => Some(Takeover::Jump),
            // Devices that save their counter now and then skip ahead after a restart.
            _ => None,
        };
        self.repeats.clear();
        self.replace(at);
        match what {
            Some(Takeover::Jump) => self.findings().jumps.add(began, "lorawan.f_cnt_lsb"),
            Some(takeover) => {
                let findings = self.findings();
                findings.went_back |= takeover == Takeover::Back;
                findings.restarts.add(began, "lorawan.f_cnt_lsb");
            }
            None => {}
        }
    }

    /// The device's own counter and another one both go on.
    fn beside(&mut self, at: usize) {
        let (Some(main), Some(other)) = (self.tracks.first(), self.tracks.get(at)) else { return };
        let (frames, last, _) = other.main;
        let distance = other.first.wrapping_sub(last).min(last.wrapping_sub(other.first));
        let from_it = distance <= NEAR && other.first > 8 && last < 65_528;
        let made = frames >= ESTABLISHED && from_it && other.timely && !other.joined && main.is_like(other);
        let (began, copies) = (other.began, other.copies);
        if let Some(other) = self.tracks.get_mut(at) {
            other.judged = true;
        }
        // Repeats of old frames are told of as such.
        match made {
            _ if copies => {}
            true => self.findings().parallel.add(began, "lorawan.f_cnt_lsb"),
            false => self.shared = true,
        }
    }

    /// This counter is the device's own now.
    fn replace(&mut self, at: usize) {
        self.tracks.swap(0, at);
        self.tracks.remove(at);
        self.turn = 0;
        for track in self.tracks.iter_mut().skip(1) {
            // What it stood beside is gone.
            track.judged = true;
        }
    }

    fn repeat(&mut self, data: &DataFrame<'_>, reception: &Reception, known: &Known, around: &Around<'_>) {
        let followed = self.tracks.first().is_some_and(|main| main.frames >= REAL);
        if followed && self.repeats.len() < REPEATS {
            self.repeats.push(Repeat {
                f_cnt: data.f_cnt_lsb,
                seen: reception.seen,
                after: reception.time().since(known.first),
                by_clock: around.delivery == Delivery::Prompt,
            });
        }
    }

    /// The device's own counter went on: what was repeated meanwhile did not come from a device that had started again.
    fn settle_repeats(&mut self, f_cnt: u16) {
        let repeats = std::mem::take(&mut self.repeats);
        let run = repeats.windows(2).any(|pair| matches!(pair, [a, b] if b.f_cnt.wrapping_sub(a.f_cnt) <= FIRST));
        let caught_up = repeats.last().is_some_and(|repeat| f_cnt.wrapping_sub(repeat.f_cnt) <= FIRST + 1);
        let from_the_start = repeats.first().is_some_and(|repeat| repeat.f_cnt <= FIRST);
        if caught_up && (run || from_the_start) {
            return;
        }
        self.tracks.retain(|track| !track.copies);
        self.turn = 0;
        repeats.iter().for_each(|repeat| self.findings().replayed(repeat));
    }

    /// What was repeated last and could not be settled before the end: it counts where the device cannot have started again.
    pub(super) fn replays(&self) -> Option<Findings> {
        let mut findings = Findings::default();
        if let Some(found) = &self.found {
            findings.replays = found.replays.clone();
            (findings.after, findings.by_clock) = (found.after, found.by_clock);
        }
        if let [repeat] = self.repeats.as_slice()
            && repeat.f_cnt > FIRST
        {
            findings.replayed(repeat);
        }
        (findings.replays.count > 0).then_some(findings)
    }

    fn findings(&mut self) -> &mut Findings {
        self.found.get_or_insert_default()
    }
}

impl Findings {
    fn replayed(&mut self, repeat: &Repeat) {
        if self.replays.count == 0 {
            self.after = repeat.after;
        }
        self.by_clock |= repeat.by_clock;
        self.replays.add(repeat.seen, "lorawan.f_cnt_lsb");
    }
}

/// Whether a frame that was heard before was on the air again, and not only delivered.
fn is_on_air(reception: &Reception, known: &Known, delivery: Delivery) -> bool {
    match delivery {
        Delivery::Prompt => true,
        Delivery::InTouch => reception.time().since(known.last) >= SLOW,
        Delivery::Late | Delivery::Unknown => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takeover {
    Restart,
    Back,
    Jump,
}

/// Where a frame belongs.
enum Place {
    Same(usize),
    On(usize),
    Nowhere,
}
