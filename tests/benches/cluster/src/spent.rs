//! CPU time of a process.

use std::ops::{Add, Div, Mul, Sub};

/// Microseconds of CPU.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) user: f64,
    /// User and kernel.
    pub(crate) whole: f64,
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { user: self.user - other.user, whole: self.whole - other.whole }
    }
}

impl Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { user: self.user + other.user, whole: self.whole + other.whole }
    }
}

impl Mul<f64> for Spent {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self { user: self.user * times, whole: self.whole * times }
    }
}

impl Div<f64> for Spent {
    type Output = Self;

    fn div(self, parts: f64) -> Self {
        Self { user: self.user / parts, whole: self.whole / parts }
    }
}

impl Spent {
    /// Returns the mean of several.
    pub(crate) fn mean(all: &[Self]) -> Self {
        all.iter().copied().fold(Self::default(), Add::add) / all.len() as f64
    }
}
