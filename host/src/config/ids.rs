//! Which upstream, binding or plugin of the configuration is meant: an index inside, and a type of its own, so that none is taken
//! for another. What holds something for each of them is a slice in the order of the configuration.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub usize);

        impl $name {
            /// What one of `all` belongs to it.
            pub fn of<T>(self, all: &[T]) -> Option<&T> {
                all.get(self.0)
            }

            pub fn of_mut<T>(self, all: &mut [T]) -> Option<&mut T> {
                all.get_mut(self.0)
            }
        }
    )*};
}

ids! {
    /// Of `Config::upstreams`; the spool has further ones behind them, for what is no upstream.
    UpstreamId,
    /// Of `Config::bindings`.
    BindingId,
    /// Of `Config::plugins`.
    PluginId,
}
