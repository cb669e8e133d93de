//! A block on the heap: one allocation, and one for each doubling.
#![allow(unsafe_code)]
use alloc::alloc::handle_alloc_error;
use core::{
    alloc::Layout,
    ptr::{self, NonNull},
};

use super::{EMPTY, EXTENTS, Group, HEAP, Header, Memory, Shared};
use crate::sys::{
    allocate as alloc,
    atomic::{AtomicPtr, Ordering::*},
    deallocate as dealloc,
};

type Extents = [AtomicPtr<Group>; EXTENTS];

/// The layout of a block, and where in it the table of further extents lies.
fn layout(first: usize) -> (Layout, usize) {
    let groups = Layout::array::<Group>(first).expect("too many children");
    let (block, _) = Layout::new::<Header>().extend(groups).expect("too many children");
    let (block, more) = block.extend(Layout::new::<Extents>()).expect("too many children");
    (block.pad_to_align(), more)
}

/// What allocators align to at no cost, and what that lacks of the alignment of a block: with more they are slow.
const CHEAP: usize = 2 * size_of::<usize>();
const SLACK: usize = align_of::<Header>() - CHEAP;

/// What is allocated for a block, without room for the table unless it may grow.
fn layout_of(first: usize, grows: bool) -> Layout {
    let (all, more) = layout(first);
    let size = if grows { all.size() } else { more };
    Layout::from_size_align(size + SLACK, CHEAP).expect("too many children")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout here is empty.
    let at = unsafe { alloc(layout) };
    NonNull::new(at).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Writes so many new groups.
///
/// # Safety
/// (a) There is room for them, which is the caller's alone.
unsafe fn write_groups(at: *mut Group, from: usize, groups: usize, header: *const Header) {
    for index in 0..groups {
        // SAFETY: (a).
        let group = unsafe { at.add(index) };
        // SAFETY: (a).
        unsafe { group.write(Group::new(from + index, header)) };
    }
}

impl Memory {
    /// A block of so many groups, one at least, without children.
    pub(in crate::task::ready) fn allocate(groups: usize, grows: bool) -> Self {
        let base = allocate(layout_of(groups, grows));
        let pad = base.addr().get().wrapping_neg() % align_of::<Header>();
        // SAFETY: there are SLACK bytes more, and `base` is aligned to CHEAP.
        let header: NonNull<Header> = unsafe { base.add(pad) }.cast();
        let more = if grows {
            let more = header.as_ptr().wrapping_byte_add(layout(groups).1).cast::<Extents>();
            // SAFETY: `layout_of` left room for it.
            unsafe { more.write(core::array::from_fn(|_| AtomicPtr::new(EMPTY))) };
            more.cast_const()
        } else {
            ptr::null()
        };
        // SAFETY: the memory is new and large enough.
        unsafe { header.write(Header { base: base.as_ptr(), ..Header::new(groups, more, 1) }) };
        // SAFETY: the groups begin right behind the header.
        let at = unsafe { header.as_ptr().add(1) };
        // SAFETY: (a): the memory is new and large enough.
        unsafe { write_groups(at.cast(), 0, groups, header.as_ptr()) };
        Self::new(Shared { header, table: &HEAP }, groups)
    }

    /// Doubles the block, if it may grow.
    pub(in crate::task::ready) fn grow(&mut self) {
        let (groups, extent) = (self.groups, self.groups.ilog2() as usize);
        let header = self.shared.header;
        // SAFETY: block I2: the reference of `self.shared`.
        let more = unsafe { header.as_ref() }.more;
        assert!(!more.is_null() && extent < EXTENTS, "too many children");
        // SAFETY: block I2, block I6.
        let more = unsafe { &*more };
        let at = allocate(Layout::array::<Group>(groups).expect("too many children")).cast::<Group>();
        // SAFETY: (a): the memory is new and large enough.
        unsafe { write_groups(at.as_ptr(), groups, groups, header.as_ptr()) };
        // ORDER: block E6 release
        more[extent].store(at.as_ptr(), Release);
        self.groups *= 2;
    }
}

/// Frees a block.
///
/// # Safety
/// (a) Nobody owns a reference any more, all accesses came before.
pub(super) unsafe fn free(header: *mut Header) {
    // SAFETY: (a).
    let this = unsafe { header.read() };
    let (first, more, base) = (this.first, this.more, this.base);
    if !more.is_null() {
        // SAFETY: (a), block I6.
        let more = unsafe { more.read() };
        for (extent, groups) in more.into_iter().enumerate() {
            // ORDER: relaxed: block E5 came before
            let groups = groups.load(Relaxed);
            if !groups.is_null() {
                // SAFETY: (a): extent `n` has `1 << n` groups.
                unsafe { ptr::slice_from_raw_parts_mut(groups, 1 << extent).drop_in_place() };
                let layout = Layout::array::<Group>(1 << extent).expect("as it was allocated");
                // SAFETY: (a): it was allocated so.
                unsafe { dealloc(groups.cast(), layout) };
            }
        }
    }
    // SAFETY: (a): the groups begin right behind the header.
    let groups = unsafe { header.add(1) };
    // SAFETY: (a): there are so many.
    unsafe { ptr::slice_from_raw_parts_mut(groups.cast::<Group>(), first).drop_in_place() };
    // SAFETY: (a): it was allocated so.
    unsafe { dealloc(base, layout_of(first, !more.is_null())) };
}
