//! A server and its clients in a world that a seed makes.
mod application;
mod ledger;
mod log;
mod network;
mod numbered;
mod observer;
mod path;
mod random;
mod replay;
mod schedule;
mod world;

pub use self::{
    application::{Application, End, EndId},
    log::Log,
    numbered::{Manner, Numbered, Talk},
    path::{Fault, Path, Side, When},
    random::Random,
    replay::{any_path, client_config, replay, replay_many},
    world::World,
};
