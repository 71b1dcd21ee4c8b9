//! The server of wasm-bindgen's test pages, kept from standing still.
//!
//! It may leave a connection of the browser without a thread, and then answers it only when another one
//! has come and gone: the page stays at "Loading scripts" until the runner gives up. The more scripts a page
//! loads at once, the more often. So a short request comes now and then while a suite runs.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::failure::{Because, Result};

/// How often it comes.
const EVERY: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(2);

/// Nudges a server until it is dropped.
pub struct Nudge {
    address: SocketAddr,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Nudge {
    /// Picks a free address on loopback for a server that is about to start there.
    pub fn begin() -> Result<Self> {
        let free =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).because("looking for a free port")?;
        let address = free.local_addr().because("looking for a free port")?;
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                // Before it listens, and after its end, nothing answers.
                let _ = request(address);
            }
        });
        Ok(Self {
            address,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// The address that the server should listen on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Nudge {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has panicked otherwise, which has been printed.
            let _ = thread.join();
        }
    }
}

/// Asks for a page, and reads the answer to its end.
fn request(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"GET /favicon.ico HTTP/1.0\r\nConnection: close\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_again_and_again() {
        let nudge = Nudge::begin().unwrap();
        let server = TcpListener::bind(nudge.address()).unwrap();
        for _ in 0..2 {
            let (mut stream, _) = server.accept().unwrap();
            let mut start = [0; 3];
            stream.read_exact(&mut start).unwrap();
            assert_eq!(&start, b"GET");
        }
    }
}
