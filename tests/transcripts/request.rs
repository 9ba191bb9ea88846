//! Requests and replies, taken apart.

use netq::pickle::{Pickled, Value, Walker};

/// `(ident, method, args, kwargs)`.
#[derive(Debug, PartialEq)]
pub struct Request {
    /// `None` for the server's own methods.
    pub ident: Option<String>,
    pub method: String,
    pub args: Vec<Value>,
    pub kwargs: Vec<(String, Value)>,
}

impl Request {
    pub fn parse(body: &[u8]) -> Self {
        let mut walker = Walker::new();
        let root = walker.walk(body).unwrap();
        let &[ident, method, args, kwargs] = walker.sequence(body, root).unwrap() else {
            panic!("a request has four parts");
        };
        let text = |span| walker.text(body, span).map(str::to_owned);
        let value = |&span| walker.decode_span(body, span).unwrap();
        Self {
            ident: text(ident),
            method: text(method).unwrap(),
            args: walker.sequence(body, args).unwrap().iter().map(value).collect(),
            kwargs: walker
                .pairs(body, kwargs)
                .unwrap()
                .chunks(2)
                .map(|pair| (text(pair[0]).unwrap(), value(&pair[1])))
                .collect(),
        }
    }

    /// What `put` puts, by position or by name.
    pub fn item(&self) -> Option<&Value> {
        let named = || self.kwargs.iter().find(|(name, _)| name == "item").map(|(_, value)| value);
        self.args.first().or_else(named)
    }
}

/// `(kind, result)`.
pub struct Reply {
    pub kind: String,
    pub result: Pickled,
}

impl Reply {
    pub fn parse(body: &[u8]) -> Self {
        let mut walker = Walker::new();
        let root = walker.walk(body).unwrap();
        let &[kind, result] = walker.sequence(body, root).unwrap() else { panic!("a reply has two parts") };
        Self {
            kind: walker.text(body, kind).unwrap().to_owned(),
            result: walker.extract(body, result).unwrap(),
        }
    }
}
