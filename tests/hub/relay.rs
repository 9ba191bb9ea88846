//! A network between a client and its hub, which a test can cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Relay {
    pub address: SocketAddr,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    mute: Arc<AtomicBool>,
}

impl Relay {
    pub fn to(hub: &str) -> Self {
        let hub: SocketAddr = hub.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let relay = Self { address, streams: Arc::default(), mute: Arc::default() };
        let (streams, mute) = (relay.streams.clone(), relay.mute.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(hub).unwrap();
                let clone = |stream: &TcpStream| stream.try_clone().unwrap();
                streams.lock().unwrap().extend([clone(&client), clone(&server)]);
                pass(clone(&client), clone(&server), None);
                pass(server, client, Some(mute.clone()));
            }
        });
        relay
    }

    /// Ends all connections; new ones can be made.
    pub fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on, whether replies vanish on their way.
    pub fn swallow_replies(&self, mute: bool) {
        self.mute.store(mute, Ordering::Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mute: Option<Arc<AtomicBool>>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let muted = mute.as_ref().is_some_and(|mute| mute.load(Ordering::Relaxed));
            if !muted && to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
