//! Commands that a client gives the test server: text messages that begin with `!`.

use enginewire::Message;

/// What a message asks the server to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `!close`: close the session.
    Close,
    /// `!bye N`: send N texts, then close.
    Bye(u64),
    /// `!burst N`: send N texts.
    Burst(u64),
    /// `!bin N`: send N bytes in one message.
    Binary(usize),
    /// `!later MS TEXT`: send TEXT after MS milliseconds.
    Later(u64, String),
    /// `!ticks N MS`: send N texts, one every MS milliseconds.
    Ticks(u64, u64),
}

impl Command {
    /// Reads a command. `None` for everything else, which is echoed.
    pub fn parse(message: &str) -> Option<Self> {
        let (name, rest) = message.split_once(' ').unwrap_or((message, ""));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        Some(match name {
            "!close" if message == name => Self::Close,
            "!bye" => Self::Bye(number(rest)?),
            "!burst" => Self::Burst(number(rest)?),
            "!bin" => Self::Binary(usize::try_from(number(rest)?).ok()?),
            "!later" => {
                let (millis, text) = rest.split_once(' ')?;
                Self::Later(number(millis)?, text.into())
            }
            "!ticks" => {
                let (n, millis) = rest.split_once(' ')?;
                Self::Ticks(number(n)?, number(millis)?)
            }
            _ => return None,
        })
    }
}

/// `n` bytes: 0, 1, ... 255, 0, ...
pub fn counting_bytes(n: usize) -> Message {
    (0..=u8::MAX).cycle().take(n).collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(Command::parse("!close"), Some(Command::Close));
        assert_eq!(Command::parse("!bye 3"), Some(Command::Bye(3)));
        assert_eq!(Command::parse("!later 50 a b"), Some(Command::Later(50, "a b".into())));
        assert_eq!(Command::parse("!ticks 2 10"), Some(Command::Ticks(2, 10)));
    }

    #[test]
    fn everything_else_is_no_command() {
        for message in
            ["", "!", "!close now", "!bye", "!bye -1", "!bye +1", "!nothing 1", " !close"]
        {
            assert_eq!(Command::parse(message), None, "{message}");
        }
    }
}
