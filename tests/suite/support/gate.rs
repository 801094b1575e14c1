//! A door in front of a server: while it is closed, what is sent to the server waits.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

#[derive(Clone, Default)]
struct Door(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    /// What may still pass; `None`: everything.
    left: Option<usize>,
    waiting: usize,
}

impl Door {
    fn set(&self, left: Option<usize>) {
        self.0.0.lock().unwrap().left = left;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.waiting += 1;
        state = self.0.1.wait_while(state, |state| state.left == Some(0)).unwrap();
        state.waiting -= 1;
        if let Some(left) = &mut state.left {
            *left -= 1;
        }
    }
}

pub struct Gate {
    door: Door,
    /// `HOST:PORT`
    pub address: String,
}

impl Gate {
    /// An open one, in front of the server on `HOST:PORT`.
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (door, server) = (Door::default(), server.to_owned());
        let gate = Self {
            door: door.clone(),
            address,
        };
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else {
                    continue;
                };
                let (requests, answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let door = door.clone();
                std::thread::spawn(move || carry(requests, server, || door.pass()));
                std::thread::spawn(move || carry(answers, client, || {}));
            }
        });
        gate
    }

    pub fn close(&self) {
        self.close_after(0);
    }

    /// Lets as many pieces of requests pass; the next one waits.
    pub fn close_after(&self, pieces: usize) {
        self.door.set(Some(pieces));
    }

    pub fn open(&self) {
        self.door.set(None);
    }

    /// Whether something waits.
    pub fn holds_something(&self) -> bool {
        self.door.0.0.lock().unwrap().waiting > 0
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, wait: impl Fn()) {
    let mut bytes = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        wait();
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
