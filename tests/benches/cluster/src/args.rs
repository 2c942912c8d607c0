//! The command line.

use std::str::FromStr;

use crate::{Result, nodes::Kind};

pub(crate) enum Command {
    Measure(Options),
    /// Be a node: started by [`crate::process::Process::node`].
    Serve {
        kind: Kind,
        redis: String,
    },
}

pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// Numbers of nodes.
    pub(crate) nodes: Vec<usize>,
    /// Numbers of broadcasts that are in flight.
    pub(crate) in_flight: Vec<usize>,
    pub(crate) kinds: Vec<Kind>,
}

pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Command> {
    let (nodes, in_flight) = (vec![2, 4], vec![1, 16]);
    let mut options = Options { rounds: 3, nodes, in_flight, kinds: Kind::ALL.to_vec() };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n{HELP}"));
        match arg.as_str() {
            "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
            "--nodes" => options.nodes = list(&value()?)?,
            "--in-flight" => options.in_flight = list(&value()?)?,
            "--kinds" => options.kinds = list(&value()?)?,
            "--serve" => {
                return Ok(Command::Serve { kind: value()?.parse()?, redis: value()? });
            }
            _ => return Err(HELP.into()),
        }
    }
    if options.nodes.iter().any(|nodes| !(2..=16).contains(nodes)) {
        return Err("a cluster has 2 to 16 nodes here".into());
    }
    if options.in_flight.iter().any(|count| !(1..=64).contains(count)) {
        return Err("1 to 64 broadcasts are in flight here".into());
    }
    Ok(Command::Measure(options))
}

fn list<T: FromStr<Err: Into<Box<dyn std::error::Error + Send + Sync>>>>(
    values: &str,
) -> Result<Vec<T>> {
    values.split(',').map(|value| value.parse().map_err(Into::into)).collect()
}

const HELP: &str = "cluster [--rounds N] [--nodes N,N...] [--in-flight N,N...] [--kinds NAME,NAME...]\n\
    kinds: enginewire, enginewire-sharded, enginewire-streams, socketioxide, npm, npm-sharded, npm-streams";
