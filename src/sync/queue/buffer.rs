//! What every kind of queue shares: two lines around a store, closing, and the count of what is unfinished.
// STATE       store: the items. getters, putters, joiners: three lines.
//             BARGED, of each side: how often the first in line was overtaken
//                 T1 take      place in front, then BARGED = 0; or nobody waits; or BARGED < LIMIT: by one that was offered it
//                              too; or, then BARGED += 1 up to LIMIT
//                 T2 tell      after a put the getters' line is looked at, after a get the putters'
//                 T3 close     the store, then the putters' line; the getters' line as soon as the store is drained
//             done: how many items were worked off; settled: how many there were when nothing was unfinished last
//                 T4 done      done += 1; then, if that is all that was ever put, settled = done, and the joiners are told
// INVARIANTS  I1 the first in line is overtaken LIMIT times, and once more by each that is taking at that moment: then only it
//                takes, as soon as there is something. BARGED comes down only as it takes or leaves. Who was offered something as
//                well as the first, and comes for it sooner, is not counted.
//             I2 the getters' line is closed only when the store is closed and drained: then nothing comes any more.
//             I3 done is not ahead of what was put; settled is not ahead of done.
//             I4 a T4 that a joiner stops, who needs more, counts for those behind it by their next poll or the next T4: its moment
//                was over before that one got in line, and so before their first polls ended. None of them is owed more.
// EDGES       E1 T4 (release) -> join (acquire): what was done before task_done is seen after the join that it ends.
//             E2 T3 x T2: closer and getter each write, fence, and look at what the other wrote: one closes the getters' line.
use crate::{
    sys::{
        self, LEAN, Panics, Spin,
        atomic::{AtomicU8, AtomicUsize, Ordering::*},
        const_fn,
    },
    wait::{Line, Place, Stock},
};

use super::{TooManyDone, ring::Pocket};

/// Why an item was not put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No room now.
    Full,
    /// For good.
    Closed,
}

/// Why there is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// Now.
    Empty,
    /// For good.
    Drained,
}

/// What came of a get.
pub(super) enum Got<T> {
    /// All of it is done.
    Item(T),
    /// It has begun: a pocket has the item, or a right to it.
    Begun,
    /// It has not.
    Nothing(Nothing),
}

/// Where the items are. A put or a get begins, perhaps under a list flag, with what is quick and runs no foreign code, and
/// ends outside it.
pub trait Store {
    /// What is kept.
    type Item;

    /// Puts what is in the pocket, or at least makes sure that it can be put.
    fn begin_put(&self, pocket: &Pocket<Self::Item>) -> Result<(), Refused>;

    /// Puts it, if it is in the pocket still.
    #[inline(always)]
    fn end_put(&self, _pocket: &Pocket<Self::Item>) {}

    /// As both, without a pocket, and with the same fence. Err: the item comes back, and why; None: it takes a pocket.
    #[inline(always)]
    fn put_at_once(&self, item: Self::Item) -> Result<(), (Option<Refused>, Self::Item)> {
        Err((None, item))
    }

    /// Gets an item into the pocket, or at least makes sure that there is one.
    fn begin_get(&self, pocket: &Pocket<Self::Item>) -> Result<(), Nothing>;

    /// Gets it, if it is not in the pocket already.
    #[inline(always)]
    fn end_get(&self, _pocket: &Pocket<Self::Item>) {}

    /// As both, without a pocket, and with the same fence. None: it takes one.
    #[inline(always)]
    fn get_at_once(&self) -> Option<Result<Self::Item, Nothing>> {
        None
    }

    /// Takes back what was begun, or got and not handed out, if there is room. True: it counts as put once more.
    fn undo_get(&self, pocket: &Pocket<Self::Item>) -> bool;

    /// No more puts. False: it was closed before.
    fn close(&self) -> bool;

    /// Whether it is closed.
    fn is_closed(&self) -> bool;

    /// Whether it is closed and nothing is in it, nor will be.
    fn is_drained(&self) -> bool;

    /// How many items are in it.
    fn len(&self) -> usize;

    /// How many there are for getters, or are about to be.
    fn available(&self) -> usize;

    /// How much room there is for putters, or is about to be.
    fn room(&self) -> usize;

    /// The most there may be; None: any number.
    fn capacity(&self) -> Option<usize>;

    /// How many were put, ever: a number that only `next` and `distance` understand.
    fn puts(&self) -> usize;

    /// One more.
    fn next(&self, puts: usize) -> usize;

    /// How many more.
    fn distance(&self, from: usize, to: usize) -> usize;
}

/// A waiter that was overtaken this often is served next. More often than with locks: of the tasks of one thread, the one that
/// runs takes a batch; else they would take turns every few items, and each turn is a wait.
const LIMIT: u8 = if cfg!(testudo_loom) { 4 } else { 64 };

/// BARGED.
struct Barged(AtomicU8);

impl Barged {
    /// Before it is tried to take from `place`. False: it is the first one's turn (I1).
    fn admits(&self, place: Place) -> bool {
        matches!(place, Place::Alone | Place::Head) || !self.is_starved()
    }

    /// Whether it is the first one's turn.
    fn is_starved(&self) -> bool {
        self.0.load(Acquire) >= LIMIT // ORDER: acquire: under the flag, as the look at the stock that this limits
    }

    /// It was taken.
    fn taken(&self, place: Place) {
        match place {
            Place::Head => self.reset(),
            Place::Behind => {
                // ORDER: release and acquire: a count, in one order for all
                let _ = self.0.fetch_update(AcqRel, Acquire, |n| (n < LIMIT).then_some(n + 1));
            }
            _ => {}
        }
    }

    fn reset(&self) {
        // ORDER: acquire: under the flag; who counts meanwhile counts for the next in line
        if self.0.load(Acquire) != 0 {
            self.0.fetch_and(0, AcqRel); // ORDER: release and acquire: counted anew for the next in line
        }
    }
}

/// The store, and those who wait for items.
pub(super) struct Items<S> {
    getters: Line<()>,
    barged: Barged,
    /// The putters', here to share a word with the other.
    putters_barged: Barged,
    store: S,
}

impl<S: Store> Stock for Items<S> {
    type Need = ();

    #[inline(always)]
    fn line(&self) -> &Line<()> {
        &self.getters
    }

    fn rest(&self) -> usize {
        self.store.available()
    }

    fn grant(rest: &mut usize, (): ()) -> bool {
        rest.checked_sub(1).map(|left| *rest = left).is_some()
    }

    fn share((): ()) -> usize {
        1
    }

    fn beyond(rest: usize, taken: usize) -> Option<usize> {
        rest.checked_sub(taken)
    }

    fn is_starved(&self) -> bool {
        self.barged.is_starved() // I1
    }

    fn head_leaves(&self) {
        self.barged.reset();
    }
}

impl<S: Store> Items<S> {
    /// T1.
    #[inline(always)]
    pub(super) fn begin(&self, place: Place, pocket: &Pocket<S::Item>) -> Result<(), Nothing> {
        if place == Place::Alone { self.store.begin_get(pocket) } else { self.begin_in_line(place, pocket) }
    }

    #[cold]
    #[inline(never)]
    fn begin_in_line(&self, place: Place, pocket: &Pocket<S::Item>) -> Result<(), Nothing> {
        if !self.barged.admits(place) {
            return Err(Nothing::Empty);
        }
        self.store.begin_get(pocket).inspect(|()| self.barged.taken(place))
    }
}

/// Those, and those who wait for room.
pub(super) struct Room<S> {
    items: Items<S>,
    putters: Line<()>,
}

impl<S: Store> Stock for Room<S> {
    type Need = ();

    #[inline(always)]
    fn line(&self) -> &Line<()> {
        &self.putters
    }

    fn rest(&self) -> usize {
        self.items.store.room()
    }

    fn grant(rest: &mut usize, (): ()) -> bool {
        rest.checked_sub(1).map(|left| *rest = left).is_some()
    }

    fn share((): ()) -> usize {
        1
    }

    fn beyond(rest: usize, taken: usize) -> Option<usize> {
        rest.checked_sub(taken)
    }

    fn is_starved(&self) -> bool {
        self.items.putters_barged.is_starved() // I1
    }

    fn head_leaves(&self) {
        self.items.putters_barged.reset();
    }
}

impl<S: Store> Room<S> {
    /// T1.
    #[inline(always)]
    pub(super) fn begin(&self, place: Place, pocket: &Pocket<S::Item>) -> Result<(), Refused> {
        if place == Place::Alone { self.items.store.begin_put(pocket) } else { self.begin_in_line(place, pocket) }
    }

    #[cold]
    #[inline(never)]
    fn begin_in_line(&self, place: Place, pocket: &Pocket<S::Item>) -> Result<(), Refused> {
        if !self.items.putters_barged.admits(place) {
            return Err(if self.items.store.is_closed() { Refused::Closed } else { Refused::Full });
        }
        self.items.store.begin_put(pocket).inspect(|()| self.items.putters_barged.taken(place))
    }

    /// T2 after a put.
    #[inline(always)]
    fn tell_getters(&self) {
        let word = self.items.getters.peek();
        if Line::<()>::has_to_be_told(word) {
            self.items.getters.tell(word, &self.items);
        }
    }

    #[inline(always)]
    pub(super) fn has_getters_to_tell(&self) -> bool {
        Line::<()>::has_to_be_told(self.items.getters.peek())
    }

    /// T2 after a get.
    #[inline(always)]
    fn tell_putters(&self) {
        if self.has_putters_to_tell() {
            self.tell_putters_or_end();
        }
    }

    /// Somebody waits for room, or for the last item to be gone (E2).
    #[inline(always)]
    fn has_putters_to_tell(&self) -> bool {
        let word = self.putters.peek();
        Line::<()>::has_to_be_told(word) || Line::<()>::is_closed(word)
    }

    #[cold]
    fn tell_putters_or_end(&self) {
        let word = self.putters.look();
        if Line::<()>::is_closed(word) {
            self.end_if_drained(); // E2
        }
        self.putters.tell(word, self);
    }

    /// I2.
    fn end_if_drained(&self) {
        if self.items.store.is_drained() {
            self.items.getters.close(&self.items);
        }
    }
}

/// All of it. A stock of moments at which nothing was unfinished, for which joiners wait.
pub struct Shared<S> {
    room: Room<S>,
    joiners: Line<usize>,
    done: AtomicUsize,
    settled: AtomicUsize,
}

/// Whether `now` has come up to `then`; both count up and may wrap.
fn reached(now: usize, then: usize) -> bool {
    now.wrapping_sub(then) <= usize::MAX / 2
}

impl<S: Store> Stock for Shared<S> {
    type Need = usize;

    fn line(&self) -> &Line<usize> {
        &self.joiners
    }

    fn rest(&self) -> usize {
        self.settled.load(Acquire) // ORDER: E1 acquire
    }

    fn grant(rest: &mut usize, need: usize) -> bool {
        reached(*rest, need)
    }

    fn share(_: usize) -> usize {
        0
    }

    fn beyond(rest: usize, _: usize) -> Option<usize> {
        Some(rest)
    }

    fn is_starved(&self) -> bool {
        false // nobody takes anything away
    }
}

impl<S> Shared<S> {
    const_fn! {
        pub(super) const fn new(store: S) -> Self {
            Self {
                room: Room {
                    items: Items {
                        getters: Line::new(),
                        barged: Barged(AtomicU8::new(0)),
                        putters_barged: Barged(AtomicU8::new(0)),
                        store,
                    },
                    putters: Line::new(),
                },
                joiners: Line::new(),
                done: AtomicUsize::new(0),
                settled: AtomicUsize::new(0),
            }
        }
    }
}

impl<S: Store> Shared<S> {
    #[inline(always)]
    pub(super) fn room(&self) -> &Room<S> {
        &self.room
    }

    #[inline(always)]
    pub(super) fn items(&self) -> &Items<S> {
        &self.room.items
    }

    #[inline(always)]
    pub(super) fn store(&self) -> &S {
        &self.room.items.store
    }

    /// Puts an item, which comes back if that is refused.
    #[inline(always)]
    pub(super) fn try_put(&self, mut item: S::Item) -> Result<(), (Refused, S::Item)> {
        let place = Line::<()>::place(self.room.putters.look());
        if !LEAN && place == Place::Alone {
            match self.store().put_at_once(item) {
                Ok(()) => {
                    self.room.tell_getters();
                    return Ok(());
                }
                Err((Some(why), back)) => return Err((why, back)),
                Err((None, back)) => item = back,
            }
        }
        self.try_put_by_pocket(place, item)
    }

    #[cfg_attr(feature = "std", inline(never))]
    fn try_put_by_pocket(&self, place: Place, item: S::Item) -> Result<(), (Refused, S::Item)> {
        let pocket = Pocket::with(item);
        match self.room.begin(place, &pocket) {
            Ok(()) => {
                self.end_put(&pocket);
                Ok(())
            }
            Err(why) => Err((why, pocket.take())),
        }
    }

    /// Ends a put that has begun.
    #[inline(always)]
    pub(super) fn end_put(&self, pocket: &Pocket<S::Item>) {
        let tell = OnDrop(|| self.room.tell_getters());
        self.store().end_put(pocket); // may panic, and has put it all the same
        drop(tell);
    }

    /// Gets an item.
    #[inline(always)]
    pub(super) fn try_get(&self) -> Result<S::Item, Nothing> {
        let place = Line::<()>::place(self.items().getters.look());
        let pocket = Pocket::empty();
        match self.get_at_once(place, &pocket) {
            Got::Item(item) => return Ok(item),
            Got::Begun => {}
            Got::Nothing(why) => return Err(why),
        }
        let back = OnDrop(|| self.undo_get(&pocket));
        self.end_get(&pocket);
        core::mem::forget(back);
        Ok(pocket.take())
    }

    /// T1, and with it, if nobody has to be told of it, all of the get.
    #[inline(always)]
    pub(super) fn get_at_once(&self, place: Place, pocket: &Pocket<S::Item>) -> Got<S::Item> {
        // A larger one would be copied once for each wrapping.
        let fits_registers = size_of::<S::Item>() <= size_of::<[usize; 2]>();
        if !LEAN && fits_registers && place == Place::Alone {
            match self.store().get_at_once() {
                Some(Ok(item)) if !self.room.has_putters_to_tell() => return Got::Item(item),
                Some(Ok(item)) => {
                    pocket.put(item); // a waker may panic
                    pocket.begin();
                    return Got::Begun;
                }
                Some(Err(why)) => return Got::Nothing(why),
                None => {}
            }
        }
        match self.items().begin(place, pocket) {
            Ok(()) => {
                pocket.begin();
                Got::Begun
            }
            Err(why) => Got::Nothing(why),
        }
    }

    /// Ends a get that has begun. If it panics, the pocket keeps what it has, and this may be called again.
    #[inline(always)]
    pub(super) fn end_get(&self, pocket: &Pocket<S::Item>) {
        self.store().end_get(pocket);
        self.room.tell_putters();
    }

    /// Takes back what was got, or begun, and not handed out.
    #[cold]
    pub(super) fn undo_get(&self, pocket: &Pocket<S::Item>) {
        let mut panics = Panics::new();
        if panics.catch(|| self.store().undo_get(pocket)) == Some(true) {
            panics.catch(|| self.task_done());
        }
        sys::fence_after_rmw();
        panics.catch(|| self.room.tell_getters());
        panics.catch(|| self.room.tell_putters());
        panics.resume();
    }

    /// T3.
    pub(super) fn close(&self) -> bool {
        let first = self.store().close();
        let mut panics = Panics::new();
        panics.catch(|| self.room.putters.close(&self.room));
        sys::fence_after_rmw(); // E2
        panics.catch(|| self.room.end_if_drained());
        panics.resume();
        first
    }

    /// T3, and drops what is in it.
    pub(super) fn close_now(&self) -> usize {
        let mut panics = Panics::new();
        panics.catch(|| self.close());
        let (pocket, spin, mut count) = (Pocket::empty(), Spin::new(), 0);
        loop {
            match self.items().begin(Place::Alone, &pocket) {
                Ok(()) => {
                    pocket.begin();
                    panics.catch(|| self.end_get(&pocket));
                    let item = pocket.try_take();
                    count += 1;
                    panics.catch(|| self.task_done());
                    panics.catch(|| drop(item));
                }
                Err(Nothing::Empty) => spin.pause(), // a put is being done
                Err(Nothing::Drained) => break,
            }
        }
        panics.resume();
        count
    }

    /// Whether it is closed and nothing is left.
    pub(super) fn is_drained(&self) -> bool {
        self.store().is_drained()
    }

    /// T4.
    pub(super) fn task_done(&self) -> Result<(), TooManyDone> {
        let store = self.store();
        let mut done = self.done.load(Acquire); // ORDER: E1 acquire, before a look at what was put (I3)
        let next = loop {
            if done == store.puts() {
                return Err(TooManyDone);
            }
            let next = store.next(done);
            // ORDER: E1 release
            match self.done.compare_exchange_weak(done, next, AcqRel, Acquire) {
                Ok(_) => break next,
                Err(now) => done = now,
            }
        };
        sys::fence_after_rmw();
        if store.puts() == next {
            self.settle(next);
        }
        Ok(())
    }

    /// Nothing was unfinished when `done` was all that there was. It may be some time ago (I4).
    fn settle(&self, done: usize) {
        // ORDER: E1 release
        let _ = self.settled.fetch_update(AcqRel, Acquire, |now| (!reached(now, done)).then_some(done));
        self.joiners.supplied(self);
    }

    /// What a joiner waits for that comes now.
    pub(super) fn joins(&self) -> usize {
        self.store().puts()
    }

    /// Whether a joiner that waits for `need` may go.
    pub(super) fn is_settled(&self, need: usize) -> bool {
        reached(self.rest(), need)
    }

    pub(super) fn unfinished(&self) -> usize {
        let done = self.done.load(Acquire); // ORDER: E1 acquire, before a look at what was put (I3)
        self.store().distance(done, self.store().puts())
    }

    pub(super) fn has_waiters(&self) -> [bool; 2] {
        [!self.items().getters.look().is_empty(), !self.room.putters.look().is_empty()]
    }
}

/// Calls a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    #[inline(always)]
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(all(test, feature = "std", not(testudo_loom)))]
mod tests {
    use super::{
        super::{chain::Chain, heap::Kept, heap::Locked, ring::Fixed, ring::Ring},
        *,
    };

    /// Puts two at a time, gets them, and works them off, until long after all numbers have wrapped.
    fn wraps<S: Store<Item = u8>>(store: S) {
        let shared = Shared::new(store);
        let start = shared.store().puts();
        for number in [&shared.done, &shared.settled] {
            number.store(start, Relaxed); // ORDER: relaxed: one thread
        }
        for round in 0..50 {
            let two = shared.store().capacity() != Some(1);
            assert!(shared.try_put(round).is_ok() && shared.try_put(round).is_ok() == two);
            let (join, items) = (shared.joins(), 1 + usize::from(two));
            assert_eq!((shared.store().len(), shared.unfinished()), (items, items));
            for left in (0..items).rev() {
                assert!(shared.try_get() == Ok(round) && !shared.is_settled(join));
                assert!(shared.task_done().is_ok() && shared.unfinished() == left);
            }
            assert!(shared.is_settled(join) && shared.task_done().is_err());
            assert_eq!(shared.store().begin_get(&Pocket::empty()), Err(Nothing::Empty));
        }
        assert!(shared.joins() < start, "the numbers have not wrapped");
    }

    #[test]
    fn numbers_wrap() {
        let (one, three) = (Ring::<Fixed<u8, 1>, AtomicUsize>::new(), Ring::<Fixed<u8, 3>, AtomicUsize>::new());
        let (chain, lifo) = (Chain::new(), Locked::new(Kept::Lifo(std::vec![]), 2));
        one.set_last_lap();
        wraps(one);
        three.set_last_lap();
        wraps(three);
        chain.set_last_lap();
        wraps(chain);
        lifo.set_last_lap();
        wraps(lifo);
    }
}
