//! What devices presented: whose it is, and that it is nobody else's business.

use super::*;
use crate::hot::digest::CredentialDigest;
use crate::hot::owned::OwnedCredential;
use citytap_sensor::observation::{CredentialKind, Outcome};

fn login(by: &IdentityKey, digest: u8, outcome: Outcome) -> OwnedFact {
    OwnedFact::Credential(Box::new(OwnedCredential {
        by: by.clone(),
        to: ip("10.0.0.5"),
        kind: CredentialKind::Password,
        user_length: Some(5),
        secret_length: Some(8),
        listed: None,
        digest: Some(CredentialDigest::from_store([digest; 16])),
        outcome,
        cleartext: true,
    }))
}

/// Of a device: digest, how often, and the latest answer.
fn presented(world: &World, name: &IdentityKey) -> Vec<(u8, u64, Outcome)> {
    let of = world.0.presented().0.remove(&world.device(name).id).unwrap_or_default();
    of.iter().map(|one| (one.digest.expose_for_store()[0], one.seen.count, one.outcome())).collect()
}

#[test]
fn the_names_of_a_device_make_one_list() {
    let mut world = World::new();
    let (address, name) = (ip("10.0.0.6"), client("10.0.0.5", "meter"));
    world.tell(0, [proved(&address), same(&name, &address, "session", Confidence::Likely), proved(&name)]);
    world.tell(10, [login(&name, 1, Outcome::Accepted), login(&address, 1, Outcome::Unknown), login(&name, 2, Outcome::Refused)]);
    assert_eq!(presented(&world, &name), [(1, 2, Outcome::Accepted), (2, 1, Outcome::Refused)]);
    assert!(!format!("{:?}", world.0.presented()).contains("1, 1"), "a digest is not shown");
}

#[test]
fn an_address_that_passes_on_leaves_its_credentials_where_they_were_presented() {
    let mut world = World::new();
    let (meter, camera, address) = (mac(1), mac(2), ip("10.0.0.9"));
    world.tell(0, [proved(&address), arp(&meter, &address)]);
    world.tell(10, [1, 2, 3].map(|digest| login(&address, digest, Outcome::Accepted)));
    world.tell(50_000, [arp(&camera, &address), proved(&address)]);
    world.tell(50_010, [login(&address, 3, Outcome::Refused), login(&address, 4, Outcome::Accepted)]);
    world.tell(50_020, [login(&address, 3, Outcome::Refused)]);
    assert_ne!(world.device(&meter).id, world.device(&camera).id);
    let (accepted, refused) = (Outcome::Accepted, Outcome::Refused);
    assert_eq!(presented(&world, &meter), [(1, 1, accepted), (2, 1, accepted), (3, 1, accepted)]);
    assert_eq!(presented(&world, &camera), [(4, 1, accepted), (3, 2, refused)]);
}

#[test]
fn strangers_have_no_list_and_forgotten_names_are_counted() {
    let mut config = InventoryConfig::new("testville");
    config.bounds.provisional = 16;
    let mut world = World(Inventory::new(config));
    world.tell(0, [login(&ip("198.51.100.7"), 1, Outcome::Accepted)]);
    assert_eq!(world.0.presented(), (Default::default(), 0), "a peer is not ours");
    world.tell(1, [login(&ip("10.0.0.9"), 1, Outcome::Accepted)]);
    for n in 10..100 {
        world.tell(n, [identity(&ip(&format!("10.0.1.{n}")), Presence::Mentioned)]);
    }
    assert_eq!(world.0.presented(), (Default::default(), 2));
}
