//! Which hub a client command means, and the key it shows there.

use std::sync::Arc;
use std::time::Duration;

use netq::{BaseManager, Error, Kind, QueueProxy, Retry, last_line};

use super::address;
use super::args::Args;
use super::failure::Failure;
use super::key::KeyOptions;
use super::out;

/// What the options of every client command are.
macro_rules! access_help {
    () => {
        concat!(
            "  --connect ADDR[,ADDR] the hub's address, HOST:PORT (default 127.0.0.1:8001), or those of several hubs with\n",
            "                        the same queues, of which any is used that is there\n",
            crate::cli::key::key_help!()
        )
    };
}
pub(super) use access_help;

/// What the option of those client commands is that reconnect, with what they do without it.
macro_rules! reconnect_help {
    ($default:literal) => {
        concat!(
            "  --reconnect S         when the hub goes away, try for S seconds to reach it again; 0: give up at\n",
            "                        once (default ",
            $default,
            ")\n"
        )
    };
}
pub(super) use reconnect_help;

/// The options that every client command has.
#[derive(Default)]
pub struct Access {
    address: Option<String>,
    key: KeyOptions,
    reconnects: bool,
    patience: Option<Duration>,
}

impl Access {
    /// The options of a command that reconnects when the hub goes away.
    pub fn reconnecting() -> Self {
        Self { reconnects: true, ..Self::default() }
    }

    /// Takes the value of an option that the command itself does not know, or says that nobody knows it.
    pub fn option(&mut self, option: &str, args: &mut Args) -> Result<(), Failure> {
        match option {
            "--connect" => self.address = Some(address::parse_all(args)?),
            "--reconnect" if self.reconnects => self.patience = Some(args.seconds()?),
            _ if self.key.option(option, args)? => {}
            _ => return Err(args.unknown()),
        }
        Ok(())
    }

    /// The hub; `retry` is what the command does if it was not told otherwise.
    pub fn hub(&self, retry: Retry) -> Result<Hub, Failure> {
        let address = self.address.as_deref().unwrap_or(address::DEFAULT);
        let mut manager = BaseManager::new(address, &self.key.find()?.bytes);
        manager.set_retry(Retry { patience: self.patience.unwrap_or(retry.patience), ..retry });
        Ok(Hub { manager })
    }
}

/// A hub, and what a command wants from it.
pub struct Hub {
    /// The manager that reaches it.
    pub manager: BaseManager,
}

impl Hub {
    /// A proxy of one of its queues.
    pub fn queue(&self, name: &str) -> Result<QueueProxy, Failure> {
        let queue = self.manager.queue(name).map_err(|error| match &error {
            Error::NoSuchObject(text) | Error::RemoteTraceback(text) => {
                Failure::failed(unknown_queue(name, text))
            }
            _ => Failure::from(error),
        })?;
        no_queue(name, queue.proxy().exposed())?;
        // A factory's queue is known to nobody else and dropped with its proxy, and what was put with it.
        let made = queue.proxy().token().ident.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
        match made {
            true => Err(Failure::failed(format!(
                "'{name}' makes a new queue for each who asks: name one of the hub's queues, which netq stat lists"
            ))),
            false => Ok(queue),
        }
    }
}

/// Refuses an object that has nothing of what only queues have. A dict has a `get` too, which takes the arguments
/// of a queue's for a key and a default, and what it returns would be taken for an item.
fn no_queue(name: &str, exposed: &[String]) -> Result<(), Failure> {
    if Kind::of(exposed).is_some_and(|kind| kind.typeid == "Queue") {
        return Ok(());
    }
    let has = match exposed {
        [] => "without methods".to_owned(),
        _ => format!("with the methods {}", exposed.join(", ")),
    };
    Err(Failure::failed(format!("'{name}' is no queue but an object {has}")))
}

fn unknown_queue(name: &str, traceback: &str) -> String {
    let reason = last_line(traceback);
    match reason.rsplit_once("this hub serves ") {
        Some((_, known)) => {
            format!("no queue '{name}': this hub serves {}", known.trim_end_matches(['"', '\'']))
        }
        None => format!("no queue '{name}' there: {reason}"),
    }
}

/// Reconnecting for at most `patience`, with a line on standard error about it.
pub fn retry(patience: Duration) -> Retry {
    Retry { patience, notify: Arc::new(out::note), ..Retry::default() }
}

#[cfg(test)]
mod tests {
    use super::unknown_queue;

    #[test]
    fn unknown_queue_is_reported_with_the_known_ones() {
        let text = "KeyError: \"unknown typeid 'x': this hub serves Queue, tasks\"\n";
        assert_eq!(unknown_queue("x", text), "no queue 'x': this hub serves Queue, tasks");
        let python = "---\nTraceback (most recent call last):\nKeyError: 'x'\n---\n";
        assert_eq!(unknown_queue("x", python), "no queue 'x' there: KeyError: 'x'");
    }
}
