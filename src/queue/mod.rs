//! A bounded queue with the semantics of Python's `queue.Queue`.
