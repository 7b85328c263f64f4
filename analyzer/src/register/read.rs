//! A list in CSV (RFC 4180; commas, semicolons or tabs) becomes entries. All of it is right, or none is taken.

use super::{Entry, Field, VALUE, hex_digits, plain};
use crate::findings::risk::Criticality;
use crate::nearest::nearest;
use crate::signatures::columns;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// Problems that are named; further ones are counted.
pub const NAMED: usize = 20;

/// What a column is mapped to so that it is not read.
const IGNORED: &str = "-";

/// Words for criticality that lists use beside ours.
const CRITICALITY_WORDS: [(&str, Criticality); 10] = [
    ("minor", Criticality::Low),
    ("niedrig", Criticality::Low),
    ("medium", Criticality::Normal),
    ("moderate", Criticality::Normal),
    ("mittel", Criticality::Normal),
    ("standard", Criticality::Normal),
    ("major", Criticality::High),
    ("hoch", Criticality::High),
    ("vital", Criticality::Critical),
    ("kritisch", Criticality::Critical),
];

/// Something wrong in a list, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// From 1.
    pub line: u64,
    /// The column, from 1, and its name, where one column is wrong.
    pub column: Option<(usize, String)>,
    /// What is wrong, and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match &self.column {
            Some((number, name)) => write!(f, ":{number}: {name}: {}", self.text),
            None => write!(f, ": {}", self.text),
        }
    }
}

/// A list that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Its entries, in the order of lines.
    pub entries: Vec<Entry>,
    /// Each column that was read, with its field.
    pub mapped: Vec<(String, &'static str)>,
    /// Columns that were not read.
    pub unread: Vec<String>,
}

/// What is wrong with a list: the first problems, and how many in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// At most [`NAMED`].
    pub named: Vec<Problem>,
    /// All of them.
    pub count: usize,
}

impl Problems {
    fn add(&mut self, problem: Problem) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(problem);
        }
    }
}

/// Reads a list. `file` is its name for messages, `list` for entries; `maps` says `COLUMN=FIELD` where a column's name does not say it.
///
/// # Errors
/// All that is wrong.
pub fn read(bytes: &[u8], file: &str, list: &str, maps: &[String]) -> Result<List, Problems> {
    let mut reader = Reader { file, list, problems: Problems::default(), first_of: BTreeMap::new() };
    let read = reader.read(bytes, maps);
    if reader.problems.count == 0 { Ok(read) } else { Err(reader.problems) }
}

struct Reader<'f> {
    file: &'f str,
    list: &'f str,
    problems: Problems,
    /// The line that a name first stood in.
    first_of: BTreeMap<(&'static str, String), u64>,
}

type Columns = Vec<(usize, String, Field)>;

impl Reader<'_> {
    fn wrong(&mut self, line: u64, column: Option<(usize, &str)>, text: String) {
        let column = column.map(|(number, name)| (number + 1, name.escape_debug().to_string()));
        self.problems.add(Problem { file: self.file.to_owned(), line, column, text });
    }

    fn read(&mut self, bytes: &[u8], maps: &[String]) -> List {
        let mut list = List::default();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() as u64;
                self.wrong(line, None, "this is not text in UTF-8; save the list as \"CSV UTF-8\"".into());
                return list;
            }
        };
        let head = text.lines().next().unwrap_or_default();
        let mut csv = csv::ReaderBuilder::new().delimiter(delimiter(head)).flexible(true).from_reader(bytes);
        let heads: Vec<String> = match csv.headers() {
            Ok(heads) => heads.iter().map(|head| head.trim().to_owned()).collect(),
            Err(error) => {
                self.wrong(1, None, format!("the row of column names cannot be read: {error}"));
                return list;
            }
        };
        let columns = self.columns(&heads, maps, &mut list);
        if self.problems.count > 0 {
            return list;
        }
        for row in csv.records() {
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    self.wrong(line, None, format!("this row cannot be read: {error}"));
                    break;
                }
            };
            let line = row.position().map_or(0, csv::Position::line);
            if row.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if row.len() != heads.len() {
                let text = format!(
                    "the row has {} cells and there are {} columns; a cell that holds the separator stands in double quotes",
                    row.len(),
                    heads.len()
                );
                self.wrong(line, None, text);
                continue;
            }
            list.entries.extend(self.entry(&row, line, &columns));
        }
        if list.entries.is_empty() && self.problems.count == 0 {
            self.wrong(1, None, "there are no rows below the column names".into());
        }
        list
    }

    /// Which column holds what: what a person says, else what its name says.
    fn columns(&mut self, heads: &[String], maps: &[String], list: &mut List) -> Columns {
        let mut said: BTreeMap<&str, &str> = BTreeMap::new();
        for map in maps {
            let Some((column, field)) = map.rsplit_once('=') else {
                self.wrong(1, None, format!("--map {map}: write COLUMN=FIELD, as in --map 'Asset tag=asset_number'"));
                continue;
            };
            let Some(head) = heads.iter().find(|head| *head == column || columns::plain(head) == columns::plain(column)) else {
                let meant = nearest(column, heads.iter().map(String::as_str));
                let meant = meant.map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default();
                let text = format!("--map {map}: no column is called '{column}'.{meant} Columns are: {}.", heads.join(", "));
                self.wrong(1, None, text);
                continue;
            };
            if field != IGNORED && Field::named(field).is_none() {
                let fields = || Field::all().map(Field::name);
                let meant = nearest(field, fields()).map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default();
                let known = fields().collect::<Vec<_>>().join(", ");
                let text = format!("--map {map}: no field is called '{field}'.{meant} Fields are: {known}; - reads nothing.");
                self.wrong(1, None, text);
                continue;
            }
            said.insert(head, field);
        }
        let mut columns: Columns = Vec::new();
        for (at, head) in heads.iter().enumerate() {
            let by_person = said.get(head.as_str()).copied();
            let guess = || Field::named(&head.to_lowercase()).map(Field::name).or_else(|| columns::field_of(head));
            let field = by_person.map_or_else(guess, Some).filter(|field| *field != IGNORED).and_then(Field::named);
            let Some(field) = field else {
                list.unread.push(head.clone());
                continue;
            };
            match columns.iter().position(|(.., other)| *other == field) {
                None => columns.push((at, head.clone(), field)),
                // What a person said goes before a guess; of two guesses the first column is read.
                Some(place) if by_person.is_some() => {
                    let before = std::mem::replace(&mut columns[place], (at, head.clone(), field));
                    if said.contains_key(before.1.as_str()) {
                        let text = format!("'{}' and '{head}' are both mapped to {}; leave one out", before.1, field.name());
                        self.wrong(1, Some((at, head)), text);
                    }
                    list.unread.push(before.1);
                }
                Some(_) => list.unread.push(head.clone()),
            }
        }
        if self.problems.count == 0 && !columns.iter().any(|(.., field)| field.recognises()) {
            let fields: Vec<&str> = Field::all().filter(|field| field.recognises()).map(Field::name).collect();
            let text = format!(
                "no column says which device a row is. Columns are: {}. Say which holds what with --map COLUMN=FIELD; fields are: {}",
                heads.join(", "),
                fields.join(", ")
            );
            self.wrong(1, None, text);
        }
        list.mapped = columns.iter().map(|(_, head, field)| (head.clone(), field.name())).collect();
        columns
    }

    fn entry(&mut self, row: &csv::StringRecord, line: u64, columns: &Columns) -> Option<Entry> {
        let before = self.problems.count;
        let number = u32::try_from(line).unwrap_or(u32::MAX);
        let mut entry = Entry { list: self.list.to_owned(), line: number, ..Entry::default() };
        for (at, head, field) in columns {
            let cell = row.get(*at).unwrap_or_default().trim();
            // A spreadsheet's apostrophe before what looks like a formula is none of the value.
            let cell = cell.strip_prefix('\'').unwrap_or(cell);
            if cell.is_empty() {
                continue;
            }
            let name = field.name();
            match value(*field, cell) {
                Err(text) => self.wrong(line, Some((*at, head)), text),
                Ok(value) if field.recognises() => {
                    let first = *self.first_of.entry((name, value.clone())).or_insert(line);
                    // An address may be that of several devices behind one gateway.
                    if first != line && name != "ip" {
                        let text = format!("{} stands in line {first} already; a row is one device", value.escape_debug());
                        self.wrong(line, Some((*at, head)), text);
                    }
                    entry.identities.insert(name.to_owned(), value);
                }
                Ok(value) => drop(entry.attributes.insert(name.to_owned(), value)),
            }
        }
        if entry.identities.is_empty() && self.problems.count == before {
            let names: Vec<&str> =
                columns.iter().filter(|(.., field)| field.recognises()).map(|(_, head, _)| head.as_str()).collect();
            self.wrong(line, None, format!("nothing says which device this row is: {} are empty", names.join(", ")));
        }
        (self.problems.count == before).then_some(entry)
    }
}

/// A cell's value in its plain form.
fn value(field: Field, cell: &str) -> Result<String, String> {
    if cell.chars().count() > VALUE {
        return Err(format!("a value has at most {VALUE} characters"));
    }
    if cell.chars().any(char::is_control) {
        return Err("a value holds a line break or another control character".into());
    }
    let kind = field.name();
    let plain = plain(kind, cell);
    // The cell is not quoted: a column that was mapped wrong may hold a key.
    match (field, hex_digits(kind)) {
        (Field::Identity(_), Some(digits)) if plain.len() != digits || !plain.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Err(format!("this is no {kind}: it has {digits} hexadecimal digits, with or without : or - between them"))
        }
        (Field::Identity(_), None) if kind == "ip" && plain.parse::<IpAddr>().is_err() => {
            Err("this is no address, as 10.20.0.5 or fd12::5".into())
        }
        (Field::Attribute("criticality"), _) => criticality(cell).map(|criticality| criticality.name().to_owned()),
        _ => Ok(plain),
    }
}

fn criticality(cell: &str) -> Result<Criticality, String> {
    let word = cell.to_lowercase();
    let known = Criticality::ALL.map(|criticality| (criticality.name(), criticality));
    let all = || known.into_iter().chain(CRITICALITY_WORDS);
    all().find(|(name, _)| *name == word).map(|(_, criticality)| criticality).ok_or_else(|| {
        let meant = nearest(&word, all().map(|(name, _)| name)).map(|word| format!(" Did you mean '{word}'?"));
        format!("this is none of low, normal, high, critical.{}", meant.unwrap_or_default())
    })
}

/// What parts the cells: what the row of column names has most of.
fn delimiter(head: &str) -> u8 {
    let count = |delimiter: u8| head.bytes().filter(|byte| *byte == delimiter).count();
    // Of equally many the last: a comma.
    [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(text: &str, maps: &[&str]) -> List {
        let maps: Vec<String> = maps.iter().map(ToString::to_string).collect();
        read(text.as_bytes(), "assets.csv", "assets.csv", &maps).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn wrong(text: &str, maps: &[&str]) -> Vec<String> {
        let maps: Vec<String> = maps.iter().map(ToString::to_string).collect();
        let problems = read(text.as_bytes(), "assets.csv", "assets.csv", &maps).expect_err("is refused");
        problems.named.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_network_servers_list_is_understood_as_it_is_and_its_keys_are_not_read() {
        let text = "\u{feff}id;dev_eui;join_eui;name;app_key.key\nlamp-1;24E124FFFE000001;70b3d57ed0000000;Lamp 1;00112233445566778899aabbccddeeff\n\n";
        let list = right(text, &[]);
        assert_eq!(list.mapped, [("dev_eui".into(), "dev_eui"), ("name".into(), "name")]);
        assert_eq!(list.unread, ["id", "join_eui", "app_key.key"]);
        let [entry] = list.entries.as_slice() else { panic!("{:?}", list.entries) };
        assert_eq!((entry.line, entry.identities["dev_eui"].as_str()), (2, "24e124fffe000001"));
        assert_eq!(entry.attributes, [("name".into(), "Lamp 1".into())].into());
        assert!(!format!("{list:?}").contains("00112233"));
    }

    #[test]
    fn a_citys_list_is_read_with_its_words_for_criticality_and_place() {
        let text = "Asset tag,IP address,MAC,Standort,Owner,Criticality,Installed\nA-1,010.20.0.5,,\"Hafen, Tor 3\",Water,hoch,2019\nA-2,10.20.0.6,00:80:F4:20:02:0B,,,,\n";
        let problems = wrong(text, &[]);
        assert_eq!(problems, ["assets.csv:2:2: IP address: this is no address, as 10.20.0.5 or fd12::5"]);
        let list = right(&text.replace("010.", "10."), &[]);
        assert_eq!(list.unread, ["Installed"]);
        let [first, second] = list.entries.as_slice() else { panic!("{:?}", list.entries) };
        assert_eq!(first.attributes["criticality"], "high");
        assert_eq!((first.attributes["place"].as_str(), first.attributes["asset_number"].as_str()), ("Hafen, Tor 3", "A-1"));
        assert_eq!(second.identities["mac"], "0080f420020b");
        assert_eq!(second.attributes.get("owner"), None, "an empty cell says nothing");
    }

    #[test]
    fn what_is_wrong_is_told_with_line_column_and_the_nearest_right_word() {
        for (text, maps, wanted) in [
            ("dev_eui\n24e124", &[][..], "assets.csv:2:1: dev_eui: this is no dev_eui: it has 16 hexadecimal digits"),
            (
                "dev_eui,criticality\n24e124fffe000001,hihg",
                &[],
                "assets.csv:2:2: criticality: this is none of low, normal, high, critical. Did you mean 'high'?",
            ),
            ("ip,name\n10.0.0.1", &[], "assets.csv:2: the row has 1 cells and there are 2 columns"),
            ("name,owner\na,b", &[], "assets.csv:1: no column says which device a row is. Columns are: name, owner."),
            ("ip,name\n,pump", &[], "assets.csv:2: nothing says which device this row is: ip are empty"),
            ("mac,name\n0080f420020b,a\n00-80-f4-20-02-0b,b", &[], "assets.csv:3:1: mac: 0080f420020b stands in line 2 already"),
            ("ip\n", &[], "assets.csv:1: there are no rows below the column names"),
            ("which\n10.0.0.1", &["whihc=ip"], "--map whihc=ip: no column is called 'whihc'. Did you mean 'which'?"),
            ("which\n10.0.0.1", &["which=ipp"], "no field is called 'ipp'. Did you mean 'ip'?"),
            ("which\n10.0.0.1", &["which"], "write COLUMN=FIELD"),
            ("a,b\n10.0.0.1,10.0.0.2", &["a=ip", "b=ip"], "'a' and 'b' are both mapped to ip"),
        ] {
            let problems = wrong(text, maps);
            assert!(problems.iter().any(|problem| problem.contains(wanted)), "{text:?}: {problems:?}");
        }
        let latin = read(b"ip,name\n10.0.0.1,Stra\xdfe\n", "assets.csv", "assets.csv", &[]).expect_err("is refused");
        assert_eq!((latin.named[0].line, latin.count), (2, 1));
    }

    #[test]
    fn a_column_can_be_mapped_and_left_out() {
        let list = right("Name,Number,ip\nlamp,7,10.0.0.1", &["number=asset_number", "Name=-"]);
        assert_eq!(list.mapped, [("Number".into(), "asset_number"), ("ip".into(), "ip")]);
        assert_eq!(list.unread, ["Name"]);
        let list = right("name,description,ip\nx,y,10.0.0.1", &[]);
        assert_eq!(list.entries[0].attributes["name"], "x", "of two guesses the first column is read");
        let list = right("name,description,ip\nx,y,10.0.0.1", &["description=name"]);
        assert_eq!(list.entries[0].attributes["name"], "y");
    }

    #[test]
    fn problems_are_named_up_to_a_bound_and_counted() {
        let text = format!("ip\n{}", "nowhere\n".repeat(100));
        let problems = read(text.as_bytes(), "assets.csv", "assets.csv", &[]).expect_err("is refused");
        assert_eq!((problems.named.len(), problems.count), (NAMED, 100));
    }
}
