//! The scripts: each is a file beside this one, and is sent without its comments.

/// What all of them begin with, and, but for the first, go on with.
const COMMON: &[u8] = script!("common.lua");
const ITEMS: &[u8] = script!("items.lua");

/// All scripts.
pub(super) const SCRIPTS: [&[u8]; 6] = [
    script!("put.lua"),
    script!("take.lua"),
    script!("end.lua"),
    script!("look.lua"),
    script!("shutdown.lua"),
    script!("tick.lua"),
];

/// Where each is in the list. The first three change something, and are told which step of whom it is.
pub(super) const PUT: usize = 0;
pub(super) const TAKE: usize = 1;
pub(super) const END: usize = 2;
pub(super) const LOOK: usize = 3;
pub(super) const SHUTDOWN: usize = 4;
pub(super) const TICK: usize = 5;

/// A script as Redis gets it.
pub(super) fn whole(script: usize) -> Vec<u8> {
    [COMMON, if script == PUT { &[] } else { ITEMS }, SCRIPTS[script]].concat()
}

/// A file without lines of comments and without what its lines begin with, for a small binary.
macro_rules! script {
    ($name:literal) => {{
        const TEXT: &[u8] = include_bytes!($name);
        const BARE: [u8; bare(TEXT, &mut [0; TEXT.len()])] = {
            let mut out = [0; _];
            bare(TEXT, &mut out);
            out
        };
        &BARE
    }};
}
use script;

/// Writes what Lua needs of a text, as far as there is room for it, and says how long it is.
const fn bare(text: &[u8], out: &mut [u8]) -> usize {
    let (mut at, mut length) = (0, 0);
    while at < text.len() {
        while at < text.len() && text[at] == b' ' {
            at += 1;
        }
        let is_comment = at + 1 < text.len() && text[at] == b'-' && text[at + 1] == b'-';
        loop {
            let byte = if at < text.len() { text[at] } else { b'\n' };
            at += 1;
            if !is_comment && length < out.len() {
                out[length] = byte;
                length += 1;
            }
            if byte == b'\n' {
                break;
            }
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_and_indentation_are_left_out() {
        let text = b"-- Why.\nlocal a = 1\n    -- Because.\n    call(a, '-- b') -- no\n\nend\n";
        let mut out = [0; 80];
        let length = bare(text, &mut out);
        assert_eq!(&out[..length], b"local a = 1\ncall(a, '-- b') -- no\n\nend\n");
        for script in 0..SCRIPTS.len() {
            assert!(whole(script).starts_with(b"local q = KEYS[1]\n"));
        }
    }
}
