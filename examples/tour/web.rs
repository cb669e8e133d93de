//! The web of the downloads: one server on loopback for all hosts, and a client. Both are hyper's, on sockets that any
//! executor can poll.

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::{self, Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, Response, StatusCode, body::Bytes, client, header::HOST, server, service::service_fn};
use smol::{
    Async, LocalExecutor,
    net::{TcpListener, TcpStream},
};
use smol_hyper::rt::FuturesIo;
use testudo::{Event, task::gather};

pub type Failure = Box<dyn Error + Send + Sync>;

/// A host, and what it has to say.
pub struct Site {
    pub host: &'static str,
    pub latency: Duration,
    pub length: usize,
}

/// The hosts of a program, served until this is dropped.
pub struct Web {
    server: SocketAddr,
    /// Nobody listens at the address of this one.
    down: Option<&'static str>,
    stop: Arc<Event>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    pub fn start(sites: &'static [Site], down: Option<&'static str>) -> io::Result<Self> {
        let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let server = listener.local_addr()?;
        let listener = Async::new(listener)?.into();
        let stop = Arc::new(Event::new());
        let serve = {
            let stop = Arc::clone(&stop);
            move || {
                let connections = LocalExecutor::new();
                let accept = accept(listener, sites, &connections);
                smol::block_on(connections.run(smol::future::or(accept, stop.wait())));
            }
        };
        Ok(Self { server, down, stop, thread: Some(thread::spawn(serve)) })
    }

    /// What the name service of this web knows.
    pub fn resolve(&self, host: &str) -> SocketAddr {
        if self.down == Some(host) { (Ipv4Addr::LOCALHOST, 1).into() } else { self.server }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.set();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Accepts connections, each of which is a task.
async fn accept(listener: TcpListener, sites: &'static [Site], connections: &LocalExecutor<'static>) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service_fn(move |request| respond(sites, request));
        let connection = server::conn::http1::Builder::new().serve_connection(FuturesIo::new(socket), service);
        connections.spawn(connection).detach(); // who hangs up half-way is no concern of the server's
    }
}

/// The site of that host, after the pause that the request asks for, `/?pause=` so many microseconds.
async fn respond<B>(sites: &[Site], request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let pause = request.uri().query().and_then(|query| query.strip_prefix("pause=")?.parse().ok());
    smol::Timer::after(Duration::from_micros(pause.unwrap_or(0))).await;
    let host = request.headers().get(HOST);
    let mut response = Response::default();
    match sites.iter().find(|site| host.is_some_and(|host| host == site.host)) {
        Some(site) => *response.body_mut() = Full::from("x".repeat(site.length)),
        None => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}

/// Downloads the root of a host, which takes `pause` for its answer.
pub async fn get(address: SocketAddr, host: &'static str, pause: Duration) -> Result<Bytes, Failure> {
    let socket = TcpStream::connect(address).await.map_err(|_| "Cannot connect to host")?;
    let (mut sender, connection) = client::conn::http1::handshake(FuturesIo::new(socket)).await?;
    let uri = format!("/?pause={}", pause.as_micros());
    let request = Request::get(uri).header(HOST, host).body(Empty::<Bytes>::new())?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(Failure::from(response.status().to_string()));
        }
        Ok(response.into_body().collect().await?.to_bytes())
    };
    // The connection is driven beside the exchange, and closes when that has ended and let go of its `sender`.
    let (body, closed) = gather((exchange, connection)).await;
    closed?;
    body
}
