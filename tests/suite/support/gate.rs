//! A door in front of a server: while it is closed, what is sent to the server waits.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

#[derive(Clone, Default)]
struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    fn set(&self, is_closed: bool) {
        *self.0.0.lock().unwrap() = is_closed;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(closed, |is_closed| *is_closed).unwrap());
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
        self.door.set(true);
    }

    pub fn open(&self) {
        self.door.set(false);
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
