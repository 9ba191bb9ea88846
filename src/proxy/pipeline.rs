//! Calls whose requests are sent ahead of the replies to those before.

use std::collections::VecDeque;
use std::slice;

use crate::error::Error;
use crate::message::{Reply, encode_request};
use crate::pickle::Value;
use crate::proxy::exchange::SILENCE;
use crate::proxy::remote::into_error;
use crate::proxy::{Proxy, PutAllError};

/// How many requests may be on their way without a reply, and how many bytes of them: as many as a server's socket
/// takes while nobody reads, or a server that is busy would look like one that is gone.
const REQUESTS: usize = 256;
const BYTES: usize = 16 * 1024;

impl Proxy {
    /// Calls a method once for each argument, without waiting for a reply before the next request is sent. Returns how
    /// many calls there were.
    pub(super) fn pipeline(
        &self,
        method: &str,
        arguments: &mut dyn Iterator<Item = Value>,
    ) -> Result<usize, PutAllError> {
        let mut following = || {
            let argument = arguments.next()?;
            let request =
                encode_request(Some(&self.token().ident), method, [slice::from_ref(&argument), &[]], &[]);
            Some((request, argument))
        };
        let mut next = following();
        let (mut under_way, mut bytes, mut put, mut failure) = (VecDeque::new(), 0, 0, None);
        let mut rest = Vec::new();
        let ended = self.on_line(|line| -> Result<(), Error> {
            self.enliven(line)?;
            let peer = line.peer();
            loop {
                let room =
                    |next: usize| under_way.is_empty() || under_way.len() < REQUESTS && bytes + next <= BYTES;
                if failure.is_none()
                    && let Some((request, argument)) = next.take_if(|(request, _)| room(request.len()))
                {
                    bytes += request.len();
                    under_way.push_back((request.len(), argument));
                    if let Err(failure) = line.send(&request, SILENCE) {
                        line.close();
                        return Err(failure.into_error(method));
                    }
                    next = following();
                    continue;
                }
                let Some((length, _)) = under_way.front() else { return Ok(()) };
                let length = *length;
                match line.receive(Some(&|| self.object.remote.is_alive(peer))) {
                    Ok(Reply::Return(_)) => {
                        put += 1;
                        under_way.pop_front();
                    }
                    Ok(other) => {
                        failure = failure.take().or(Some(into_error(other, &self.token().ident)));
                        rest.extend(under_way.pop_front().map(|(_, argument)| argument));
                    }
                    Err(failure) => {
                        line.close();
                        return Err(failure.into_error(method));
                    }
                }
                bytes -= length;
            }
        });
        let Some(error) = failure.or(ended.err()) else { return Ok(put) };
        rest.extend(under_way.into_iter().map(|(_, argument)| argument));
        rest.extend(next.map(|(_, argument)| argument));
        Err(PutAllError { put, rest, error })
    }
}
