//! `[access]`: rules and passwords hold at once, for those who are connected as well.

use super::Plan;
use crate::config::checked::Config;

pub fn compare(running: &Config, wanted: &Config, plan: &mut Plan) {
    let (old, new) = (&running.access, &wanted.access);
    let is_same = old.rules.are_like(&new.rules) && old.acl_file == new.acl_file;
    match is_same && old.denied_publish == new.denied_publish {
        true => plan.unchanged("access rules"),
        false => plan.now("access rules", how(old.rules.is_empty(), new.rules.is_empty())),
    }
    match (&old.passwords, &new.passwords) {
        (None, None) => {}
        (old, new) if old == new => plan.unchanged("access.passwords"),
        (_, None) => plan.now("access.passwords", "not asked for any more"),
        (None, Some(path)) => plan.now("access.passwords", format!("read from {}", path.display())),
        (Some(_), Some(path)) => {
            let how = "who is not in it, or has another password there, is sent away";
            plan.now("access.passwords", format!("another file, {}: {how}", path.display()));
        }
    }
}

fn how(were_none: bool, are_none: bool) -> &'static str {
    match (were_none, are_none) {
        (true, false) => "there were none: what no rule allows is denied from now on, also to who is connected",
        (false, true) => "there are none any more: who reaches an open listener may do everything",
        _ => "changed, also for who is connected",
    }
}
