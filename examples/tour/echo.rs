//! Real input: a TCP service whose requests need one of a few resources, and clients of which some hang up while they
//! wait for one. Nothing may be lost: no resource, no byte, no notification.
//!
//! The order of events is staged. Eight clients take all the resources and keep them, everybody else gets in line. Some
//! leave the line. Then the eight give back theirs, while more leave the line, and nobody new gets in: the eight resources
//! must get to eight others, by notifications alone. A single lost one is seen, as a resource that stays in the pool.

use std::{
    error::Error,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use smol::{Executor, net::TcpListener};
use testudo::{Condition, Event, Mutex};

mod client;
mod service;

use self::{
    client::{Ending, Temper},
    service::{Census, Resource, Service},
};
use crate::watchdog::Watchdog;

pub const CLIENTS: usize = 200;
pub const RESOURCES: usize = 8;

type Failure = Box<dyn Error + Send + Sync>;

// All of testudo can be in statics: what follows is shared without a single `Arc`.
static EXECUTOR: Executor = Executor::new();
static SERVICE: Service = Service::new();
static STAGE: Stage = Stage {
    dial: Mutex::new(()),
    leave: Event::new(),
    begin: Event::new(),
    proceed: Event::new(),
    content: Condition::new(0),
};

/// What the clients wait for, and how they report.
struct Stage {
    /// One client connects at a time, or the listener's backlog overflows.
    dial: Mutex<()>,
    /// The first ones leave the line.
    leave: Event,
    /// The first eight use their resource, and more leave the line.
    begin: Event,
    /// Everybody goes on.
    proceed: Event,
    /// How many clients got all they wanted.
    content: Condition<usize>,
}

/// Runs the service and its clients on three threads. Returns a report.
pub fn run() -> Result<String, Failure> {
    let _watchdog = Watchdog::new("the echo service", Duration::from_secs(30), || {
        format!("{:#?}", SERVICE.census.try_lock().as_deref())
    });
    let done = Event::new();
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| smol::block_on(EXECUTOR.run(done.wait())));
        }
        let report = smol::block_on(EXECUTOR.run(drive()));
        done.set();
        report
    })
}

async fn drive() -> Result<String, Failure> {
    let since = Instant::now();
    for number in 0..RESOURCES {
        SERVICE.put_back(Resource::new(number)).await;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let service = EXECUTOR.spawn(SERVICE.run(listener, &EXECUTOR));
    let start = |n| EXECUTOR.spawn(client::run(n, address, &STAGE));

    let mut clients: Vec<_> = (0..RESOURCES).map(start).collect();
    drop(SERVICE.census.wait_until(|census| census.in_use == RESOURCES).await);
    clients.extend((RESOURCES..CLIENTS).map(start));
    drop(SERVICE.census.wait_until(|census| census.waiting == CLIENTS - RESOURCES).await);
    STAGE.leave.set();
    drop(SERVICE.census.wait_until(|census| census.cancelled == Temper::Early.count()).await);
    STAGE.begin.set();
    let quitters = Temper::Early.count() + Temper::Late.count();
    drop(SERVICE.census.wait_until(move |census| census.quitters() == quitters && census.in_use == RESOURCES).await);
    STAGE.proceed.set();
    drop(STAGE.content.wait_until(|&content| content == Temper::Patient.count()).await);
    // Now the patient clients have idle connections, until the service hangs up.
    SERVICE.stop.set();

    let mut endings = Vec::new();
    for client in clients {
        endings.push(client.await?);
    }
    service.await?;
    let census = SERVICE.census.lock().await;
    let pool = SERVICE.resources().await;
    check(&census, &pool, &endings)?;
    Ok(report(&census, since.elapsed()))
}

/// Everything that went in came out.
fn check(census: &Census, pool: &[usize], endings: &[Ending]) -> Result<(), Failure> {
    let (mut messages, mut bytes, mut left) = (0, 0, 0);
    for ending in endings {
        match ending {
            Ending::Served { messages: m, bytes: b } => (messages, bytes) = (messages + m, bytes + b),
            Ending::Left => left += 1,
        }
    }
    let same = |what: &str, seen: usize, expected: usize| {
        if seen == expected { Ok(()) } else { Err(format!("{what}: {seen}, expected {expected}\n{census:#?}")) }
    };
    same("connections", census.connections, CLIENTS)?;
    same("messages, by service and clients", census.messages, messages)?;
    same("messages", messages, Temper::Patient.count() * client::SIZES.len())?;
    same("bytes, by service and clients", census.bytes, bytes)?;
    same("bytes", bytes, Temper::Patient.count() * client::SIZES.iter().sum::<usize>())?;
    same("clients that left", left, Temper::Early.count() + Temper::Late.count())?;
    same("cancelled waits and abandoned requests", census.quitters(), left)?;
    same("still waiting", census.waiting, 0)?;
    same("still in use", census.in_use, 0)?;
    same("most in use at once", census.most_in_use, RESOURCES)?;
    if !pool.iter().copied().eq(0..RESOURCES) {
        return Err(format!("resources in the pool at the end: {pool:?}").into());
    }
    Ok(())
}

fn report(census: &Census, took: Duration) -> String {
    [
        format!("  {} connections: {} messages, {} bytes echoed", census.connections, census.messages, census.bytes),
        format!("  {} waits cancelled: the client hung up in line", census.cancelled),
        format!("  {} requests abandoned: it hung up with a resource", census.abandoned),
        format!("  {} resources in use at once at most, all {RESOURCES} back in the pool", census.most_in_use),
        format!("  {:.3} s the longest wait for a resource", census.longest_wait.as_secs_f64()),
        format!("  {:.3} s in all", took.as_secs_f64()),
    ]
    .join("\n")
}
