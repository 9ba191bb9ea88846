//! The identity of a delivery.

use std::fmt;
use std::str::FromStr;

/// One delivery of one item: whoever has this can say what became of it.
///
/// The item's number alone would not do. It is the same each time the item is delivered, and a client that was too
/// slow must not give back, or fail, what somebody else is working on by now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tag {
    pub item: u64,
    pub delivery: u64,
    /// Of the queue's life: after a restart of the hub the numbers begin anew.
    pub run: u32,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{:08x}", self.item, self.delivery, self.run)
    }
}

impl FromStr for Tag {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(());
        let (item, delivery, run) = (part()?, part()?, part()?);
        let tag = Self {
            item: item.parse().map_err(drop)?,
            delivery: delivery.parse().map_err(drop)?,
            run: u32::from_str_radix(run, 16).map_err(drop)?,
        };
        // Numbers can be written in more ways than one.
        (tag.to_string() == text).then_some(tag).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_was_written_and_in_no_other_way() {
        let tag = Tag { item: 17, delivery: u64::MAX, run: 0x5f };
        assert_eq!(tag.to_string(), "17.18446744073709551615.0000005f");
        assert_eq!(tag.to_string().parse(), Ok(tag));
        for text in [
            "",
            "17",
            "1.2",
            "1.2.5f",
            "01.2.0000005f",
            "+1.2.0000005f",
            "1.2.0000005F",
            "1.2.0000005f.",
            "-1.2.0000005f",
        ] {
            assert_eq!(text.parse::<Tag>(), Err(()), "{text}");
        }
    }
}
