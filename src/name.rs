//! Names that Python programs can call.

/// The words that Python keeps for itself.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// What a Python `BaseManager` has already: what is registered by such a name would replace it in the clients' class.
const MANAGER: [&str; 7] = ["address", "connect", "get_server", "join", "register", "shutdown", "start"];

/// Why a method cannot have this name.
pub(crate) fn method_fault(name: &str) -> Option<String> {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
    if !starts || !chars.all(|c| c == '_' || c.is_alphanumeric()) {
        return Some(format!(
            "'{name}' cannot be a method's name in Python: use letters, digits and _, and no digit first"
        ));
    }
    KEYWORDS.contains(&name).then(|| format!("'{name}' is a keyword of Python: choose another name"))
}

/// Why nothing can be registered by this name.
pub fn typeid_fault(name: &str) -> Option<String> {
    let taken = || format!("'{name}' is a method of Python's managers: choose another name");
    method_fault(name).or_else(|| MANAGER.contains(&name).then(taken))
}

/// Why an object cannot have these methods.
pub(crate) fn exposed_fault(names: &[&str]) -> Option<String> {
    let twice =
        |at: usize| names[..at].contains(&names[at]).then(|| format!("'{}' is there twice", names[at]));
    (0..names.len()).find_map(|at| method_fault(names[at]).or_else(|| twice(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_python_takes_for_names() {
        for good in ["get_task_queue", "__getitem__", "_", "größe", "x1"] {
            assert_eq!(typeid_fault(good), None);
        }
        for bad in ["", "1x", "a-b", "a b", "a.b", "lambda", "connect"] {
            assert!(typeid_fault(bad).unwrap().starts_with(&format!("'{bad}' ")));
        }
        assert_eq!(exposed_fault(&["connect", "get"]), None);
        assert_eq!(exposed_fault(&["get", "put", "get"]).unwrap(), "'get' is there twice");
        assert!(exposed_fault(&["get", "put it"]).unwrap().contains("'put it'"));
    }
}
