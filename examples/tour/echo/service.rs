//! The service: echoes messages, each through the buffer of a resource from a pool.
//!
//! A client sends the length of a message, waits for `GO`, sends the message, and gets it back.

use std::{
    io,
    time::{Duration, Instant},
};

use smol::{
    Executor,
    future::or,
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use testudo::{Condition, Event};

pub const GO: u8 = b'!';

/// What there are only a few of.
pub struct Resource {
    number: usize,
    buffer: Box<[u8]>,
}

impl Resource {
    pub fn new(number: usize) -> Self {
        Self { number, buffer: vec![0; 4096].into() }
    }
}

pub struct Service {
    pool: Condition<Vec<Resource>>,
    pub census: Condition<Census>,
    pub stop: Event,
}

/// What goes on in the service.
#[derive(Clone, Copy, Debug)]
pub struct Census {
    pub connections: usize,
    pub messages: usize,
    pub bytes: usize,
    pub waiting: usize,
    pub longest_wait: Duration,
    pub in_use: usize,
    pub most_in_use: usize,
    /// Clients that hung up in line.
    pub cancelled: usize,
    /// Clients that hung up with a resource.
    pub abandoned: usize,
}

impl Census {
    pub fn quitters(&self) -> usize {
        self.cancelled + self.abandoned
    }
}

impl Service {
    pub const fn new() -> Self {
        let census = Census {
            connections: 0,
            messages: 0,
            bytes: 0,
            waiting: 0,
            longest_wait: Duration::ZERO,
            in_use: 0,
            most_in_use: 0,
            cancelled: 0,
            abandoned: 0,
        };
        Self { pool: Condition::new(Vec::new()), census: Condition::new(census), stop: Event::new() }
    }

    /// Serves until `stop` is set, and then until the last request is through.
    pub async fn run(&'static self, listener: TcpListener, executor: &Executor<'static>) -> io::Result<()> {
        let mut conversations = Vec::new();
        while let Some(accepted) = or(self.stopped(), async { Some(listener.accept().await) }).await {
            let (stream, _) = accepted?;
            conversations.push(executor.spawn(self.converse(stream)));
        }
        for conversation in conversations {
            conversation.await?;
        }
        Ok(())
    }

    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        self.note(|census| census.connections += 1).await;
        while let Some(length) = or(self.stopped(), request(stream.clone())).await {
            let Some(length) = length? else { break };
            let Some(mut resource) = self.resource_for(&stream).await? else { break };
            let echoed = echo(&mut stream, length, &mut resource.buffer).await;
            self.note(|census| census.in_use -= 1).await;
            self.put_back(resource).await;
            if echoed.is_err() {
                self.note(|census| census.abandoned += 1).await;
                break;
            }
            self.note(|census| {
                census.messages += 1;
                census.bytes += length;
            })
            .await;
        }
        Ok(())
    }

    /// Waits for a resource, or until the client is gone: then the wait is dropped, and with it its place in line.
    async fn resource_for(&self, stream: &TcpStream) -> io::Result<Option<Resource>> {
        let since = Instant::now();
        self.note(|census| census.waiting += 1).await;
        let take = async {
            let mut free = self.pool.wait_until(|free| !free.is_empty()).await;
            Ok(free.pop())
        };
        let gone = async { gone(stream).await.map(|()| None) };
        let resource = or(gone, take).await?;
        self.note(|census| {
            census.waiting -= 1;
            if resource.is_some() {
                census.in_use += 1;
                census.most_in_use = census.most_in_use.max(census.in_use);
                census.longest_wait = census.longest_wait.max(since.elapsed());
            } else {
                census.cancelled += 1;
            }
        })
        .await;
        Ok(resource)
    }

    /// Puts a resource into the pool; one of those who wait for it may go on.
    pub async fn put_back(&self, resource: Resource) {
        let mut free = self.pool.lock().await;
        free.push(resource);
        self.pool.notify(&free, 1);
    }

    /// The numbers of the resources in the pool.
    pub async fn resources(&self) -> Vec<usize> {
        let mut numbers: Vec<_> = self.pool.lock().await.iter().map(|resource| resource.number).collect();
        numbers.sort_unstable();
        numbers
    }

    async fn note(&self, change: impl FnOnce(&mut Census)) {
        let mut census = self.census.lock().await;
        change(&mut census);
        self.census.notify_all(&census);
    }

    /// Nothing, once the service is to stop.
    async fn stopped<T>(&self) -> Option<T> {
        self.stop.wait().await;
        None
    }
}

/// The length of the next message, if there is one.
async fn request(mut stream: TcpStream) -> Option<io::Result<Option<usize>>> {
    let mut length = [0; 4];
    Some(match stream.read_exact(&mut length).await {
        Ok(()) => Ok(Some(u32::from_le_bytes(length) as usize)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    })
}

/// Waits until the client hangs up. It has nothing to say meanwhile.
async fn gone(stream: &TcpStream) -> io::Result<()> {
    match stream.peek(&mut [0]).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a message before GO")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sends `GO`, and then a message back as it comes in.
async fn echo(stream: &mut TcpStream, length: usize, buffer: &mut [u8]) -> io::Result<()> {
    stream.write_all(&[GO]).await?;
    let mut rest = length;
    while rest > 0 {
        let limit = rest.min(buffer.len());
        let n = stream.read(&mut buffer[..limit]).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.write_all(&buffer[..n]).await?;
        rest -= n;
    }
    Ok(())
}
