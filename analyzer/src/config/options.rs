//! What a configuration can say, in words for people: the one list that reading, `citytap config` and the messages go by.

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
    pub value: &'static str,
    /// A value, as it is written.
    pub example: &'static str,
    /// What it does, and what it costs.
    pub doc: &'static str,
}

/// All sections, in the order in which they are printed.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "site",
        many: false,
        doc: "The place that is watched.",
        options: &[
            Opt {
                name: "name",
                value: "a text of 1 to 64 characters",
                example: "\"harbour\"",
                doc: "Part of every device's id: a site that gets another name gets new ids. --site goes before it.",
            },
            Opt {
                name: "prefixes",
                value: "a list of networks of addresses",
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
                value: "a whole number from 1 to 65535",
                example: "1",
                doc: "Part of the names of what is in it; keep it when the entry is moved or changed.",
            },
            Opt {
                name: "name",
                value: "a text of 1 to 64 characters",
                example: "\"street lights\"",
                doc: "For people; manifest.json lists it.",
            },
            Opt {
                name: "vlan",
                value: "a VLAN identifier from 1 to 4094, or a list of them",
                example: "[100, 101]",
                doc: "Outermost 802.1Q tag.",
            },
            Opt {
                name: "tunnel",
                value: "a tunnel identifier from 0 to 4294967295, or a list of them",
                example: "7000",
                doc: "Identifier of the outermost tunnel: VXLAN or GENEVE network identifier, GRE key, ERSPAN session.",
            },
            Opt {
                name: "interface",
                value: "an interface's name, or a list of them",
                example: "\"eth1\"",
                doc: "Interface that the packets were captured on. pcapng files tell it, pcap files do not.",
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
                value: "a whole number from 64 to 67108864",
                example: "1048576",
                doc: "Conversations at a time, shared out evenly over 64 parts. Each costs about 0.5 KB, and 1 to 2 KB where a protocol is read.",
            },
            Opt {
                name: "devices",
                value: "a whole number from 1 to 16777216",
                example: "1048576",
                doc: "Devices, with two names each on average. Each costs about 1 KB while captures are read, and 5 to 10 KB once more when the \
                      result is put together.",
            },
            Opt {
                name: "provisional",
                value: "a whole number from 1 to 16777216",
                example: "131072",
                doc: "Names of which nothing is known but that they were mentioned or sent something: what a scan or a flood makes. They go \
                      first. Each costs about 400 bytes.",
            },
        ],
    },
    Section {
        name: "keys",
        many: false,
        doc: "Your own LoRaWAN keys: with them codes are checked and sessions are known to their devices.",
        options: &[Opt {
            name: "file",
            value: "the name of a file, counted from this file's folder",
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
                value: "a whole number from 0 to 1000000000000",
                example: "2000000",
                doc: "A device and day of packet time. The default is enough for all candidates on four joins; 0 tries none.",
            },
            Opt {
                name: "trials_per_day",
                value: "a whole number from 0 to 1000000000000000",
                example: "10000000000",
                doc: "A day of packet time for all devices. The default takes a core between three minutes and half an hour; 0 tries none.",
            },
        ],
    },
    Section {
        name: "payloads",
        many: false,
        doc: "What devices say in confidence.",
        options: &[Opt {
            name: "decrypt",
            value: "true or false",
            example: "true",
            doc: "Whether payloads are decrypted where the key is known, yours or a published one. decode then prints them; replay counts \
                  them and learns firmware and product from them.",
        }],
    },
];

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
