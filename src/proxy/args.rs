//! Arguments of a call, by position.

use crate::pickle::Value;

/// Positional arguments: a tuple of up to six of what a [`Value`] can be made of; or values, in an array, a slice or a
/// `Vec`, of which those that are borrowed are not copied.
///
/// ```
/// # use netq::{BaseManager, Error, Methods};
/// # let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
/// # hub.register("add", Methods::new().with("add", |call| {
/// #     let ([a, b], []) = call.parameters(["a", "b"], [])?;
/// #     Ok((call.get::<i64>(a)? + call.get::<i64>(b)?).into())
/// # }));
/// # hub.start()?;
/// # let adder = hub.proxy("add", ())?;
/// let sum = adder.call("add", (1, 2))?;
/// assert_eq!(adder.call("add", &[sum, 3.into()])?, 6.into());
/// # Ok::<(), Error>(())
/// ```
pub trait Args {
    /// The values, or a reference to them.
    type List: AsRef<[Value]>;

    /// Makes them values, where they are none.
    fn into_args(self) -> Self::List;
}

impl<'a> Args for &'a [Value] {
    type List = &'a [Value];
    fn into_args(self) -> &'a [Value] {
        self
    }
}

impl<'a, const N: usize> Args for &'a [Value; N] {
    type List = &'a [Value];
    fn into_args(self) -> &'a [Value] {
        self
    }
}

impl<const N: usize> Args for [Value; N] {
    type List = Self;
    fn into_args(self) -> Self {
        self
    }
}

impl Args for Vec<Value> {
    type List = Self;
    fn into_args(self) -> Self {
        self
    }
}

impl<'a> Args for &'a Vec<Value> {
    type List = &'a [Value];
    fn into_args(self) -> &'a [Value] {
        self
    }
}

/// None.
impl Args for () {
    type List = [Value; 0];
    fn into_args(self) -> [Value; 0] {
        []
    }
}

macro_rules! tuples {
    ($($count:literal: $($name:ident)*;)*) => {$(
        impl<$($name: Into<Value>),*> Args for ($($name,)*) {
            type List = [Value; $count];

            #[allow(non_snake_case, reason = "each is named after its type")]
            fn into_args(self) -> [Value; $count] {
                let ($($name,)*) = self;
                [$($name.into()),*]
            }
        }
    )*};
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
}
