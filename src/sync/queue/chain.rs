//! Rings behind one another, for a queue without a limit: a ring that is full is closed, and one of twice its size comes next.
//!
//! Rings are kept until the queue dies: all old ones together are smaller than the newest, so that nothing has to be reclaimed.
#![allow(unsafe_code)]
// STATE       newest, oldest: where to begin to look for the ring to put into, and to get from. next: null, a ring, or END
//                 T1 fill      the newest ring, which was full, is closed (T5 of ring.rs)
//                 T2 append    next: null -> a ring, after T1           T3 close  next: null -> END, after T5 of that ring
//                 T4 go on     newest, or oldest: a ring -> its next
// INVARIANTS  I1 a ring that has a next is closed; oldest goes on when its ring is drained. So the order is that of one ring.
//             I2 a link that was appended lives and stays in place until the chain is dropped.
//             I3 every capacity is a power of two, so that counts of all rings wrap at the same power of two.
// EDGES       E1 T2 (release) -> every load of next (acquire), and T4 (release) -> every load of newest or oldest (acquire): the
//                new ring is seen, and that the one before it is closed.
use core::{marker::PhantomData, ptr};

use alloc::boxed::Box;
use crossbeam_utils::CachePadded;

use super::{
    buffer::{Nothing, Refused, Store},
    ring::{Boxed, Pocket, Ring},
};
use crate::sys::{
    Panics, Spin,
    atomic::{AtomicPtr, AtomicUsize, Ordering::*},
};

/// How many items the first ring has room for: a power of two (I3).
const FIRST: usize = if cfg!(testudo_loom) { 1 } else { 8 };

/// Numbers of puts and gets count in steps of it: what is above it wraps with the laps of a ring (I3).
const ONE: usize = 4;

/// One ring.
struct Link<T> {
    ring: Ring<Boxed<T>, CachePadded<AtomicUsize>>,
    /// How many items went through the rings before it.
    base: usize,
    next: AtomicPtr<Link<T>>,
}

impl<T> Link<T> {
    fn new(capacity: usize, base: usize) -> *mut Self {
        Box::into_raw(Box::new(Self { ring: Ring::boxed(capacity), base, next: AtomicPtr::new(ptr::null_mut()) }))
    }

    fn number(&self, place: usize) -> usize {
        self.base.wrapping_add(self.ring.distance(0, place).wrapping_mul(ONE))
    }

    fn size(&self) -> usize {
        self.ring.capacity().unwrap_or_default()
    }

    fn next(&self) -> *mut Self {
        self.next.load(Acquire) // ORDER: E1 acquire
    }
}

/// A next that will never be: the queue is closed.
fn end<T>() -> *mut Link<T> {
    ptr::without_provenance_mut(1)
}

/// The rings.
pub struct Chain<T> {
    newest: CachePadded<AtomicPtr<Link<T>>>,
    oldest: CachePadded<AtomicPtr<Link<T>>>,
    first: AtomicPtr<Link<T>>,
    _owns: PhantomData<Link<T>>,
}

impl<T> Chain<T> {
    pub(super) fn new() -> Self {
        let first = Link::new(FIRST, 0);
        let at = || AtomicPtr::new(first);
        Self { newest: CachePadded::new(at()), oldest: CachePadded::new(at()), first: at(), _owns: PhantomData }
    }

    /// The link at a pointer that is in the chain.
    #[inline(always)]
    fn at(&self, link: *mut Link<T>) -> &Link<T> {
        // SAFETY: I2: it came from `newest`, `oldest` or a `next` that is neither null nor END, and the chain lives.
        unsafe { &*link }
    }

    #[inline(always)]
    fn link(&self, place: &AtomicPtr<Link<T>>) -> &Link<T> {
        self.at(place.load(Acquire)) // ORDER: E1 acquire
    }

    /// The ring behind one, if there is one.
    fn follow<'a>(&'a self, link: &Link<T>) -> Option<&'a Link<T>> {
        let next = link.next();
        (!next.is_null() && next != end()).then(|| self.at(next))
    }

    /// T4, unless somebody has done it.
    fn go_on(place: &AtomicPtr<Link<T>>, from: &Link<T>, to: *mut Link<T>) {
        // ORDER: E1 release and acquire
        let _ = place.compare_exchange(ptr::from_ref(from).cast_mut(), to, AcqRel, Acquire);
    }

    /// The ring to put into after one that is closed. T2 if there is none yet.
    #[cold]
    fn append<'a>(&'a self, link: &Link<T>) -> Result<&'a Link<T>, Refused> {
        let mut next = link.next();
        if next.is_null() {
            let fresh = Link::new(link.size() * 2, link.number(link.ring.puts()));
            // ORDER: E1 release and acquire
            next = match link.next.compare_exchange(next, fresh, AcqRel, Acquire) {
                Ok(_) => fresh,
                Err(other) => {
                    // SAFETY: I2 does not hold yet: it was not appended, and is this call's alone.
                    drop(unsafe { Box::from_raw(fresh) });
                    other
                }
            };
        }
        if next == end() {
            return Err(Refused::Closed);
        }
        Self::go_on(&self.newest, link, next);
        Ok(self.at(next))
    }

    /// Puts into a later ring than one that has no room.
    #[cold]
    #[inline(never)]
    fn put_further<'a>(&'a self, mut link: &'a Link<T>, pocket: &Pocket<T>, mut why: Refused) -> Result<(), Refused> {
        let spin = Spin::new();
        loop {
            if why == Refused::Closed {
                link = self.append(link)?;
            } else if link.ring.len() < link.size() {
                spin.pause(); // the item in the next slot is being moved out
            } else {
                link.ring.close(); // T1
            }
            match link.ring.begin_put(pocket) {
                Ok(()) => return Ok(()),
                Err(now) => why = now,
            }
        }
    }

    /// Gets from a later ring than one that is drained.
    #[cold]
    #[inline(never)]
    fn get_further<'a>(&'a self, mut link: &'a Link<T>, pocket: &Pocket<T>) -> Result<(), Nothing> {
        loop {
            let next = link.next();
            if next.is_null() {
                return Err(Nothing::Empty); // somebody is about to append one, or to close
            }
            if next == end() {
                return Err(Nothing::Drained);
            }
            Self::go_on(&self.oldest, link, next);
            link = self.at(next);
            match link.ring.begin_get(pocket) {
                Err(Nothing::Drained) => {}
                tried => return tried,
            }
        }
    }

    /// How many items were got, ever.
    fn gets(&self) -> usize {
        let link = self.link(&self.oldest);
        link.number(link.ring.head())
    }
}

impl<T> Store for Chain<T> {
    type Item = T;

    #[inline(always)]
    fn begin_put(&self, pocket: &Pocket<T>) -> Result<(), Refused> {
        let link = self.link(&self.newest);
        link.ring.begin_put(pocket).or_else(|why| self.put_further(link, pocket, why))
    }

    #[inline(always)]
    fn put_at_once(&self, item: T) -> Result<(), (Option<Refused>, T)> {
        self.link(&self.newest).ring.put_at_once(item).map_err(|(_, item)| (None, item)) // into a later ring: by a pocket
    }

    #[inline(always)]
    fn begin_get(&self, pocket: &Pocket<T>) -> Result<(), Nothing> {
        let link = self.link(&self.oldest);
        match link.ring.begin_get(pocket) {
            Err(Nothing::Drained) => self.get_further(link, pocket),
            tried => tried,
        }
    }

    #[inline(always)]
    fn get_at_once(&self) -> Option<Result<T, Nothing>> {
        self.link(&self.oldest).ring.get_at_once().filter(|tried| !matches!(tried, Err(Nothing::Drained)))
    }

    fn undo_get(&self, pocket: &Pocket<T>) -> bool {
        // Its place is gone: it goes to the end.
        let _ = self.begin_put(pocket);
        true
    }

    fn close(&self) -> bool {
        let mut link = self.link(&self.newest);
        loop {
            link.ring.close();
            // T3. ORDER: E1 release and acquire
            match link.next.compare_exchange(ptr::null_mut(), end(), AcqRel, Acquire) {
                Ok(_) => return true,
                Err(next) if next == end() => return false,
                Err(next) => link = self.at(next),
            }
        }
    }

    fn is_closed(&self) -> bool {
        let mut link = self.link(&self.newest);
        while let Some(next) = self.follow(link) {
            link = next;
        }
        link.next() == end()
    }

    fn is_drained(&self) -> bool {
        let mut link = self.link(&self.oldest);
        loop {
            if !link.ring.is_drained() {
                return false;
            }
            match self.follow(link) {
                Some(next) => link = next,
                None => return link.next() == end(),
            }
        }
    }

    fn len(&self) -> usize {
        // Gets first: later they may be ahead of these puts.
        let gets = self.gets();
        self.distance(gets, self.puts())
    }

    fn available(&self) -> usize {
        self.len()
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn capacity(&self) -> Option<usize> {
        None
    }

    fn puts(&self) -> usize {
        let mut link = self.link(&self.newest);
        loop {
            let puts = link.number(link.ring.puts());
            match self.follow(link) {
                Some(next) => link = next,
                None => return puts,
            }
        }
    }

    fn next(&self, puts: usize) -> usize {
        puts.wrapping_add(ONE)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) / ONE
    }
}

#[cfg(all(test, feature = "std", not(testudo_loom)))]
impl<T> Chain<T> {
    /// As [`Ring::set_last_lap`].
    pub(super) fn set_last_lap(&self) {
        self.link(&self.oldest).ring.set_last_lap();
    }
}

impl<T> Drop for Chain<T> {
    fn drop(&mut self) {
        let mut panics = Panics::new();
        // ORDER: E1 acquire
        let mut at = self.first.load(Acquire);
        while !at.is_null() && at != end() {
            // SAFETY: I2 ends here: nobody else has the chain, and each link is taken once.
            let link = unsafe { Box::from_raw(at) };
            at = link.next();
            panics.catch(|| drop(link));
        }
        panics.resume();
    }
}
