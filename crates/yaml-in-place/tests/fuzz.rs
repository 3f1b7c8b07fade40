//! Random edits of random files. Comments and blank lines must stay after every edit.

use std::time::Duration;

use bolero::{check, generator::*};
use yaml_in_place::{Kind, Node, Record, Value, parse, replace_items, set_field};

/// Returns the duration for which each target is fuzzed.
fn time() -> Duration {
    let is_proof = std::env::var_os("GREENROOM_PROOF").is_some();
    Duration::from_secs(if is_proof { 60 } else { 3 })
}

/// A source of random choices, each made by one byte. Without bytes left, each choice is the first
/// option.
struct Choices<'a> {
    bytes: std::slice::Iter<'a, u8>,
    comments: usize,
}

impl Choices<'_> {
    fn pick(&mut self, options: usize) -> usize {
        usize::from(self.bytes.next().copied().unwrap_or_default()) % options
    }

    fn comment(&mut self) -> String {
        self.comments += 1;
        format!("# c{}", self.comments)
    }

    /// Returns comment lines and blank lines above a field or item.
    fn above(&mut self, pad: &str) -> String {
        match self.pick(4) {
            0 => String::new(),
            1 => "\n".into(),
            2 => format!("{pad}{}\n", self.comment()),
            _ => format!("\n{pad}{}\n", self.comment()),
        }
    }

    /// Returns the text of a value after its key, in one of the styles that people use.
    fn value(&mut self, pad: &str) -> String {
        let comment = if self.pick(3) == 0 {
            format!(" {}", self.comment())
        } else {
            String::new()
        };
        match self.pick(7) {
            0 => format!(" plain{comment}\n"),
            1 => format!(" \"double: \\\" q\"{comment}\n"),
            2 => format!(" 'it''s'{comment}\n"),
            3 => format!(" |{comment}\n{pad}  first\n\n{pad}    second\n"),
            4 => format!(" >-{comment}\n{pad}  folded\n{pad}  text\n"),
            5 => format!(" plain\n{pad}  of lines{comment}\n"),
            _ => format!(" |-{comment}\n{pad}  kept\n"),
        }
    }

    fn file(&mut self) -> String {
        let mut text = String::new();
        for field in ["a", "b"] {
            text += &self.above("");
            text.extend([field, ":", &self.value("")]);
        }
        text += &self.above("");
        let pad = ["", "  "][self.pick(2)];
        match self.pick(4) {
            0 => text += "list: []\n",
            count => {
                text += "list:\n";
                for _ in 0..count {
                    text += &self.above(pad);
                    let value = self.value(&format!("{pad}  "));
                    text.extend([pad, "- text:", &value]);
                }
            }
        }
        text += &self.above("");
        text += "end: 1\n";
        if self.pick(3) == 0 {
            text = text.replace('\n', "\r\n");
        }
        text
    }
}

fn items(root: &Node) -> Vec<Record<'static>> {
    let (_, list) = root.entry("list").expect("each file has a list");
    let Kind::Sequence { items, .. } = &list.kind else {
        panic!("it is a list")
    };
    let text = |item: &Node| Some(item.entry("text")?.1.text()?.to_owned());
    items
        .iter()
        .map(|item| {
            vec![(
                "text",
                Value::Text(text(item).expect("each item has a text")),
            )]
        })
        .collect()
}

/// Returns the comments, and the number of blank lines that separate fields and items. With
/// `counts_in_lines`, comments after a value on the same line are included.
fn layout(text: &str, counts_in_lines: bool) -> (Vec<String>, usize) {
    let lines: Vec<_> = text.lines().chain(["end"]).collect();
    let is_alone = |line: &str| line.trim_start().starts_with('#');
    let comments = lines
        .iter()
        .filter(|line| counts_in_lines || is_alone(line))
        .filter_map(|line| Some(line[line.find("# c")?..].to_owned()))
        .collect();
    let is_inside = |line: &str| line.trim() == "second";
    let blank = lines
        .windows(2)
        .filter(|pair| pair[0].is_empty() && !is_inside(pair[1]))
        .count();
    (comments, blank)
}

#[test]
fn whatever_is_edited_keeps_its_comments_and_blank_lines_and_reads_back_equal() {
    check!()
        .with_test_time(time())
        .with_generator(produce_with::<Vec<u8>>().len(0..64_usize))
        .for_each(|bytes| {
            let (bytes, comments) = (bytes.iter(), 0);
            let mut choices = Choices { bytes, comments };
            let text = choices.file();
            let root = parse(&text)
                .expect("the file is YAML")
                .expect("it has fields");
            let old = items(&root);
            let string = ["short", "a: b # d", "x\ny\n", "x\n  y"][choices.pick(4)];
            let new_value = Value::Text(string.to_owned());
            let record = vec![("text", new_value.clone())];
            let mut new = old.clone();
            let change = choices.pick(5);
            let edited = match change {
                0 => set_field(&text, "a", &new_value),
                1 => set_field(&text, "b", &new_value),
                2 => set_field(&text, "new", &new_value),
                _ if old.is_empty() || change == 3 => {
                    let at = choices.pick(old.len() + 1);
                    new.insert(at, record);
                    replace_items(&text, "list", &old, &new)
                }
                _ => {
                    let at = choices.pick(old.len());
                    match choices.pick(2) {
                        0 => new[at] = record,
                        _ => drop(new.remove(at)),
                    }
                    replace_items(&text, "list", &old, &new)
                }
            };
            let edited = edited.unwrap_or_else(|error| panic!("{error}: {text:?}"));
            let root = parse(&edited).expect("it is YAML").expect("it has fields");
            assert_eq!(items(&root), new, "{text:?}\n{edited:?}");
            if let Some(field) = ["a", "b", "new"].get(change) {
                let (_, found) = root.entry(field).expect("the field exists");
                assert_eq!(found.text(), Some(string), "{text:?}\n{edited:?}");
            }
            // A comment inside a changed or removed item is removed with it, so only the others are
            // compared.
            let keeps_all = change < 4 || old.is_empty();
            assert_eq!(
                layout(&edited, keeps_all),
                layout(&text, keeps_all),
                "{text:?}\n{edited:?}"
            );
            assert!(!edited.contains("\r\r"), "{edited:?}");
            if text.contains('\r') {
                let lines = edited.matches('\n').count();
                assert_eq!(edited.matches("\r\n").count(), lines, "{edited:?}");
            }
        });
}
