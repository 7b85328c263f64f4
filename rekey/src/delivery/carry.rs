//! Carries a delivery's messages out over a channel and says what came of it.

use super::{Answer, Outgoing};
use crate::policy::deny;
use crate::rotation::Outcome;
use crate::time::Span;
use std::time::Instant;

/// A way to the device: a connection to its broker.
pub trait Channel {
    /// Listens to a topic.
    ///
    /// # Errors
    /// The way is not open, in words.
    fn listen(&mut self, filter: &str) -> Result<(), String>;

    /// Sends with QoS 1, not retained, to expire at the broker after that time, and waits for the broker's acknowledgement.
    ///
    /// # Errors
    /// Nobody will get it, or that is not known.
    fn send(&mut self, topic: &str, payload: &[u8], expiry: Span) -> Result<(), Lost>;

    /// The next message that was not retained, until then.
    ///
    /// # Errors
    /// The way is not open, in words.
    fn next(&mut self, until: Instant) -> Result<Option<(String, Vec<u8>)>, String>;
}

/// Why a message did not go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nobody got it, and nobody will.
    Certain(String),
    /// Somebody may have.
    Unsure(String),
}

/// Carries out.
///
/// [`Outcome::Done`]: the device said that it has it. [`Outcome::Sent`]: the secret is on its way. [`Outcome::Rejected`]: no secret was sent, or the device
/// said no.
pub fn carry(channel: &mut dyn Channel, messages: &[Outgoing], expiry: Span) -> Outcome {
    for message in messages {
        let denied = deny::topic_destroys(&message.topic).map(str::to_owned);
        let denied = denied.or_else(|| deny::check(&message.payload, &[]).err().map(|refusal| refusal.cause));
        if let Some(why) = denied {
            return Outcome::Rejected { why: format!("the deny-list: {why}; nothing was sent") };
        }
    }
    for answer in messages.iter().filter_map(|it| it.answer.as_ref()) {
        if let Err(why) = channel.listen(&answer.topic) {
            return Outcome::Rejected { why: format!("{why}; nothing was sent") };
        }
    }
    let (mut is_out, mut is_answered) = (false, false);
    for message in messages {
        match channel.send(&message.topic, &message.payload, expiry) {
            Ok(()) => {}
            Err(Lost::Certain(_)) if is_out => return Outcome::Sent,
            Err(Lost::Unsure(why)) if is_out || message.secret => return Outcome::Unknown { why },
            Err(Lost::Certain(why) | Lost::Unsure(why)) => {
                return Outcome::Rejected { why: format!("{why}; the device has no new secret") };
            }
        }
        let Some(answer) = &message.answer else {
            is_out |= message.secret;
            continue;
        };
        match wait(channel, answer) {
            Ok(Some(Ok(()))) => is_answered |= message.secret,
            Ok(Some(Err(why))) if !is_out => return Outcome::Rejected { why: format!("the device refused: {why}") },
            Ok(None) if !is_out && !message.secret => {
                return Outcome::Rejected { why: format!("the device did not answer on {}; no secret was sent", answer.topic) };
            }
            Err(why) if !is_out && !message.secret => return Outcome::Rejected { why: format!("{why}; no secret was sent") },
            _ => return Outcome::Sent,
        }
        is_out |= message.secret;
    }
    if is_answered { Outcome::Done } else { Outcome::Sent }
}

fn wait(channel: &mut dyn Channel, answer: &Answer) -> Result<Option<Result<(), String>>, String> {
    let until = Instant::now() + answer.patience;
    while let Some((topic, payload)) = channel.next(until)? {
        if topic == answer.topic
            && let Some(said) = (answer.judge)(&payload)
        {
            return Ok(Some(said));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::time::Duration;
    use zeroize::Zeroizing;

    #[derive(Default)]
    struct Recorded {
        sent: Vec<String>,
        answers: VecDeque<(String, Vec<u8>)>,
        fails_at: Option<usize>,
    }

    impl Channel for Recorded {
        fn listen(&mut self, _filter: &str) -> Result<(), String> {
            Ok(())
        }
        fn send(&mut self, topic: &str, _payload: &[u8], _expiry: Span) -> Result<(), Lost> {
            if self.fails_at == Some(self.sent.len()) {
                return Err(Lost::Unsure("the broker closed the connection".to_owned()));
            }
            self.sent.push(topic.to_owned());
            Ok(())
        }
        fn next(&mut self, _until: Instant) -> Result<Option<(String, Vec<u8>)>, String> {
            Ok(self.answers.pop_front())
        }
    }

    fn message(topic: &str, secret: bool) -> Outgoing {
        let judge = Box::new(|payload: &[u8]| match payload {
            b"yes" => Some(Ok(())),
            b"no" => Some(Err("full".to_owned())),
            _ => None,
        });
        let answer = Answer { topic: "answer".to_owned(), judge, patience: Duration::ZERO };
        Outgoing { topic: topic.to_owned(), payload: Zeroizing::new(b"x".to_vec()), secret, answer: Some(answer) }
    }

    fn run(answers: &[&str], fails_at: Option<usize>) -> (Outcome, Vec<String>) {
        let answers = answers.iter().map(|text| ("answer".to_owned(), text.as_bytes().to_vec())).collect();
        let mut channel = Recorded { answers, fails_at, ..Recorded::default() };
        let outcome =
            carry(&mut channel, &[message("rule", false), message("password", true), message("restart", false)], Span::ZERO);
        (outcome, channel.sent)
    }

    #[test]
    fn no_secret_leaves_before_the_way_back_is_in_place() {
        let (outcome, sent) = run(&["something else"], None);
        assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
        assert_eq!(sent, ["rule"]);
        assert!(matches!(run(&["no"], None).0, Outcome::Rejected { why } if why.contains("full")));
        assert!(matches!(run(&["yes"], Some(0)).0, Outcome::Rejected { .. }));
    }

    #[test]
    fn after_the_secret_left_nothing_is_called_rejected_but_by_the_device() {
        assert_eq!(run(&["yes", "yes", "yes"], None).0, Outcome::Done);
        assert_eq!(run(&["yes"], None).0, Outcome::Sent);
        assert_eq!(run(&["yes", "yes", "no"], None).0, Outcome::Sent);
        assert!(matches!(run(&["yes", "no"], None).0, Outcome::Rejected { .. }));
        assert!(matches!(run(&["yes"], Some(1)).0, Outcome::Unknown { .. }));
    }

    #[test]
    fn what_is_denied_stops_all_of_it() {
        let mut channel = Recorded::default();
        let mut bad = message("cmnd/lamp/Backlog", false);
        bad.payload = Zeroizing::new(b"Reset 1".to_vec());
        let outcome = carry(&mut channel, &[message("password", true), bad], Span::ZERO);
        assert!(matches!(outcome, Outcome::Rejected { .. }) && channel.sent.is_empty());
    }
}
