//! One fault for each checker in sanitize.sh to find, and their clean twin. A sanitizer that misses one is not at work.
#![cfg(test)]
use std::sync::{Arc, Mutex};
use std::thread;

struct Shared(*mut u64);
unsafe impl Send for Shared {}

#[test]
fn race() {
    let mut word = Box::new(0);
    let [one, two] = [Shared(&mut *word), Shared(&mut *word)];
    let threads = [one, two].map(|shared| {
        thread::spawn(move || {
            let shared = shared;
            (0..1000).for_each(|_| unsafe { *shared.0 += 1 });
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn use_after_free() {
    let word = Box::into_raw(Box::new(7));
    drop(unsafe { Box::from_raw(word) });
    println!("{}", unsafe { word.read_volatile() });
}

#[test]
fn leak() {
    std::mem::forget(std::hint::black_box(Box::new([7; 100])));
}

#[test]
fn clean() {
    let word = Arc::new(Mutex::new(0));
    let threads = [word.clone(), word.clone()].map(|word| thread::spawn(move || *word.lock().unwrap() += 1));
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*word.lock().unwrap(), 2);
}
