use std::time::Duration;

use super::*;
use crate::cli::demo::series::recorded;
use crate::message::QoS;

const HOURS: usize = 50;

fn plan() -> Plan {
    Plan::of(&recorded(HOURS).unwrap())
}

/// What a perfect pipeline delivers: rounded as the conversion rounds, device after device.
fn perfect(plan: &Plan) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    for (device, spec) in plan.devices.iter().enumerate() {
        for (n, planned) in spec.messages.iter().enumerate() {
            let Some(expected) = planned.expected else { continue };
            let value =
                Some(if spec.name.ends_with("temperature") { (expected * 10.0).round() / 10.0 } else { expected });
            let latency = Duration::from_millis(1);
            arrivals.push(Arrival { device, n, qos: spec.qos, said_qos: spec.qos as u8, value, latency });
        }
    }
    arrivals
}

fn counts(plan: &Plan) -> Counts {
    let (sent, forwarded) = (plan.sent(), plan.to_forward());
    Counts { completed: sent, received: sent, filtered: sent - forwarded, forwarded }
}

fn failed(evidence: &Evidence<'_>) -> Vec<&'static str> {
    judge(evidence).into_iter().filter(|check| !check.passed).map(|check| check.name).collect()
}

#[test]
fn a_perfect_run_passes_every_check() {
    let plan = plan();
    let arrivals = perfect(&plan);
    let evidence = Evidence { plan: &plan, arrivals: &arrivals, strays: &[], counts: counts(&plan), incident: None };
    assert_eq!(failed(&evidence), Vec::<&str>::new());
    assert!(arrivals.len() > HOURS);
}

#[test]
fn each_fault_fails_its_own_check() {
    let plan = plan();
    let filtered = plan.devices[0].messages.iter().position(|planned| planned.expected.is_none()).unwrap();
    let after = |arrivals: &[Arrival]| arrivals.iter().position(|arrival| arrival.n > filtered).unwrap();
    type Spoil<'a> = Box<dyn Fn(&mut Vec<Arrival>) + 'a>;
    let cases: Vec<(&str, Spoil<'_>)> = vec![
        ("0 lost", Box::new(|arrivals| arrivals.retain(|arrival| *arrival != perfect(&plan)[3]))),
        ("0 duplicated", Box::new(|arrivals| arrivals.insert(3, arrivals[3]))),
        (
            "0 arrived that had to be filtered",
            Box::new(|arrivals| arrivals.insert(after(arrivals), Arrival { n: filtered, ..arrivals[0] })),
        ),
        ("every message kept its QoS", Box::new(|arrivals| arrivals[3].qos = QoS::ExactlyOnce)),
        ("every message kept its QoS", Box::new(|arrivals| arrivals[3].said_qos = 1)),
        ("every device's order was kept", Box::new(|arrivals| arrivals.swap(3, 4))),
        ("every value is right", Box::new(|arrivals| arrivals[3].value = arrivals[3].value.map(|value| value + 0.2))),
        ("every value is right", Box::new(|arrivals| arrivals[3].value = None)),
    ];
    for (check, spoil) in cases {
        let mut arrivals = perfect(&plan);
        spoil(&mut arrivals);
        let evidence =
            Evidence { plan: &plan, arrivals: &arrivals, strays: &[], counts: counts(&plan), incident: None };
        assert_eq!(failed(&evidence), [check]);
    }
}

#[test]
fn counters_that_do_not_add_up_fail() {
    let plan = plan();
    let arrivals = perfect(&plan);
    let good = counts(&plan);
    let cases = [
        ("all was sent and acknowledged", Counts { completed: good.completed - 1, ..good }),
        ("received = forwarded + filtered", Counts { filtered: good.filtered - 1, ..good }),
        ("received = forwarded + filtered", Counts { received: 0, filtered: 0, forwarded: 0, ..good }),
    ];
    for (check, counts) in cases {
        let evidence = Evidence { plan: &plan, arrivals: &arrivals, strays: &[], counts, incident: None };
        assert_eq!(failed(&evidence), [check]);
    }
}

#[test]
fn a_run_that_ended_early_fails_with_its_reason() {
    let plan = plan();
    let arrivals = perfect(&plan);
    let incident = Some("nothing moved".to_owned());
    let evidence = Evidence { plan: &plan, arrivals: &arrivals, strays: &[], counts: counts(&plan), incident };
    let checks = judge(&evidence);
    assert_eq!((checks[0].passed, checks[0].detail.as_str()), (false, "nothing moved"));
}

#[test]
fn a_message_of_nobody_fails() {
    let plan = plan();
    let arrivals = perfect(&plan);
    let strays = ["[sites/x] y".to_owned()];
    let evidence =
        Evidence { plan: &plan, arrivals: &arrivals, strays: &strays, counts: counts(&plan), incident: None };
    assert_eq!(failed(&evidence), ["0 arrived that had to be filtered"]);
}
