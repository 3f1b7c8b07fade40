//! Appends an item to a list of 1,000. Prints the end of the new text and the duration of the edit.

use std::time::Instant;

use yaml_in_place::{EditError, Record, Value, replace_items};

fn main() -> Result<(), EditError> {
    let item = |text: String| vec![("text", Value::Text(text))];
    let old: Vec<Record<'_>> = (0..1_000)
        .map(|number| item(format!("event {number}\nof several lines\n")))
        .collect();
    let mut text = "# by hand\n".to_owned();
    text += &yaml_in_place::print_list("events", &old);
    let mut new = old.clone();
    new.push(item("the last one".to_owned()));

    let began = Instant::now();
    let edited = replace_items(&text, "events", &old, &new)?;
    let took = began.elapsed();

    println!("…{}", &edited[text.len() - 40..]);
    println!("{} bytes in {took:?}", edited.len());
    Ok(())
}
