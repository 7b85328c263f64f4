//! Rules as a person writes them: what fits, what is refused and with which words.

use super::stage::Stage;
use super::*;
use crate::findings::judge::{Judgement, Outcome};
use crate::hot::owned::Seen;
use crate::inventory::DeviceId;
use crate::policy::Policy;
use citytap_sensor::observation::Place;
use citytap_sensor::protocols::DECODERS;
use citytap_sensor::time::{SECOND, Timestamp};

#[test]
fn our_own_rules_have_no_problems() {
    let files: Vec<File<'_>> = files().collect();
    let set = RuleSet::new(&files, DECODERS);
    assert_eq!(set.problems(), [], "{}", set.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    assert!(!set.rules().is_empty() && !set.correlations().is_empty());
}

/// The problems of one file, as a person reads them.
fn problems(text: &str) -> String {
    let set = RuleSet::new(&[File { name: "mine.yml", text, own: true }], DECODERS);
    set.problems().iter().map(|problem| format!("{problem}\n")).collect()
}

/// A rule with this detection, and this service.
fn rule(service: &str, detection: &str) -> String {
    format!(
        "title: Mine\nlogsource:\n  product: citytap\n  service: {service}\ndetection:\n  selection:\n    {detection}\n  condition: selection\n"
    )
}

/// A correlation over the rule of [`rule`].
fn correlation(rest: &str) -> String {
    format!("title: Counts\ncorrelation:\n  type: event_count\n  rules: [mine]\n  {rest}\n")
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_the_nearest_right_word() {
    for (text, told) in [
        (
            rule("modbus", "modbus.functioncode: 5"),
            "mine.yml:7:5: modbus records have no field modbus.functioncode. Did you mean modbus.function_code?\n",
        ),
        (rule("modbus", "unit_id: 5"), "mine.yml:7:5: modbus records have no field unit_id. Did you mean modbus.unit_id?\n"),
        (
            rule("mqtt", "modbus.unit_id: 5"),
            "mine.yml:7:5: modbus.unit_id is a field of modbus, and this rule's logsource is mqtt. Set service: modbus, or say carrier.modbus.unit_id where modbus carries mqtt.\n",
        ),
        (rule("modbuss", "modbus.unit_id: 5"), "mine.yml:4:3: no decoder is called modbuss. Did you mean modbus?\n"),
        (
            rule("modbus", "modbus.unit_id: five"),
            "mine.yml:7:5: modbus.unit_id is a whole number, and 'five' can never be its value\n",
        ),
        (
            rule("modbus", "modbus.unit_id: 256"),
            "mine.yml:7:5: modbus.unit_id is a whole number from 0 to 255: it is never equal to 256\n",
        ),
        (
            rule("modbus", "modbus.unit_id: [1, 1.5]"),
            "mine.yml:7:5: modbus.unit_id is a whole number from 0 to 255: it is never equal to 1.5\n",
        ),
        (
            rule("modbus", "modbus.unit_id: '-1'"),
            "mine.yml:7:5: modbus.unit_id is a whole number from 0 to 255: it is never equal to -1\n",
        ),
        (
            rule("modbus", "modbus.unit_id|gt: 255"),
            "mine.yml:7:5: modbus.unit_id is a whole number from 0 to 255: it is never greater than 255\n",
        ),
        (
            rule("modbus", "modbus.unit_id|lt: 0"),
            "mine.yml:7:5: modbus.unit_id is a whole number from 0 to 255: it is never less than 0\n",
        ),
        (
            rule("modbus", "flow.server_port: 66000"),
            "mine.yml:7:5: flow.server_port is a whole number from 0 to 65535: it is never equal to 66000\n",
        ),
        (
            rule("modbus", "modbus.unit_id|cidr: 10.0.0.0/8"),
            "mine.yml:7:5: modbus.unit_id is a whole number: `cidr` is for IP addresses, as in flow.client_ip\n",
        ),
        (
            rule("modbus", "modbus.unit_id|contains: x"),
            "mine.yml:7:5: modbus.unit_id is a whole number, and 'x' can never be its value\n",
        ),
        (
            rule("lorawan", "lorawan.dev_addr: '2601123'"),
            "mine.yml:7:5: lorawan.dev_addr is written with 8 hex digits, and '2601123' has 7\n",
        ),
        (rule("modbus", "modbus.write: 1"), "mine.yml:7:5: modbus.write is true or false, and 1 can never be its value\n"),
        (
            rule("lorawan", "lorawan.dev_addr: 26011234"),
            "mine.yml:7:5: lorawan.dev_addr is hex: put its value in quotes, as in '26011234', or YAML makes a number of it\n",
        ),
        (
            rule("modbus", "flow.client_ip|cidr: 10.0.0.0/40"),
            "mine.yml:7:5: 10.0.0.0/40 is no network: write one as 10.0.0.0/8 or fd00::/8\n",
        ),
        (
            rule("lorawan", "lorawan.commands: LinkADRReq"),
            "mine.yml:7:5: lorawan.commands is a list of parts: ask for a field of them, as in lorawan.commands.name\n",
        ),
        (
            rule("modbus", "modbus.write: true\n    modbus.exception_code: 1"),
            "mine.yml:9:3: this can never match: no kind of record has all the fields that it asks for. `citytap schema` lists them by kind.\n",
        ),
        (
            rule("modbus", "modbus.unit_id: 5").replace("condition: selection", "condition: selektion"),
            "mine.yml:8:3: the condition names selektion, which the detection does not have. Did you mean selection?\n",
        ),
        (
            rule("modbus", "modbus.unit_id: 5").replace("title: Mine", "titel: Mine"),
            "mine.yml:1:1: Missing required field 'title'\nmine.yml:1:1: there is no key titel here. Did you mean title?\n",
        ),
        (rule("modbus", "record: modbus.reqest"), "mine.yml:7:5: record is never modbus.reqest. Did you mean modbus.request?\n"),
        (rule("modbus", "direction: to_servr"), "mine.yml:7:5: direction is never to_servr. Did you mean to_server?\n"),
        (rule("modbus", "anomaly: modbus.lenght"), "mine.yml:7:5: anomaly is never modbus.lenght. Did you mean modbus.length?\n"),
        (
            rule("modbus", "modbus.unit_id: 5")
                + "citytap:\n  subject: 5\n  action: '{client} hit {devices}'\n  finding: '{count} and {client'\n",
            "mine.yml:10:3: subject is a text\nmine.yml:11:3: {client} is not filled in here, only {devices}: an action is about several findings\n\
             mine.yml:12:3: a brace is not closed, or not opened\n",
        ),
        (
            rule("modbus", "modbus.unit_id: 5").replace("title: Mine", "title: Mine\nname: modbus-rules"),
            "mine.yml:2:1: modbus-rules is the name of a check that is no rule: choose another\n",
        ),
        (
            rule("modbus", "modbus.unit_id: 5").replace("condition: selection", "condition: selection\n  timeframe: 5m"),
            "mine.yml:9:3: a time is asked of in a correlation: `type: event_count`, `timespan: 5m`\n",
        ),
        (
            format!(
                "{}--- # more\n{}",
                rule("modbus", "modbus.unit_id: 5"),
                correlation("groupby: [flow.client_ip]\n  timespan: 0s\n  condition: {gte: 4097}")
            ),
            "mine.yml:14:3: there is no key groupby here. Did you mean group-by?\n\
             mine.yml:15:3: a time span of nothing holds one match: write how long, as in 5m\n\
             mine.yml:16:3: at most 4096 are counted within a time: ask for fewer, in a shorter time\n",
        ),
        (
            rule("modbus", "modbus.unit_id: 5\n    modbus.unit_id: 6"),
            "mine.yml:8:5: the key modbus.unit_id stands here twice: name it once, with a list of values where it has several\n",
        ),
        (
            rule("modbus", "modbus.unit_id: 5\n   modbus.write: true"),
            "mine.yml:8:4: this is no YAML: while parsing a block mapping, did not find expected key\n",
        ),
        (
            rule("modbus", "modbus.function|contians: Write"),
            "mine.yml:7:5: there is no modifier contians. Did you mean contains?\n",
        ),
        (
            rule("modbus", "modbus.unit_id: 5").replace("condition: selection", "condition: selection and ("),
            "mine.yml:8:3: the condition cannot be read from its character 16 on: expected the name of a part, or a bracket with such\n",
        ),
        (
            "title: Counts\ncorrelation:\n  type: event_cont\n  rules: [mine]\n  timespan: 1m\n  condition: {gte: 2}\n".into(),
            "mine.yml:3:3: there is no correlation of type event_cont. Did you mean event_count?\n",
        ),
        ("title: [a]\ndetection:\n  selection:\n    a: 1\n".into(), "mine.yml:1:1: title is no text\n"),
        ("title: [\n".into(), "mine.yml:2:1: this is no YAML: while parsing a node, did not find expected node content\n"),
        ("title: x\n".into(), "mine.yml:1:1: Missing required field 'detection'\n"),
    ] {
        assert_eq!(problems(&text), told, "{text}");
    }
}

/// A filter of the rule of [`rule`].
fn filter(rest: &str) -> String {
    format!("title: Harmless\nlogsource:\n  product: citytap\n  service: modbus\nfilter:\n  {rest}\n")
}

#[test]
fn what_is_wrong_with_a_filter_is_told_with_its_place() {
    let mine = rule("modbus", "modbus.function_code: 5");
    let counts = correlation("timespan: 1m\n  condition: {gte: 2}");
    let good = "rules: [mine]\n  selection:\n    modbus.unit_id: 5\n  condition: not selection";
    for (filter, told) in [
        (filter(good), ""),
        (
            filter(&good.replace("unit_id", "unitid")),
            "mine.yml:24:5: modbus records have no field modbus.unitid. Did you mean modbus.unit_id?\n",
        ),
        (
            filter(&good.replace("mine", "mime")),
            "mine.yml:22:3: there is no rule mime, or it has a problem of its own. Did you mean mine?\n",
        ),
        (
            filter(&good.replace("mine", "counts")),
            "mine.yml:22:3: counts counts matches of other rules, and a filter is about messages: name the rules that it counts; `citytap rules show counts` lists them\n",
        ),
        (
            filter(&good.replace("  selection", "  selektion")),
            "mine.yml:25:3: the condition names selection, which the detection does not have. Did you mean selektion?\n",
        ),
        (
            filter(&good.replace("rules: [mine]\n  ", "")),
            "mine.yml:21:1: say which rules it is for, as in `rules: [modbus-restart]`, or `rules: any`\n",
        ),
        (
            filter(good).replace("service: modbus", "service: mqtt").replace("modbus.unit_id", "mqtt.topic"),
            "mine.yml:22:3: mine looks at modbus, and this filter's logsource is mqtt: write a filter of its own for it\n",
        ),
    ] {
        assert_eq!(problems(&format!("{mine}---\n{counts}---\n{filter}")), told, "{filter}");
    }
}

#[test]
fn rules_over_findings_name_what_findings_have() {
    let over = |detection: &str| rule("citytap", detection);
    assert_eq!(problems(&over("citytap.check: modbus-unit-scan\n    citytap.severity: medium")), "");
    assert_eq!(
        problems(&over("citytap.severity: bad")),
        "mine.yml:7:5: citytap.severity is never bad. It is one of info, low, medium, high, critical.\n"
    );
    assert_eq!(
        problems(&over("flow.client_ip: 10.0.0.5")),
        "mine.yml:7:5: a finding is no message and has no flow.client_ip. `citytap schema` lists the fields of findings.\n"
    );
    let mixed = "title: Both\ncorrelation:\n  type: temporal\n  rules: [mine, other]\n  timespan: 1m\n";
    let other = rule("modbus", "modbus.unit_id: 5").replace("Mine", "Other");
    assert_eq!(
        problems(&format!("{}---\n{other}---\n{mixed}", over("citytap.severity: high"))),
        "mine.yml:22:3: its rules are about messages and about findings: take the findings of the one as well (service: citytap)\n"
    );
}

#[test]
fn values_at_the_edge_of_what_a_field_can_have_are_taken() {
    for detection in [
        "modbus.unit_id: [0, 255]",
        "modbus.unit_id|gte: 255",
        "modbus.unit_id|gt: 254.5",
        "modbus.unit_id|lte: 0",
        "modbus.unit_id: 1.0",
        "flow.server_port|lt: 65536",
        "modbus.unit_id|re: '^25'",
        "modbus.unit_id|contains: 25",
    ] {
        assert_eq!(problems(&rule("modbus", detection)), "", "{detection}");
    }
    for detection in ["lorawan.dev_addr: '26011234'", "lorawan.dev_addr: '2601*'", "lorawan.dev_eui|startswith: 70b3d5"] {
        assert_eq!(problems(&rule("lorawan", detection)), "", "{detection}");
    }
}

#[test]
fn a_wrong_rule_costs_itself_and_what_counts_it() {
    let good = rule("modbus", "modbus.unit_id: 5").replace("Mine", "Good");
    let wrong = rule("modbus", "modbus.unitid: 5").replace("Mine", "Wrong");
    let counts = "title: Counts\ncorrelation:\n  type: event_count\n  rules: [wrong]\n  timespan: 1m\n  condition: {gte: 2}\n";
    let text = format!("{good}---\n{wrong}---\n{counts}");
    let set = RuleSet::new(&[File { name: "mine.yml", text: &text, own: true }], DECODERS);
    let names: Vec<&str> = set.metas().iter().map(|meta| meta.name.as_str()).collect();
    assert_eq!(names, ["good"]);
    let problems: Vec<String> = set.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[1].contains("there is no rule wrong, or it has a problem of its own"), "{problems:?}");
}

#[test]
fn rules_that_name_each_other_in_a_circle_are_refused() {
    let one = |name: &str, other: &str| {
        format!("title: {name}\ncorrelation:\n  type: event_count\n  rules: [{other}]\n  timespan: 1m\n  condition: {{gte: 2}}\n")
    };
    let told = problems(&format!("{}---\n{}", one("a", "b"), one("b", "a")));
    assert_eq!(told.matches("name each other in a circle").count(), 2, "{told}");
}

#[test]
fn names_are_given_once() {
    let text = format!("{0}---\n{0}", rule("modbus", "modbus.unit_id: 5"));
    assert_eq!(problems(&text), "mine.yml:10:1: mine is the name of a rule in mine.yml too\n");
}

#[test]
fn damaged_files_have_problems_and_never_panic() {
    // Every file with a byte replaced, a stretch cut out or a stretch doubled, here and there.
    let mut state = 1u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound.max(1)
    };
    let mut problems = 0;
    for file in files() {
        for _ in 0..40 {
            let mut text = file.text.as_bytes().to_vec();
            let (start, length) = (below(text.len()), below(40));
            let end = (start + length).min(text.len());
            match below(3) {
                0 => text[start] = b"[]{}:|>-*&!%@`\t\n#'\"\\?"[below(21)],
                1 => drop(text.drain(start..end)),
                _ => {
                    let doubled = text[start..end].to_vec();
                    text.splice(start..start, doubled);
                }
            }
            let text = String::from_utf8_lossy(&text);
            let set = RuleSet::new(&[File { name: "damaged.yml", text: &text, own: true }], DECODERS);
            problems += usize::from(!set.problems().is_empty());
            assert!(set.problems().iter().all(|problem| problem.line > 0 && problem.column > 0), "{:?}", set.problems());
        }
    }
    assert!(problems > 100, "{problems}");
}

/// The names of what makes findings, of these files of a person's own beside ours.
fn makers(text: &str) -> (Vec<String>, Vec<String>) {
    let mut all: Vec<File<'_>> = files().map(|File { name, text, own }| File { name, text, own }).collect();
    all.push(File { name: "mine.yml", text, own: true });
    let set = RuleSet::new(&all, DECODERS);
    let names = set.metas().iter().filter(|meta| set.makes_findings(&meta.name)).map(|meta| meta.name.clone()).collect();
    (names, set.problems().iter().map(ToString::to_string).collect())
}

#[test]
fn a_rule_of_a_persons_own_takes_nothing_from_ours() {
    let (ours, _) = makers("");
    // Neither a name nor, by counting it, a rule's findings.
    let clash = rule("modbus", "modbus.unit_id: 5").replace("title: Mine", "title: Mine\nname: modbus-unit-scan");
    let (names, problems) = makers(&clash);
    assert_eq!(names, ours);
    assert_eq!(problems, ["mine.yml:2:1: modbus-unit-scan is the name of a rule in rules/modbus/unit_scan.yml too"]);
    let counts = correlation("timespan: 1m\n  condition: {gte: 500}").replace("[mine]", "[modbus-restart]");
    let (names, problems) = makers(&counts);
    assert_eq!(problems, [""; 0]);
    assert!(names.contains(&"modbus-restart".to_owned()) && names.contains(&"counts".to_owned()), "{names:?}");
}

#[test]
fn what_a_broken_correlation_counts_stays_silent() {
    let text = format!(
        "{}---\n{}",
        rule("modbus", "modbus.unit_id: 5"),
        correlation("timespan: 1m\n  group-by: [flow.clientip]\n  condition: {gte: 5}")
    );
    let (names, problems) = makers(&text);
    assert!(!names.contains(&"mine".to_owned()), "{names:?}");
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn rules_beyond_their_bounds_are_refused_with_what_to_do() {
    let parts: String = (0..65).map(|at| format!("  part{at}:\n    modbus.unit_id: 5\n")).collect();
    let with = |parts: &str, condition: &str| {
        format!("title: Mine\nlogsource:\n  product: citytap\n  service: modbus\ndetection:\n{parts}  condition: {condition}\n")
    };
    let bounds = "a detection has at most 64 parts, and its condition at most 2048 characters: write several rules";
    assert_eq!(problems(&with(&parts, "1 of part*")), format!("mine.yml:5:1: {bounds}\n"));
    assert_eq!(problems(&with(parts.rsplit_once("  part64").unwrap().0, "1 of part*")), "");
    let part = "  part0:\n    modbus.unit_id: 5\n";
    let long = format!("part0{}", " or part0".repeat(300));
    assert_eq!(problems(&with(part, &long)), format!("mine.yml:5:1: {bounds}\n"));
    let heavy = problems(&rule("mqtt", "mqtt.topic|re: '(\\w{1,200}){1,200}'"));
    assert!(heavy.starts_with("mine.yml:7:5: this is no regular expression: ") && heavy.contains("size"), "{heavy}");
    let file = format!("{}# {}\n", rule("modbus", "modbus.unit_id: 5"), "x".repeat(FILE_BYTES));
    assert_eq!(problems(&file), "mine.yml:1:1: the file is longer than 1024 KB: part it\n");
}

#[test]
fn files_beyond_what_is_read_in_all_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let filler = "#\n".repeat(FILE_BYTES / 2);
    for at in 0..66 {
        std::fs::write(folder.path().join(format!("{at:02}.yml")), &filler).unwrap();
    }
    let texts = read::read(&[folder.path().to_owned()]).unwrap();
    assert_eq!((texts.files.len(), texts.problems.len()), (64, 2));
    assert!(texts.problems.iter().all(|problem| problem.text.contains("more than 64 MB of rules")), "{:?}", texts.problems);
}

#[test]
fn folders_are_read_once_and_what_cannot_be_read_costs_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let deep = (0..10).fold(path("deep"), |path, _| path.join("d"));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(path("good.yml"), rule("modbus", "modbus.unit_id: 5")).unwrap();
    std::fs::write(path(".#good.yml"), "no rule").unwrap();
    std::fs::write(path("latin.yml"), b"title: one\ndescription: \xe9\n").unwrap();
    std::os::unix::fs::symlink(folder.path(), path("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", path("lost.yml")).unwrap();
    let texts = read::read(&[folder.path().to_owned()]).unwrap();
    assert_eq!(texts.files.len(), 1);
    let told: Vec<String> = texts.problems.iter().map(|problem| problem.text.clone()).collect();
    let wanted = [
        "folders more than 8 deep are not looked into",
        "the file is not UTF-8: save it as UTF-8",
        "this is no file that can be read",
    ];
    assert_eq!(told, wanted);
    assert_eq!(texts.problems[1].line, 2);
    assert!(read::read(&[path("missing")]).is_err());
}

/// A match of the first rule, of one client and value, at a second.
fn matched(client: u8, value: &str, second: u64) -> (Matched, Seen) {
    let mut values = Values::default();
    let client = IpAddr::from([10, 0, 0, client]);
    values.push(Some(&client.to_string()));
    values.push(Some(value));
    let place = Place { frame: second + 1, sequence: 0 };
    let matched = Matched {
        rule: 0,
        network: 0,
        client,
        server: [10, 0, 1, 1].into(),
        direction: Direction::ToServer,
        named: None,
        values,
    };
    (matched, Seen { place, time: Timestamp(second * SECOND) })
}

/// A stage with one correlation of this kind and condition over the unit identifiers that a client asks for within ten seconds.
fn stage(kind: &str, condition: &str) -> Stage {
    let text = format!(
        "{}---\ntitle: Counts\ncorrelation:\n  type: {kind}\n  rules: [mine]\n  group-by: [flow.client_ip]\n  timespan: 10s\n  condition: {condition}\n",
        rule("modbus", "modbus.unit_id|exists: true"),
    );
    let set = RuleSet::new(&[File { name: "mine.yml", text: &text, own: true }], DECODERS);
    assert_eq!(set.problems(), []);
    Stage::new(Arc::new(set), &Policy::default())
}

/// How often the correlation fired on the numbers of one client, one a second.
fn fired(stage: &mut Stage, numbers: &[u64]) -> u64 {
    for (number, second) in numbers.iter().zip(0..) {
        let (matched, seen) = matched(1, &number.to_string(), second);
        stage.take(matched, seen);
    }
    stage.matches().find(|(name, _)| *name == "counts").map_or(0, |(_, count)| count)
}

#[test]
fn percentiles_lie_between_values_in_proportion() {
    // By hand: the ninetieth percentile is 2, 54.2, 58, 57 and 56 as they come; the median 2, 31, 50, 27.5 and 5.
    let numbers = [2, 60, 50, 5, 5];
    assert_eq!(fired(&mut stage("value_percentile", "{field: modbus.unit_id, percentile: 90, gte: 57}"), &numbers), 2);
    assert_eq!(fired(&mut stage("value_percentile", "{field: modbus.unit_id, percentile: 90, gte: 56}"), &numbers), 3);
    assert_eq!(fired(&mut stage("value_median", "{field: modbus.unit_id, lte: 5}"), &numbers), 2);
}

#[test]
fn a_window_slides_and_its_edge_is_in_it() {
    let mut edge = stage("event_count", "{gte: 2}");
    for second in [0, 10, 21] {
        let (matched, seen) = matched(1, "1", second);
        edge.take(matched, seen);
    }
    assert_eq!(
        edge.matches().find(|(name, _)| *name == "counts"),
        Some(("counts", 1)),
        "10 seconds are within 10 seconds, 11 are not"
    );
}

#[test]
fn too_many_groups_are_counted_and_silent_ones_forgotten() {
    let mut stage = stage("event_count", "{gte: 2}");
    for at in 0..=GROUPS {
        let (mut matched, seen) = matched(1, "1", 0);
        let mut values = Values::default();
        values.push(Some(&at.to_string()));
        matched.values = values;
        stage.take(matched, seen);
    }
    assert_eq!(stage.shed().collect::<Vec<_>>(), [("correlation_windows", 1)]);
    stage.epoch(Timestamp(11 * SECOND));
    let (matched, seen) = matched(1, "1", 12);
    stage.take(matched, seen);
    assert_eq!(stage.shed().collect::<Vec<_>>(), [("correlation_windows", 1)], "there is room again");
}

#[test]
fn windows_hold_no_more_than_their_bounds() {
    let mut narrow = stage("event_count", "{lte: 1}");
    let shed = |stage: &Stage| stage.shed().find(|(name, _)| *name == "correlation_windows").map_or(0, |(_, count)| count);
    let take = |stage: &mut Stage, client: usize| {
        let (mut matched, seen) = matched(1, "1", 0);
        matched.values = Values::default();
        matched.values.push(Some(&client.to_string()));
        stage.take(matched, seen);
    };
    (0..WINDOW + 3).for_each(|_| take(&mut narrow, 0));
    assert_eq!(shed(&narrow), 3, "in one window");
    let mut wide = stage("event_count", "{lte: 1}");
    (0..ENTRIES + 5).for_each(|at| take(&mut wide, at % (ENTRIES / WINDOW + 1)));
    assert_eq!(shed(&wide), 5, "in all windows");
}

#[test]
fn findings_beyond_their_bound_are_counted() {
    let text = rule("modbus", "modbus.unit_id|exists: true");
    let set = RuleSet::new(&[File { name: "mine.yml", text: &text, own: true }], DECODERS);
    let mut stage = Stage::new(Arc::new(set), &Policy::default());
    for at in 0..u32::try_from(stage::FINDINGS + 2).unwrap() {
        let (mut matched, seen) = matched(1, "1", 0);
        matched.client = IpAddr::from(std::net::Ipv4Addr::from(at));
        stage.take(matched, seen);
    }
    assert_eq!(stage.shed().collect::<Vec<_>>(), [("rule_findings", 2)]);
}

#[test]
fn too_many_rules_and_too_deep_chains_are_told() {
    let many: String = (0..RULES + 1)
        .map(|at| format!("---\n{}", rule("modbus", "modbus.unit_id: 5").replace("Mine", &format!("r{at}"))))
        .collect();
    // A file has its own bound, so there are several.
    let parts: Vec<String> =
        many.split_inclusive("condition: selection\n").collect::<Vec<_>>().chunks(4_000).map(|part| part.concat()).collect();
    let files: Vec<File<'_>> = parts.iter().map(|text| File { name: "many.yml", text, own: true }).collect();
    let set = RuleSet::new(&files, DECODERS);
    assert_eq!((set.rules().len(), set.problems().len()), (RULES, 1));
    assert!(set.problems()[0].text.contains("more than 16384 rules"), "{}", set.problems()[0]);
    let link = |at: usize| {
        let below = if at == 0 { "mine".to_owned() } else { format!("c{}", at - 1) };
        format!(
            "---\ntitle: c{at}\ncorrelation:\n  type: event_count\n  rules: [{below}]\n  timespan: 1m\n  condition: {{gte: 2}}\n"
        )
    };
    let chain: String = (0..CHAIN + 3).map(link).collect();
    let told = problems(&format!("{}{chain}", rule("modbus", "modbus.unit_id: 5")));
    assert_eq!(told.matches("more than 10 deep").count(), 2, "{told}");
}

#[test]
fn nobody_is_clear_while_matches_are_dropped() {
    let answer = |lost: u64| {
        let text = rule("modbus", "modbus.unit_id|exists: true");
        let mut stage = Stage::new(
            Arc::new(RuleSet::new(&[File { name: "mine.yml", text: &text, own: true }], DECODERS)),
            &Policy::default(),
        );
        stage.lose(lost);
        let mut judgement = Judgement::default();
        stage.clear([(DeviceId(1), "modbus"), (DeviceId(1), "modbus"), (DeviceId(2), "mqtt")].into_iter(), &mut judgement);
        judgement
            .checks
            .iter()
            .map(|check| (check.spec.id, check.device, check.outcome, check.reason().into_owned()))
            .collect::<Vec<_>>()
    };
    let clear = "the one rule about modbus matched nothing of what was seen".to_owned();
    assert_eq!(answer(0), [("modbus-rules", DeviceId(1), Outcome::Clear, clear)]);
    let dropped = "matches of rules were dropped for want of room: what was not found may have been among them".to_owned();
    assert_eq!(answer(1), [("modbus-rules", DeviceId(1), Outcome::Untested, dropped)]);
}
