//! A problem is a sentence, a place, and what to do next.
//!
//! Drawn the way `rustc` draws its own, because that is how carets have been read for years: the sentence as title, the
//! line with the place underlined, the advice as `help`.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::covered::covered;
use super::place;
use crate::base::plain::{line, plain};

/// Everything that is wrong or doubtful in one file, with the text that it is about.
#[derive(Clone, Default, thiserror::Error)]
pub struct Problems {
    file: String,
    text: String,
    list: Vec<Problem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// Bytes of the file; `None` when the file could not be read at all.
    pub span: Option<Range<usize>>,
    pub sentence: String,
    pub advice: Option<String>,
    /// Another place that explains this one, and how: "first used here".
    pub also: Option<(Range<usize>, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing starts with this file.
    Error,
    /// It works, but probably not as it was meant.
    Warning,
}

// === impl Problem ===

impl Problem {
    pub fn error(span: Range<usize>, sentence: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span: Some(span), sentence: sentence.into(), advice: None, also: None }
    }

    pub fn warning(span: Range<usize>, sentence: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, sentence) }
    }

    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.also = Some((span, label.into()));
        self
    }
}

// === impl Problems ===

impl Problems {
    pub fn new(file: impl Into<String>, text: impl Into<String>, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        Self { file: file.into(), text: covered(&text.into()), list }
    }

    /// The file itself could not be read.
    pub fn unreadable(file: impl Into<String>, reason: &std::io::Error) -> Self {
        let file = file.into();
        let sentence = format!("cannot read the configuration `{file}`: {reason}");
        let advice = "name the file with `-c FILE`".to_owned();
        let problem = Problem { severity: Severity::Error, span: None, sentence, advice: Some(advice), also: None };
        Self { file, text: String::new(), list: vec![problem] }
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where the value stands to which these keys lead, or the last of them that is there.
    pub fn place<S: AsRef<str>>(&self, keys: &[S]) -> Option<Range<usize>> {
        place::find(&self.text, keys)
    }

    /// Others of the same file.
    pub fn with(&self, list: Vec<Problem>) -> Self {
        Self::new(self.file.clone(), self.text.clone(), list)
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|problem| problem.severity == severity).count()
    }

    /// `2 errors, 1 warning`
    pub fn summary(&self) -> String {
        let count = |severity, word: &str| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {word}")),
            more => Some(format!("{more} {word}s")),
        };
        let parts = [count(Severity::Error, "error"), count(Severity::Warning, "warning")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Line and column where a problem begins, both counted from 1, columns in characters.
    pub fn position(&self, problem: &Problem) -> Option<(usize, usize)> {
        let before = self.text.get(..problem.span.as_ref()?.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
    }

    /// Those of one kind, a line each: for who has no room for carets.
    pub fn in_lines(&self, severity: Severity) -> Vec<String> {
        let line = |problem: &Problem| {
            let place = self.position(problem).map_or(String::new(), |(line, column)| format!("{line}:{column}: "));
            let advice = problem.advice.as_ref().map_or(String::new(), |advice| format!("; {advice}"));
            format!("{}:{place}{}{advice}", self.file, problem.sentence).replace(":cannot read", ": cannot read")
        };
        self.iter().filter(|problem| problem.severity == severity).map(line).collect()
    }

    /// All problems with carets; `styled` adds terminal colours.
    ///
    /// With colours no control character can be told from ours afterwards: what the file and its name have is written by number before.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let visible = self.visible();
        let drawn: Vec<String> = visible.list.iter().map(|problem| visible.draw(problem, &renderer)).collect();
        drawn.join("\n\n")
    }

    /// The same without control characters, and the places where they are then.
    fn visible(&self) -> Self {
        let at = |offset: usize| self.text.get(..offset).map_or(usize::MAX, |before| shown(before).len());
        let place = |span: &Range<usize>| at(span.start)..at(span.end);
        let problem = |problem: &Problem| Problem {
            severity: problem.severity,
            span: problem.span.as_ref().map(place),
            sentence: line(&problem.sentence),
            advice: problem.advice.as_deref().map(line),
            also: problem.also.as_ref().map(|(span, label)| (place(span), line(label))),
        };
        Self { file: line(&self.file), text: shown(&self.text), list: self.list.iter().map(problem).collect() }
    }

    fn draw(&self, problem: &Problem, renderer: &Renderer) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(problem.sentence.as_str());
        let mut group = match &problem.span {
            Some(span) => title.element(self.snippet(span.clone(), problem.also.as_ref())),
            None => Group::with_title(title),
        };
        if let Some(advice) = &problem.advice {
            group = group.element(Level::HELP.message(advice.as_str()));
        }
        renderer.render(&[group])
    }

    fn snippet<'a>(
        &'a self,
        span: Range<usize>,
        also: Option<&'a (Range<usize>, String)>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let primary = AnnotationKind::Primary.span(self.clamp(span));
        let context =
            also.map(|(span, label)| AnnotationKind::Context.span(self.clamp(span.clone())).label(label.as_str()));
        Snippet::source(self.text.as_str()).path(self.file.as_str()).annotation(primary).annotations(context)
    }

    /// A place the renderer can draw: inside the text, and an array table's `[[` without the body below it.
    fn clamp(&self, span: Range<usize>) -> Range<usize> {
        let end = span.end.min(self.text.len());
        let start = span.start.min(end);
        let first_line =
            self.text.get(start..end).and_then(|text| text.find('\n')).map_or(end, |length| start + length);
        start..first_line.max(start)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// As drawn: a failed `unwrap` in a test then shows the carets and not the whole file escaped.
impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

/// Lines may end as those of Windows do.
fn shown(text: &str) -> String {
    plain(&text.replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_on_the_line_of_another_mistake_is_not_drawn() {
        let text = "x = { url = [\"mqtt://u:p/\u{e4}@h\", 'mqtts://b'], y = \"mqtt://me@c\", bogus = 1 } # a@b";
        let shown = "x = { url = [\"mqtt://******@h\", 'mqtts://b'], y = \"mqtt://**@c\", bogus = 1 } # a@b";
        let at = text.find("bogus").unwrap();
        let drawn = Problems::new("f", text, vec![Problem::error(at..at + 5, "unknown")]).render(false);
        assert!(drawn.contains(shown), "{drawn}");
    }

    #[test]
    fn what_a_terminal_obeys_is_drawn_by_its_number_and_the_caret_is_at_its_place() {
        let text = "a = \"\u{9b}31m\r\" # \u{1b}[2J\r\nbogus = 1\r\n";
        for styled in [false, true] {
            let problem = |word: &str| {
                let at = text.find(word).unwrap();
                Problem::error(at..at + word.len(), format!("`{word}\u{9b}` is unknown")).advice("not \u{85}")
            };
            let drawn = Problems::new("f\u{1b}", text, vec![problem("\u{1b}[2J"), problem("bogus")]).render(styled);
            assert!(drawn.contains("\\u009b31m\\u000d\" # ") && drawn.contains("not \\u0085"), "{drawn}");
            let is_ours = |c: char| c == '\n' || (styled && c == '\u{1b}');
            assert!(drawn.chars().all(|c| !c.is_control() || is_ours(c)), "{drawn:?}");
            assert!(!drawn.contains("\u{1b}[2J"), "{drawn:?}");
        }
        let drawn =
            Problems::new("f", text, vec![Problem::error(text.find("bogus").unwrap()..text.len(), "x")]).render(false);
        assert!(drawn.contains("2 | bogus = 1\n  | ^^^^^"), "{drawn}");
    }

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let text = "a = 1\n# é\né = x\n";
        let problems = Problems::new("f", text, vec![]);
        let at = |needle: &str| {
            let start = text.find(needle).unwrap();
            problems.position(&Problem::error(start..start + 1, ""))
        };
        assert_eq!(at("a"), Some((1, 1)));
        assert_eq!(at("x"), Some((3, 5)));
    }

    #[test]
    fn a_place_beyond_the_text_is_drawn_and_does_not_panic() {
        let drawn = Problems::new("f", "a", vec![Problem::error(5..9, "odd")]).to_string();
        assert!(drawn.contains("odd"), "{drawn}");
    }
}
