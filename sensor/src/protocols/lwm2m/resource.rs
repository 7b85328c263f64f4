//! What has to be known of single resources: which are secret, and the types of those that every device has. Names are not kept here; the whole
//! registry is the analyzer's (OMA LwM2M Registry).

use super::path::Path;

/// The type of a resource (LwM2M Core 1.1 Appendix C).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text.
    String,
    /// A whole number of 1, 2, 4 or 8 bytes.
    Integer,
    /// A number of 4 or 8 bytes.
    Float,
    /// One byte, 0 or 1.
    Boolean,
    /// Bytes.
    Opaque,
    /// Seconds since the Unix epoch.
    Time,
    /// Object and instance, 2 bytes each.
    ObjectLink,
}

impl Type {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Integer => "integer",
            Type::Float => "float",
            Type::Boolean => "boolean",
            Type::Opaque => "opaque",
            Type::Time => "time",
            Type::ObjectLink => "object_link",
        }
    }
}

/// How a resource is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// A pre-shared key's identity, or a public key: `/0/x/3`.
    Identity,
    /// The key that belongs to it: `/0/x/5`.
    Key,
    /// A password or pass phrase.
    Password,
    /// Another key, token or salt.
    Token,
    /// A key that may be known to all, but tells installations apart.
    Withheld,
}

/// Objects 26,241 and above belong to vendors and companies (OMA LwM2M Registry): which of their resources are secret is not known.
const VENDOR_OBJECTS: u16 = 26_241;

/// Resources whose values are never told, by object and resource.
const SECRETS: &[(u16, u16, Secrecy)] = &[
    (0, 3, Secrecy::Identity),
    (0, 4, Secrecy::Withheld),
    (0, 5, Secrecy::Key),
    (0, 7, Secrecy::Token),
    (0, 8, Secrecy::Token),
    (9, 15, Secrecy::Password),
    (11, 6, Secrecy::Password),
    (12, 17, Secrecy::Password),
    (12, 18, Secrecy::Password),
    (12, 21, Secrecy::Password),
    (12, 22, Secrecy::Password),
    (12, 23, Secrecy::Password),
    (12, 24, Secrecy::Password),
    (12, 25, Secrecy::Password),
    (12, 28, Secrecy::Password),
    (21, 0, Secrecy::Token),
    (21, 5, Secrecy::Withheld),
    (23, 2, Secrecy::Token),
    (24, 8, Secrecy::Password),
    (3405, 5, Secrecy::Token),
    (3412, 9, Secrecy::Token),
    (3447, 28, Secrecy::Token),
    (10253, 0, Secrecy::Withheld),
    (10260, 0, Secrecy::Token),
    (18830, 5, Secrecy::Password),
    (18830, 7, Secrecy::Withheld),
    (18830, 8, Secrecy::Withheld),
    (18830, 9, Secrecy::Token),
];

/// How the resource at `path` is secret.
pub fn secrecy(path: Path) -> Option<Secrecy> {
    let (object, resource) = (path.object()?, path.resource()?);
    SECRETS.iter().find(|(o, r, _)| (*o, *r) == (object, resource)).map(|(_, _, secrecy)| *secrecy)
}

/// Whether text and bytes at `path` may be told: not where the object is unknown and the resource is not one that all objects share.
pub fn may_be_told(path: Path) -> bool {
    match (path.object(), path.resource()) {
        (Some(object), _) if object < VENDOR_OBJECTS => true,
        (_, Some(resource)) => SHARED.contains(&resource),
        _ => false,
    }
}

/// Resources that mean the same in all objects (OMA LwM2M Registry, reusable resources of IPSO).
const SHARED: std::ops::RangeInclusive<u16> = 5500..=6057;

const SHARED_BOOLEANS: &[u16] = &[5500, 5502, 5532, 5533, 5543, 5550, 5551, 5850, 6007, 6012, 6013, 6023, 6046];

const SHARED_INTEGERS: &[u16] = &[
    5501, 5503, 5504, 5526, 5528, 5529, 5534, 5541, 5542, 5545, 5546, 5547, 5825, 5826, 5827, 5828, 5851, 5852, 5854, 5903, 5904,
    5910, 6000, 6001, 6011, 6015, 6017, 6018, 6019, 6024, 6028, 6030, 6031, 6032, 6033, 6034, 6035, 6036, 6037, 6038, 6041, 6042,
    6049,
];

const SHARED_TIMES: &[u16] = &[5506, 5518, 5824, 6003, 6004, 6005, 6006, 6020, 6021];

const SHARED_STRINGS: &[u16] = &[5514, 5515, 5527, 5701, 5706, 5750, 5751, 5823, 5853, 5905, 5906, 5907, 5908, 5912, 6002];

const SHARED_FLOATS: &[u16] = &[
    5507, 5508, 5509, 5510, 5511, 5512, 5513, 5519, 5520, 5521, 5524, 5525, 5531, 5536, 5537, 5538, 5544, 5548, 5600, 5601, 5602,
    5603, 5604, 5650, 5700, 5702, 5703, 5704, 5705, 5800, 5801, 5802, 5803, 5804, 5805, 5806, 5810, 5811, 5812, 5813, 5814, 5815,
    5816, 5820, 5821, 5900, 6014, 6016, 6039, 6040, 6043, 6044, 6045, 6047, 6048, 6050, 6051, 6052, 6053, 6057,
];

/// The type of the resource at `path`, for the objects 0 to 7 of the core and for shared resources.
pub fn type_of(path: Path) -> Option<Type> {
    let resource = path.resource()?;
    match (path.object(), resource) {
        (Some(0), 0 | 9 | 14 | 25) => Some(Type::String),
        (Some(0), 1) => Some(Type::Boolean),
        (Some(0), 3..=5 | 7 | 8) => Some(Type::Opaque),
        (Some(0), 17 | 26 | 27) => Some(Type::ObjectLink),
        (Some(0), 2 | 6 | 10..=13 | 15 | 16 | 18..=24) => Some(Type::Integer),
        (Some(1), 7 | 22 | 25) => Some(Type::String),
        (Some(1), 6 | 15 | 16 | 21 | 23) => Some(Type::Boolean),
        (Some(1), 10 | 24) => Some(Type::ObjectLink),
        (Some(1), 12) => Some(Type::Time),
        (Some(1), 0..=3 | 5 | 11 | 13 | 14 | 17..=20 | 26 | 27) => Some(Type::Integer),
        (Some(3), 0..=3 | 14..=19) => Some(Type::String),
        (Some(3), 6..=11 | 20 | 21) => Some(Type::Integer),
        (Some(3), 13) => Some(Type::Time),
        (Some(3), 22) => Some(Type::ObjectLink),
        (Some(4), 4 | 5 | 7) => Some(Type::String),
        (Some(4), 0..=3 | 6 | 8..=13) => Some(Type::Integer),
        (Some(5), 0) => Some(Type::Opaque),
        (Some(5), 1 | 6 | 7) => Some(Type::String),
        (Some(5), 3 | 5 | 8 | 9 | 11 | 13) => Some(Type::Integer),
        (Some(5), 12) => Some(Type::Time),
        (Some(5), 14) => Some(Type::Boolean),
        (Some(6), 0..=3 | 6) => Some(Type::Float),
        (Some(6), 4) => Some(Type::Opaque),
        (Some(6), 5) => Some(Type::Time),
        (Some(7), 0..=5 | 8) => Some(Type::Integer),
        _ if SHARED_FLOATS.contains(&resource) => Some(Type::Float),
        _ if SHARED_INTEGERS.contains(&resource) => Some(Type::Integer),
        _ if SHARED_BOOLEANS.contains(&resource) => Some(Type::Boolean),
        _ if SHARED_STRINGS.contains(&resource) => Some(Type::String),
        _ if SHARED_TIMES.contains(&resource) => Some(Type::Time),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_types_by_path() {
        let path = |text: &str| Path::parse(text).unwrap();
        assert_eq!(secrecy(path("/0/1/5")), Some(Secrecy::Key));
        assert_eq!(secrecy(path("/9/0/15")), Some(Secrecy::Password));
        assert_eq!(secrecy(path("/3/0/15")), None);
        assert_eq!(type_of(path("/3/0/3")), Some(Type::String));
        assert_eq!(type_of(path("/3303/0/5700")), Some(Type::Float));
        assert_eq!(type_of(Path::UNKNOWN.child(5700).unwrap()), Some(Type::Float));
        assert_eq!(type_of(path("/3416/0/6")), None);
        assert!(may_be_told(path("/3/0/0")) && !may_be_told(path("/33000/0/1")) && may_be_told(path("/33000/0/5701")));
    }
}
