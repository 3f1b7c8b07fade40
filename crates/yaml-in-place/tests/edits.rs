//! Edits, each compared byte by byte with the text that a person would have written.

use yaml_in_place::{EditError, Record, Value, replace_items, set_field};

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn item(string: &str) -> Record<'static> {
    vec![("text", text(string))]
}

fn items(texts: &[&str]) -> Vec<Record<'static>> {
    texts.iter().map(|text| item(text)).collect()
}

const BY_HAND: &str = "\
# Ada, by hand
brief: old   # in brief

# how she is
long: |  # long
  first

  second

# last
priority: 5  # high
";

#[test]
fn comments_order_and_line_ends_survive_a_change_of_one_field() {
    for (field, value, from, to) in [
        (
            "priority",
            Value::Number(7),
            "priority: 5  # high",
            "priority: 7  # high",
        ),
        (
            "brief",
            text("new: one"),
            "brief: old   #",
            "brief: \"new: one\"   #",
        ),
        (
            "brief",
            text("a\nb\n"),
            "old   # in brief",
            "|   # in brief\n  a\n  b",
        ),
        (
            "long",
            text("one"),
            "|  # long\n  first\n\n  second\n",
            "one  # long\n",
        ),
        (
            "long",
            text("x\ny"),
            "|  # long\n  first\n\n  second\n",
            "|-  # long\n  x\n  y\n",
        ),
        (
            "new",
            Value::Flag(true),
            "5  # high\n",
            "5  # high\nnew: true\n",
        ),
        (
            "day",
            Value::Plain("2026-01-31".into()),
            "5  # high\n",
            "5  # high\nday: 2026-01-31\n",
        ),
    ] {
        assert!(BY_HAND.contains(from), "{from:?}");
        let wanted = BY_HAND.replacen(from, to, 1);
        assert_eq!(set_field(BY_HAND, field, &value), Ok(wanted.clone()));
        let crlf = |text: &str| text.replace('\n', "\r\n");
        let edited = set_field(&crlf(BY_HAND), field, &value);
        assert_eq!(edited, Ok(crlf(&wanted)), "with other line ends");
    }
}

#[test]
fn a_value_is_changed_in_each_shape_that_people_write() {
    for (before, after) in [
        ("", "a: 9\n"),
        ("a:\nb: 1\n", "a: 9\nb: 1\n"),
        ("{b: 1, a: 2}\n", "{b: 1, a: 9}\n"),
        ("{b: 1}", "{a: 9, b: 1}"),
        ("b: 1", "b: 1\na: 9\n"),
        ("  b: 1\n  a: 3\n", "  b: 1\n  a: 9\n"),
        ("---\nb: 1\na: 3\n...\n", "---\nb: 1\na: 9\n...\n"),
        ("b: 1\n...\n", "a: 9\nb: 1\n...\n"),
        ("\u{feff}b: 1 # 하늘\n", "\u{feff}b: 1 # 하늘\na: 9\n"),
        ("\"b\": 1\n'a': 2\n", "\"b\": 1\n'a': 9\n"),
        ("? b\n: 1\na: 2 # x", "? b\n: 1\na: 9 # x\n"),
        ("# only a comment\n", "# only a comment\na: 9\n"),
        ("a: 'it''s' # x\n", "a: 9 # x\n"),
        ("a: \"\\\"\"   # x\nb: 1\n", "a: 9   # x\nb: 1\n"),
        ("a: x\n  y\n  z # d\nb: 1\n", "a: 9 # d\nb: 1\n"),
        (
            "b: >\n    folded\n    text\n  # not text\na: 1",
            "b: >\n    folded\n    text\n  # not text\na: 9\n",
        ),
    ] {
        let edited = set_field(before, "a", &Value::Number(9));
        assert_eq!(edited, Ok(after.into()), "{before:?}");
    }
}

#[test]
fn an_item_is_appended_behind_the_others_and_leaves_them_alone() {
    for (before, after) in [
        ("# mine\n", "# mine\nlist:\n- text: new\n"),
        (
            "list:\n# first\n- text: a # x\n# end\nb: []\n",
            "list:\n# first\n- text: a # x\n- text: new\n# end\nb: []\n",
        ),
        (
            "list:\n  - text: |-\n      a\n\n\nb: []",
            "list:\n  - text: |-\n      a\n  - text: new\n\n\nb: []",
        ),
        (
            "list: [{text: a}] # x\n",
            "list: [{text: a}, {text: \"new\"}] # x\n",
        ),
        (
            "{list: [{text: a}]}",
            "{list: [{text: a}, {text: \"new\"}]}",
        ),
        ("list:\n- text: a", "list:\n- text: a\n- text: new\n"),
        (
            "list:\n-\n  text: a\n",
            "list:\n-\n  text: a\n- text: new\n",
        ),
    ] {
        let old = if before.contains("text") {
            items(&["a"])
        } else {
            Vec::new()
        };
        let new: Vec<_> = old.iter().cloned().chain([item("new")]).collect();
        assert_eq!(replace_items(before, "list", &old, &new), Ok(after.into()));
    }
    for (before, after) in [
        ("list: [] # none\n", "list: # none\n- text: new\n"),
        ("list:\nb:\n", "list:\n- text: new\nb:\n"),
        ("{}", "{list: [{text: \"new\"}]}"),
    ] {
        let edited = replace_items(before, "list", &[], &items(&["new"]));
        assert_eq!(edited, Ok(after.into()), "{before:?}");
    }
}

#[test]
fn items_in_the_middle_are_changed_in_their_place() {
    let before = "list:\n# a\n- text: a\n# b\n- text: b # !\n\n# c\n- text: c\n# end\n";
    let crlf = |text: &str| text.replace('\n', "\r\n");
    for (new, after) in [
        (
            &["a", "B", "c"][..],
            "list:\n# a\n- text: a\n- text: B\n# b\n\n# c\n- text: c\n# end\n",
        ),
        (
            &["b", "c"],
            "list:\n# a\n# b\n- text: b # !\n\n# c\n- text: c\n# end\n",
        ),
        (
            &["a", "c"],
            "list:\n# a\n- text: a\n# b\n\n# c\n- text: c\n# end\n",
        ),
        (&[], "list: []\n# a\n# b\n\n# c\n# end\n"),
    ] {
        let (old, new) = (items(&["a", "b", "c"]), items(new));
        assert_eq!(replace_items(before, "list", &old, &new), Ok(after.into()));
        let edited = replace_items(&crlf(before), "list", &old, &new);
        assert_eq!(edited, Ok(crlf(after)), "with other line ends");
    }
}

#[test]
fn a_text_that_cannot_be_written_line_by_line_is_written_in_one() {
    // In a literal block, the line of spaces below would become a part of the text.
    let edited = set_field("a: x\n  ", "a", &text("1\n2\n"));
    assert_eq!(edited, Ok("a: \"1\\n2\\n\"\n  ".into()));
    let edited = replace_items(
        "list:\n- text: a\n    ",
        "list",
        &items(&["a"]),
        &items(&["1\n2\n"]),
    );
    assert_eq!(edited, Ok("list:\n- text: \"1\\n2\\n\"\n    ".into()));
}

#[test]
fn an_edit_that_would_change_something_else_is_refused() {
    let anchored = "a: &x old\nb: *x\n";
    let field = "a".to_owned();
    assert_eq!(
        set_field(anchored, "a", &text("new")),
        Err(EditError::ChangesOtherFields { field })
    );
    assert_eq!(
        set_field(anchored, "b", &text("new")),
        Ok("a: &x old\nb: new\n".into())
    );
    assert!(
        set_field("- a\n", "a", &text("new")).is_err(),
        "the root is a list"
    );

    let commented = "list: [{text: a}, # why\n {text: b}]\n";
    let field = "list".to_owned();
    assert_eq!(
        replace_items(commented, "list", &items(&["a", "b"]), &items(&["a"])),
        Err(EditError::LosesComments { field })
    );
}

#[test]
fn an_error_says_where_the_text_is_broken() {
    let error = set_field("a: 1\nb: [x\n", "a", &Value::Number(2)).unwrap_err();
    assert!(
        error.to_string().starts_with("line 3, column 1: "),
        "{error}"
    );
}
