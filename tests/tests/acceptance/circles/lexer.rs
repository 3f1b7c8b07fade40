//! Splits Rust source into tokens, without comments and tests.

/// A token of Rust source: a word, a punctuation character, or a literal without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Sign(char),
    Literal,
}

/// Splits a source file into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        match chars[at] {
            '/' if next == Some('/') => at = skip_until(&chars, at, |rest| rest[0] == '\n'),
            '/' if next == Some('*') => at = end_of_comment(&chars, at),
            '"' => {
                at = end_of_string(&chars, at);
                tokens.push(Token::Literal);
            }
            '\'' => {
                // A lifetime is a quote followed by a word without a closing quote.
                let is_char = next == Some('\\') || chars.get(at + 2) == Some(&'\'');
                at = if is_char {
                    let after_first = at + if next == Some('\\') { 3 } else { 2 };
                    skip_until(&chars, after_first, |rest| rest[0] == '\'') + 1
                } else {
                    skip_until(&chars, at + 1, |rest| !is_word(rest[0]))
                };
                tokens.push(Token::Literal);
            }
            first if is_word(first) => {
                let end = skip_until(&chars, at, |rest| !is_word(rest[0]));
                let word: String = chars[at..end].iter().collect();
                let is_prefix = ["r", "b", "br", "c", "cr"].contains(&word.as_str());
                match chars.get(end) {
                    Some('"' | '#') if is_prefix && word.contains('r') => {
                        at = end_of_raw_string(&chars, end);
                        tokens.push(Token::Literal);
                    }
                    // Skips the prefix of a string or character literal. The next iteration reads
                    // the literal.
                    Some('"' | '\'') if is_prefix => at = end,
                    _ => {
                        at = end;
                        tokens.push(Token::Word(word));
                    }
                }
            }
            first => {
                if !first.is_whitespace() {
                    tokens.push(Token::Sign(first));
                }
                at += 1;
            }
        }
    }
    tokens
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Returns the first index, not below `at`, from which the rest of `chars` satisfies `stop`.
/// Returns the length of `chars` if there is none.
fn skip_until(chars: &[char], at: usize, stop: impl Fn(&[char]) -> bool) -> usize {
    (at..chars.len())
        .find(|index| stop(&chars[*index..]))
        .unwrap_or(chars.len())
}

fn end_of_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        if chars[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if chars[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn end_of_string(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Returns the index after a raw string. `at` is the index of its first `#`, or of its quote if it
/// has no `#`. For a raw identifier such as `r#type`, returns `at + 1`.
fn end_of_raw_string(chars: &[char], at: usize) -> usize {
    let quote = skip_until(chars, at, |rest| rest[0] != '#');
    if chars.get(quote) != Some(&'"') {
        return at + 1;
    }
    let mut end = vec!['"'];
    end.resize(quote - at + 1, '#');
    skip_until(chars, quote + 1, |rest| rest.starts_with(&end)) + end.len()
}

/// Removes each item under `#[cfg(test)]` or `#[cfg(all(test, …))]` from the tokens.
pub(super) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let word = |index: usize, text: &str| tokens.get(index).is_some_and(|token| is(token, text));
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_cfg = word(at, "#") && word(at + 1, "[") && word(at + 2, "cfg");
        let is_test = word(at + 4, "test") || (word(at + 4, "all") && word(at + 6, "test"));
        if is_cfg && is_test {
            at = end_of_item(tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Returns the index after an item. `at` is the index of the item's first attribute.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while is(&tokens[at], "#") {
        at = end_of_group(tokens, at + 1);
    }
    let mut angles = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Sign('(' | '[') => {
                at = end_of_group(tokens, at);
                continue;
            }
            Token::Sign('{') => return end_of_group(tokens, at),
            Token::Sign(';') => return at + 1,
            // A comma ends a field or an enum variant. A closing brace ends the block around the
            // item.
            Token::Sign(',') if angles == 0 => return at + 1,
            Token::Sign('}') => return at,
            Token::Sign('<') => angles += 1,
            Token::Sign('>') if !is(&tokens[at - 1], "-") => angles -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Returns the index after the closing bracket that matches the opening bracket at `at`.
fn end_of_group(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at] {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Returns `true` if a token is the word or the character in `text`.
pub(super) fn is(token: &Token, text: &str) -> bool {
    match token {
        Token::Word(word) => word == text,
        Token::Sign(sign) => text.chars().eq([*sign]),
        Token::Literal => false,
    }
}
