//! Moments that matter, by name.

mod closing;
mod common;
mod crowds;
mod heartbeat;
mod intruders;
mod polling;
mod proxies;
mod silence;
mod undisturbed;
mod upgrade;
