//! 15.5.1, 15.6.1 and 15.6.2: downloads side by side, over HTTP; and three tasks of which one fails.

use std::{pin::pin, time::Duration};

use testudo::task::{Cancelled, ShelterArray, gather, try_gather};

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
    web::{self, Failure, Site, Web},
};

/// The hosts of the textbook. The latencies are ten times those of the stand-in that CPython was run with.
const SITES: &[Site] = &[
    site("www.example.com", 3000, 1256),
    site("www.python.org", 1200, 25678),
    site("www.asyncio.org", 4500, 3456),
    site("www.github.com", 2000, 56789),
    site("www.stackoverflow.com", 2500, 12345),
];

const fn site(host: &'static str, latency: u64, length: usize) -> Site {
    Site { host, latency: Duration::from_millis(latency), length }
}

/// What CPython prints. The textbook has the downloads in the order of the arguments too, and not in that in which the
/// answers come.
pub const CPYTHON_DOWNLOADS: &[Step] = &[
    step(1200, &["Downloaded 25678 characters from https://www.python.org"]),
    step(2000, &["Downloaded 56789 characters from https://www.github.com"]),
    step(2500, &["Downloaded 12345 characters from https://www.stackoverflow.com"]),
    step(3000, &["Downloaded 1256 characters from https://www.example.com"]),
    step(4500, &["Downloaded 3456 characters from https://www.asyncio.org"]),
    step(4500, &["Received data of length 1256"]),
    step(4500, &["Received data of length 25678"]),
    step(4500, &["Received data of length 3456"]),
    step(4500, &["Received data of length 56789"]),
    step(4500, &["Received data of length 12345"]),
];

/// What CPython prints when the third host is down.
pub const CPYTHON_HOST_DOWN: &[Step] = &[
    step(1200, &["Downloaded 25678 characters from https://www.python.org"]),
    step(2000, &["Downloaded 56789 characters from https://www.github.com"]),
    step(2500, &["Downloaded 12345 characters from https://www.stackoverflow.com"]),
    step(3000, &["Downloaded 1256 characters from https://www.example.com"]),
    step(4500, &["Received data of length 1256"]),
    step(4500, &["Received data of length 25678"]),
    step(4500, &["Error: Cannot connect to host"]),
    step(4500, &["Received data of length 56789"]),
    step(4500, &["Received data of length 12345"]),
];

/// What CPython prints, and the textbook too. Not as that says, `gather` does not stop task C: the end of `main` does.
pub const CPYTHON_FAILURE: &[Step] = &[
    step(1000, &["Task A completed successfully."]),
    step(2000, &["Task B failed."]),
    step(2000, &["Exception encountered: Error in task B"]),
];

/// What CPython prints when `main` lives on for 5 s.
pub const CPYTHON_LEFT: &[Step] = &[
    step(1000, &["Task A completed successfully."]),
    step(2000, &["Task B failed."]),
    step(2000, &["Exception encountered: Error in task B"]),
    step(3000, &["Task C completed successfully."]),
];

/// What CPython prints with `return_exceptions=True`, and the textbook too.
pub const CPYTHON_OUTCOMES: &[Step] = &[
    step(1000, &["Task A completed successfully."]),
    step(2000, &["Task B failed."]),
    step(3000, &["Task C completed successfully."]),
    step(3000, &["Task 1 returned: Result A"]),
    step(3000, &["Task 2 resulted in exception: Error in task B"]),
    step(3000, &["Task 3 returned: Result C"]),
];

pub fn play_downloads(executor: Executor, pace: Pace) -> Played {
    play!(downloads, executor, pace)
}

pub fn play_host_down(executor: Executor, pace: Pace) -> Played {
    play!(host_down, executor, pace)
}

/// The siblings of the task that fails are dropped.
pub fn play_failure(executor: Executor, pace: Pace) -> Played {
    play!(failure, executor, pace)
}

/// The siblings of the task that fails run on.
pub fn play_left(executor: Executor, pace: Pace) -> Played {
    play!(left, executor, pace)
}

pub fn play_outcomes(executor: Executor, pace: Pace) -> Played {
    play!(outcomes, executor, pace)
}

fn downloads<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![download_all(env, None)]
}

fn host_down<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![download_all(env, Some("www.asyncio.org"))]
}

/// ```python
/// async with aiohttp.ClientSession() as session:
///     results = await asyncio.gather(*(download(session, url) for url in urls), return_exceptions=True)
/// for result in results:
///     if isinstance(result, Exception):
///         print(f"Error: {result}")
///     else:
///         print(f"Received data of length {len(result)}")
/// ```
async fn download_all<E: Env>(env: E, down: Option<&'static str>) {
    let web = Web::start(SITES, down).expect("loopback has a free port");
    for result in gather(SITES.iter().map(|site| download(&env, &web, site))).await {
        match result {
            Ok(length) => env.say(format!("Received data of length {length}")),
            Err(error) => env.say(format!("Error: {error}")),
        }
    }
}

/// ```python
/// async def download(session, url):
///     async with session.get(url) as response:
///         content = await response.text()
///         print(f"Downloaded {len(content)} characters from {url}")
///         return content
/// ```
async fn download(env: &impl Env, web: &Web, site: &'static Site) -> Result<usize, Failure> {
    let address = web.resolve(site.host);
    let content = env.outside(site.latency, move |pause| web::get(address, site.host, pause)).await?;
    env.say(format!("Downloaded {} characters from https://{}", content.len(), site.host));
    Ok(content.len())
}

/// ```python
/// try:
///     await asyncio.gather(task("A", 1), task("B", 2), task("C", 3))
/// except ValueError as error:
///     print(f"Exception encountered: {error}")
/// ```
///
/// CPython ends here, or task C would go on. This goes on, and task C is gone.
fn failure<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![async move {
        if let Err(error) = try_gather((task(&env, 'A', 1), task(&env, 'B', 2), task(&env, 'C', 3))).await {
            env.say(format!("Exception encountered: {error}"));
        }
        env.sleep(Duration::from_secs(5)).await;
    }]
}

/// The same, and then `await asyncio.sleep(5)`: what is to run on is put into a shelter.
fn left<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![async move {
        let shelter = pin!(ShelterArray::<_, 3>::new());
        let shelter = shelter.as_ref();
        let tasks = [('A', 1), ('B', 2), ('C', 3)].map(|(name, seconds)| {
            let place = shelter.shield_pinned(task(&env, name, seconds));
            async move {
                match place {
                    Ok(task) => task.await.unwrap_or_else(|Cancelled| Err("cancelled".into())),
                    Err(_) => Err("no room".into()),
                }
            }
        });
        let main = async {
            if let Err(error) = try_gather(tasks).await {
                env.say(format!("Exception encountered: {error}"));
            }
        };
        shelter.run(main).await; // and lives on until the shelter is empty
    }]
}

/// ```python
/// results = await asyncio.gather(task("A", 1), task("B", 2), task("C", 3), return_exceptions=True)
/// for i, result in enumerate(results, 1):
///     if isinstance(result, Exception):
///         print(f"Task {i} resulted in exception: {result}")
///     else:
///         print(f"Task {i} returned: {result}")
/// ```
fn outcomes<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![async move {
        let results = gather([task(&env, 'A', 1), task(&env, 'B', 2), task(&env, 'C', 3)]).await;
        for (i, result) in (1..).zip(results) {
            match result {
                Ok(value) => env.say(format!("Task {i} returned: {value}")),
                Err(error) => env.say(format!("Task {i} resulted in exception: {error}")),
            }
        }
    }]
}

/// ```python
/// async def task(name, seconds):
///     await asyncio.sleep(seconds)
///     if name == "B":
///         print(f"Task {name} failed.")
///         raise ValueError(f"Error in task {name}")
///     print(f"Task {name} completed successfully.")
///     return f"Result {name}"
/// ```
async fn task(env: &impl Env, name: char, seconds: u64) -> Result<String, String> {
    env.sleep(Duration::from_secs(seconds)).await;
    if name == 'B' {
        env.say(format!("Task {name} failed."));
        return Err(format!("Error in task {name}"));
    }
    env.say(format!("Task {name} completed successfully."));
    Ok(format!("Result {name}"))
}
