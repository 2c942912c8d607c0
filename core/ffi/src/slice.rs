//! Bytes and text across the ABI.

use std::{
    ffi::{CStr, c_char},
    ptr, slice,
};

use crate::code::Failure;

/// Bytes that belong to the caller in arguments, and to the hub in outputs.
///
/// Text is UTF-8, with a length and without a NUL. `data` may be null if `length` is zero.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ew_slice {
    /// The first byte.
    pub data: *const u8,
    /// Number of bytes.
    pub length: usize,
}

/// Returns the text of a C string, without its NUL. Null is the empty text.
///
/// # Safety
///
/// `text` is null or ends with a NUL. It must outlive the slice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_text(text: *const c_char) -> ew_slice {
    if text.is_null() {
        return ew_slice::EMPTY;
    }
    // SAFETY: it is not null, and the caller promises a NUL.
    ew_slice::of(unsafe { CStr::from_ptr(text) }.to_bytes())
}

impl ew_slice {
    pub(crate) const EMPTY: Self = Self { data: ptr::null(), length: 0 };

    pub(crate) const fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// Returns the bytes.
    ///
    /// # Safety
    ///
    /// Those of [`array`].
    pub(crate) unsafe fn bytes<'a>(self, name: &str) -> Result<&'a [u8], Failure> {
        // SAFETY: the caller's promise is that of `array`.
        unsafe { array(self.data, self.length, name) }
    }

    /// Returns the bytes as text.
    ///
    /// # Safety
    ///
    /// Those of [`array`].
    pub(crate) unsafe fn text<'a>(self, name: &str) -> Result<&'a str, Failure> {
        // SAFETY: the caller's promise is that of `array`.
        let bytes = unsafe { self.bytes(name) }?;
        std::str::from_utf8(bytes)
            .map_err(|error| Failure::argument(format_args!("{name} is not UTF-8: {error}")))
    }
}

/// Returns the array that a pointer and a number of elements are.
///
/// # Safety
///
/// Unless `data` is null, it points to `length` elements, which nobody writes to for `'a`.
pub(crate) unsafe fn array<'a, T>(
    data: *const T,
    length: usize,
    name: &str,
) -> Result<&'a [T], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    check(data, length, name)?;
    // SAFETY: it is neither null nor misaligned nor too large, and the caller promises the rest.
    Ok(unsafe { slice::from_raw_parts(data, length) })
}

/// The same for bytes that the function may change.
///
/// # Safety
///
/// Unless `data` is null, it points to `length` bytes, which nobody else uses for `'a`.
pub(crate) unsafe fn bytes_mut<'a>(
    data: *mut u8,
    length: usize,
    name: &str,
) -> Result<&'a mut [u8], Failure> {
    if length == 0 {
        return Ok(&mut []);
    }
    check(data, length, name)?;
    // SAFETY: it is neither null nor too large, and the caller promises the rest.
    Ok(unsafe { slice::from_raw_parts_mut(data, length) })
}

/// Returns the value behind a pointer.
///
/// # Safety
///
/// Unless `value` is null, it points to a value that nobody writes to for `'a`.
pub(crate) unsafe fn borrow<'a, T>(value: *const T, name: &str) -> Result<&'a T, Failure> {
    check(value, 1, name)?;
    // SAFETY: it is neither null nor misaligned, and the caller promises the rest.
    Ok(unsafe { &*value })
}

/// Writes a result.
///
/// # Safety
///
/// Unless `place` is null, a value can be written there.
pub(crate) unsafe fn write<T: Copy>(place: *mut T, value: T, name: &str) -> Result<(), Failure> {
    check(place, 1, name)?;
    // SAFETY: it is neither null nor misaligned, and the caller promises the rest.
    unsafe { place.write(value) };
    Ok(())
}

fn check<T>(data: *const T, length: usize, name: &str) -> Result<(), Failure> {
    if data.is_null() {
        return Err(Failure::argument(format_args!("{name} is null")));
    }
    if !data.is_aligned() {
        return Err(Failure::argument(format_args!("{name} is misaligned")));
    }
    let most = isize::MAX.unsigned_abs() / size_of::<T>();
    if length > most {
        return Err(Failure::argument(format_args!("{name} has more than {most} elements")));
    }
    Ok(())
}
