//! What a configuration can say, in words for people: the one list that reading, `citytap config` and the messages go by.

use std::fmt;
use std::ops::RangeInclusive;

/// A part of a configuration.
#[derive(Debug)]
pub struct Section {
    /// Its name, as in `[memory]`.
    pub name: &'static str,
    /// Whether it may stand several times, as `[[network]]`.
    pub many: bool,
    /// What it is about.
    pub doc: &'static str,
    /// What can be said in it.
    pub options: &'static [Opt],
}

/// Something that can be said.
#[derive(Debug)]
pub struct Opt {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub takes: Takes,
    /// A value, as it is written.
    pub example: &'static str,
    /// What it does, and what it costs.
    pub doc: &'static str,
}

/// What the value of an option is. As text it goes on from "is": `a whole number from 1 to 65535`.
#[derive(Debug)]
pub enum Takes {
    /// A number.
    Number(RangeInclusive<u64>),
    /// A number of this kind, or a list of them.
    Numbers(&'static str, RangeInclusive<u64>),
    /// A name; see [`site_name`].
    Name,
    /// What these words say.
    Words(&'static str),
}

impl Takes {
    /// Whether a number is one that the option takes.
    pub fn admits(&self, number: u64) -> bool {
        matches!(self, Takes::Number(range) | Takes::Numbers(_, range) if range.contains(&number))
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Takes::Number(range) => write!(f, "a whole number from {} to {}", range.start(), range.end()),
            Takes::Numbers(kind, range) => write!(f, "{kind} from {} to {}, or a list of them", range.start(), range.end()),
            Takes::Name => write!(f, "a text of 1 to {NAME} characters"),
            Takes::Words(words) => f.write_str(words),
        }
    }
}

/// All sections, in the order in which they are printed.
///
/// What `[memory]` says of costs is the difference of two peaks, of 400,000 and 100,000 flows, divided by what there was more of:
///
/// ```text
/// target/quick/workload steady s.pcap 100000 600000    # and 400000 2400000
/// /usr/bin/time -f %M citytap replay s.pcap --threads 1 --config C.toml [--out DIR | --store DIR]
/// ```
///
/// where `C.toml` sets `devices` and `provisional` to 1 for the cost of a flow, and `flows` to 64 for that of a device. A flow in which
/// nothing is read and a provisional name were measured the same way, on datagrams of no protocol from one address and from as many.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "site",
        many: false,
        doc: "The place that is watched.",
        options: &[
            Opt {
                name: "name",
                takes: Takes::Name,
                example: "\"harbour\"",
                doc: "Part of every device's id: a site that gets another name gets new ids. --site goes before it.",
            },
            Opt {
                name: "prefixes",
                takes: Takes::Words("a list of networks of addresses"),
                example: "[\"10.20.0.0/16\", \"fd12:3456::/32\"]",
                doc: "Addresses of your own. Those outside are listed as peers, not as devices. Empty: private addresses, and public ones \
                      that answered in a protocol that is read.",
            },
        ],
    },
    Section {
        name: "network",
        many: true,
        doc: "An address space of its own: where 10.0.0.5 is another device than 10.0.0.5 elsewhere. All packets that no entry names are \
              of network 0. An entry applies where all that it names agrees; the one that names more goes first.",
        options: &[
            Opt {
                name: "id",
                takes: Takes::Number(1..=65_535),
                example: "1",
                doc: "Part of the names of what is in it; keep it when the entry is moved or changed.",
            },
            Opt { name: "name", takes: Takes::Name, example: "\"street lights\"", doc: "For people; manifest.json lists it." },
            Opt {
                name: "vlan",
                takes: Takes::Numbers("a VLAN identifier", 1..=4_094),
                example: "[100, 101]",
                doc: "Outermost 802.1Q tag.",
            },
            Opt {
                name: "tunnel",
                takes: Takes::Numbers("a tunnel identifier", 0..=0xffff_ffff),
                example: "7000",
                doc: "Identifier of the outermost tunnel: VXLAN or GENEVE network identifier, GRE key, ERSPAN session.",
            },
            Opt {
                name: "interface",
                takes: Takes::Words("an interface's name, or a list of them"),
                example: "\"eth1\"",
                doc: "Interface that the packets were captured on. pcapng files tell it, pcap files do not.",
            },
        ],
    },
    Section {
        name: "zone",
        many: true,
        doc: "A part of the site that is to be kept apart: street lights, control rooms, offices. Once there is an entry, whoever uses \
              something of another zone without being allowed to is a finding. An end of a conversation belongs to the zone whose prefix \
              fits it best; addresses of no zone are not judged, and a zone with the prefix 0.0.0.0/0 takes all the rest.",
        options: &[
            Opt { name: "name", takes: Takes::Name, example: "\"street lights\"", doc: "Stands in findings. It has no slash." },
            Opt {
                name: "prefixes",
                takes: Takes::Words("a list of networks of addresses"),
                example: "[\"10.20.0.0/16\"]",
                doc: "Addresses in it.",
            },
            Opt {
                name: "vlan",
                takes: Takes::Numbers("a VLAN identifier", 1..=4_094),
                example: "100",
                doc: "Outermost 802.1Q tag of the conversation. Beside prefixes both must agree; alone it takes all addresses seen there that \
                      no zone names.",
            },
            Opt {
                name: "talks_to",
                takes: Takes::Words(
                    "a list of names of zones, each with a slash and a protocol or port behind it where that alone is allowed",
                ),
                example: "[\"control/mqtt\", \"control/udp/123\"]",
                doc: "The zones whose servers it may use. Answers need no entry. Within a zone everything is allowed.",
            },
        ],
    },
    Section {
        name: "check",
        many: true,
        doc: "What you want otherwise of a check or rule. Besides the names below, the numbers that it goes by can be set: at_least and \
              within_s of a rule that counts, and those that citytap rules show and citytap schema tell of the others.",
        options: &[
            Opt { name: "id", takes: Takes::Name, example: "\"modbus-unit-scan\"", doc: "The check, or the rule by its name." },
            Opt { name: "off", takes: Takes::Words("true or false"), example: "true", doc: "Whether it is not asked at all." },
            Opt {
                name: "severity",
                takes: Takes::Words("one of info, low, medium, high, critical in quotes"),
                example: "\"high\"",
                doc: "How bad its findings are.",
            },
        ],
    },
    Section {
        name: "memory",
        many: false,
        doc: "How much is remembered at most. Memory is taken as it is needed, never ahead. What had to go is counted in coverage.json.",
        options: &[
            Opt {
                name: "flows",
                takes: Takes::Number(64..=1 << 26),
                example: "1048576",
                doc: "Conversations at a time, shared out evenly over 64 parts. Each costs about 0.5 KB, and 1.5 KB where a protocol is read.",
            },
            Opt {
                name: "devices",
                takes: Takes::Number(1..=1 << 24),
                example: "1048576",
                doc: "Devices, with two names each on average. Each costs about 1 KB while captures are read, 2 KB more where --out writes \
                      what was found, and 4 KB more where --store keeps it.",
            },
            Opt {
                name: "provisional",
                takes: Takes::Number(1..=1 << 24),
                example: "131072",
                doc: "Names of which nothing is known but that they were mentioned or sent something: what a scan or a flood makes. They go \
                      first; half as many as names that showed themselves always have room. Each costs about 0.5 KB.",
            },
        ],
    },
    Section {
        name: "keys",
        many: false,
        doc: "Your own LoRaWAN keys: with them codes are checked and sessions are known to their devices.",
        options: &[Opt {
            name: "file",
            takes: Takes::Words("the name of a file, counted from this file's folder"),
            example: "\"keys.toml\"",
            doc: "A file of its own, because it holds secrets; only who runs citytap should be able to read it (chmod 600).",
        }],
    },
    Section {
        name: "audit",
        many: false,
        doc: "How many published and derived keys are tried on LoRaWAN frames. A core makes 6 to 60 million trials a second.",
        options: &[
            Opt {
                name: "trials_per_device",
                takes: Takes::Number(0..=1_000_000_000_000),
                example: "2000000",
                doc: "A device and day of packet time. The default is enough for all candidates on four joins; 0 tries none.",
            },
            Opt {
                name: "trials_per_day",
                takes: Takes::Number(0..=1_000_000_000_000_000),
                example: "10000000000",
                doc: "A day of packet time for all devices. The default takes a core between three minutes and half an hour; 0 tries none.",
            },
        ],
    },
    Section {
        name: "alerts",
        many: false,
        doc: "What a person is told of at once; everything else waits for the digest of its day.",
        options: &[
            Opt {
                name: "min_severity",
                takes: Takes::Words("one of \"info\", \"low\", \"medium\", \"high\", \"critical\""),
                example: "\"medium\"",
                doc: "Findings below it wait for the digest.",
            },
            Opt {
                name: "suppress",
                takes: Takes::Words("a time as \"30m\", \"1h\" or \"2d\", at most \"30d\""),
                example: "\"1h\"",
                doc: "An alert that goes on is not told again for so long. A graver finding and one that comes back are told at once.",
            },
            Opt {
                name: "digest",
                takes: Takes::Words("a list of checks"),
                example: "[\"device-gone\", \"device-new\"]",
                doc: "Checks whose findings wait for the digest, whatever their severity; this list takes the place of the default. \
                      `citytap schema` lists the checks.",
            },
        ],
    },
    Section {
        name: "payloads",
        many: false,
        doc: "What devices say in confidence.",
        options: &[Opt {
            name: "decrypt",
            takes: Takes::Words("true or false"),
            example: "true",
            doc: "Whether payloads are decrypted where the key is known, yours or a published one. decode then prints them; replay counts \
                  them and learns firmware and product from them.",
        }],
    },
];

/// Longest time for which alerts are not told again, in seconds: 30 days.
const LONGEST_SUPPRESS: u64 = 30 * 24 * 3600;

/// Seconds of a time as `90s`, `30m`, `1h` or `2d`; `None` where it is none, or too long.
pub fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 24 * 3_600,
        _ => return None,
    };
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(factor).filter(|seconds| *seconds <= LONGEST_SUPPRESS)
}

/// Seconds as [`seconds`] reads them, in the greatest unit that leaves none over.
pub fn time_text(seconds: u64) -> String {
    match seconds {
        s if s % (24 * 3_600) == 0 && s > 0 => format!("{}d", s / (24 * 3_600)),
        s if s % 3_600 == 0 && s > 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 && s > 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// Longest name of a site or network, in characters.
const NAME: usize = 64;

/// Checks a name of a site.
///
/// # Errors
/// What a name is.
pub fn site_name(name: &str) -> Result<(), String> {
    let right = (1..=NAME).contains(&name.chars().count()) && name.trim() == name && !name.chars().any(char::is_control);
    if right {
        return Ok(());
    }
    Err(format!("a name has 1 to {NAME} characters, none of them a control character, and no space at its ends"))
}
