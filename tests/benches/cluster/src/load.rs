//! The load: clients of a cluster, and broadcasts to rooms of them.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use futures_util::future::try_join_all;
use tokio::time::timeout;

use crate::{
    Result,
    args::Options,
    client::Client,
    figures::{Memory, Sample, Table},
    nodes::Kind,
    process::Process,
    redis::{Redis, Traffic},
    spent::Spent,
};

/// Measures all kinds of nodes in turn, and prints the medians. A kind that fails is left out from then on.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    let mut table = Table::default();
    let mut failed = BTreeSet::new();
    for round in 1..=options.rounds {
        for &nodes in &options.nodes {
            for &kind in &options.kinds {
                if failed.contains(&kind) {
                    continue;
                }
                eprintln!("round {round} of {}: {nodes} nodes of {kind}", options.rounds);
                if let Err(error) = run(kind, nodes, &options.in_flight, &mut table).await {
                    eprintln!("{nodes} nodes of {kind}: {error}");
                    failed.insert(kind);
                }
            }
        }
    }
    print!("{}", table.text());
    if failed.is_empty() { Ok(()) } else { Err("a kind has failed: see above".into()) }
}

/// Measures one cluster.
async fn run(kind: Kind, nodes: usize, in_flight: &[usize], table: &mut Table) -> Result<()> {
    let mut cluster = Cluster::start(kind, nodes).await?;
    for node in 0..nodes {
        cluster.add(node).await?;
    }
    cluster.gather("one each", 0..nodes).await?;
    cluster.gather("apart", 0..2).await?;
    cluster.warm_up("one each", nodes).await?;
    let mut costs = Vec::new();
    for &in_flight in in_flight {
        let one_each = cluster.cost("one each", nodes, BROADCASTS, in_flight).await?;
        let apart = match nodes {
            2 => None,
            _ => {
                let cost = cluster.cost("apart", 2, BROADCASTS, in_flight).await?;
                Some(Spent::mean(&cost.nodes[2..]))
            }
        };
        costs.push((one_each, apart));
    }
    let few = cluster.resident()?;
    for client in nodes..MEMBERS {
        cluster.add(client % nodes).await?;
    }
    cluster.gather("all", 0..MEMBERS).await?;
    let members = (MEMBERS / nodes) as f64;
    let many = cluster.resident()?;
    table.remember(kind, nodes, Memory { node: few, member: (many - few) / (members - 1.0) });
    for (&in_flight, (one_each, apart)) in in_flight.iter().zip(&costs) {
        let all = cluster.cost("all", MEMBERS, LARGE_BROADCASTS, in_flight).await?;
        let other = Spent::mean(&one_each.nodes[1..]);
        let sample = Sample {
            sender: one_each.nodes[0],
            other,
            apart: *apart,
            recipient: (Spent::mean(&all.nodes[1..]) - other) / (members - 1.0),
            redis: one_each.redis,
            traffic: one_each.traffic,
        };
        table.add(kind, nodes, in_flight, sample);
    }
    cluster.end().await
}

struct Cluster {
    redis: Redis,
    nodes: Vec<Process>,
    ports: Vec<u16>,
    clients: Vec<Client>,
    /// The number of the next text.
    next: u64,
}

/// Cost of one broadcast.
struct Cost {
    /// Each node, beginning with the sender.
    nodes: Vec<Spent>,
    redis: Spent,
    traffic: Traffic,
}

impl Cluster {
    async fn start(kind: Kind, nodes: usize) -> Result<Self> {
        let redis = Redis::start().await?;
        let mut cluster = Self { redis, nodes: vec![], ports: vec![], clients: vec![], next: 0 };
        for _ in 0..nodes {
            let (node, port) = Process::node(kind, &cluster.redis.url()).await?;
            cluster.nodes.push(node);
            cluster.ports.push(port);
        }
        Ok(cluster)
    }

    /// Connects one more client.
    async fn add(&mut self, node: usize) -> Result<()> {
        self.clients.push(Client::connect(self.ports[node]).await?);
        Ok(())
    }

    /// Has clients join a room, and waits until broadcasts reach all of them.
    ///
    /// Nodes do not tell when they hear of each other: a text shows it.
    async fn gather(&mut self, room: &str, members: Range<usize>) -> Result<()> {
        for client in &mut self.clients[members.clone()] {
            client.join(room).await?;
        }
        for _ in 0..ATTEMPTS {
            let number = self.next;
            self.next += 1;
            self.clients[0].say(room, number, 1).await?;
            let members = &mut self.clients[members.clone()];
            let all = try_join_all(members.iter_mut().map(|client| client.skip_to(number)));
            if let Ok(done) = timeout(PATIENCE, all).await {
                done?;
                return Ok(());
            }
        }
        Err(format!("the members of the room {room} hear nothing").into())
    }

    /// Sends broadcasts to a room of the first clients, whatever their order.
    async fn warm_up(&mut self, room: &str, members: usize) -> Result<()> {
        for _ in 0..WARM_UP / BURST {
            self.clients[0].say(room, self.next, BURST).await?;
            self.next += BURST;
            let receive = self.clients[..members].iter_mut().map(async |client| {
                for _ in 0..BURST {
                    client.any().await?;
                }
                Result::Ok(())
            });
            try_join_all(receive).await?;
        }
        Ok(())
    }

    /// Returns what a broadcast to a room costs, whose members are the first clients, after a tenth of them as warm-up.
    async fn cost(
        &mut self,
        room: &str,
        members: usize,
        broadcasts: usize,
        in_flight: usize,
    ) -> Result<Cost> {
        let bursts = broadcasts.div_ceil(in_flight);
        self.broadcast(room, members, bursts.div_ceil(10), in_flight).await?;
        let traffic = self.redis.traffic().await?;
        let before = self.cpu()?;
        self.broadcast(room, members, bursts, in_flight).await?;
        let after = self.cpu()?;
        let passed = self.redis.traffic().await? - traffic;
        // Shows that none came twice.
        self.broadcast(room, members, 1, 1).await?;
        let count = (bursts * in_flight) as f64;
        let spent = before.into_iter().zip(after);
        let mut nodes: Vec<_> = spent.map(|(before, after)| (after - before) / count).collect();
        let redis = nodes.pop().ok_or("no processes")?;
        Ok(Cost { nodes, redis, traffic: passed / count })
    }

    /// Sends so many times so many texts, each time when all members have the last.
    async fn broadcast(
        &mut self,
        room: &str,
        members: usize,
        bursts: usize,
        in_flight: usize,
    ) -> Result<()> {
        for _ in 0..bursts {
            let numbers = self.next..self.next + in_flight as u64;
            self.next = numbers.end;
            self.clients[0].say(room, numbers.start, in_flight as u64).await?;
            let receive = self.clients[..members].iter_mut().map(async |client| {
                for number in numbers.clone() {
                    client.expect(number).await?;
                }
                Result::Ok(())
            });
            try_join_all(receive).await?;
        }
        Ok(())
    }

    /// Returns the CPU of each node so far, and then that of Redis.
    fn cpu(&self) -> Result<Vec<Spent>> {
        self.nodes.iter().chain([&self.redis.process]).map(Process::cpu).collect()
    }

    /// Returns the bytes of memory of a node.
    fn resident(&self) -> Result<f64> {
        let all: Vec<_> = self.nodes.iter().map(Process::resident).collect::<Result<_>>()?;
        Ok(all.iter().sum::<f64>() / all.len() as f64)
    }

    async fn end(self) -> Result<()> {
        for node in self.nodes {
            node.end().await?;
        }
        self.redis.process.end().await
    }
}

/// Members of the largest room.
pub(crate) const MEMBERS: usize = 1000;

/// Broadcasts of a measurement, in rooms with few members and in that with many.
const BROADCASTS: usize = 1600;
const LARGE_BROADCASTS: usize = 128;

/// Broadcasts before the first measurement, as Node.js compiles what is called often, and how many are in flight.
const WARM_UP: u64 = 4000;
const BURST: u64 = 16;

/// Longest time for a broadcast to reach all members, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 30;
