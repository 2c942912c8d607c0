//! Slots of a Redis Cluster, and the servers that own them.

use super::{
    address::Address,
    resp::{ServerError, Value},
};

/// Servers of a Redis Cluster that own slots: its masters.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    masters: Vec<Address>,
    /// For each slot the index of its owner, or [`NONE`]. Empty until it is learnt.
    owners: Vec<u16>,
}

/// Response of a server that another one is to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// From now on.
    Moved(Address),
    /// This time, because the slot is being moved.
    Ask(Address),
}

/// Makes an address that is reachable from here of one that a server has told.
pub(super) type Translate<'a> = &'a dyn Fn(Address) -> Address;

impl Slots {
    /// Reads the response to CLUSTER SLOTS of the server at `via`. `None` if it is none.
    ///
    /// A server that does not know its own address leaves it out.
    pub(super) fn parse(response: &Value, via: &Address, translate: Translate<'_>) -> Option<Self> {
        let mut slots = Self { masters: Vec::new(), owners: vec![NONE; usize::from(SLOTS)] };
        let ranges = response.as_array()?;
        if ranges.len() > usize::from(SLOTS) {
            return None;
        }
        for range in ranges {
            let [Value::Integer(first), Value::Integer(last), master, ..] = range.as_array()?
            else {
                return None;
            };
            let [host, Value::Integer(port), ..] = master.as_array()? else { return None };
            let host = host.as_str().filter(|host| !matches!(*host, "" | "?"));
            let address = Address::new(host.unwrap_or(&via.host), u16::try_from(*port).ok()?);
            // The address by which the server was reached is reachable.
            let address = if host.is_none() && address.port == via.port {
                address
            } else {
                translate(address)
            };
            let owner = slots.index(address)?;
            let first = usize::try_from(*first).ok()?;
            let last = usize::try_from(*last).ok()?;
            slots.owners.get_mut(first..=last).filter(|range| !range.is_empty())?.fill(owner);
        }
        Some(slots)
    }

    /// Returns the owner of a slot, as far as it is known.
    pub(super) fn owner(&self, slot: u16) -> Option<&Address> {
        self.masters.get(usize::from(*self.owners.get(usize::from(slot))?))
    }

    /// Returns the servers that own slots.
    pub(super) fn masters(&self) -> &[Address] {
        &self.masters
    }

    /// Notes that a slot has another owner.
    pub(super) fn set(&mut self, slot: u16, owner: Address) {
        self.owners.resize(usize::from(SLOTS), NONE);
        if let Some(index) = self.index(owner)
            && let Some(entry) = self.owners.get_mut(usize::from(slot))
        {
            *entry = index;
        }
    }

    fn index(&mut self, address: Address) -> Option<u16> {
        let known = self.masters.iter().position(|master| *master == address);
        let index = match known {
            Some(index) => index,
            None if self.masters.len() < MAX_MASTERS => {
                self.masters.push(address);
                self.masters.len() - 1
            }
            None => return None,
        };
        u16::try_from(index).ok()
    }
}

impl Redirect {
    /// Reads an error of the server at `via`. `None` if it is another one.
    pub(super) fn parse(
        error: &ServerError,
        via: &Address,
        translate: Translate<'_>,
    ) -> Option<Self> {
        let mut words = error.text()?.split(' ');
        let make = match words.next()? {
            "MOVED" => Self::Moved,
            "ASK" => Self::Ask,
            _ => return None,
        };
        let address = Address::parse(words.nth(1)?)?;
        Some(make(match &*address.host {
            "" | "?" => translate(Address::new(&via.host, address.port)),
            _ => translate(address),
        }))
    }
}

/// Returns the slot of a key: of the part in its first braces, if there is one.
pub(super) fn slot(key: &[u8]) -> u16 {
    let hashed = key
        .iter()
        .position(|&byte| byte == b'{')
        .and_then(|open| {
            let rest = &key[open + 1..];
            let close = rest.iter().position(|&byte| byte == b'}').filter(|&close| close > 0)?;
            Some(&rest[..close])
        })
        .unwrap_or(key);
    crc16(hashed) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

/// Number of slots of each Redis Cluster.
const SLOTS: u16 = 16_384;

/// Masters that are known at most, as many as the specification recommends.
const MAX_MASTERS: usize = 1000;

/// Stands for no owner.
const NONE: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Value {
        Value::Text(text.into())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master = Value::Array(vec![host, Value::Integer(port), text("id")]);
        let replica = Value::Array(vec![text("replica"), Value::Integer(1), text("id")]);
        Value::Array(vec![Value::Integer(first), Value::Integer(last), master, replica])
    }

    fn via() -> Address {
        Address::new("seed", 7000)
    }

    #[test]
    fn slot_of_a_key_is_that_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS, "the first braces are empty");
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
        assert_eq!(slot(b"foo{bar"), crc16(b"foo{bar") % SLOTS);
        assert_eq!(slot(b""), 0);
    }

    #[test]
    fn owners_are_learnt_and_change_one_by_one() {
        let response =
            Value::Array(vec![range(0, 5460, text("a"), 1), range(5461, 16_383, text("b"), 2)]);
        let mut slots = Slots::parse(&response, &via(), &|address| address).unwrap();
        let (a, b, c) = (Address::new("a", 1), Address::new("b", 2), Address::new("c", 3));
        assert_eq!(slots.masters(), [a.clone(), b.clone()]);
        let owners = |slots: &Slots| [0, 5460, 5461, 16_383].map(|slot| slots.owner(slot).cloned());
        assert_eq!(owners(&slots), [&a, &a, &b, &b].map(|owner| Some(owner.clone())));
        slots.set(5461, c.clone());
        assert_eq!(owners(&slots), [&a, &a, &c, &b].map(|owner| Some(owner.clone())));
        assert_eq!(Slots::default().owner(0), None);
    }

    #[test]
    fn server_that_leaves_its_address_out_is_that_of_the_connection() {
        for host in [Value::Null, text(""), text("?")] {
            let response = Value::Array(vec![range(1, 1, host, 7000)]);
            let slots =
                Slots::parse(&response, &via(), &|_| panic!("it is reachable already")).unwrap();
            assert_eq!((slots.owner(1), slots.owner(0)), (Some(&via()), None));
        }
    }

    #[test]
    fn addresses_are_translated() {
        let translate = |address: Address| Address::new("outside", address.port + 100);
        let response = Value::Array(vec![range(0, 1, text("10.0.0.1"), 1)]);
        let slots = Slots::parse(&response, &via(), &translate).unwrap();
        assert_eq!(slots.owner(1), Some(&Address::new("outside", 101)));
        let moved = Redirect::parse(&"MOVED 1 10.0.0.1:1".into(), &via(), &translate);
        assert_eq!(moved, Some(Redirect::Moved(Address::new("outside", 101))));
    }

    #[test]
    fn response_of_another_form_is_none() {
        let cases = [
            Value::Null,
            Value::Array(vec![Value::Null]),
            Value::Array(vec![range(0, 16_384, text("a"), 1)]),
            Value::Array(vec![range(2, 1, text("a"), 1)]),
            Value::Array(vec![range(-1, 1, text("a"), 1)]),
            Value::Array(vec![range(0, 1, text("a"), 70_000)]),
            Value::Array(vec![range(0, 1, text("a"), 1), Value::Oversized]),
        ];
        for case in cases {
            assert!(Slots::parse(&case, &via(), &|address| address).is_none(), "{case:?}");
        }
    }

    #[test]
    fn redirections_name_a_server() {
        let parse =
            |error: &'static str| Redirect::parse(&error.into(), &via(), &|address| address);
        let address = || Address::new("::1", 6381);
        assert_eq!(parse("MOVED 3999 ::1:6381"), Some(Redirect::Moved(address())));
        assert_eq!(parse("ASK 3999 ::1:6381"), Some(Redirect::Ask(address())));
        let own = Some(Redirect::Moved(Address::new("seed", 6381)));
        assert_eq!(
            (parse("MOVED 3999 :6381"), parse("MOVED 3999 ?:6381")),
            (own, { Some(Redirect::Moved(Address::new("seed", 6381))) })
        );
        for other in ["MOVED", "MOVED 1", "MOVED 1 a", "MOVED 1 a:b", "CLUSTERDOWN 1 a:1", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
