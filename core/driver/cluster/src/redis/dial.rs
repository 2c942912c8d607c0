//! Connections that are being made: which server it is, TLS, and the login.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use enginewire::Time;
use enginewire_driver::{Runtime, Stream, connect_tcp};

use super::{
    address::Address,
    error::{RedisError, RedisFault},
    link::{Incoming, Responds},
    options::{Sentinel, Shared},
    resp::{ServerError, Value, field},
    socket::Socket,
    transport::fill_random,
};
use crate::trace::trace;

/// The server that a connection is to be made with.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    /// The server of the URL, the master that sentinels name, or any server of a Redis Cluster.
    Any,
    /// One server of a Redis Cluster.
    Server(Address),
    /// The owner of a slot in a Redis Cluster.
    Slot(u16),
}

/// A connection that is being made.
pub(super) type Dialing<T> = Pin<Box<dyn Future<Output = Result<Dialed<T>, RedisError>> + Send>>;

/// A connection that is made.
pub(super) struct Dialed<T> {
    pub(super) socket: Socket<T>,
    /// Its server is one of a Redis Cluster.
    pub(super) is_cluster: bool,
}

/// Finds the server, connects, encrypts and logs in.
pub(super) fn dial<R: Runtime, T: Send + 'static>(
    shared: &Arc<Shared<R>>,
    destination: Destination,
) -> Dialing<T> {
    let shared = Arc::clone(shared);
    Box::pin(async move {
        let greeted = match (destination, &shared.options.sentinel) {
            (Destination::Server(address), _) => shared.greet(&address, 1).await?,
            (Destination::Slot(slot), _) => shared.greet_owner(slot).await?,
            (Destination::Any, None) => shared.greet_any().await?,
            (Destination::Any, Some(sentinel)) => shared.greet_master(sentinel).await?,
        };
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        let Greeted { socket, is_cluster, .. } = greeted;
        trace!(DEBUG, address = %socket.address, "connected to Redis");
        Ok(Dialed { socket: socket.retag(shared.options.max_message), is_cluster })
    })
}

/// A connection on which the login has succeeded.
struct Greeted {
    socket: Socket<()>,
    is_cluster: bool,
    is_master: bool,
}

impl<R: Runtime> Shared<R> {
    /// Connects to the first of the known servers that responds, and learns the owners of slots from it.
    ///
    /// In a Redis Cluster it is the first that knows them.
    async fn greet_any(&self) -> Result<Greeted, RedisError> {
        let mut candidates = self.masters();
        shuffle(&mut candidates);
        let seeds = self.url.addresses.iter();
        let seeds: Vec<_> = seeds.filter(|seed| !candidates.contains(seed)).cloned().collect();
        candidates.extend(seeds);
        let parts = candidates.len();
        let mut failed = None;
        for address in candidates {
            match self.greet(&address, parts).await {
                Ok(mut greeted) if greeted.is_cluster => {
                    match self.ask_slots(&mut greeted, parts).await {
                        Ok(()) => return Ok(greeted),
                        // One that was taken out may still run.
                        Err(error) => failed = failed.or(Some(error)),
                    }
                }
                Ok(_) if self.url.addresses.len() > 1 => {
                    return Err(RedisError::new(Some(&address), RedisFault::NoCluster));
                }
                Ok(greeted) => return Ok(greeted),
                // The first is as good as any other.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| RedisError::new(None, RedisFault::Disconnected)))
    }

    /// Connects to the owner of a slot.
    async fn greet_owner(&self, slot: u16) -> Result<Greeted, RedisError> {
        let known = match self.owner(slot) {
            Some(owner) => self.greet(&owner, 1).await.ok(),
            None => None,
        };
        // Who owns it is asked anew each time: a failover may have been.
        let greeted = match known {
            Some(mut greeted) => match self.ask_slots(&mut greeted, 1).await {
                Ok(()) => greeted,
                Err(_) => self.greet_any().await?,
            },
            None => self.greet_any().await?,
        };
        match self.owner(slot) {
            Some(owner) if owner == greeted.socket.address => Ok(greeted),
            Some(owner) => self.greet(&owner, 1).await,
            None => Err(RedisError::new(Some(&greeted.socket.address), RedisFault::Unserved(slot))),
        }
    }

    /// Connects to the master that the first of the sentinels names that responds.
    async fn greet_master(&self, sentinel: &Sentinel) -> Result<Greeted, RedisError> {
        let mut failed = None;
        for address in &self.url.addresses {
            match self.ask_sentinel(address, sentinel).await {
                Ok(master) => {
                    let greeted = self.greet(&master, 1).await;
                    match greeted {
                        Ok(greeted) if greeted.is_master => return Ok(greeted),
                        // Another sentinel may know more than one that has missed a failover.
                        Ok(_) => failed = Some(RedisError::new(Some(&master), RedisFault::Replica)),
                        Err(error) => failed = Some(error),
                    }
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| RedisError::new(None, RedisFault::Disconnected)))
    }

    /// Asks one sentinel for the address of the master.
    async fn ask_sentinel(
        &self,
        address: &Address,
        sentinel: &Sentinel,
    ) -> Result<Address, RedisError> {
        let Sentinel { master, user, password } = sentinel;
        let name = master.as_bytes();
        let parts = self.url.addresses.len();
        let asked = self.within(parts, async {
            let mut socket = self.open(address).await?;
            self.log_in(&mut socket, user.as_deref(), password.as_deref()).await?;
            ask(&mut socket, &[b"SENTINEL", b"get-master-addr-by-name", name]).await
        });
        let fault = match asked.await {
            Ok(Ok(Value::Array(named))) => match &*named {
                [host, port] => {
                    let port = port.as_str().and_then(|port| port.parse().ok());
                    match (host.as_str(), port) {
                        (Some(host), Some(port)) => {
                            return Ok(self.translate(Address::new(host, port)));
                        }
                        _ => RedisFault::Malformed("it names no master".to_owned()),
                    }
                }
                _ => RedisFault::Malformed("it names no master".to_owned()),
            },
            Ok(Ok(_)) => RedisFault::UnknownMaster(master.clone()),
            Ok(Err(error)) => RedisFault::of_command("SENTINEL", &error),
            Err(fault) => fault,
        };
        Err(RedisError::new(Some(address), fault))
    }

    /// Connects to a server and logs in, within a part of the time for it.
    async fn greet(&self, address: &Address, parts: usize) -> Result<Greeted, RedisError> {
        let greeted = self.within(parts, async {
            let mut socket = self.open(address).await?;
            let url = &self.url;
            let hello =
                self.log_in(&mut socket, url.user.as_deref(), url.password.as_deref()).await?;
            if url.database != 0 {
                let database = url.database.to_string();
                let selected = ask(&mut socket, &[b"SELECT", database.as_bytes()]).await?;
                selected.map_err(|error| RedisFault::of_greeting(&error))?;
            }
            let mode = field(&hello, "mode").and_then(Value::as_str);
            let is_master = field(&hello, "role").and_then(Value::as_str) == Some("master");
            match mode {
                Some("sentinel") => Err(RedisFault::Sentinel),
                mode => Ok(Greeted { socket, is_cluster: mode == Some("cluster"), is_master }),
            }
        });
        greeted.await.map_err(|fault| RedisError::new(Some(address), fault))
    }

    /// Learns the owners of slots. It is an error if the server knows of none.
    async fn ask_slots(&self, greeted: &mut Greeted, parts: usize) -> Result<(), RedisError> {
        let socket = &mut greeted.socket;
        let asked = self.within(parts, ask(socket, &[b"CLUSTER", b"SLOTS"])).await;
        let address = &socket.address;
        let asked = asked.and_then(|response| {
            response.map_err(|error| RedisFault::of_command("CLUSTER", &error))
        });
        let error = |fault| RedisError::new(Some(address), fault);
        match self.learn(&asked.map_err(error)?, address) {
            true => Ok(()),
            false => Err(error(RedisFault::Unserved(0))),
        }
    }

    /// Waits for a step no longer than a part of the time to connect.
    async fn within<T>(
        &self,
        parts: usize,
        step: impl Future<Output = Result<T, RedisFault>>,
    ) -> Result<T, RedisFault> {
        let parts = u32::try_from(parts.clamp(1, MAX_PARTS)).unwrap_or(1);
        let time: Duration = self.options.connect_timeout / parts;
        let mut sleep = pin!(self.runtime.sleep_until(self.runtime.clock().now() + time));
        let mut step = pin!(step);
        poll_fn(|cx| match step.as_mut().poll(cx) {
            Poll::Pending => sleep
                .as_mut()
                .poll(cx)
                .map(|_| Err(RedisFault::unreachable(io::Error::from(io::ErrorKind::TimedOut)))),
            done => done,
        })
        .await
    }

    /// Connects, and encrypts if the URL says so.
    async fn open(&self, address: &Address) -> Result<Socket<()>, RedisFault> {
        let Self { runtime, url, options, .. } = self;
        let connected = connect_tcp(runtime, &address.host, address.port).await;
        let (stream, _) = connected.map_err(RedisFault::unreachable)?;
        let stream: Box<dyn Stream> = match url.is_encrypted {
            false => Box::new(stream),
            #[cfg(feature = "tls-no-provider")]
            true => {
                let tls = options.tls.clone();
                let encrypted = enginewire_driver::tls::encrypt(stream, &address.host, tls).await;
                Box::new(encrypted.map_err(RedisFault::unreachable)?)
            }
            #[cfg(not(feature = "tls-no-provider"))]
            true => {
                let error = io::Error::new(io::ErrorKind::Unsupported, "the feature `tls` is off");
                return Err(RedisFault::unreachable(error));
            }
        };
        Ok(Socket::new(address.clone(), stream, runtime.clock().now(), options.max_message))
    }

    /// Changes to RESP3. Returns what the server says about itself.
    async fn log_in(
        &self,
        socket: &mut Socket<()>,
        user: Option<&str>,
        password: Option<&str>,
    ) -> Result<Value, RedisFault> {
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = password {
            hello.extend([b"AUTH", user.unwrap_or("default").as_bytes(), password.as_bytes()]);
        }
        if !self.options.name.is_empty() {
            hello.extend([b"SETNAME", self.options.name.as_bytes()]);
        }
        ask(socket, &hello).await?.map_err(|error| RedisFault::of_greeting(&error))
    }
}

/// Waits for the response to one command.
///
/// Until the first subscription, all that comes is a response.
async fn ask(
    socket: &mut Socket<()>,
    arguments: &[&[u8]],
) -> Result<Result<Value, ServerError>, RedisFault> {
    socket.link.push((), Responds::InTurn, Time::MAX, arguments);
    loop {
        let incoming = poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = socket.poll_flush(cx) {
                return Poll::Ready(Err(RedisFault::lost(error)));
            }
            socket.poll_next(cx, Time::ZERO)
        });
        if let Incoming::Response((), response) = incoming.await? {
            return Ok(response);
        }
    }
}

/// Brings addresses into an order by chance, so that nodes spread over servers.
fn shuffle(addresses: &mut [Address]) {
    for last in (1..addresses.len()).rev() {
        let mut random = [0; 8];
        fill_random(&mut random);
        let random = usize::from_ne_bytes(random);
        addresses.swap(last, random % (last + 1));
    }
}

/// Parts of the time to connect, so that each server has some of it.
const MAX_PARTS: usize = 3;
