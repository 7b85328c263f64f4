//! The HTTP verifier asked by the real RabbitMQ of Debian (plugins rabbitmq_mqtt and rabbitmq_auth_backend_http), and by hand as the other brokers ask.

mod lab;

use citytap_rekey::backends::http_verifier::SPEC;
use citytap_rekey::backends::mosquitto::client::{Client, ClientError, Endpoint};
use citytap_rekey::backends::mosquitto::packets::Level;
use citytap_rekey::journal::Ledger;
use citytap_rekey::rotation::Outcome;
use citytap_rekey::slot::{Generation, Slot};
use citytap_rekey::time::Timestamp;
use lab::{Memory, Running, by, free_port, secret, uses, wait_until};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn slot(name: &str) -> Slot {
    Slot::new("http_verifier", name).expect("a slot")
}

fn ask(port: u16, path: &str, kind: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (code, answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
}

#[test]
fn each_broker_is_answered_as_its_documents_say() {
    let (ledger, port) = (Arc::new(Memory::default()), free_port());
    let table = format!("listen = \"127.0.0.1:{port}\"\n").parse().expect("TOML");
    let backend = (SPEC.open)(&table, ledger.clone()).unwrap_or_else(|refusal| panic!("{refusal}"));
    ledger.enter(&slot("dev1"), 1, "old");
    ledger.enter(&slot("dev1"), 2, "new");
    ledger.set_accepted(&slot("dev1"), &[1, 2]);
    ledger.set_accepted(&slot("never-entered"), &[1]);
    let form = "application/x-www-form-urlencoded";
    let rabbit = |path: &str, body: &str| ask(port, path, form, body).1;
    assert_eq!(rabbit("/rabbitmq/user", "username=dev1&password=old&vhost=%2F&client_id=c1"), "allow");
    assert_eq!(rabbit("/rabbitmq/user", "username=dev1&password=new"), "allow");
    assert_eq!(rabbit("/rabbitmq/user", "username=dev1&password=neither"), "deny");
    assert_eq!(rabbit("/rabbitmq/user", "username=stranger&password=x"), "deny");
    assert_eq!(rabbit("/rabbitmq/vhost", "username=dev1&vhost=%2F&ip=127.0.0.1"), "allow");
    assert_eq!(rabbit("/rabbitmq/vhost", "username=stranger&vhost=%2F&ip=127.0.0.1"), "deny");
    assert_eq!(
        rabbit("/rabbitmq/topic", "username=dev1&vhost=%2F&resource=topic&name=amq.topic&permission=write&routing_key=a.b"),
        "allow"
    );
    let json = |path: &str, user: &str, password: &str| {
        let body = format!(r#"{{"username":"{user}","password":"{password}","clientid":"c1","client_id":"c1"}}"#);
        ask(port, path, "application/json", &body).1
    };
    assert_eq!(json("/emqx", "dev1", "new"), r#"{"is_superuser":false,"result":"allow"}"#);
    assert_eq!(json("/emqx", "dev1", "neither"), r#"{"is_superuser":false,"result":"deny"}"#);
    assert_eq!(json("/emqx", "never-entered", "x"), r#"{"is_superuser":false,"result":"ignore"}"#);
    assert_eq!(json("/vernemq", "dev1", "new"), r#"{"result":"ok"}"#);
    assert_eq!(json("/vernemq", "stranger", "new"), r#"{"result":"next"}"#);
    assert_eq!(rabbit("/rmqtt", "username=dev1&password=old&clientid=c1"), "allow");
    assert_eq!(ask(port, "/emqx", "application/json", "{").0, 400);
    assert_eq!(ask(port, "/nowhere", form, "").0, 404);

    let seen = backend.evidence(&slot("dev1"), Timestamp(0)).expect("told");
    assert!(uses(&seen).contains(&(2, true)), "the session that then published: {seen:?}");
    assert_eq!(
        uses(&backend.evidence(&slot("never-entered"), Timestamp(0)).expect("told")),
        [(1, false)],
        "it may have been the old one"
    );
    assert!(
        matches!(backend.retire(&slot("never-entered"), Generation(1), by(1)), Outcome::Rejected { .. }),
        "the last one stays"
    );
}

#[test]
fn a_public_address_needs_consent() {
    let table = format!("listen = \"0.0.0.0:{}\"\n", free_port()).parse().expect("TOML");
    let refusal = (SPEC.open)(&table, Arc::new(Memory::default())).err().expect("refused");
    assert!(refusal.remedy.contains("exposed"), "{refusal}");
}

/// RabbitMQ in a folder of its own.
fn rabbitmq(folder: &Path, mqtt: u16, verifier: u16) -> Running {
    let program = Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
    assert!(program.exists(), "RabbitMQ is not installed: apt-get install rabbitmq-server (make lab does)");
    let config = format!(
        "listeners.tcp = none\nmqtt.listeners.tcp.1 = 127.0.0.1:{mqtt}\nmqtt.allow_anonymous = false\nauth_backends.1 = http\nauth_backends.2 = internal\n\
         auth_http.http_method = post\nauth_http.user_path = http://127.0.0.1:{verifier}/rabbitmq/user\n\
         auth_http.vhost_path = http://127.0.0.1:{verifier}/rabbitmq/vhost\nauth_http.resource_path = http://127.0.0.1:{verifier}/rabbitmq/resource\n\
         auth_http.topic_path = http://127.0.0.1:{verifier}/rabbitmq/topic\n"
    );
    fs::write(folder.join("rabbitmq.conf"), config).expect("written");
    fs::write(folder.join("plugins"), "[rabbitmq_mqtt,rabbitmq_auth_backend_http].\n").expect("written");
    fs::write(folder.join(".erlang.cookie"), "CITYTAPTESTCOOKIE").expect("written");
    fs::set_permissions(folder.join(".erlang.cookie"), std::os::unix::fs::PermissionsExt::from_mode(0o400)).expect("closed");
    let child = Command::new(program)
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", format!("citytap{mqtt}@localhost"))
        .env("RABBITMQ_NODE_PORT", free_port().to_string())
        .env("RABBITMQ_DIST_PORT", free_port().to_string())
        .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq"))
        .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
        .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .env("RABBITMQ_LOG_BASE", folder.join("logs"))
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        .stdin(Stdio::null())
        .stdout(fs::File::create(folder.join("out")).expect("made"))
        .stderr(fs::File::create(folder.join("err")).expect("made"))
        .spawn();
    Running(child.expect("RabbitMQ starts"))
}

#[test]
fn rabbitmq_accepts_both_passwords_and_after_retirement_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, port, mqtt) = (Arc::new(Memory::default()), free_port(), free_port());
    let table = format!("listen = \"127.0.0.1:{port}\"\n").parse().expect("TOML");
    let backend = (SPEC.open)(&table, ledger.clone()).unwrap_or_else(|refusal| panic!("{refusal}"));
    ledger.enter(&slot("dev1"), 1, "old password");
    ledger.set_accepted(&slot("dev1"), &[1]);
    let _running = rabbitmq(folder.path(), mqtt, port);
    let until = Instant::now() + Duration::from_secs(90);
    while TcpStream::connect(("127.0.0.1", mqtt)).is_err() {
        let words = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert!(Instant::now() < until, "RabbitMQ does not listen: {}{}", words("out"), words("err"));
        std::thread::sleep(Duration::from_millis(200));
    }
    let connect = |password: &str| {
        let endpoint = Endpoint { address: format!("127.0.0.1:{mqtt}"), tls: None, level: Level::V311 };
        Client::connect(&endpoint, "c1", Some(("dev1", &secret(password))))
    };
    let lets_in = |password: &str| match connect(password) {
        Ok(client) => {
            client.close();
            true
        }
        Err(ClientError::Refused { .. }) => false,
        Err(error) => panic!("{error}"),
    };
    assert!(lets_in("old password") && !lets_in("new password"));
    ledger.enter(&slot("dev1"), 2, "new password");
    assert_eq!(backend.accept(&slot("dev1"), Generation(2), Some(&secret("new password")), by(1)), Outcome::Done);
    ledger.set_accepted(&slot("dev1"), &[1, 2]);
    assert!(lets_in("old password") && lets_in("new password") && !lets_in("neither"));
    let mut client = connect("new password").expect("let in");
    client.publish("city/lamp", b"on", None).expect("published");
    let seen = || uses(&backend.evidence(&slot("dev1"), Timestamp(0)).expect("told"));
    wait_until("login and data with the new password", || seen().contains(&(2, true)).then_some(()));
    ledger.set_accepted(&slot("dev1"), &[2]);
    assert_eq!(backend.retire(&slot("dev1"), Generation(1), by(2)), Outcome::Done);
    assert!(!lets_in("old password") && lets_in("new password"));
    assert!(ledger.accepted(&slot("dev1")).is_ok());
    kill_group(folder.path());
}

/// The server is a child of the start script.
fn kill_group(folder: &Path) {
    let pid = fs::read_to_string(folder.join("pid")).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(pid) = pid {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}
