//! Reads the modules of a crate from its source files: the items that each module defines, and the
//! paths that its code names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::lexer::{Token, is, tokens, without_tests};

/// A module, in a separate file or inside its parent's file.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) file: PathBuf,
    /// The names of the modules that this module declares.
    pub(super) children: BTreeSet<String>,
    /// The names of the items that this module defines.
    pub(super) items: BTreeSet<String>,
    /// The paths that `use` imports, by the imported name.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// The names in `imports` that a glob import of this module includes, because the `use` is
    /// public.
    pub(super) exports: BTreeSet<String>,
    /// The paths of the glob imports, without their `*`.
    pub(super) globs: Vec<Vec<String>>,
    /// The paths in the module's code that may lead to a module of the crate.
    pub(super) paths: Vec<Vec<String>>,
}

impl Module {
    /// Returns `true` if a glob import of this module includes the name.
    pub(super) fn offers(&self, name: &str) -> bool {
        [&self.children, &self.items, &self.exports]
            .iter()
            .any(|names| names.contains(name))
    }
}

/// Reads all modules of a crate, beginning with its root file. Skips modules under `#[cfg(test)]`.
pub(super) fn modules(root: &Path) -> BTreeMap<Vec<String>, Module> {
    let mut modules = BTreeMap::new();
    let folder = root.parent().unwrap().to_owned();
    read_file(&mut modules, Vec::new(), root.to_owned(), folder);
    modules
}

/// Reads one file, then the files of the modules that it declares. These files are in `folder`.
fn read_file(
    modules: &mut BTreeMap<Vec<String>, Module>,
    path: Vec<String>,
    file: PathBuf,
    folder: PathBuf,
) {
    let text =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let tokens = without_tests(&tokens(&text));
    let mut parser = Parser {
        tokens: &tokens,
        position: 0,
        file,
        modules,
        files: Vec::new(),
    };
    parser.module(path.clone());
    for child in parser.files {
        let mut folder = folder.clone();
        folder.extend(&child[path.len()..child.len() - 1]);
        let name = &child[child.len() - 1];
        let flat = folder.join(format!("{name}.rs"));
        let nested = folder.join(name).join("mod.rs");
        let file = if flat.exists() { flat } else { nested };
        let folder = folder.join(name);
        read_file(modules, child, file, folder);
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    position: usize,
    file: PathBuf,
    modules: &'a mut BTreeMap<Vec<String>, Module>,
    /// The paths of the modules that this file declares and that have separate files.
    files: Vec<Vec<String>>,
}

impl Parser<'_> {
    /// Reads a module up to its closing brace, or up to the end of the file.
    fn module(&mut self, path: Vec<String>) {
        let mut module = Module {
            file: self.file.clone(),
            ..Module::default()
        };
        let mut words = Vec::new();
        let mut depth = 0;
        while let Some(token) = self.tokens.get(self.position) {
            self.position += 1;
            match token {
                Token::Sign('{') => depth += 1,
                Token::Sign('}') if depth == 0 => break,
                Token::Sign('}') => depth -= 1,
                Token::Sign(_) | Token::Literal => {}
                Token::Word(word) => match word.as_str() {
                    "mod" => self.child(&path, &mut module),
                    // `use<…>` in a return type is not an import.
                    "use" if !self.next_is("<") => {
                        let before = self.position.checked_sub(2);
                        let before = before.map(|index| &self.tokens[index]);
                        let is_public =
                            before.is_some_and(|token| is(token, "pub") || is(token, ")"));
                        let known: BTreeSet<_> = module.imports.keys().cloned().collect();
                        self.use_tree(&mut module, &[]);
                        if is_public {
                            let new = module.imports.keys().filter(|name| !known.contains(*name));
                            module.exports.extend(new.cloned());
                        }
                    }
                    "struct" | "enum" | "trait" | "fn" | "const" | "static" | "type" | "union" => {
                        if let Some(Token::Word(name)) = self.tokens.get(self.position) {
                            module.items.insert(name.clone());
                        }
                    }
                    "macro_rules" => {
                        if let Some(Token::Word(name)) = self.tokens.get(self.position + 1) {
                            module.items.insert(name.clone());
                        }
                    }
                    _ => words.extend(self.inline_path(word)),
                },
            }
        }
        // The child modules are completely known only here, so other paths are removed here.
        let children = &module.children;
        words.retain(|path: &Vec<String>| {
            ["crate", "self", "super"].contains(&path[0].as_str()) || children.contains(&path[0])
        });
        module.paths.extend(words);
        self.modules.insert(path, module);
    }

    fn next_is(&self, text: &str) -> bool {
        let next = self.tokens.get(self.position);
        next.is_some_and(|token| is(token, text))
    }

    fn child(&mut self, path: &[String], module: &mut Module) {
        let Some(Token::Word(name)) = self.tokens.get(self.position) else {
            return;
        };
        self.position += 2;
        let child = [path, std::slice::from_ref(name)].concat();
        module.children.insert(name.clone());
        if is(&self.tokens[self.position - 1], ";") {
            self.files.push(child);
        } else {
            self.module(child);
        }
    }

    /// Reads the rest of a path that is not in a `use`. `first` is its first word. Returns `None`
    /// if `first` is the only word, or does not begin a path.
    fn inline_path(&mut self, first: &str) -> Option<Vec<String>> {
        let begin = self.position - 1;
        let is_before = |back: usize, text: &str| {
            begin
                .checked_sub(back)
                .is_some_and(|index| is(&self.tokens[index], text))
        };
        // The word is in the middle of a path, is a field or a method, or is in the path of
        // `pub(in …)`.
        let is_middle = is_before(1, ":") && is_before(2, ":");
        let is_visibility = is_before(1, "in") && is_before(2, "(");
        if is_middle || is_visibility || is_before(1, ".") {
            return None;
        }
        let mut path = vec![first.to_owned()];
        while self.takes_colons() {
            let Some(Token::Word(word)) = self.tokens.get(self.position) else {
                break;
            };
            path.push(word.clone());
            self.position += 1;
        }
        (path.len() > 1).then_some(path)
    }

    fn takes_colons(&mut self) -> bool {
        let colons = [self.position, self.position + 1];
        let are_there = colons
            .iter()
            .all(|index| self.tokens.get(*index).is_some_and(|token| is(token, ":")));
        if are_there {
            self.position += 2;
        }
        are_there
    }

    /// Reads the part of a `use` declaration that follows `prefix`, up to its `;`, `,` or closing
    /// brace.
    fn use_tree(&mut self, module: &mut Module, prefix: &[String]) {
        let mut path = prefix.to_vec();
        self.takes_colons();
        loop {
            let token = self.tokens[self.position].clone();
            self.position += 1;
            match token {
                Token::Sign('{') => {
                    while !self.next_is("}") {
                        self.use_tree(module, &path);
                        if self.next_is(",") {
                            self.position += 1;
                        }
                    }
                    self.position += 1;
                    return;
                }
                Token::Sign('*') => {
                    module.globs.push(path.clone());
                    path.push("*".to_owned());
                    module.paths.push(path);
                    return;
                }
                Token::Word(word) => path.push(word),
                Token::Sign(_) | Token::Literal => return,
            }
            if !self.takes_colons() {
                break;
            }
        }
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let mut name = path[path.len() - 1].clone();
        if self.next_is("as") {
            if let Some(Token::Word(alias)) = self.tokens.get(self.position + 1) {
                name.clone_from(alias);
            }
            self.position += 2;
        }
        module.imports.insert(name, path.clone());
        module.paths.push(path);
    }
}
