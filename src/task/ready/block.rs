//! The memory of a ready set: what child wakers point into.
#![allow(unsafe_code)]
// STATE       group.ready: a bit for each child that was woken and not taken since; group.next: its link on the stack
//             head: EMPTY, ARMED (the parent's waker lies in the cell), or the group that was pushed last
//                 T1 wake      ready |= bit; who changes it from 0 does T2
//                 T2 push      head -> group, group.next = the head before; who replaces ARMED does T3
//                 T3 tell      take the waker out of the cell, lent = false, wake it
//                 T4 pop all   head -> EMPTY; ARMED found: the cell is the consumer's again, nobody does T3
//                 T5 take      ready &= !bits, after the group was popped
//                 T6 arm       fill the cell, lent = true, head: EMPTY -> ARMED
//             refs (heap): 1 for the consumer, 1 for each handle and each clone of a child's waker; (static): 1 while claimed
// INVARIANTS  I1 a group is on the stack, or about to be pushed by who did T1, or known to the consumer (marked), and not two
//                of these, while ready != 0; only the consumer makes ready 0, and only of groups it knows.
//             I2 who owns a reference may touch the header and all groups: they are freed with the last one, all at once.
//                A static block is never freed.
//             I3 the cell belongs to the consumer while !lent; to who did T2 on ARMED from then to its lent = false.
//             I4 marks and liveness belong to the consumer: one for each block, it is not cloned, and it passes `&mut Memory`.
//             I5 a child's waker points at its group plus its bit: groups are aligned to 64 bytes, a group has at most 64 bits.
//             I6 index, header, first and more of a heap block are written before it is shared, those of a static one in its
//                constant; extents are added, never taken away.
// EDGES       E1 T1 (release) -> T5 (acquire): what was written before a wake is seen by the poll that follows it.
//             E2 T2 (release) -> T4 (acquire): the links.
//             E3 T6 (release) -> T2 (acquire): the waker in the cell.
//             E4 T3 (release) -> the consumer's look at lent (acquire): the cell is empty.
//             E5 a reference given up (release) -> the last one (acquire): every access comes before freeing.
//             E7 a static block given up (release) -> claimed (acquire): marks, liveness and the cell.
//             E6 grow (release) -> group (acquire): a new extent, for handles on other threads.
// INTERRUPT   wake by reference: yes, lock-free, no allocation, no foreign code but the parent's waker. Dropping the last
//             reference frees a heap block, so wakers that interrupts consume want a static one.
use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{self, NonNull},
    task::{RawWaker, RawWakerVTable, Waker},
};

use crate::sys::{
    atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*},
    cell::UnsafeCell,
    const_fn,
};

mod fixed;
#[cfg(feature = "alloc")]
mod heap;
mod memory;

pub use fixed::ReadyBlock;
pub(super) use memory::Memory;

/// Children in a group.
pub(super) const BITS: usize = crate::sys::CHILDREN;
/// The bits of all of them.
pub(super) const ALL: usize = !0 >> (usize::BITS as usize - BITS);
/// The alignment of a group: more than the highest bit number.
const ALIGN: usize = 64;
const _: () = assert!(BITS <= ALIGN && align_of::<Group>() == ALIGN && size_of::<Header>() % ALIGN == 0);

/// No group is pushed, and the parent is awake.
const EMPTY: *mut Group = ptr::null_mut();
/// No group is pushed, and the parent's waker lies in the cell.
const ARMED: *mut Group = ptr::without_provenance_mut(1);

/// Up to 64 children.
#[repr(C, align(64))]
pub(super) struct Group {
    ready: AtomicUsize,
    next: AtomicPtr<Group>,
    /// Null in a static block: there it lies before the first group.
    header: *const Header,
    index: usize,
    /// Which children there are.
    live: UnsafeCell<usize>,
    /// Word `index` of the marked groups, and of the words of that which are not 0.
    marks: UnsafeCell<[usize; 2]>,
}

/// What the children share; the first groups lie right behind it.
#[repr(C, align(64))]
struct Header {
    head: AtomicPtr<Group>,
    lent: AtomicBool,
    cell: UnsafeCell<Option<Waker>>,
    refs: AtomicUsize,
    /// How many groups lie behind this.
    first: usize,
    /// The further extents, if the block may grow.
    more: *const [AtomicPtr<Group>; EXTENTS],
    /// Where the memory of a heap block begins.
    base: *mut u8,
}

/// A block may double so often.
const EXTENTS: usize = if cfg!(testudo_loom) { 2 } else { 26 };

impl Group {
    const_fn! {
        const fn new(index: usize, header: *const Header) -> Self {
            Self {
                ready: AtomicUsize::new(0),
                next: AtomicPtr::new(EMPTY),
                header,
                index,
                live: UnsafeCell::new(0),
                marks: UnsafeCell::new([0; 2]),
            }
        }
    }
}

impl Header {
    const_fn! {
        const fn new(first: usize, more: *const [AtomicPtr<Group>; EXTENTS], refs: usize) -> Self {
            Self {
                head: AtomicPtr::new(EMPTY),
                lent: AtomicBool::new(false),
                cell: UnsafeCell::new(None),
                refs: AtomicUsize::new(refs),
                first,
                more,
                base: ptr::null_mut(),
            }
        }
    }

    /// T4. The newest first; ARMED at its end says that T3 was begun.
    fn pop_all(&self) -> *mut Group {
        // ORDER: E2 acquire
        self.head.swap(EMPTY, Acquire)
    }

    /// Whether the head is ARMED this very moment.
    fn confirm_armed(&self) -> bool {
        // ORDER: relaxed: a first look
        self.head.load(Relaxed) == ARMED
            // ORDER: relaxed: changes nothing, and is not late as a load may be
            && self.head.compare_exchange(ARMED, ARMED, Relaxed, Relaxed).is_ok()
    }

    /// Whether the cell is lent this very moment.
    fn confirm_lent(&self) -> bool {
        // ORDER: E4 acquire
        self.lent.load(Acquire)
            // ORDER: relaxed if it is lent, which a load might say too late; E4 acquire if it is not
            && self.lent.compare_exchange(true, true, Relaxed, Acquire).is_ok()
    }
}

/// The header of a group.
///
/// # Safety
/// (a) The group lies in a block that lives.
unsafe fn header_of(group: *const Group) -> *const Header {
    // SAFETY: (a), I6.
    let header = unsafe { (*group).header };
    if !header.is_null() {
        return header;
    }
    // SAFETY: (a), I6.
    let index = unsafe { (*group).index };
    // SAFETY: I5: a static block is its header and then its groups, and `group` may reach all of that.
    let first = unsafe { group.sub(index) };
    // SAFETY: the same.
    unsafe { first.cast::<Header>().sub(1) }
}

// ---- wakers

/// Takes a child's waker apart (I5).
fn parts(data: *const ()) -> (*const Group, usize) {
    (data.map_addr(|at| at & !(ALIGN - 1)).cast(), data.addr() & (ALIGN - 1))
}

/// T1, T2, T3.
///
/// # Safety
/// (a) `group` lies in a block that lives until this returns.
unsafe fn wake(group: *const Group, bit: usize) {
    // SAFETY: (a).
    let this = unsafe { &*group };
    // ORDER: E1 release
    if this.ready.fetch_or(1 << bit, Release) != 0 {
        return; // I1: who made it non-zero pushes it, or the consumer knows it
    }
    // SAFETY: (a).
    let header = unsafe { header_of(group) };
    // SAFETY: (a).
    let header = unsafe { &*header };
    // ORDER: relaxed: the exchange checks it
    let mut head = header.head.load(Relaxed);
    loop {
        // I1. ORDER: relaxed: E2 publishes it
        this.next.store(head, Relaxed);
        // ORDER: E2 release, E3 acquire
        match header.head.compare_exchange_weak(head, group.cast_mut(), AcqRel, Relaxed) {
            Ok(_) => break,
            Err(now) => head = now,
        }
    }
    if head == ARMED {
        // SAFETY: I3.
        let parent = header.cell.with_mut(|cell| unsafe { (*cell).take() });
        // A read-modify-write, as `confirm_lent` is: one of them is the first. ORDER: E4 release
        header.lent.swap(false, Release);
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

#[cfg(feature = "alloc")]
static HEAP: RawWakerVTable = RawWakerVTable::new(clone_heap, wake_heap, wake_by_ref, drop_heap);
static STATIC: RawWakerVTable = RawWakerVTable::new(clone_static, wake_by_ref, wake_by_ref, |_| ());

#[cfg(feature = "alloc")]
fn clone_heap(data: *const ()) -> RawWaker {
    let (group, _) = parts(data);
    // SAFETY: I2: the waker that is cloned owns, or borrows, a reference.
    let header = unsafe { header_of(group) };
    // SAFETY: the same.
    unsafe { retain(header) };
    RawWaker::new(data, &HEAP)
}

#[cfg(feature = "alloc")]
fn wake_heap(data: *const ()) {
    /// Gives up the waker's reference, whether the parent's waker panics or not.
    struct GiveUp(*const ());
    impl Drop for GiveUp {
        fn drop(&mut self) {
            drop_heap(self.0);
        }
    }
    let waker = GiveUp(data);
    wake_by_ref(waker.0);
}

fn wake_by_ref(data: *const ()) {
    let (group, bit) = parts(data);
    // SAFETY: I2: the caller's waker owns, or borrows, a reference.
    unsafe { wake(group, bit) }
}

#[cfg(feature = "alloc")]
fn drop_heap(data: *const ()) {
    let (group, _) = parts(data);
    // SAFETY: I2: the waker that is dropped owns a reference.
    let header = unsafe { header_of(group) };
    // SAFETY: it gives that up.
    unsafe { release(header) };
}

fn clone_static(data: *const ()) -> RawWaker {
    RawWaker::new(data, &STATIC)
}

/// One more reference.
///
/// # Safety
/// (a) The caller owns, or borrows, a reference.
unsafe fn retain(header: *const Header) {
    extern "C" fn overflow() -> ! {
        panic!("too many wakers") // which aborts here, as `Arc` does
    }
    // SAFETY: (a), I2.
    let refs = unsafe { &(*header).refs };
    // ORDER: relaxed: made from one that is there
    if refs.fetch_add(1, Relaxed) > isize::MAX as usize {
        overflow();
    }
}

/// One reference less; the last one frees the block.
///
/// # Safety
/// (a) The caller owns the reference.
unsafe fn release(header: *const Header) {
    // SAFETY: (a), I2.
    let refs = unsafe { &(*header).refs };
    // ORDER: E5 release
    if refs.fetch_sub(1, Release) == 1 {
        // ORDER: E5 acquire (no fence: ThreadSanitizer does not know them)
        refs.load(Acquire);
        #[cfg(feature = "alloc")]
        // SAFETY: that was the last one, and static blocks do not count.
        unsafe {
            heap::free(header.cast_mut());
        }
    }
}

/// A child's waker, on loan: it owns no reference itself.
pub(crate) struct ChildWaker<'a> {
    waker: ManuallyDrop<Waker>,
    _block: core::marker::PhantomData<&'a Shared>,
}

impl Deref for ChildWaker<'_> {
    type Target = Waker;

    #[inline(always)]
    fn deref(&self) -> &Waker {
        &self.waker
    }
}

/// A handle of a block: makes and wakes the wakers of children. Any number of them, on any thread.
pub(crate) struct Shared {
    header: NonNull<Header>,
    table: &'static RawWakerVTable,
}

// SAFETY: I2: what is not atomic is reached by I3, I4 and I6 alone; the waker in the cell is Send and Sync.
unsafe impl Send for Shared {}
// SAFETY: the same.
unsafe impl Sync for Shared {}

impl Shared {
    #[inline(always)]
    fn header(&self) -> &Header {
        // SAFETY: I2: `self` owns a reference.
        unsafe { self.header.as_ref() }
    }

    fn is_static(&self) -> bool {
        ptr::eq(self.table, &STATIC)
    }

    /// Group `index`, which exists.
    #[inline(always)]
    fn group(&self, index: usize) -> *const Group {
        let first = self.header().first;
        if index < first {
            // SAFETY: I2: the groups begin right behind the header, and the pointer may reach all of the block.
            let groups = unsafe { self.header.as_ptr().add(1) };
            // SAFETY: there are so many.
            return unsafe { groups.cast::<Group>().add(index) };
        }
        self.further(index)
    }

    /// Group `index` of an extent: of extent `n` the first is number `1 << n`.
    fn further(&self, index: usize) -> *const Group {
        let extent = index.ilog2() as usize;
        let more = self.header().more;
        assert!(!more.is_null() && extent < EXTENTS, "no such child");
        // SAFETY: I2, I6.
        let more = unsafe { &*more };
        // ORDER: E6 acquire
        let groups = more[extent].load(Acquire);
        assert!(!groups.is_null(), "no such child");
        // SAFETY: I6: it has `1 << extent` groups.
        unsafe { groups.add(index - (1 << extent)) }
    }

    /// The waker of child `index`, which has to exist.
    #[inline(always)]
    pub(crate) fn waker(&self, index: usize) -> ChildWaker<'_> {
        let data = self.group(index / BITS).wrapping_byte_add(index % BITS);
        // SAFETY: the table keeps the contract of wakers; I2: `self` lends its reference, I5.
        let waker = unsafe { Waker::new(data.cast(), self.table) };
        ChildWaker { waker: ManuallyDrop::new(waker), _block: core::marker::PhantomData }
    }
}

impl Clone for Shared {
    fn clone(&self) -> Self {
        if !self.is_static() {
            // SAFETY: I2: `self` owns a reference.
            unsafe { retain(self.header.as_ptr()) };
        }
        Self { header: self.header, table: self.table }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.is_static() {
            // SAFETY: I2: the reference of `self`.
            unsafe { release(self.header.as_ptr()) };
        }
    }
}
