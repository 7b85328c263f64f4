//! Facts: protocol-neutral statements for the inventory. The enum is closed; records are open.

use super::Place;
use super::identity::Identity;
use crate::time::Timestamp;

/// One statement about devices, as far as one message or session shows it.
#[derive(Clone, Copy)]
pub enum Fact<'a> {
    /// The name exists.
    Identity {
        /// The name.
        id: Identity<'a>,
        /// How it showed itself.
        presence: Presence,
    },
    /// Both names are one device.
    SameAs {
        /// A name.
        a: Identity<'a>,
        /// The other.
        b: Identity<'a>,
        /// What shows it, in plain words (`ARP reply`, `registration`).
        basis: &'static str,
        /// How sure that is.
        confidence: Confidence,
    },
    /// The device's traffic passes through the other: a gateway, a router, a broker, a bridge.
    Via {
        /// The device.
        id: Identity<'a>,
        /// What its traffic passes through.
        via: Identity<'a>,
    },
    /// What the device does.
    Role {
        /// The device.
        id: Identity<'a>,
        /// Its role.
        role: Role,
    },
    /// Something the device says about itself, or that is said about it.
    Attribute {
        /// The device.
        id: Identity<'a>,
        /// What is said.
        name: Attribute,
        /// Its value.
        value: Text<'a>,
        /// How sure it is.
        confidence: Confidence,
        /// The field it was read from, as in `modbus.vendor_name`.
        field: &'static str,
    },
    /// The device serves a protocol.
    Service {
        /// The device.
        id: Identity<'a>,
        /// Name of the protocol.
        protocol: &'static str,
        /// Port, where there is one.
        port: Option<u16>,
        /// Whether the transport is protected (TLS, DTLS, OSCORE).
        protected: bool,
    },
    /// One device uses another.
    Peer {
        /// Who asks.
        client: Identity<'a>,
        /// Who answers.
        server: Identity<'a>,
        /// Name of the protocol.
        protocol: &'static str,
    },
    /// Somebody presented a credential, or none where one could be asked for.
    Credential(Credential<'a>),
    /// A certificate was shown.
    Certificate {
        /// By whom.
        id: Identity<'a>,
        /// SHA-256 of its SubjectPublicKeyInfo.
        spki_sha256: [u8; 32],
        /// Subject, as text.
        subject: &'a str,
        /// Issuer, as text.
        issuer: &'a str,
        /// Not valid before, seconds since the Unix epoch.
        not_before: i64,
        /// Not valid after, seconds since the Unix epoch.
        not_after: i64,
    },
    /// The device has an object of its protocol's data model: an LwM2M object, a topic tree, a register range.
    Object {
        /// The device.
        id: Identity<'a>,
        /// What kind of object, as in `lwm2m.object`.
        kind: &'static str,
        /// Its name or number.
        name: Text<'a>,
    },
    /// How a device is protected, as a statement that a check can judge: `join`, `session`, `transport`.
    Security {
        /// The device.
        id: Identity<'a>,
        /// What it is about.
        aspect: SecurityAspect,
        /// What was seen.
        value: Text<'a>,
    },
    /// The device was active since it was last told of.
    Activity {
        /// The device.
        id: Identity<'a>,
        /// Messages of it since then.
        messages: u32,
        /// Where the last of them was.
        place: Place,
        /// When the last of them was.
        time: Timestamp,
    },
}

/// A credential seen on the wire. Its value can be compared and digested, never shown.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// Who presented it.
    pub by: Identity<'a>,
    /// To whom.
    pub to: Identity<'a>,
    /// What kind it is.
    pub kind: CredentialKind,
    /// The name that went with it (user name, PSK identity), where there was one.
    pub user: Option<Secret<'a>>,
    /// The credential itself, where it was readable.
    pub secret: Option<Secret<'a>>,
    /// Whether it was accepted.
    pub outcome: Outcome,
    /// Whether it crossed the wire unprotected.
    pub cleartext: bool,
}

/// What kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// User name and password.
    Password,
    /// No credential where one could have been given.
    Anonymous,
    /// A pre-shared key's identity.
    PskIdentity,
    /// A token (in a user name, client identifier, query or topic).
    Token,
}

/// Whether a credential was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The answer was not seen.
    Unknown,
    /// It was accepted.
    Accepted,
    /// It was refused.
    Refused,
}

/// How a name showed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Somebody addressed or mentioned it.
    Mentioned,
    /// It sent something.
    Sent,
    /// It answered, or showed its identity in the protocol.
    Proved,
}

/// How sure a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// One of several explanations.
    Possible,
    /// The usual explanation.
    Likely,
    /// Read from the wire.
    Seen,
    /// A cryptographic check shows it.
    Proved,
}

/// What a device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Answers requests of its protocol.
    Server,
    /// Makes requests.
    Client,
    /// Passes messages between publishers and subscribers.
    Broker,
    /// Sends readings or events.
    Publisher,
    /// Receives what others publish.
    Subscriber,
    /// Radio gateway of a low-power wide-area network.
    RadioGateway,
    /// Network server of a low-power wide-area network.
    NetworkServer,
    /// Application server.
    ApplicationServer,
    /// End device of a low-power wide-area network.
    EndDevice,
    /// Bridges devices of another network.
    Bridge,
    /// Routes packets for others.
    Router,
    /// Hands out addresses.
    AddressServer,
    /// Manages devices.
    ManagementServer,
    /// Gives devices their first keys and servers.
    BootstrapServer,
    /// Answers under whatever name it is asked for, so that its names tell no devices apart.
    AnswersAnyName,
}

/// What can be said about a device. Each has one meaning for all protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    /// The maker.
    Vendor,
    /// The product's name.
    Product,
    /// The model or order number.
    Model,
    /// Firmware version.
    Firmware,
    /// Software version beside the firmware.
    Software,
    /// Hardware version.
    Hardware,
    /// Serial number.
    Serial,
    /// A name that people gave.
    Name,
    /// Host name.
    Hostname,
    /// What it says to be (device type, component).
    DeviceType,
    /// Where it is: latitude and longitude in degrees, comma separated.
    Position,
    /// Version of the protocol it speaks.
    ProtocolVersion,
    /// The radio region or channel plan.
    Region,
    /// Operating system.
    OperatingSystem,
    /// The application that runs on it.
    Application,
    /// Whether the device asks for authentication (`true`, `false`), as it says itself.
    AuthenticationEnabled,
    /// The JoinEUI, for classification.
    JoinEui,
    /// A LoRaWAN port or another format hint that tells the codec.
    CodecHint,
    /// The URL of a page about it.
    Url,
}

/// What a statement on protection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecurityAspect {
    /// How the device gets its session keys (`otaa`, `abp`).
    Activation,
    /// The security mode of a session or server account (`psk`, `rpk`, `certificate`, `none`).
    Mode,
    /// Whether traffic is protected on the way (`none`, `tls`, `dtls`, `oscore`).
    Transport,
    /// Cipher suite.
    Cipher,
}

/// A value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Text<'a> {
    /// Text.
    Str(&'a str),
    /// A whole number.
    Number(u64),
    /// A version of two numbers.
    Version(u16, u16),
    /// A number printed with so many hex digits.
    Hex(u64, u8),
    /// A position in millionths of a degree: latitude, longitude.
    Position(i32, i32),
}

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Text::Str(text) => f.write_str(text),
            Text::Number(number) => write!(f, "{number}"),
            Text::Version(major, minor) => write!(f, "{major}.{minor}"),
            Text::Hex(value, digits) => write!(f, "{value:0width$x}", width = usize::from(*digits)),
            Text::Position(lat, lon) => write!(f, "{:.5},{:.5}", f64::from(*lat) / 1e6, f64::from(*lon) / 1e6),
        }
    }
}

/// A secret's bytes on their way to be compared or digested. It cannot be printed, serialised or kept: it borrows and has neither `Debug`
/// nor `Serialize`.
#[derive(Clone, Copy)]
pub struct Secret<'a>(&'a [u8]);

impl<'a> Secret<'a> {
    /// Wraps what was seen.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Length in bytes: all that may be told about an unlisted secret besides its kind.
    pub fn length(self) -> usize {
        self.0.len()
    }

    /// The bytes, for comparison with lists and for keyed digests alone.
    pub fn expose_for_comparison(self) -> &'a [u8] {
        self.0
    }
}
