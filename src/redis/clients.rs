//! What the clients of this hub have of one queue: what a plain `task_done()` means, and what goes back when one
//! leaves.
//!
//! Redis knows who has what too. This is only what a connection's own calls depend on, and it ends with the connection.

/// An item at a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Out {
    pub item: u64,
    pub delivery: u64,
    /// Whether the client has surely begun with it: then, if it is not finished, that was an attempt.
    pub begun: bool,
}

pub(super) fn out(item: u64, delivery: u64) -> Out {
    Out { item, delivery, begun: false }
}

struct Client {
    id: u64,
    /// In the order of their deliveries.
    items: Vec<Out>,
    /// The first delivery of its latest call; those before it were skipped.
    latest: u64,
    /// The reply of its latest call was written. Before that nobody can have begun.
    written: bool,
}

impl Client {
    /// Where the items of its latest call begin.
    fn start(&self) -> usize {
        self.items.partition_point(|out| out.delivery < self.latest)
    }

    /// It has surely begun with the first item that it has not finished.
    fn begin(&mut self) {
        let start = self.start();
        if let Some(out) = self.items.get_mut(start).filter(|_| self.written) {
            out.begun = true;
        }
    }
}

/// By their numbers.
#[derive(Default)]
pub(super) struct Clients(Vec<Client>);

impl Clients {
    fn find(&self, id: u64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |client| client.id)
    }

    fn get(&mut self, id: u64) -> Option<&mut Client> {
        let at = self.find(id).ok()?;
        Some(&mut self.0[at])
    }

    /// A client gets these items. With what it skips now it has begun.
    pub(super) fn lend(&mut self, id: u64, items: &[Out]) {
        let at = self.find(id).unwrap_or_else(|at| {
            self.0.insert(at, Client { id, items: Vec::new(), latest: 0, written: false });
            at
        });
        let client = &mut self.0[at];
        client.begin();
        client.latest = items.first().map_or(u64::MAX, |out| out.delivery);
        client.written = false;
        client.items.extend_from_slice(items);
    }

    /// A client gets what is not to be finished: a plain `task_done()` means nothing that it got before.
    pub(super) fn took(&mut self, id: u64) {
        if let Some(client) = self.get(id) {
            client.begin();
            client.latest = u64::MAX;
        }
    }

    /// The reply to its latest call was written.
    pub(super) fn written(&mut self, id: u64) {
        if let Some(client) = self.get(id) {
            client.written = true;
        }
    }

    /// What a client's latest call gave it and it has not finished.
    pub(super) fn latest(&mut self, id: u64) -> &[Out] {
        self.get(id).map_or(&[], |client| &client.items[client.start()..])
    }

    /// All that a client has.
    pub(super) fn all(&mut self, id: u64) -> Vec<Out> {
        self.get(id).map_or(Vec::new(), |client| client.items.clone())
    }

    /// It was said what became of these: nobody has them any more.
    pub(super) fn forget(&mut self, id: u64, items: &[Out]) {
        for out in items {
            let has = |client: &Client| client.items.iter().position(|other| other.item == out.item);
            // Mostly it is said by who has them.
            let by = self.get(id).and_then(|client| has(client).map(|at| client.items.remove(at)));
            let other = self.0.iter_mut().filter(|_| by.is_none());
            for client in other {
                if let Some(at) = has(client) {
                    client.items.remove(at);
                    break;
                }
            }
        }
    }

    /// A client has not read what its latest call was to give it.
    pub(super) fn unread(&mut self, id: u64) {
        if let Some(client) = self.get(id) {
            client.items.truncate(client.start());
        }
    }

    /// A client has left: with these.
    pub(super) fn ended(&mut self, id: u64) -> Vec<Out> {
        let Ok(at) = self.find(id) else { return Vec::new() };
        let mut client = self.0.remove(at);
        client.begin();
        client.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(out: &[Out]) -> Vec<u64> {
        out.iter().map(|out| out.item).collect()
    }

    #[test]
    fn a_plain_report_means_the_latest_call_and_what_was_skipped_was_begun() {
        let mut clients = Clients::default();
        clients.lend(7, &[out(1, 10), out(2, 11)]);
        clients.written(7);
        clients.lend(7, &[out(3, 12), out(4, 13)]);
        assert_eq!(items(clients.latest(7)), [3, 4]);
        clients.forget(7, &[out(3, 12)]);
        assert_eq!(items(clients.latest(7)), [4]);
        let begun: Vec<_> = clients.ended(7).iter().map(|out| (out.item, out.begun)).collect();
        assert_eq!(begun, [(1, true), (2, false), (4, false)], "the last reply was not written yet");
        assert!(clients.ended(7).is_empty() && clients.latest(7).is_empty());
    }

    #[test]
    fn what_was_not_read_was_not_begun_and_others_may_report() {
        let mut clients = Clients::default();
        clients.lend(1, &[out(1, 0)]);
        clients.lend(2, &[out(2, 1), out(3, 2)]);
        clients.written(2);
        clients.forget(1, &[out(2, 1)]);
        assert_eq!(items(clients.latest(2)), [3]);
        clients.unread(1);
        assert!(clients.ended(1).is_empty());
        clients.took(2);
        assert_eq!(clients.latest(2), []);
        assert_eq!(clients.ended(2), [Out { begun: true, ..out(3, 2) }]);
    }
}
