//! Mosquitto's dynamic security plugin: commands as JSON on `$CONTROL/dynamic-security/v1`, one answer for each on `.../response` (plugins/dynamic-security of
//! 2.0.11).
//!
//! Every subscriber gets every answer, so each request carries a mark of its own as `correlationData`; what bears another mark, or one that was answered
//! already, is passed over. A batch is carried out in order and **not** as a whole: each command succeeds or fails by itself.
//!
//! The administrator's own password is never changed here: 2.0.11 answers that neither with a PUBACK nor a response and disconnects in a loop.

use super::client::{Client, ClientError, Endpoint, PATIENCE};
use super::packets::Fate;
use crate::secrets::Secret;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use zeroize::Zeroize;

/// Where commands go.
pub const CONTROL: &str = "$CONTROL/dynamic-security/v1";
/// Where answers come.
pub const RESPONSE: &str = "$CONTROL/dynamic-security/v1/response";

/// A role or a group with the order in which it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Set for a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolename: Option<String>,
    /// Set for a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groupname: Option<String>,
    /// Higher counts first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
}

/// What the plugin tells of a client. It never tells the password or its digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ClientInfo {
    /// The user name.
    pub username: String,
    /// The client identifier that it is bound to.
    #[serde(default)]
    pub clientid: Option<String>,
    /// Its roles.
    #[serde(default)]
    pub roles: Vec<Named>,
    /// Its groups.
    #[serde(default)]
    pub groups: Vec<Named>,
    /// Not let in.
    #[serde(default)]
    pub disabled: bool,
}

/// One command. `Debug` and `Serialize` are left out: some hold a password.
pub enum Command<'a> {
    /// A client with its password, and the roles, groups and client identifier of another.
    CreateClient {
        /// Its user name.
        username: &'a str,
        /// Its password.
        password: &'a Secret,
        /// Whose rights it gets.
        like: &'a ClientInfo,
    },
    /// Asks for one client.
    GetClient(&'a str),
    /// Asks for all user names.
    ListClients,
    /// Replaces a password; the client's live session ends.
    SetClientPassword(&'a str, &'a Secret),
    /// Lets a client in.
    EnableClient(&'a str),
    /// Lets a client in no more; its live session ends.
    DisableClient(&'a str),
    /// Forgets a client; its live session ends.
    DeleteClient(&'a str),
    /// Gives a role, with the order in which it counts.
    AddClientRole(&'a str, &'a str, Option<i64>),
    /// Takes a role.
    RemoveClientRole(&'a str, &'a str),
    /// Asks for a role's access list.
    GetRole(&'a str),
    /// A role that lets its clients send to, receive from and subscribe to these topic filters.
    CreateRole(&'a str, &'a [String]),
}

impl Command<'_> {
    /// The command's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateClient { .. } => "createClient",
            Self::GetClient(_) => "getClient",
            Self::ListClients => "listClients",
            Self::SetClientPassword(..) => "setClientPassword",
            Self::EnableClient(_) => "enableClient",
            Self::DisableClient(_) => "disableClient",
            Self::DeleteClient(_) => "deleteClient",
            Self::AddClientRole(..) => "addClientRole",
            Self::RemoveClientRole(..) => "removeClientRole",
            Self::GetRole(_) => "getRole",
            Self::CreateRole(..) => "createRole",
        }
    }

    /// Whom it is about.
    fn username(&self) -> Option<&str> {
        match self {
            Self::CreateClient { username, .. } | Self::SetClientPassword(username, _) => Some(username),
            Self::GetClient(name) | Self::EnableClient(name) | Self::DisableClient(name) | Self::DeleteClient(name) => Some(name),
            Self::AddClientRole(name, ..) | Self::RemoveClientRole(name, _) => Some(name),
            Self::ListClients | Self::GetRole(_) | Self::CreateRole(..) => None,
        }
    }

    fn changes(&self) -> bool {
        !matches!(self, Self::GetClient(_) | Self::ListClients | Self::GetRole(_))
    }

    fn to_json(&self, correlation: &str) -> Result<Wire<'_>, ClientError> {
        let mut wire =
            Wire { command: self.name(), username: self.username(), correlation_data: correlation.to_owned(), ..Wire::default() };
        match self {
            Self::CreateClient { password, like, .. } => {
                wire.password = Some(text(password)?);
                wire.clientid = like.clientid.as_deref();
                wire.roles = Some(&like.roles);
                wire.groups = Some(&like.groups);
            }
            Self::SetClientPassword(_, password) => wire.password = Some(text(password)?),
            Self::AddClientRole(_, role, priority) => {
                wire.rolename = Some(role);
                wire.priority = *priority;
            }
            Self::RemoveClientRole(_, role) | Self::GetRole(role) => wire.rolename = Some(role),
            Self::CreateRole(role, topics) => {
                wire.rolename = Some(role);
                wire.acls = Some(allowing(topics));
            }
            Self::ListClients => wire.verbose = Some(false),
            _ => {}
        }
        Ok(wire)
    }
}

fn allowing(topics: &[String]) -> Vec<Acl<'_>> {
    let acl = |topic| move |acltype| Acl { acltype, topic, allow: true };
    topics
        .iter()
        .flat_map(|topic| ["publishClientSend", "publishClientReceive", "subscribePattern"].map(acl(topic.as_str())))
        .collect()
}

#[derive(Serialize)]
struct Acl<'a> {
    acltype: &'static str,
    topic: &'a str,
    allow: bool,
}

fn text(password: &Secret) -> Result<&str, ClientError> {
    let refuse = || ClientError::Impossible("a password for Mosquitto's dynamic security must be UTF-8 and not empty".to_owned());
    std::str::from_utf8(password.expose()).ok().filter(|text| !text.is_empty()).ok_or_else(refuse)
}

#[derive(Default, Serialize)]
struct Wire<'a> {
    command: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clientid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rolename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<&'a [Named]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a [Named]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acls: Option<Vec<Acl<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbose: Option<bool>,
    #[serde(rename = "correlationData")]
    correlation_data: String,
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Its name.
    pub command: String,
    /// Set where it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// What was asked for.
    #[serde(default)]
    pub data: serde_json::Value,
    #[serde(default, rename = "correlationData")]
    correlation_data: String,
}

impl Answer {
    /// The client of a getClient.
    pub fn client(&self) -> Option<ClientInfo> {
        serde_json::from_value(self.data.get("client")?.clone()).ok()
    }

    /// The user names of a listClients that was not verbose.
    pub fn usernames(&self) -> Vec<String> {
        self.data.get("clients").and_then(|clients| serde_json::from_value(clients.clone()).ok()).unwrap_or_default()
    }

    /// The topics of a getRole's access list.
    pub fn topics(&self) -> Vec<String> {
        let acls = self.data.pointer("/role/acls").and_then(|acls| acls.as_array());
        let topics = acls.into_iter().flatten().filter_map(|acl| acl.get("topic").and_then(|topic| topic.as_str()));
        topics.map(str::to_owned).collect()
    }
}

/// A connection of the administrator.
pub struct Control {
    client: Client,
    admin: String,
    mark: String,
    batches: u64,
}

impl Control {
    /// Logs in as `admin` and listens for answers. `mark` tells our requests from those of others and of earlier connections: it must never be used twice.
    ///
    /// # Errors
    /// The broker is away or refuses.
    pub fn open(endpoint: &Endpoint, admin: &str, password: &Secret, mark: String) -> Result<Self, ClientError> {
        let mut client = Client::connect(endpoint, &format!("citytap-rekey-{mark}"), Some((admin, password)))?;
        client.subscribe(RESPONSE)?;
        Ok(Self { client, admin: admin.to_owned(), mark, batches: 0 })
    }

    /// Carries out a batch in order; one answer for each command, in the same order.
    ///
    /// # Errors
    /// The connection ended or an answer is missing: which of the changes took place is then not known. A change of the administrator is refused before
    /// anything is sent.
    pub fn run(&mut self, commands: &[Command<'_>]) -> Result<Vec<Answer>, ClientError> {
        if commands.iter().any(|command| command.changes() && command.username() == Some(&self.admin)) {
            let why = format!(
                "{:?} is the user that citytap-rekey itself logs in as, and is never changed by it; use a second administrator",
                self.admin
            );
            return Err(ClientError::Impossible(why));
        }
        self.batches += 1;
        let marks: Vec<String> = (0..commands.len()).map(|at| format!("{}.{}.{at}", self.mark, self.batches)).collect();
        let mut payload = request(commands, &marks)?;
        let sent = self.client.publish(CONTROL, &payload, None);
        payload.zeroize();
        if sent? == Fate::Refused {
            let why = format!(
                "the broker does not let {:?} give commands to dynamic security; make it an administrator there",
                self.admin
            );
            return Err(ClientError::Impossible(why));
        }
        self.answers(&marks)
    }

    /// One command.
    ///
    /// # Errors
    /// As [`Control::run`]; a command that fails is an answer with an error, not an error.
    pub fn one(&mut self, command: Command<'_>) -> Result<Answer, ClientError> {
        self.run(&[command])?.pop().ok_or(ClientError::Silent)
    }

    /// The client of this name, if there is one.
    ///
    /// # Errors
    /// As [`Control::run`].
    pub fn client(&mut self, name: &str) -> Result<Option<ClientInfo>, ClientError> {
        let answer = self.one(Command::GetClient(name))?;
        match &answer.error {
            None => Ok(answer.client()),
            Some(why) if why.contains("not found") => Ok(None),
            Some(why) => Err(ClientError::Impossible(format!("getClient {name:?}: {why}"))),
        }
    }

    /// Says good-bye.
    pub fn close(self) {
        self.client.close();
    }

    fn answers(&mut self, marks: &[String]) -> Result<Vec<Answer>, ClientError> {
        let mut found: Vec<Option<Answer>> = vec![None; marks.len()];
        let until = Instant::now() + PATIENCE;
        while found.iter().any(Option::is_none) {
            let message = self.client.receive(until)?.ok_or(ClientError::Silent)?;
            // A retained answer is somebody's forgery: the plugin never retains.
            if message.topic == RESPONSE && !message.retained {
                sort_in(&message.payload, marks, &mut found);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }
}

/// The bytes of a batch.
fn request(commands: &[Command<'_>], marks: &[String]) -> Result<Vec<u8>, ClientError> {
    #[derive(Serialize)]
    struct Batch<'a> {
        commands: Vec<Wire<'a>>,
    }
    let commands = commands.iter().zip(marks).map(|(command, mark)| command.to_json(mark)).collect::<Result<_, _>>()?;
    serde_json::to_vec(&Batch { commands }).map_err(|error| ClientError::Impossible(error.to_string()))
}

/// Puts the answers of one message to the commands whose marks they bear. The first answer to a mark counts.
fn sort_in(payload: &[u8], marks: &[String], found: &mut [Option<Answer>]) {
    #[derive(Deserialize)]
    struct Responses {
        responses: Vec<serde_json::Value>,
    }
    let Ok(Responses { responses }) = serde_json::from_slice(payload) else { return };
    for answer in responses.into_iter().filter_map(|answer| serde_json::from_value::<Answer>(answer).ok()) {
        let place = marks.iter().position(|mark| *mark == answer.correlation_data);
        if let Some(place @ None) = place.and_then(|at| found.get_mut(at)) {
            *place = Some(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("m.1.{at}")).collect()
    }

    #[test]
    fn a_batch_is_the_documented_json() {
        let role = Named { rolename: Some("lamp".into()), groupname: None, priority: Some(5) };
        let like = ClientInfo { username: "dev1".into(), roles: vec![role], ..ClientInfo::default() };
        let password = Secret::new(b"s3cret".to_vec());
        let commands =
            [Command::CreateClient { username: "dev1.g2", password: &password, like: &like }, Command::DisableClient("dev1")];
        let json: serde_json::Value = serde_json::from_slice(&request(&commands, &marks(2)).expect("bytes")).expect("JSON");
        let wanted = serde_json::json!({"commands": [
            {"command": "createClient", "username": "dev1.g2", "password": "s3cret", "roles": [{"rolename": "lamp", "priority": 5}], "groups": [],
             "correlationData": "m.1.0"},
            {"command": "disableClient", "username": "dev1", "correlationData": "m.1.1"},
        ]});
        assert_eq!(json, wanted);
    }

    #[test]
    fn answers_of_others_and_repeated_ones_are_passed_over() {
        let mut found = vec![None, None];
        let marks = marks(2);
        let say = |text: &str, found: &mut Vec<Option<Answer>>| sort_in(text.as_bytes(), &marks, found);
        say(r#"{"responses":[{"command":"enableClient","correlationData":"other"},{"command":"enableClient"},7]}"#, &mut found);
        say("no JSON", &mut found);
        assert_eq!(found, [None, None]);
        say(r#"{"responses":[{"command":"enableClient","error":"Client not found","correlationData":"m.1.1"}]}"#, &mut found);
        say(r#"{"responses":[{"command":"enableClient","correlationData":"m.1.1"}]}"#, &mut found);
        say(r#"{"responses":[{"command":"enableClient","correlationData":"m.1.0"}]}"#, &mut found);
        let errors: Vec<_> = found.iter().flatten().map(|answer| answer.error.as_deref()).collect();
        assert_eq!(errors, [None, Some("Client not found")], "the first answer to a mark counts");
    }

    #[test]
    fn an_empty_password_is_never_sent() {
        let empty = Secret::new(Vec::new());
        assert!(request(&[Command::SetClientPassword("dev1", &empty)], &marks(1)).is_err());
    }
}
