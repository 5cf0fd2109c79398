//! A plugin at work: one store, one guest, many calls.
//!
//! An instance lives long, because a plugin keeps state in it and starting one costs a hundred calls. Each call has a
//! deadline (`deadline`), a memory limit (`memory`), and a limit on what it may bring across (hostcall fuel: wasmtime counts
//! the bytes that leave the guest *before* it allocates for them).
//!
//! An answer has two levels. `Ok(Err(fault))` is about one message and the instance goes on. `Err(fault)` is about the
//! instance: it trapped, or its answer cannot be read. wasmtime does not let a trapped instance be entered again, and state
//! that was abandoned in the middle of a change is not worth entering: the caller drops it and starts another.

use std::time::Instant;

use wasmtime::{Store, UpdateDeadline};

use crate::base::clock;
use crate::config::PluginLimits;
use crate::message::Message;
use crate::plugin::Envelope;

use super::abi::{self, Allowance, Answer};
use super::columns::{self, Columns};
use super::component::{Component, Exports};
use super::contract::{batched, manifest, single, timer};
use super::deadline::Deadline;
use super::engine::Engine;
use super::faults::{CallBounds, CallResult, FailureKind, Fault, panic_message, panic_place};
use super::host_state::HostState;
use super::limits::{ANSWER_OVERHEAD, MAX_DETAIL_BYTES};
use super::text::printable;

pub struct Instance {
    guest: Guest,
    single: single::Guest,
    batched: Option<batched::Guest>,
    timer: Option<timer::Guest>,
    traits: Traits,
    limits: PluginLimits,
    columns: Columns,
}

/// What a plugin says about itself; one that says nothing has none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// It is handed deletes like any other message.
    pub takes_deletes: bool,
    /// No message may go around it.
    pub must_run: bool,
}

/// What every call goes through.
struct Guest {
    engine: Engine,
    store: Store<HostState>,
    /// Whether it may have seen a message.
    saw_messages: bool,
}

/// Why an instance did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The plugin's own words about its table of the configuration.
    #[error("does not accept its configuration: {0}")]
    Config(String),
    #[error("does not start: it {0}")]
    Fault(#[from] Fault),
    #[error("does not start any more: the gateway stops")]
    Stopping,
}

// === impl Instance ===

impl Instance {
    /// A fresh guest, configured and ready for its first message.
    pub fn start(
        component: &Component,
        state: HostState,
        limits: &PluginLimits,
        config: &str,
    ) -> Result<Self, StartError> {
        let mut guest = Guest::new(&component.engine, state);
        let exports = &component.exports;
        // One deadline over all of it: code of the guest runs from the instantiation on.
        let (deadline, bytes) = (limits.start_deadline, limits.max_output_bytes);
        let bounds = CallBounds { deadline, setting: "start_deadline", bytes };
        let (single, batched, timer, described) = guest.call(bounds, |mut store| {
            let instance = component.pre.instantiate(&mut store)?;
            let single = exports.single.load(&mut store, &instance)?;
            let batched = exports.batched.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
            let timer = exports.timer.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
            let lifecycle = exports.lifecycle.load(&mut store, &instance)?;
            let configured = lifecycle.call_configure(&mut store, config)?;
            let described = configured.map(|()| describe(exports, store, &instance));
            Ok((single, batched, timer, described))
        })?;
        let traits = described
            .map_err(|words| StartError::Config(printable(&words, MAX_DETAIL_BYTES)))?
            .map_err(|error| StartError::Fault(guest.fault(&error, bounds)))?;
        Ok(Self { guest, single, batched, timer, traits, limits: limits.clone(), columns: Columns::default() })
    }

    pub fn traits(&self) -> Traits {
        self.traits
    }

    pub fn is_batched(&self) -> bool {
        self.batched.is_some()
    }

    pub fn process_one(&mut self, envelope: &Envelope) -> Result<Answer, Fault> {
        let user = abi::user_pairs(&envelope.message);
        let message = abi::lower(&envelope.message, &user);
        let bounds = self.bounds(1);
        self.guest.origins([envelope]);
        let single = &self.single;
        let answer = self.guest.remembering(|guest| {
            let answer = guest.call(bounds, |store| single.call_process(store, message))?;
            Ok(Allowance::new(&self.limits).answer(answer))
        })?;
        Ok(answer)
    }

    /// What time makes of nothing; none, when the plugin exports no `timer`.
    pub fn tick(&mut self, now_ms: u64) -> CallResult<Vec<Message>> {
        let Some(timer) = &self.timer else { return Ok(Ok(Vec::new())) };
        let (bounds, limits) = (self.bounds(1), &self.limits);
        self.guest.origins([]);
        self.guest.store.data().world.set_time(now_ms);
        self.guest.remembering(|guest| {
            let messages = guest.call(bounds, |store| timer.call_tick(store, now_ms))?;
            Ok(messages
                .map_err(|failure| abi::refused(&failure))
                .and_then(|messages| Allowance::new(limits).messages(messages)))
        })
    }

    /// One verdict for each. The deadline is that of one call: a batch that needs longer is for the caller to split.
    pub fn process_batch(&mut self, batch: &[Envelope]) -> Result<Vec<Answer>, Fault> {
        // The columns have no place for properties, and they must not be lost on the way.
        let plain = batch.iter().all(|envelope| envelope.message.properties.is_none());
        let Some(batched) = self.batched.as_ref().filter(|_| plain) else {
            return batch.iter().map(|envelope| self.process_one(envelope)).collect();
        };
        self.columns.fill(batch)?;
        let (columns, bounds) = (self.columns.lower(), self.bounds(batch.len()));
        self.guest.origins(batch);
        let result = self.guest.call(bounds, |store| batched.call_process_batch(store, columns))?;
        columns::read(result, batch.len(), &mut Allowance::new(&self.limits))
    }

    /// The bytes that may cross in one call are those of the answer and, for each message that it may have, a record. The exact
    /// limits are held afterwards; this one is there so that the host never allocates for a flood.
    fn bounds(&self, messages: usize) -> CallBounds {
        let limits = &self.limits;
        let records = messages.saturating_mul(limits.max_outputs.max(1)).saturating_mul(ANSWER_OVERHEAD);
        let bytes = limits.max_output_bytes.max(limits.state).saturating_add(records);
        CallBounds { deadline: limits.deadline, setting: "deadline", bytes }
    }
}

// === impl Guest ===

impl Guest {
    fn new(engine: &Engine, state: HostState) -> Self {
        let mut store = Store::new(engine.wasmtime(), state);
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(|mut store| {
            let ticks = store.data_mut().deadline.ask(clock::thread_cpu_time(), Instant::now());
            Ok(ticks.map_or(UpdateDeadline::Interrupt, UpdateDeadline::Continue))
        });
        Self { engine: engine.clone(), store, saw_messages: false }
    }

    fn origins<'a>(&mut self, batch: impl IntoIterator<Item = &'a Envelope>) {
        self.saw_messages = true;
        self.store.data_mut().origins.set(batch.into_iter().map(|envelope| &envelope.origin));
        let state = self.store.data();
        if let Some(arrived) = state.origins.last_arrival() {
            state.world.set_time(arrived);
        }
    }

    /// A call whose changes of state are kept when it succeeds, and leave no trace when it does not.
    fn remembering<R>(&mut self, call: impl FnOnce(&mut Self) -> CallResult<R>) -> CallResult<R> {
        let store = self.store.data().store.clone();
        store.open();
        let result = call(self);
        let closed = store.close(matches!(result, Ok(Ok(_))));
        // Time makes room: it is tried again as the binding says.
        let transient = FailureKind::Refused { transient: true };
        closed.map_or_else(|error| Ok(Err(Fault::new(transient, &error.to_string()))), |()| result)
    }

    fn call<R>(
        &mut self,
        bounds: CallBounds,
        call: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        self.store.data_mut().deadline.begin(bounds.deadline);
        self.store.set_epoch_deadline(Deadline::FIRST);
        self.store.set_hostcall_fuel(bounds.bytes);
        let ticking = self.engine.ticker().hold();
        let result = call(&mut self.store);
        drop(ticking);
        result.map_err(|error| self.fault(&error, bounds))
    }

    fn fault(&self, error: &wasmtime::Error, bounds: CallBounds) -> Fault {
        let last_words = self.store.data().world.last_words();
        // With the guest's backtrace and what it said, for its author, who asks for it.
        tracing::debug!("a call into a plugin ended: {error:?}\nit said: {}", printable(&last_words, MAX_DETAIL_BYTES));
        match self.saw_messages {
            true => Fault::of_call(error, bounds, panic_place(&last_words)),
            false => Fault::of_call(error, bounds, panic_message(&last_words)),
        }
    }
}

fn describe(
    exports: &Exports,
    mut store: &mut Store<HostState>,
    instance: &wasmtime::component::Instance,
) -> wasmtime::Result<Traits> {
    let Some(indices) = &exports.manifest else { return Ok(Traits::default()) };
    let manifest = indices.load(&mut store, instance)?;
    let manifest::Traits { takes_deletes, must_run } = manifest.call_describe(&mut store)?;
    Ok(Traits { takes_deletes, must_run })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Grants, Plugin};
    use crate::message::{Message, Origin, Properties, QoS};
    use crate::plugin::epoch::TICK;
    use crate::plugin::fixtures::{engine, load, plugin, trust, vices};
    use crate::plugin::{FailureKind, LoadedPlugin, Verdict};
    use crate::topic::TopicName;
    use std::sync::Arc;

    fn envelope(payload: &str) -> Envelope {
        let message = Message::new(TopicName::parse("t").unwrap(), payload.to_owned(), QoS::ExactlyOnce);
        let origin = Origin {
            client: format!("client of {payload}").into(),
            arrived_ms: 7,
            hops: 0,
            principal: None,
            source: None,
            trace: None,
        };
        Envelope { message, origin: Arc::new(origin) }
    }

    fn batch(payloads: &[&str]) -> Vec<Envelope> {
        payloads.iter().map(|payload| envelope(payload)).collect()
    }

    fn replaced(payload: &str) -> Answer {
        Ok(Verdict::Replace(payload.to_owned().into()))
    }

    /// The end of the instance by one message.
    fn end(payload: &str) -> Fault {
        load("{}").start().unwrap().process_one(&envelope(payload)).expect_err(payload)
    }

    #[test]
    fn each_verdict_comes_back_alone_and_in_a_batch() {
        let cases = ["x", "drop", "count", "client", "two", "refuse", "transient"];
        let mut alone = load("{}").start().unwrap();
        let alone: Vec<_> = batch(&cases).iter().map(|envelope| alone.process_one(envelope).unwrap()).collect();
        let together = load("{}").start().unwrap().process_batch(&batch(&cases)).unwrap();
        assert_eq!(alone, together);

        let part = |topic| Message::new(TopicName::parse(topic).unwrap(), "two", QoS::ExactlyOnce);
        let refused = |transient, detail| Err(Fault::new(FailureKind::Refused { transient }, detail));
        let expected = [
            Ok(Verdict::Forward),
            Ok(Verdict::Drop),
            replaced("3"),
            replaced("client of client"),
            Ok(Verdict::Emit(vec![part("a"), part("b")])),
            refused(false, "I do not like this\n"),
            refused(true, "not now"),
        ];
        assert_eq!(together, expected);
    }

    #[test]
    fn what_the_sdk_makes_takes_deletes_and_need_not_run() {
        assert_eq!(load("{}").start().unwrap().traits(), Traits { takes_deletes: true, must_run: false });
    }

    #[test]
    fn properties_survive_the_crossing() {
        let mut input = envelope("two");
        let properties = Properties {
            payload_is_utf8: Some(true),
            expiry: Some(9),
            content_type: Some("text/plain".into()),
            response_topic: Some("re".into()),
            correlation_data: Some(vec![0, 255].into()),
            user: vec![("n".into(), "1".into()), ("n".into(), "2".into())],
        };
        input.message.properties = Some(Arc::new(properties));
        let answer = load("{}").start().unwrap().process_one(&input).unwrap();
        let Ok(Verdict::Emit(outputs)) = answer else { panic!("{answer:?}") };
        assert!(outputs.iter().all(|output| output.properties == input.message.properties));
    }

    #[test]
    fn each_way_to_break_an_instance_has_its_kind_and_its_words() {
        let cases = [
            ("trap", FailureKind::Trapped, "unreachable"),
            ("panic", FailureKind::Trapped, "src/lib.rs"),
            ("exit", FailureKind::Trapped, "exit"),
            ("sleep", FailureKind::Trapped, "must not sleep"),
            ("chatter", FailureKind::Deadline, "no answer within 200ms (`limits.deadline`)"),
            ("wait", FailureKind::Deadline, "no answer within 200ms"),
            ("hoard", FailureKind::Memory, "limit of 16777216 bytes (`limits.memory`)"),
            ("garbled", FailureKind::Invalid, "utf-8"),
            ("recurse", FailureKind::Trapped, "stack"),
            ("memory", FailureKind::Memory, "limit of 16777216 bytes"),
            ("loop", FailureKind::Deadline, "no answer within 200ms"),
            ("flood", FailureKind::Invalid, "raise `limits.max_output_bytes`"),
            ("bulk", FailureKind::Invalid, "raise `limits.max_output_bytes`"),
        ];
        for (vice, kind, words) in cases {
            let fault = end(vice);
            assert_eq!(fault.kind, kind, "{vice}: {fault}");
            assert!(fault.detail.contains(words), "{vice}: {fault}");
            assert!(!fault.detail.contains("thirteen"), "what a panic says may have values of the payload: {fault}");
        }
    }

    #[test]
    fn a_bad_output_is_its_messages_failure_and_not_the_instances() {
        let mut instance = load("{}").start().unwrap();
        let mut answers = instance.process_batch(&batch(&["count", "topic", "count", "forge", "item"])).unwrap();
        assert!(answers[4].as_ref().is_err_and(|fault| fault.detail.contains("524288 bytes, its limit is 262144")));
        assert!(answers[3].as_ref().is_err_and(|fault| fault.detail.contains("only the gateway publishes there")));
        assert_eq!(answers.remove(2), replaced("3"));
        let fault = answers.remove(1).unwrap_err();
        assert_eq!(fault.kind, FailureKind::Invalid);
        assert!(fault.detail.contains("a topic name must not contain the wildcard `#`"), "{fault}");
        assert!(!fault.detail.contains("not/a"), "a plugin makes topics of payloads: {fault}");
    }

    #[test]
    fn a_guest_sees_nothing_of_the_machine_and_no_time() {
        let answer = load("{}").start().unwrap().process_one(&envelope("world")).unwrap();
        assert_eq!(answer, replaced(r#"["7"]"#), "the message arrived at 7 ms");
    }

    #[test]
    fn a_guest_that_is_granted_a_clock_sees_it_run() {
        let granted = Plugin { grants: Grants { clock: true, random: false }, ..plugin(vices(), "{}") };
        let plugin = LoadedPlugin::load(&engine(), &trust(), &granted).unwrap();
        let answer = plugin.start().unwrap().process_one(&envelope("world")).unwrap();
        let Ok(Verdict::Replace(seen)) = answer else { panic!("{answer:?}") };
        let seen = String::from_utf8(seen.to_vec()).unwrap();
        assert!(seen.contains("timer") && !seen.contains(r#""7""#), "{seen}");
    }

    #[test]
    fn a_loop_is_stopped_within_its_deadline_and_two_ticks() {
        let plugin = load("{}");
        // The best of many: a tick is a sleep of a millisecond, and therefore longer; on a busy machine, much longer.
        let within = (0..20).any(|_| time_of_a_loop(&plugin).0 <= plugin.limits().deadline + 3 * TICK);
        assert!(within);
    }

    /// Of the processor, until it is stopped, and by the clock on the wall.
    fn time_of_a_loop(plugin: &LoadedPlugin) -> (Duration, Duration) {
        let mut instance = plugin.start().unwrap();
        let (before, begun) = (clock::thread_cpu_time(), std::time::Instant::now());
        instance.process_one(&envelope("loop")).unwrap_err();
        (clock::thread_cpu_time() - before, begun.elapsed())
    }

    #[test]
    fn a_guest_is_ended_for_the_time_that_it_used_and_not_for_the_time_that_it_waited() {
        let plugin = load("{}");
        // Many times as many as there are processors: most of them wait for one.
        let many = 4 * std::thread::available_parallelism().unwrap().get();
        std::thread::scope(|scope| {
            let guests: Vec<_> = (0..many).map(|_| scope.spawn(|| time_of_a_loop(&plugin))).collect();
            for guest in guests {
                // The rest of this machine may be so busy that it waits ten times as long, and then it is ended for that.
                let ((used, waited), deadline) = (guest.join().unwrap(), plugin.limits().deadline);
                assert!(used >= deadline || waited >= 10 * deadline, "{used:?} in {waited:?}");
            }
        });
    }

    #[test]
    fn a_guest_that_logs_without_end_is_not_heard_without_end_and_goes_on() {
        let mut instance = load("{}").start().unwrap();
        assert_eq!(instance.process_one(&envelope("log")).unwrap(), Ok(Verdict::Forward));
    }

    #[test]
    fn a_start_that_fails_says_whether_the_configuration_or_the_plugin_is_to_blame() {
        let start = |config: &str| load(config).start().err().expect(config);
        let refused = start(r#"{"start": "refuse"}"#);
        assert!(matches!(&refused, StartError::Config(words) if words.contains("must not be `refuse`")), "{refused}");
        let unknown = start(r#"{"strat": ""}"#);
        assert!(matches!(&unknown, StartError::Config(words) if words.contains("strat")), "{unknown}");
        let panicked = start(r#"{"start": "panic"}"#);
        assert!(panicked.to_string().contains("no start today"), "{panicked}");
        let StartError::Fault(hung) = start(r#"{"start": "loop"}"#) else { panic!("a loop is a fault") };
        assert_eq!(hung.kind, FailureKind::Deadline);
    }
}
