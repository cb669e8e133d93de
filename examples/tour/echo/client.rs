//! The clients: patient ones get their messages echoed, the others hang up.

use std::{io, net::SocketAddr};

use smol::{
    future::{or, try_zip, yield_now},
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use testudo::Event;

use super::{CLIENTS, RESOURCES, Stage, service::GO};

/// The lengths of a client's messages; each client begins with another one.
pub const SIZES: [usize; 5] = [1, 17, 1_000, 4_096, 30_000];

/// What a client does when it has to wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// Waits.
    Patient,
    /// Hangs up in line, before any resource comes back.
    Early,
    /// Hangs up in line while resources come back, or half-way through its message if it got one.
    Late,
}

impl Temper {
    /// That of the `n`-th client. The first ones get the resources, so they are patient.
    fn of(n: usize) -> Self {
        match n % 5 {
            1 if n >= RESOURCES => Self::Early,
            3 if n >= RESOURCES => Self::Late,
            _ => Self::Patient,
        }
    }

    /// The number of clients that have it.
    pub fn count(self) -> usize {
        (0..CLIENTS).filter(|&n| Self::of(n) == self).count()
    }
}

/// How it ended for a client.
pub enum Ending {
    Served { messages: usize, bytes: usize },
    Left,
}

/// The `n`-th client.
pub async fn run(n: usize, service: SocketAddr, stage: &Stage) -> io::Result<Ending> {
    let ending = visit(n, service, stage).await;
    if let Err(error) = &ending {
        // The others may wait for this one: say it now, not at the end.
        eprintln!("tour: client {n}: {error}");
    }
    ending
}

async fn visit(n: usize, service: SocketAddr, stage: &Stage) -> io::Result<Ending> {
    let turn = stage.dial.lock().await;
    let stream = TcpStream::connect(service).await?;
    drop(turn);
    match Temper::of(n) {
        Temper::Patient => {
            let lengths = (0..SIZES.len()).map(|k| SIZES[(n + k) % SIZES.len()]);
            let begin = if n < RESOURCES { &stage.begin } else { &stage.proceed };
            be_served(stream, lengths.map(|length| message(n, length)), begin, stage).await
        }
        Temper::Early => hang_up(stream, message(n, 1_000), stage.leave.wait()).await,
        Temper::Late => {
            let leave = async {
                stage.begin.wait().await;
                for _ in 0..n {
                    yield_now().await;
                }
            };
            hang_up(stream, message(n, 1_000), leave).await
        }
    }
}

/// Asks for a message to be echoed and hangs up: in line, if `leave` is over before the service is ready.
async fn hang_up(mut stream: TcpStream, message: Vec<u8>, leave: impl Future<Output = ()>) -> io::Result<Ending> {
    ask(&mut stream, &message).await?;
    let leave = async {
        leave.await;
        Ok(false)
    };
    let ready = or(async { go(&mut stream).await.map(|()| true) }, leave).await?;
    if ready {
        stream.write_all(&message[..message.len() / 2]).await?;
    }
    Ok(Ending::Left)
}

/// Has messages echoed, then waits until the service hangs up.
async fn be_served(
    mut stream: TcpStream,
    messages: impl Iterator<Item = Vec<u8>>,
    begin: &Event,
    stage: &Stage,
) -> io::Result<Ending> {
    let (mut count, mut bytes) = (0, 0);
    for message in messages {
        ask(&mut stream, &message).await?;
        go(&mut stream).await?;
        begin.wait().await;
        let (mut reader, mut echo) = (stream.clone(), vec![0; message.len()]);
        try_zip(stream.write_all(&message), reader.read_exact(&mut echo)).await?;
        if echo != message {
            return Err(io::Error::other(format!("{} bytes came back as others", message.len())));
        }
        (count, bytes) = (count + 1, bytes + echo.len());
        stage.proceed.wait().await;
    }
    let mut content = stage.content.lock().await;
    *content += 1;
    stage.content.notify_all(&content);
    drop(content);
    match stream.read(&mut [0]).await? {
        0 => Ok(Ending::Served { messages: count, bytes }),
        _ => Err(io::Error::other("more bytes came back than were sent")),
    }
}

/// Sends a request.
async fn ask(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    stream.write_all(&(message.len() as u32).to_le_bytes()).await
}

/// Waits until the service is ready.
async fn go(stream: &mut TcpStream) -> io::Result<()> {
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    if byte == [GO] { Ok(()) } else { Err(io::Error::other("this is not GO")) }
}

/// A message that no other client sends.
fn message(n: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (n * 31 + at * 7 + at / 251) as u8).collect()
}
