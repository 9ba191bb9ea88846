//! Where a Redis is: `redis://[user:password@]host[:port][/db]`.

/// A Redis, and who we are there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Address {
    /// `host:port`.
    pub host: String,
    pub user: String,
    pub password: String,
    pub db: u32,
}

impl Address {
    /// Reads an address, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("redis://").ok_or(match text.starts_with("rediss:") {
            true => "netq speaks no TLS: give redis://, and put a tunnel between",
            false => "give redis://[user:password@]host[:port][/db]",
        })?;
        let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None if login.is_empty() => Default::default(),
            None => return Err("a user without a password: give user:password@, or :password@".into()),
        };
        let (host, db) = place.split_once('/').unwrap_or((place, ""));
        let db = match db {
            "" => 0,
            db => db.parse().map_err(|_| format!("'{db}' is not the number of a database"))?,
        };
        // An IPv6 address has colons of its own, and brackets around them.
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, "6379"),
        };
        let bare_ipv6 = name.contains(':') && !name.starts_with('[');
        if name.is_empty() || bare_ipv6 || port.parse::<u16>().is_err() {
            return Err(format!("'{host}' is not host:port, such as 127.0.0.1:6379 or [::1]:6379"));
        }
        Ok(Self { host: format!("{name}:{port}"), user, password, db })
    }

    /// For people: without the password.
    pub(super) fn name(&self) -> String {
        format!("redis://{}/{}", self.host, self.db)
    }
}

/// A text in which `%3a` stands for `:`, and so on.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.split_at_checked(2).and_then(|(digits, behind)| {
            rest = behind;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        });
        bytes.push(digits.ok_or("a % in the user or the password is written %25")?);
    }
    String::from_utf8(bytes).map_err(|_| "the user and the password are UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_filled_in() {
        let parts = |text: &str| {
            let Address { host, user, password, db } = Address::parse(text).unwrap();
            (host, user, password, db)
        };
        let expected =
            |host: &str, user: &str, password: &str, db| (host.into(), user.into(), password.into(), db);
        assert_eq!(parts("redis://a"), expected("a:6379", "", "", 0));
        assert_eq!(parts("redis://a:1/"), expected("a:1", "", "", 0));
        assert_eq!(parts("redis://:p@[::1]/3"), expected("[::1]:6379", "", "p", 3));
        assert_eq!(parts("redis://u:p%40%3a%25@[::1]:9"), expected("[::1]:9", "u", "p@:%", 0));
        assert_eq!(parts("redis://u:a@b@c/1"), expected("c:6379", "u", "a@b", 1));
    }

    #[test]
    fn the_name_does_not_tell_the_password() {
        assert_eq!(Address::parse("redis://u:secret@h/2").unwrap().name(), "redis://h:6379/2");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, why) in [
            ("rediss://a", "no TLS"),
            ("http://a", "give redis://"),
            ("redis://", "is not host:port"),
            ("redis://a:b", "is not host:port"),
            ("redis://::1", "is not host:port"),
            ("redis://a/x", "not the number of a database"),
            ("redis://u@a", "without a password"),
            ("redis://:%4@a", "%25"),
            ("redis://:%ff@a", "UTF-8"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
