use citytap_sensor::capture::Merge;
use citytap_sensor::dispatch::{self, HotStage};
use citytap_sensor::link::NetworkMap;
use citytap_sensor::observation::*;
use citytap_sensor::pipeline::SensorConfig;
use std::collections::HashMap;
#[derive(Default)]
struct Count { by: HashMap<(&'static str, &'static str, String), u64>, batch: bool }
impl Observer for Count {
    fn observe(&mut self, o: &Observation<'_>) {
        let kind = o.record.map_or("-", |r| r.kind().name);
        *self.by.entry((o.protocol, kind, "RECORD".into())).or_default() += 1;
        for f in o.facts {
            let name = match f { Fact::Identity{id,presence} => format!("identity {} {:?}", id.kind.name, presence), Fact::SameAs{..}=>"same".into(), Fact::Via{..}=>"via".into(), Fact::Role{role,..}=>format!("role {role:?}"), Fact::Attribute{field,..}=>format!("attr {field}"), Fact::Service{..}=>"service".into(), Fact::Peer{..}=>"peer".into(), Fact::Credential(_)=>"cred".into(), Fact::Certificate{..}=>"cert".into(), Fact::Object{kind,..}=>format!("object {kind}"), Fact::Security{..}=>"security".into(), Fact::Activity{..}=>"activity".into() };
            *self.by.entry((o.protocol, kind, name)).or_default() += 1;
        }
    }
}
impl HotStage for Count { type Batch = HashMap<(&'static str, &'static str, String), u64>; fn drain(&mut self) -> Option<Self::Batch> { let _ = self.batch; if self.by.is_empty() { None } else { Some(std::mem::take(&mut self.by)) } } }
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let mut source = Merge::open(&[path.into()], Default::default());
    let mut sum: HashMap<(&'static str, &'static str, String), u64> = HashMap::new();
    let out = dispatch::run(&mut source, SensorConfig::default(), &NetworkMap::default(), 1, |_| Count::default(), |e| { for b in e.batches { for (k, n) in b { *sum.entry(k).or_default() += n; } } true }).unwrap();
    let mut all: Vec<_> = sum.into_iter().collect();
    all.sort();
    for ((a, b, c), n) in all { println!("{n:>9} {a:10} {b:28} {c}"); }
    for (counter, figure) in out.counters.iter().filter(|(_, figure)| *figure > 0) { println!("{} {figure}", counter.name()); }
}
