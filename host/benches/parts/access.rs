//! What access rules cost a message, with ten of them and with a thousand. A device publishes to a few topics, whose answers its permit has at
//! hand; what is new to it is looked for. A message costs this once where it comes from, and once for each who may receive it.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use tidegate::access::{
    Access, AclFile, Entry, Glob, Grant, Identity, Layer, Pattern, Permit, Place, Places, Policy, Rule, Rules, Who,
};
use tidegate::topic::TopicName;

use crate::shared::messages::BATCH;

/// As many as a permit has at hand.
const AT_HAND: usize = 4;

/// Of which each is new to the permit when its turn comes again.
const NEW: usize = 64;

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("access");
    group.throughput(Throughput::Elements(BATCH as u64));
    for count in [10, 1_000] {
        for (kind, rules) in [("ACL file", acl_file(count)), ("rules", toml(count))] {
            for (topics, names) in [("topics at hand", names(AT_HAND)), ("new topics", names(NEW))] {
                let mut permit = permit(rules.clone());
                let id = BenchmarkId::new(format!("{kind}, {topics}"), count);
                group.bench_function(id, |bencher| bencher.iter(|| ask(&mut permit, &names)));
            }
        }
    }
    group.finish();
}

/// Once for each message of a batch.
fn ask(permit: &mut Permit, names: &[TopicName]) {
    for name in names.iter().cycle().take(BATCH) {
        assert!(black_box(permit.may_publish(black_box(name))));
    }
}

fn permit(rules: Rules) -> Permit {
    let access = Arc::new(Access::new(Policy { rules: Arc::new(rules), ..Policy::default() }));
    access.permit(Identity { user: Some("device-7".into()), client: "device-7".into(), listener: "plant".into() })
}

fn names(count: usize) -> Vec<TopicName> {
    (0..count).map(|number| TopicName::parse(&format!("plant/device-7/line/{number}")).expect("a topic")).collect()
}

/// The lines of one user, and a pattern that decides behind them.
fn acl_file(count: usize) -> Rules {
    let lines: String = (1..count).map(|number| format!("topic read plant/device-{}/line/#\n", number + 7)).collect();
    let text = format!("user device-7\n{lines}pattern write plant/%u/#\n");
    let acl = AclFile::parse(&text, &"acl".into()).expect("lines as mosquitto has them");
    Rules { acl: Some(acl), ..Rules::default() }
}

/// One for each kind of device; the last one fits.
fn toml(count: usize) -> Rules {
    let who = |number: usize| Who { user: Some(Glob::new(&format!("kind-{number}-*"))), ..Who::default() };
    let others = (1..count).map(|number| rule(who(number)));
    Rules { rules: others.chain([rule(Who::default())]).collect(), acl: None }
}

fn rule(who: Who) -> Rule {
    let place = Place { file: "gateway.toml".into(), line: 1 };
    let pattern = Pattern::parse("plant/{user}/#", Places::Braces).expect("a pattern");
    let entry = Entry { pattern, grant: Grant::Publish, place: place.clone(), text: "publish".into() };
    Rule { who, place, layer: Arc::new(Layer::new(vec![entry])) }
}
