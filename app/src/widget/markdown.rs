//! Markdown-light for messages: bold, italics, code, links and names. Parsing is pure; nothing in a message is ever loaded or run.

/// A paragraph or a block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Paragraph(Vec<Span>),
    Code(String),
}

/// A run of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub text: String,
    pub bold: bool,
    pub italic: bool,
    pub code: bool,
    /// `http`, `https`, `mailto` or `conclave` only.
    pub link: Option<String>,
    /// The name of a member, marked by `@`.
    pub mention: bool,
}

impl Span {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), bold: false, italic: false, code: false, link: None, mention: false }
    }
}

/// The blocks of a message. `names` are the members that `@` may mark, longest first where one begins another.
pub fn parse(body: &str, names: &[String]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut code: Option<Vec<&str>> = None;
    for line in body.split('\n') {
        if line.trim_start().starts_with("```") {
            match code.take() {
                Some(lines) => blocks.push(Block::Code(lines.join("\n"))),
                None => code = Some(Vec::new()),
            }
            continue;
        }
        match &mut code {
            Some(lines) => lines.push(line),
            None => blocks.push(Block::Paragraph(spans(line, names))),
        }
    }
    if let Some(lines) = code {
        // A fence that never ends was no fence.
        blocks.push(Block::Paragraph(vec![Span::plain("```")]));
        blocks.extend(lines.into_iter().map(|line| Block::Paragraph(spans(line, names))));
    }
    blocks
}

/// The words of a message on one line, without marks.
pub fn plain(body: &str) -> String {
    let words = parse(body, &[]).into_iter().flat_map(|block| match block {
        Block::Code(code) => vec![code, " ".to_owned()],
        Block::Paragraph(spans) => spans.into_iter().map(|span| span.text).chain([" ".to_owned()]).collect(),
    });
    words.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn spans(line: &str, names: &[String]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut bold, mut italic) = (false, false);
    let mut rest = line;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        if let Some((span, used)) = special(rest, before, names) {
            spans.push(Span { bold, italic, ..span });
            before = ' ';
            rest = rest.get(used..).unwrap_or_default();
            continue;
        }
        let marker = if rest.starts_with("**") {
            "**"
        } else if c == '*' || c == '_' {
            rest.get(..1).unwrap_or_default()
        } else {
            ""
        };
        if !marker.is_empty() {
            let state = if marker == "**" { &mut bold } else { &mut italic };
            let after = rest.get(marker.len()..).unwrap_or_default();
            let next = after.chars().next().unwrap_or(' ');
            // A marker opens before a word and closes after one; `2 * 3` and `snake_case` are neither.
            let opens = !*state && !next.is_whitespace() && !before.is_alphanumeric() && closes_later(after, marker);
            let closes = *state && !before.is_whitespace() && !(marker == "_" && next.is_alphanumeric());
            if opens || closes {
                *state = opens;
                rest = after;
                continue;
            }
        }
        match spans.last_mut() {
            Some(last) if last.bold == bold && last.italic == italic && !last.code && last.link.is_none() && !last.mention => {
                last.text.push(c);
            }
            _ => spans.push(Span { bold, italic, ..Span::plain(c) }),
        }
        before = c;
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    spans
}

fn closes_later(after: &str, marker: &str) -> bool {
    let mut previous = ' ';
    for (at, c) in after.char_indices() {
        if after.get(at..).is_some_and(|tail| tail.starts_with(marker)) && !previous.is_whitespace() && at > 0 {
            return true;
        }
        previous = c;
    }
    false
}

/// Code, a link or a name at the very beginning of `rest`, and how many bytes of it.
fn special(rest: &str, before: char, names: &[String]) -> Option<(Span, usize)> {
    if let Some(after) = rest.strip_prefix('`') {
        let end = after.find('`').filter(|end| *end > 0)?;
        let text = after.get(..end)?;
        return Some((Span { code: true, ..Span::plain(text) }, end + 2));
    }
    if let Some(after) = rest.strip_prefix('[') {
        let (text, tail) = after.split_once("](")?;
        let (target, _) = tail.split_once(')')?;
        if text.is_empty() || text.contains('[') || !allowed(target) {
            return None;
        }
        return Some((Span { link: Some(target.to_owned()), ..Span::plain(text) }, 1 + text.len() + 2 + target.len() + 1));
    }
    if before.is_alphanumeric() {
        return None;
    }
    if let Some(after) = rest.strip_prefix('@') {
        let name = names.iter().find(|name| {
            after.strip_prefix(name.as_str()).is_some_and(|tail| !tail.chars().next().is_some_and(char::is_alphanumeric))
        })?;
        return Some((Span { mention: true, ..Span::plain(format!("@{name}")) }, 1 + name.len()));
    }
    if ["http://", "https://", "conclave://"].iter().any(|scheme| rest.starts_with(scheme)) {
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"')).unwrap_or(rest.len());
        let target = rest.get(..end)?.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '*', '_', '\'']);
        if target.len() > "conclave://".len() && allowed(target) {
            return Some((Span { link: Some(target.to_owned()), ..Span::plain(target) }, target.len()));
        }
    }
    None
}

fn allowed(target: &str) -> bool {
    ["http://", "https://", "mailto:", "conclave://"].iter().any(|scheme| target.starts_with(scheme))
        && !target.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    /// One line as text: `B` bold, `I` italics, `C` code, `L` link, `M` name before each run.
    fn outline(body: &str) -> String {
        let names = vec!["Ada Lovelace".to_owned(), "Ada".to_owned(), "Ben".to_owned()];
        let mut out = String::new();
        for block in parse(body, &names) {
            match block {
                Block::Code(code) => out.push_str(&format!("[[{code}]]")),
                Block::Paragraph(spans) => {
                    for span in spans {
                        let marks = [
                            (span.bold, "B"),
                            (span.italic, "I"),
                            (span.code, "C"),
                            (span.link.is_some(), "L"),
                            (span.mention, "M"),
                        ];
                        let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
                        out.push_str(&format!("{marks}({})", span.text));
                    }
                    out.push('|');
                }
            }
        }
        out
    }

    #[test]
    fn marks_are_understood() {
        assert_eq!(outline("a **b** *c* _d_ `e*f`"), "(a )B(b)( )I(c)( )I(d)( )C(e*f)|");
        assert_eq!(outline("hi @Ada Lovelace and @Ben!"), "(hi )M(@Ada Lovelace)( and )M(@Ben)(!)|");
        assert_eq!(outline("see https://a.example/x, ok"), "(see )L(https://a.example/x)(, ok)|");
        assert_eq!(outline("[docs](https://a.example)"), "L(docs)|");
        assert_eq!(outline("```\nlet x = 1;\n```\ndone"), "[[let x = 1;]](done)|");
    }

    #[test]
    fn what_only_looks_like_a_mark_stays() {
        assert_eq!(outline("2 * 3 * 4"), "(2 * 3 * 4)|");
        assert_eq!(outline("snake_case_name"), "(snake_case_name)|");
        assert_eq!(outline("a*b"), "(a*b)|");
        assert_eq!(outline("mail me@Ben"), "(mail me@Ben)|");
        assert_eq!(outline("[x](javascript:alert)"), "([x](javascript:alert))|");
        assert_eq!(outline("``` open"), "(```)|");
    }

    #[test]
    fn any_text_is_parsed_without_loss_of_letters() {
        for body in ["**", "*", "_a", "`", "[", "[]()", "@", "***a***", "é*ü*é", "https://", "\u{1f600}*x*"] {
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
            let out = outline(body).replace(['B', 'I', 'C', 'L', 'M'], "");
            assert_eq!(letters(&out), letters(body), "{body}");
        }
    }
}
