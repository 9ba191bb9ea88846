//! Objects that are made of closures.

use std::fmt;

use crate::message::{Call, Exception};
use crate::shared::{Answer, Shared};

/// A method.
type Method = Box<dyn Fn(Call<'_>) -> Result<Answer, Exception> + Send + Sync>;

/// An object whose methods are closures, with names that may be made when the program runs.
///
/// Each name is kept for the life of the process. A name that Python cannot call, or the same name twice, is refused by
/// the manager that this is registered with, when it starts.
///
/// ```
/// use netq::{BaseManager, Methods};
///
/// let mut limits = Methods::new();
/// for (kind, rate) in [("image", 5), ("page", 20)] {
///     limits = limits.with(format!("{kind}_rate"), move |_| Ok(rate.into()));
/// }
/// let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
/// hub.register("limits", limits);
/// hub.start()?;
/// // In Python: m.limits().page_rate()
/// assert_eq!(hub.proxy("limits", &[])?.call("page_rate", &[])?, 20.into());
/// # Ok::<(), netq::Error>(())
/// ```
#[derive(Default)]
pub struct Methods {
    names: Vec<&'static str>,
    methods: Vec<Method>,
}

impl Methods {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A function: in Python, the proxy itself can be called. The method's name is `__call__`.
    ///
    /// ```
    /// use netq::{BaseManager, Methods};
    ///
    /// let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
    /// hub.register("add", Methods::function(|call| {
    ///     let ([a, b], []) = call.parameters(["a", "b"], [])?;
    ///     Ok((call.get::<f64>(a)? + call.get::<f64>(b)?).into())
    /// }));
    /// hub.start()?;
    /// // In Python: add = m.add(); add(1, b=2)
    /// assert_eq!(hub.proxy("add", &[])?.call("__call__", &[1.into(), 2.into()])?, 3.0.into());
    /// # Ok::<(), netq::Error>(())
    /// ```
    pub fn function<F>(function: F) -> Self
    where
        F: Fn(Call<'_>) -> Result<Answer, Exception> + Send + Sync + 'static,
    {
        Self::new().with("__call__", function)
    }

    /// One method more.
    #[must_use]
    pub fn with<F>(mut self, name: impl Into<String>, method: F) -> Self
    where
        F: Fn(Call<'_>) -> Result<Answer, Exception> + Send + Sync + 'static,
    {
        // A call has its method's name, and may hand it on.
        self.names.push(Box::leak(name.into().into_boxed_str()));
        self.methods.push(Box::new(method));
        self
    }
}

impl Shared for Methods {
    fn exposed(&self) -> &[&'static str] {
        &self.names
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
        match self.names.iter().position(|&name| name == call.method()) {
            Some(at) => self.methods[at](call),
            None => Err(call.unknown_method()),
        }
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Methods").field(&self.names).finish()
    }
}
