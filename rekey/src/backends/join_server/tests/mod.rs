//! The Join Server over real connections: a network server's side of the interfaces, devices that are made of the specification and not of the product's code,
//! and frames of another implementation.

mod agent;
mod ledger;
mod overlap;
mod peers;
mod restarts;
mod rotation;
mod vectors;
mod wire;

use super::JoinServer;
use crate::journal::Ledger;
use ledger::MemoryLedger;
use peers::{Client, Device};
use std::sync::Arc;

/// A Join Server on a free port of this host, with this configuration beyond the address.
fn serve(more: &str, ledger: Arc<dyn Ledger>) -> JoinServer {
    let table = format!("listen = \"127.0.0.1:0\"\n{more}").parse().unwrap();
    JoinServer::open(&table, ledger).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// One that holds generation 1 of this device's key, and a network server connected to it.
fn with(device: &Device) -> (Arc<MemoryLedger>, JoinServer, Client) {
    let ledger = Arc::new(MemoryLedger::default());
    ledger.enter(device.dev_eui, 1, &device.secret());
    let server = serve("", ledger.clone());
    let client = Client::connect(server.address());
    (ledger, server, client)
}
