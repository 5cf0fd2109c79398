//! What came of many seeds, written where it is read: `docs/reliability.md`.

use std::path::Path;

use super::runner::Sum;
use crate::base::fault::Fault;

/// In the place of what is there between two marks.
pub fn write(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reliability.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name}: "), format!("<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    std::fs::write(&path, format!("{before}{begin}{mark}-->\n{text}{end}{after}")).unwrap();
}

pub fn of_seeds(sum: &Sum) -> String {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let failed = sum.failed.as_ref().map_or("none".to_owned(), |(seed, _)| format!("seed {seed}"));
    let rate = sum.seeds as f64 / sum.lasted.as_secs_f64();
    let mut text = format!(
        "{} seeds in {:.0} s on {cores} cores ({rate:.0} in a second), {} obligations, {:.1} days of their own time. Failed: {failed}.\n\n",
        sum.seeds,
        sum.lasted.as_secs_f64(),
        sum.obligations,
        sum.took.as_secs_f64() / 86_400.0
    );
    text += "| what happened | times |\n|---|---|\n";
    sum.happened.iter().for_each(|(what, times)| text += &format!("| {what} | {times} |\n"));
    text
}

pub fn of_faults(found: &[(Fault, Sum)]) -> String {
    let mut text = "| fault, put back | first seed | what it says |\n|---|---|---|\n".to_owned();
    for (fault, sum) in found {
        let (seed, says) = match &sum.failed {
            Some((seed, report)) => (seed.to_string(), shortened(&report.faults[0])),
            None => ("-".to_owned(), format!("not found in {}", sum.seeds)),
        };
        text += &format!("| `{fault:?}` | {seed} | {says} |\n");
    }
    text
}

fn shortened(says: &str) -> String {
    let line = says.lines().next().unwrap_or_default().replace('|', "/");
    line.chars().take(160).collect()
}
