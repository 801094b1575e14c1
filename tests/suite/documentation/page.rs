//! What a page's source says: the commands of its console blocks with what they print, its links and its headings.

use std::collections::BTreeSet;
use std::iter::{Enumerate, Peekable};
use std::str::Lines;

/// A command that is run.
pub struct Step {
    /// Where it stands, from 1.
    pub line: usize,
    pub command: String,
    pub expected: Expected,
}

/// What a command is expected to do.
#[derive(Debug, PartialEq)]
pub enum Expected {
    /// To end with success. The page shows nothing of what it prints.
    Success,
    /// To print this.
    Prints(String),
    /// To print this, and not to end: a server.
    RunsOn(String),
}

/// The console blocks of a page.
#[derive(Default)]
pub struct Page {
    pub steps: Vec<Step>,
    /// How many of its blocks are run, and how many are marked as such that can't be.
    pub run: usize,
    pub marked: usize,
}

impl Page {
    /// Reads a page's source.
    pub fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut lines = text.lines().enumerate().peekable();
        let (mut mark, mut file) = (None, None);
        while let Some((number, line)) = lines.next() {
            let line = line.trim_start();
            if line == "<!-- prepare" {
                let command = until(&mut lines, "-->").into_iter().map(|(_, line)| line);
                page.steps.push(Step {
                    line: number + 1,
                    command: command.collect::<Vec<_>>().join("\n"),
                    expected: Expected::Success,
                });
            } else if let Some(name) = line.strip_prefix("<!-- file ") {
                file = name.strip_suffix(" -->");
            } else if line == "<!-- runs on -->" || line.starts_with("<!-- not run: ") {
                mark = Some(line);
            } else if line.starts_with("```") {
                let block = until(&mut lines, "```");
                if let Some(name) = file.take() {
                    page.steps.push(written(number + 1, name, &block));
                }
                match (line, mark.take()) {
                    ("```console", Some("<!-- runs on -->")) => {
                        page.run += 1;
                        page.steps.extend(commands(&block, true));
                    }
                    ("```console", Some(_)) => page.marked += 1,
                    ("```console", None) => {
                        page.run += 1;
                        page.steps.extend(commands(&block, false));
                    }
                    (_, mark) => assert!(mark.is_none(), "{mark:?} marks no console block, line {number}"),
                }
            }
        }
        page
    }
}

/// The lines, numbered from 1 and without their common indentation, up to one that is `end`.
fn until<'a>(lines: &mut Peekable<Enumerate<Lines<'a>>>, end: &str) -> Vec<(usize, &'a str)> {
    let first = lines.peek().map_or("", |(_, line)| line);
    let indentation = first.len() - first.trim_start().len();
    lines
        .take_while(|(_, line)| line.trim() != end)
        .map(|(number, line)| (number + 1, line.get(indentation..).unwrap_or_default()))
        .collect()
}

/// The step that writes a block into a file, which readers do as well.
fn written(line: usize, name: &str, block: &[(usize, &str)]) -> Step {
    let lines: String = block.iter().map(|(_, line)| format!("{line}\n")).collect();
    Step {
        line,
        command: format!("cat > {name} << 'END OF FILE'\n{lines}END OF FILE"),
        expected: Expected::Success,
    }
}

/// The commands of a block; a line that ends in a backslash or a pipe goes on in the next one.
fn commands(block: &[(usize, &str)], runs_on: bool) -> Vec<Step> {
    let goes_on = |line: &str| line.ends_with('\\') || line.ends_with('|');
    let mut steps = Vec::new();
    let mut lines = block.iter().peekable();
    while let Some((line, text)) = lines.next() {
        let command = text.strip_prefix("$ ");
        let mut command = command
            .unwrap_or_else(|| panic!("line {line} is no command: {text}"))
            .to_owned();
        while goes_on(&command)
            && let Some((_, more)) = lines.next()
        {
            command = command + "\n" + more;
        }
        let mut shown = Vec::new();
        while let Some((_, text)) = lines.next_if(|(_, text)| !text.starts_with("$ ")) {
            shown.push(*text);
        }
        let expected = if shown.is_empty() {
            Expected::Success
        } else {
            Expected::Prints(shown.join("\n"))
        };
        steps.push(Step {
            line: *line,
            command,
            expected,
        });
    }
    if let Some(last) = steps.last_mut().filter(|_| runs_on) {
        last.expected = match std::mem::replace(&mut last.expected, Expected::Success) {
            Expected::Prints(shown) => Expected::RunsOn(shown),
            expected => panic!("a server must show what it prints when it is ready: {expected:?}"),
        };
    }
    steps
}

/// The targets of a page's links within this repository.
pub fn links(text: &str) -> Vec<&str> {
    let links = prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'));
    let pictures = prose(text)
        .filter(|line| line.trim_start().starts_with('<'))
        .flat_map(|line| {
            line.split("src=\"")
                .skip(1)
                .chain(line.split("srcset=\"").skip(1))
        })
        .filter_map(|rest| rest.split_once('"'));
    links
        .chain(pictures)
        .map(|(link, _)| link)
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        .collect()
}

/// The names by which a page's headings are linked.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter_map(|letter| match letter {
                    ' ' => Some('-'),
                    letter if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter),
                    _ => None,
                })
                .collect()
        })
        .collect()
}

/// The blocks of a page, whatever language they are in.
pub fn blocks(text: &str) -> Vec<Vec<&str>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((_, line)) = lines.next() {
        if line.trim_start().starts_with("```") {
            let block = until(&mut lines, "```").into_iter().map(|(_, line)| line);
            blocks.push([line.trim_start()].into_iter().chain(block).collect());
        }
    }
    blocks
}

/// The lines outside of blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_block ^= is_fence;
        !is_block && !is_fence
    })
}

#[test]
fn a_page_is_read() {
    let text = "\
<!-- prepare
export KEY=1
-->
```console
$ cat a |
    sort
one

two
$ true
```
<!-- file a.sh -->
```sh
never
```
<!-- not run: no systemd here -->
```console
$ systemctl restart
```
- An item.

  <!-- runs on -->
  ```console
  $ serve \\
      --now
  listens
    here
  ```
";
    let page = Page::read(text);
    assert_eq!((page.run, page.marked), (2, 1));
    let steps = page.steps.iter();
    let steps: Vec<_> = steps
        .map(|step| (step.line, step.command.as_str(), &step.expected))
        .collect();
    assert_eq!(
        steps,
        [
            (1, "export KEY=1", &Expected::Success),
            (5, "cat a |\n    sort", &Expected::Prints("one\n\ntwo".to_owned())),
            (10, "true", &Expected::Success),
            (
                13,
                "cat > a.sh << 'END OF FILE'\nnever\nEND OF FILE",
                &Expected::Success
            ),
            (
                24,
                "serve \\\n    --now",
                &Expected::RunsOn("listens\n  here".to_owned())
            ),
        ]
    );
}
