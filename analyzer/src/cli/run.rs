//! `citytap run`: listens on interfaces, keeps a store, tells what it finds as it finds it.

use super::config::Configured;
use super::out::{nearest, tell_damage};
use super::rules::OwnRules;
use super::{DONE, Failure, UNREADABLE, USAGE};
use crate::config::{Config, Flags, SITE};
use crate::engine::{Setup, live};
use crate::live::privileges::{Account, drop_to};
use crate::live::{Keeper, News, Notices, Orders, Watched, now, places, tell};
use crate::screen::{self, counted};
use crate::sinks::courier::Courier;
use crate::sinks::spool::{IN_MEMORY, LIMIT, Spool};
use crate::sinks::{self, Sink};
use crate::store::{City, Growing};
use citytap_sensor::capture::live::{LiveError, LiveOptions, LiveSource};
use citytap_sensor::time::SECOND;
use std::path::{Path, PathBuf};

/// Listen on network interfaces, keep an inventory, and tell what is found as it is found.
///
/// It receives and never sends on them: give it the port that a switch mirrors to. It opens them as root or with CAP_NET_RAW, then gives up every
/// privilege before it reads the first packet. Ctrl-C or SIGTERM ends it; SIGUSR1 asks how things stand.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  sudo citytap run --interface eth1 --store /var/lib/citytap/store\n  \
    sudo citytap run --interface eth1 --interface eth2 --store DIR --sink syslog:tcp://10.0.0.9:514 --sink jsonl:/var/log/citytap/alerts.jsonl\n  \
    sudo citytap run --interface eth1 --store DIR --sink 'syslog:udp://siem.example?facility=local3' --user citytap\n  \
    citytap devices --store DIR                      what it knows, also while it runs\n\n\
    Sinks (--sink, several):\n  jsonl:-                                         one JSON object a line to standard output; so it is without --sink\n  \
    jsonl:FILE                                      the same, appended to a file\n  \
    syslog:tcp://HOST[:PORT][?facility=local3]      RFC 5424 over TCP, with octet counting (RFC 6587); port 514, local0\n  \
    syslog:udp://HOST[:PORT]                        the same in datagrams, of which some may be lost\n\n\
    Without root: sudo setcap cap_net_raw=ep $(readlink -f $(command -v citytap)), then run it as a user who may write in DIR.")]
pub struct RunLive {
    /// Interface to listen on; several are joined by time. `any` is all of this machine's.
    #[arg(long, required = true, value_name = "NAME")]
    interface: Vec<String>,
    /// Keep what is found in this store; it is made if need be. It is written every half minute and at the end.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Where to tell what is new: jsonl:FILE, jsonl:-, syslog:udp://HOST, syslog:tcp://HOST.
    #[arg(long, value_name = "TARGET", default_value = "jsonl:-")]
    sink: Vec<String>,
    /// Folder in which messages wait for sinks that are away; without it, a folder in the store.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Megabytes that each sink's spool may take; then the oldest messages go, and are counted.
    #[arg(long, value_name = "MB", default_value_t = LIMIT >> 20, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    spool_limit: u64,
    /// User to become once the interfaces are open; without it citytap, else nobody, where it is started as root.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Seconds between two judgements.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    judge_every: u64,
    /// Megabytes of the kernel's buffer for each interface: what it can hold while the program is busy.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=2_047))]
    buffer: u32,
    /// Hear only frames that are addressed to this machine. A mirror port needs the others.
    #[arg(long)]
    no_promiscuous: bool,
    /// Threads that read packets.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::threads)]
    threads: usize,
    /// Name of the site; part of every device's id. Without it: the configuration's, the store's, or city.
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
    #[command(flatten)]
    own_rules: OwnRules,
    #[command(flatten)]
    configured: Configured,
}

impl RunLive {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let mut sinks = Vec::new();
        for target in &self.sink {
            match sinks::open(target) {
                Ok(sink) => sinks.push((target.clone(), sink)),
                Err(wrong) => {
                    eprintln!("citytap: --sink {target}: {wrong}");
                    return Ok(USAGE);
                }
            }
        }
        let config = match self.configured.load(&Flags { site: self.site.clone() }) {
            Ok(config) => config,
            Err(code) => return Ok(code),
        };
        let rules = self.own_rules.load()?;
        let policy = match config.policy(&rules) {
            Ok(policy) => policy,
            Err(problems) => return Ok(super::config::refuse(&problems)),
        };
        let account = match Account::choose(self.user.as_deref()) {
            Ok(account) => account,
            Err(wrong) => {
                eprintln!("citytap: {wrong}");
                return Ok(USAGE);
            }
        };
        let options = LiveOptions { buffer: self.buffer << 20, promiscuous: !self.no_promiscuous };
        let source = match LiveSource::open(&self.interface, options, now) {
            Ok(source) => source,
            Err(error) => {
                eprintln!("citytap: {}", explain(&error));
                return Ok(UNREADABLE);
            }
        };
        let spool = self.spool.clone().or_else(|| self.store.as_ref().map(|store| store.join("spool")));
        for folder in self.store.iter().chain(&self.spool) {
            places::make(folder, &account)?;
        }
        drop_to(&account)?;
        // From here on as the account; nothing was read yet.
        for folder in self.store.iter().chain(&self.spool) {
            places::check(folder, &account)?;
        }
        let orders = Orders::from_signals().map_err(|error| format!("cannot listen for signals: {error}"))?;
        let (setup, store) = self.setup(config, Setup { threads: self.threads, rules, policy, ..Setup::default() })?;
        let couriers = self.couriers(sinks, spool.as_deref(), &account)?;
        self.say_what_it_does(&account, spool.is_some());
        let notices = Notices::default();
        let mut source = Watched::new(source, orders.clone(), notices.clone());
        let site = setup.config.site.value.clone();
        let news = News::new(&site, &sensor(), store.as_ref().map(|store| &store.before().alerts));
        let mut keeper = Keeper::new(couriers, news, store, site, source.captures(), orders, notices);
        let report = live::listen(&mut source, &setup, self.judge_every * SECOND, &mut keeper);
        let failures = keeper.finish();
        if let Ok(Some(report)) = &report {
            eprint!("{}", screen::replay(report, 0));
        }
        failures.iter().for_each(|failure| tell(failure));
        let code = match &report {
            Ok(_) if failures.is_empty() => DONE,
            Ok(_) => UNREADABLE,
            Err(error) => {
                tell(&error.to_string());
                UNREADABLE
            }
        };
        // The process ends here: taking a city's devices apart first would only cost time.
        std::mem::forget(report);
        Ok(code)
    }

    /// Opens the store and completes the setup with what it says.
    fn setup(&self, mut config: Config, setup: Setup) -> Result<(Setup, Option<Growing>), Failure> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| format!("the operating system gives no random bytes ({error})"))?;
        let mut city: Option<City> = match &self.store {
            Some(path) => Some(Growing::open(path, config.said_site(), SITE)?),
            None => None,
        };
        let mut digest_key = None;
        if let Some(city) = &mut city {
            config.set_site_of_store(&city.about().site);
            digest_key = city.digest_key()?;
            tell_damage(city);
        }
        let baseline = city.as_ref().map(|city| city.contents().baseline.clone());
        let setup = Setup { config, digest_key, baseline, seed: u64::from_ne_bytes(seed), ..setup };
        Ok((setup, city.map(Growing::begin)))
    }

    fn couriers(
        &self,
        sinks: Vec<(String, Box<dyn Sink>)>,
        spool: Option<&Path>,
        account: &Account,
    ) -> Result<Vec<Courier>, Failure> {
        for (folder, waiting) in spool.map(|folder| sinks::forgotten(folder, &self.sink)).unwrap_or_default() {
            let messages = counted(waiting, "message waits", "messages wait");
            tell(&format!(
                "{messages} in {} for a sink that is not named any more: name it again, or remove the folder",
                folder.display()
            ));
        }
        let mut couriers = Vec::new();
        for (target, mut sink) in sinks {
            sink.ready().map_err(|wrong| {
                format!(
                    "{target}: the user {} cannot write there ({wrong}); make it writable, or name another user (--user)",
                    account.name
                )
            })?;
            let spool = match spool {
                Some(folder) => Spool::open(&folder.join(sinks::folder_name(&target)), self.spool_limit << 20)?,
                None => Spool::in_memory(IN_MEMORY),
            };
            couriers.push(Courier::start(&target, sink, spool, tell));
        }
        Ok(couriers)
    }

    fn say_what_it_does(&self, account: &Account, spooled: bool) {
        let store = self
            .store
            .as_ref()
            .map_or_else(|| "no store (--store DIR keeps what is found)".into(), |store| format!("store {}", store.display()));
        tell(&format!(
            "listening on {} as {}; {store}; telling {}",
            self.interface.join(", "),
            account.name,
            self.sink.join(", ")
        ));
        if !spooled {
            tell("messages for a sink that is away wait in memory alone: --store or --spool keeps them on disk");
        }
    }
}

/// What is wrong with an interface, and what to do.
fn explain(error: &LiveError) -> String {
    match error {
        LiveError::Missing { name, known } => {
            let meant = nearest(name, known.iter().map(String::as_str));
            let meant = meant.map_or_else(String::new, |meant| format!(" Is {meant} meant?"));
            // libpcap lists devices that are no network interfaces, too.
            let known: Vec<&str> =
                known.iter().map(String::as_str).filter(|name| Path::new("/sys/class/net").join(name).exists()).collect();
            format!("{error}.{meant} There are: {}", known.join(", "))
        }
        LiveError::NotPermitted { .. } => format!(
            "{error}. Start it as root (it becomes another user before it reads anything), or allow the program to listen, once: \
            sudo setcap cap_net_raw=ep {}",
            std::env::current_exe().map_or_else(|_| "citytap".into(), |path| path.display().to_string())
        ),
        LiveError::Failed { .. } => format!("{error}; see that it is up: ip link"),
    }
}

/// This machine's name.
fn sensor() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
