//! Items on their way from Redis to a client.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::client::lock;
use super::clients::{Out, out};
use super::queue::Queue;
use super::resp::Reply;
use crate::pickle::{Pickled, Value};
use crate::shared::seam::{Tag, Wish};
use crate::shared::{Answer, Handover};

/// Items for a client, as the script has given them.
pub(super) fn answer(queue: &Arc<Queue>, wish: Wish, lends: bool, caller: u64, parts: Vec<Reply>) -> Answer {
    let run = queue.run.load(Ordering::Relaxed);
    let mut parts = parts.into_iter();
    let first = parts.next().and_then(|first| first.int()).unwrap_or(0) as u64;
    let (mut items, mut values) = (Vec::new(), Vec::new());
    while let (Some(item), Some(Reply::Text(payload))) = (parts.next(), parts.next()) {
        let out = out(item.int().unwrap_or(0) as u64, first + items.len() as u64);
        items.push(out);
        let value = Value::Opaque(Pickled::unpack(&payload));
        values.push(match wish {
            Wish::Lent(_) => {
                let tag = Tag { item: out.item, delivery: out.delivery, run };
                Value::Tuple(vec![tag.to_string().into(), value])
            }
            _ => value,
        });
    }
    match lends {
        true => lock(&queue.clients).lend(caller, &items),
        false => lock(&queue.clients).took(caller),
    }
    let value = match wish {
        Wish::One => values.pop().unwrap_or(Value::None),
        _ => Value::List(values),
    };
    Answer::delivering(value, Handed { queue: Arc::clone(queue), lends, caller, items, read: false })
}

/// Items on their way to a client, which has them for good then, or will have to finish them.
struct Handed {
    queue: Arc<Queue>,
    lends: bool,
    caller: u64,
    items: Vec<Out>,
    read: bool,
}

impl Handover for Handed {
    fn written(&mut self) {
        if self.lends {
            lock(&self.queue.clients).written(self.caller);
        }
    }

    fn commit(mut self: Box<Self>) -> std::io::Result<()> {
        self.read = true;
        if !self.lends {
            self.queue.owe("gone", &self.items, false);
        }
        Ok(())
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if self.read {
            return;
        }
        if self.lends {
            lock(&self.queue.clients).unread(self.caller);
        }
        self.queue.owe("back", &self.items, true);
    }
}
