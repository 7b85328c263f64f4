//! Modbus.
use super::*;
/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "modbus",
    title: "Modbus",
    documents: &[],
    hooks: Hooks::NONE,
    max_message: 300,
    probe: |_| Probe::No,
    create: || Box::new(Nothing),
    records: &[],
    anomalies: &[],
    identities: &[],
    bounds: &[],
};
struct Nothing;
impl Decoder for Nothing {
    fn message(&mut self, _: Input<'_>, _: &mut Cx<'_>) -> Step {
        Step::GiveUp
    }
}
