//! `state`: what a plugin remembers, as durable as its messages. The store behind it is the binding's (`plugin/state_store.rs`).

use crate::plugin::contract::state::{self, Refusal};
use crate::plugin::state_store::{self, StateStore};

impl state::Host for StateStore {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(StateStore::get(self, &key)?.map(Vec::from))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Refusal>> {
        Ok(StateStore::set(self, &key, value)?.map_err(|refusal| match refusal {
            state_store::Refusal::Full => Refusal::Full,
            state_store::Refusal::BadKey => Refusal::BadKey,
        }))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        Ok(StateStore::delete(self, &key)?)
    }

    fn keys(&mut self, prefix: String) -> wasmtime::Result<Vec<String>> {
        Ok(StateStore::keys(self, &prefix)?)
    }
}
