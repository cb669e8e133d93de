//! Connections and transactions of a PostgreSQL server that are always finished: closed and whole, however often whoever uses
//! them is cancelled. `ci/postgres.sh` starts a server for it.
#![cfg_attr(not(unix), allow(unused))]
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "examples have std")]

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    unix::main()
}

#[cfg(unix)]
mod unix {
    use std::{
        error::Error,
        future::Future,
        ops::Deref,
        path::{Path, PathBuf},
        pin::{Pin, pin},
        process::ExitCode,
        sync::atomic::{AtomicUsize, Ordering::*},
        task::{Context, Poll},
        time::{Duration, Instant},
    };

    use clap::{Parser, ValueEnum};
    use testudo::{
        flow::Exit,
        task::{BoxTask, Shelter, Shield, Spawn, shield},
    };
    use tokio_postgres::{Client, Config, NoTls};
    use tokio_util::compat::FuturesAsyncReadCompatExt;

    /// Cancels transactions half-way, and looks at what is left of them.
    #[derive(Parser)]
    #[command(name = "postgres")]
    struct Args {
        /// The directory of the server's socket
        #[arg(long)]
        socket: PathBuf,
        /// What to run on
        #[arg(long)]
        executor: Option<Executor>,
        /// How many transactions to cancel
        #[arg(long, default_value_t = 1000)]
        cancels: usize,
    }

    #[derive(Clone, Copy, ValueEnum)]
    enum Executor {
        Tokio,
        Smol,
    }

    type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

    /// What runs side by side.
    const WORKERS: usize = 8;
    const ACCOUNTS: usize = 20;
    const BALANCE: i64 = 1_000;

    /// Outside of everything that is cancelled.
    static SHELTER: Shelter = Shelter::new().on_orphan_error(|error| eprintln!("nobody saw: {error:?}"));

    /// An executor, and its way to connect.
    trait Runtime: Clone + Send + Sync + 'static {
        fn spawner(&self) -> impl Spawn<BoxTask>;
        /// The client, and the task that talks to the server for it.
        fn open(&self, socket: &Path) -> impl Future<Output = Fallible<(Client, BoxTask)>> + Send;
        fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
    }

    fn config() -> Config {
        let mut config = Config::new();
        config.user("postgres").dbname("postgres").application_name("testudo");
        config
    }

    #[derive(Clone)]
    struct Tokio;

    impl Runtime for Tokio {
        fn spawner(&self) -> impl Spawn<BoxTask> {
            |task: BoxTask| drop(tokio::spawn(task))
        }

        async fn open(&self, socket: &Path) -> Fallible<(Client, BoxTask)> {
            let stream = tokio::net::UnixStream::connect(socket).await?;
            let (client, connection) = config().connect_raw(stream, NoTls).await?;
            Ok((client, Box::pin(async { drop(connection.await) })))
        }

        async fn sleep(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }
    }

    #[derive(Clone)]
    struct Smol;

    impl Runtime for Smol {
        fn spawner(&self) -> impl Spawn<BoxTask> {
            |task: BoxTask| smol::spawn(task).detach()
        }

        async fn open(&self, socket: &Path) -> Fallible<(Client, BoxTask)> {
            let stream = smol::net::unix::UnixStream::connect(socket).await?;
            let (client, connection) = config().connect_raw(stream.compat(), NoTls).await?;
            Ok((client, Box::pin(async { drop(connection.await) })))
        }

        async fn sleep(&self, time: Duration) {
            smol::Timer::after(time).await;
        }
    }

    /// A connection: its client, and the task that ends when the server was told.
    struct Session {
        client: Client,
        task: Shield<()>,
    }

    impl Deref for Session {
        type Target = Client;

        fn deref(&self) -> &Client {
            &self.client
        }
    }

    impl Session {
        async fn close(self) {
            drop(self.client);
            let _ = self.task.await;
        }
    }

    /// Connects. Shielded: it is half a connection that nobody could close otherwise.
    async fn connect<R: Runtime>(runtime: &R, socket: &Path) -> Fallible<Session> {
        let (theirs, path) = (runtime.clone(), socket.join(".s.PGSQL.5432"));
        let connecting = SHELTER.shield(async move {
            let (client, task) = theirs.open(&path).await?;
            // Whoever waits may be gone: then the session is dropped, the client with it, and the task ends.
            Ok::<_, Box<dyn Error + Send + Sync>>(Session { client, task: shield(&theirs.spawner(), task) })
        });
        connecting.await?
    }

    /// ```python
    /// async def fetch_users():
    ///     async with connect() as connection:
    ///         return await connection.fetch("SELECT name FROM users ORDER BY id")
    /// ```
    async fn fetch_users<R: Runtime>(runtime: &R, socket: &Path) -> Fallible<Vec<String>> {
        let connection = SHELTER.guard(connect(runtime, socket).await?, |session: Session, _| session.close());
        let rows = connection.query("SELECT name FROM users ORDER BY id", &[]).await?;
        connection.close().await;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// How the transactions ended, as the releases saw it.
    #[derive(Default)]
    struct Ends {
        committed: AtomicUsize,
        rolled_back: AtomicUsize,
    }

    static ENDS: Ends = Ends { committed: AtomicUsize::new(0), rolled_back: AtomicUsize::new(0) };

    /// Commits if all was done, else rolls back; then closes the connection.
    async fn end(session: Session, exit: Exit) {
        let (end, count) = match exit {
            Exit::Closed => ("COMMIT", &ENDS.committed),
            Exit::Cancelled | Exit::Unwinding => ("ROLLBACK", &ENDS.rolled_back),
        };
        match session.batch_execute(end).await {
            Ok(()) => count.fetch_add(1, SeqCst),
            Err(error) => panic!("{end}: {error}"),
        };
        session.close().await;
    }

    /// Moves money, in four steps that may each be the last one.
    async fn transfer<R: Runtime>(runtime: &R, socket: &Path, rng: &mut fastrand::Rng) -> Fallible<()> {
        // Always the lower one first: no deadlocks.
        let from = rng.usize(1..ACCOUNTS);
        let (from, to) = (from as i32, rng.usize(from + 1..=ACCOUNTS) as i32);
        let amount = rng.i64(1..100);
        let transaction = SHELTER.guard(connect(runtime, socket).await?, end);
        transaction.batch_execute("BEGIN").await?;
        let update = "UPDATE accounts SET balance = balance + $2 WHERE id = $1";
        transaction.execute(update, &[&from, &-amount]).await?;
        let entry = "INSERT INTO ledger (source, target, amount) VALUES ($1, $2, $3)";
        transaction.execute(entry, &[&from, &to, &amount]).await?;
        transaction.execute(update, &[&to, &amount]).await?;
        transaction.close().await; // cancelled in here, it is committed all the same
        Ok(())
    }

    /// Drops a future when it has been polled so often.
    struct Cut<F> {
        future: Pin<Box<F>>,
        polls: usize,
    }

    impl<F: Future> Future for Cut<F> {
        type Output = Option<F::Output>;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            if self.polls == 0 {
                return Poll::Ready(None);
            }
            self.polls -= 1;
            self.future.as_mut().poll(cx).map(Some)
        }
    }

    /// One of the workers. Returns how many transactions it has begun until so many of them were cancelled.
    async fn work<R: Runtime>(runtime: R, socket: PathBuf, seed: u64, cancels: usize) -> Fallible<usize> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut begun, mut cancelled) = (0, 0);
        while cancelled < cancels {
            begun += 1;
            let polls = rng.usize(1..16);
            let cut = Cut { future: Box::pin(transfer(&runtime, &socket, &mut rng)), polls };
            match cut.await {
                Some(done) => done?,
                None => cancelled += 1,
            }
        }
        Ok(begun)
    }

    async fn prepare(session: &Session) -> Fallible<()> {
        session
            .batch_execute(&format!(
                "DROP TABLE IF EXISTS users, accounts, ledger;
                 CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL);
                 INSERT INTO users (name) VALUES ('Alice'), ('Bob'), ('Carol');
                 CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
                 INSERT INTO accounts SELECT id, {BALANCE} FROM generate_series(1, {ACCOUNTS}) AS id;
                 CREATE TABLE ledger (id serial PRIMARY KEY, source int, target int, amount bigint NOT NULL);"
            ))
            .await?;
        Ok(())
    }

    async fn number(session: &Session, query: &str) -> Fallible<i64> {
        Ok(session.query_one(query, &[]).await?.get(0))
    }

    /// Looks at what is left.
    async fn inspect<R: Runtime>(runtime: &R, session: &Session) -> Fallible<i64> {
        let mine = "application_name = 'testudo' AND pid <> pg_backend_pid()";
        // A server process ends a moment after its socket was closed.
        let since = Instant::now();
        let mut open = i64::MAX;
        while open > 0 && since.elapsed() < Duration::from_secs(5) {
            runtime.sleep(Duration::from_millis(20)).await;
            open = number(session, &format!("SELECT count(*) FROM pg_stat_activity WHERE {mine}")).await?;
        }
        let sum = number(session, "SELECT sum(balance)::bigint FROM accounts").await?;
        let halves = "SELECT count(*) FROM accounts a WHERE balance <> $1::bigint
            - (SELECT coalesce(sum(amount), 0) FROM ledger WHERE source = a.id)
            + (SELECT coalesce(sum(amount), 0) FROM ledger WHERE target = a.id)";
        let halves: i64 = session.query_one(halves, &[&BALANCE]).await?.get(0);
        let waiting = number(session, "SELECT count(*) FROM pg_locks WHERE NOT granted").await?;
        let left = (open, sum, halves, waiting, SHELTER.len());
        if left != (0, BALANCE * ACCOUNTS as i64, 0, 0, 0) {
            return Err(format!("(open, sum, halves, waiting, sheltered) = {left:?}").into());
        }
        number(session, "SELECT count(*) FROM ledger").await
    }

    async fn program<R: Runtime>(runtime: R, socket: PathBuf, cancels: usize) -> Fallible<String> {
        let since = Instant::now();
        for count in [&ENDS.committed, &ENDS.rolled_back] {
            count.store(0, SeqCst);
        }
        let setup = SHELTER.guard(connect(&runtime, &socket).await?, |session: Session, _| session.close());
        prepare(&setup).await?;
        setup.close().await;
        let users = fetch_users(&runtime, &socket).await?;
        if users != ["Alice", "Bob", "Carol"] {
            return Err(format!("users: {users:?}").into());
        }
        // The keeper: finishes what the cancelled ones leave, while they run and afterwards.
        let transactions = SHELTER
            .run(async {
                let workers: Vec<_> = (0..WORKERS)
                    .map(|n| {
                        let share = cancels / WORKERS + usize::from(n < cancels % WORKERS);
                        shield(&runtime.spawner(), work(runtime.clone(), socket.clone(), n as u64, share))
                    })
                    .collect();
                let mut begun = 0;
                for worker in workers {
                    begun += worker.await??;
                }
                Fallible::Ok(begun)
            })
            .await?;
        let session = SHELTER.guard(connect(&runtime, &socket).await?, |session: Session, _| session.close());
        let entries = inspect(&runtime, &session).await?;
        session.close().await;
        let (committed, rolled_back) = (ENDS.committed.load(SeqCst), ENDS.rolled_back.load(SeqCst));
        if entries as usize != committed {
            return Err(format!("{committed} committed, but the ledger has {entries} entries").into());
        }
        Ok(format!(
            "{transactions} transactions, {cancels} cancelled: {committed} committed, {rolled_back} rolled back, {} never \
             begun; sums equal, no connection open, nothing waits ({:.1} s)",
            transactions - committed - rolled_back,
            since.elapsed().as_secs_f64()
        ))
    }

    pub(super) fn main() -> ExitCode {
        let args = Args::parse();
        let executors = args.executor.map_or_else(|| Executor::value_variants().to_vec(), |one| vec![one]);
        let mut passed = true;
        for executor in executors {
            let (socket, cancels) = (args.socket.clone(), args.cancels);
            let (name, outcome) = match executor {
                Executor::Tokio => {
                    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                    let program = pin!(program(Tokio, socket, cancels));
                    ("tokio", runtime.expect("a runtime").block_on(program))
                }
                Executor::Smol => ("smol", smol::block_on(program(Smol, socket, cancels))),
            };
            match outcome {
                Ok(report) => println!("{name:<6} {report}"),
                Err(error) => {
                    println!("{name:<6} FAILED: {error}");
                    passed = false;
                }
            }
        }
        if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
