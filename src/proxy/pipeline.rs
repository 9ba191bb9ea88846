//! Calls whose requests are sent ahead of the replies to those before.

use std::collections::VecDeque;

use crate::error::Error;
use crate::message::{Reply, encode_request};
use crate::pickle::Value;
use crate::proxy::Proxy;
use crate::proxy::exchange::SILENCE;
use crate::proxy::remote::into_error;

/// How many requests may be on their way without a reply, and how many bytes of them: as many as a server's socket
/// takes while nobody reads, or a server that is busy would look like one that is gone.
const REQUESTS: usize = 256;
const BYTES: usize = 16 * 1024;

impl Proxy {
    /// Calls a method once for each set of arguments, without waiting for a reply before the next request is
    /// sent. Returns how many calls there were.
    pub(super) fn pipeline(&self, method: &str, calls: impl Iterator<Item = Value>) -> Result<usize, Error> {
        let mut calls =
            calls.map(|arg| encode_request(Some(&self.token().ident), method, [&[arg], &[]], &[])).peekable();
        self.on_line(|line| {
            self.enliven(line)?;
            let peer = line.peer();
            let (mut under_way, mut bytes, mut count, mut failure) = (VecDeque::new(), 0, 0, None);
            loop {
                let room = |next: &[u8]| {
                    under_way.is_empty() || under_way.len() < REQUESTS && bytes + next.len() <= BYTES
                };
                if failure.is_none()
                    && let Some(request) = calls.next_if(|next| room(next))
                {
                    if let Err(failure) = line.send(&request, SILENCE) {
                        line.close();
                        return Err(failure.into_error(method));
                    }
                    under_way.push_back(request.len());
                    bytes += request.len();
                    continue;
                }
                let Some(answered) = under_way.pop_front() else { break };
                match line.receive(Some(&|| self.object.remote.is_alive(peer))) {
                    Ok(Reply::Return(_)) => count += 1,
                    Ok(other) => failure = failure.or(Some(into_error(other))),
                    Err(failure) => {
                        line.close();
                        return Err(failure.into_error(method));
                    }
                }
                bytes -= answered;
            }
            failure.map_or(Ok(count), Err)
        })
    }
}
