//! A million hostile pickles, and as many frames: valid ones, changed at random.
//!
//! In a file of its own, so that its process's memory can be measured. The seeds are fixed: a failure comes
//! back with the same number of its case, which is printed.

mod support;

use netq::connection::{FrameError, FrameReader};
use netq::pickle::{PickleError, Pickled, Walker};
use support::Rng;
use support::process::status;

/// Pickles as CPython 3.8 to 3.13 write them, of protocols 0 to 5: small, and of each kind of opcode.
const PICKLES: &[&[u8]] = &[
    // [1, 'a', None, True], protocols 0 to 4
    b"(lp0\nI1\naVa\np1\naNaI01\na.",
    b"]q\x00(K\x01X\x01\x00\x00\x00aq\x01NI01\ne.",
    b"\x80\x02]q\x00(K\x01X\x01\x00\x00\x00aq\x01N\x88e.",
    b"\x80\x04\x95\x0e\x00\x00\x00\x00\x00\x00\x00]\x94(K\x01\x8c\x01a\x94N\x88e.",
    // {'a': [1], 'b': (2, 2.5)}
    b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94K\x01a\x8c\x01b\x94K\x02G@\x04\x00\x00\x00\x00\x00\x00\x86\x94u.",
    // a list that holds itself, a tuple that holds itself, two references to one list
    b"\x80\x04]\x94h\x00a.",
    b"\x80\x04]\x94h\x00\x85\x94a0h\x01.",
    b"\x80\x04]\x94(]\x94h\x01e.",
    // datetime.date(2024, 1, 2); collections.OrderedDict(a=1); ValueError('x')
    b"\x80\x04\x8c\x08datetime\x94\x8c\x04date\x94\x93\x94C\x04\x07\xe8\x01\x02\x94\x85\x94R\x94.",
    b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94\x8c\x01a\x94K\x01s.",
    b"cexceptions\nValueError\np0\n(Vx\np1\ntp2\nRp3\n.",
    // an instance with a state; one of NEWOBJ_EX; sets of protocols 2 and 4; an EXT
    b"\x80\x02c__main__\nC\nq\x00)\x81q\x01}q\x02X\x01\x00\x00\x00aq\x03K\x01sb.",
    b"\x80\x04\x8c\x08__main__\x94\x8c\x01C\x94\x93\x94)}\x94\x8c\x01k\x94K\x01s\x92\x94.",
    b"\x80\x02c__builtin__\nset\nq\x00]q\x01(K\x01K\x02e\x85q\x02Rq\x03.",
    b"\x80\x04\x8f\x94(K\x01K\x02\x90.",
    b"\x80\x04(K\x01K\x02\x91\x94.",
    b"\x80\x02\x82\x01.",
    // numbers, long and short; bytes; a bytearray
    b"\x80\x04(J\xff\xff\xff\xffM\x01\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01L10L\nF1.5\nt.",
    b"\x80\x05(C\x02ab\x96\x02\x00\x00\x00\x00\x00\x00\x00ab\x8e\x01\x00\x00\x00\x00\x00\x00\x00aB\x01\x00\x00\x00bt.",
    // a request: ('get_task_queue', 'put', ('put',), {})
    b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00(\x8c\x0eget_task_queue\x94\x8c\x03put\x94h\x01\x85\x94}\x94t\x94.",
    // put_many([{'a': 1}, {'a': 2}]): the second key refers to the first
    b"\x80\x04(\x8c\x01q\x94\x8c\x08put_many\x94]\x94(}\x94\x8c\x01a\x94K\x01s}\x94h\x04K\x02se\x85\x94}\x94t\x94.",
];

const CASES: u64 = 1_000_000;
const WORKERS: u64 = 2;

/// Shares out `cases` among two threads and says what memory it took; a panic names the case.
fn in_parallel(cases: u64, check: impl Fn(&mut Rng, &mut Vec<u8>) + Sync) {
    struct Case(u64);
    impl Drop for Case {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("in the case with the seed {}", self.0);
            }
        }
    }
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let check = &check;
            scope.spawn(move || {
                let mut bytes = Vec::new();
                let mut case = Case(0);
                for seed in (worker..cases).step_by(WORKERS as usize) {
                    case.0 = seed;
                    check(&mut Rng::new(seed), &mut bytes);
                }
            });
        }
    });
}

fn memory() -> u64 {
    if cfg!(target_os = "linux") { status(std::process::id(), "VmHWM") } else { 0 }
}

/// What can be taken out of a pickle that the walker accepts is a pickle that it accepts, and the same one.
fn check_accepted(walker: &Walker, pickle: &[u8], root: netq::pickle::Span) {
    let payload = match walker.extract(pickle, root) {
        Ok(payload) => payload,
        Err(PickleError::Expansion { .. }) => return,
        Err(error) => panic!("{pickle:?}: {error}"),
    };
    let again = Pickled::from_pickle(&payload.to_pickle());
    assert_eq!(again.as_ref().map(Pickled::as_bytes), Ok(payload.as_bytes()), "{pickle:?}");
    if let Some((_, parts)) = walker.elements(pickle, root) {
        for &part in parts {
            let part = walker.extract(pickle, part).unwrap();
            assert!(Pickled::from_pickle(&part.to_pickle()).is_ok(), "{pickle:?}");
        }
    }
    let _ = (payload.code(), payload.type_name(), payload.decode_instance());
    // Decoded and encoded it means the same. As text: NaN is not equal to itself.
    let value = payload.decode();
    assert_eq!(value.to_pickled().decode().to_string(), value.to_string(), "{pickle:?}");
}

#[test]
fn a_million_mutated_pickles_neither_panic_nor_hang_nor_grow() {
    let everything = PICKLES.concat();
    let before = memory();
    let accepted = std::sync::atomic::AtomicU64::new(0);
    std::thread_local!(static WALKER: std::cell::RefCell<Walker> = Walker::new().into());
    in_parallel(CASES, |rng, bytes| {
        bytes.clear();
        bytes.extend_from_slice(PICKLES[rng.below(PICKLES.len())]);
        rng.mutate(bytes, &everything);
        WALKER.with_borrow_mut(|walker| {
            if let Ok(root) = walker.walk(bytes) {
                accepted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                check_accepted(walker, bytes, root);
            }
        });
    });
    let (accepted, grown) = (accepted.into_inner(), memory() - before);
    println!("seeds 0 to {CASES}: {accepted} accepted, {grown} KiB more at the most");
    assert!(accepted > CASES / 20, "{accepted}: the mutations are too wild to reach anything");
    assert!(grown < 32 << 10, "{grown} KiB");
}

#[test]
fn mutated_frames_are_cut_within_the_limit_or_refused() {
    let frames: Vec<u8> = [0, 1, 40, 250].into_iter().flat_map(|n| support::frame(&vec![b'x'; n])).collect();
    let long = [&[0xff; 4][..], &300_u64.to_be_bytes(), &[0; 300]].concat();
    let before = memory();
    in_parallel(CASES / 20, |rng, bytes| {
        bytes.clear();
        bytes.extend_from_slice([&frames, &long][rng.below(2)]);
        rng.mutate(bytes, &long);
        let (mut stream, mut reader) = (&bytes[..], FrameReader::new(256));
        loop {
            match reader.read(&mut stream) {
                Ok(Some(frame)) => assert!(frame.len() <= 256),
                Err(FrameError::TooLong { length, .. }) => {
                    assert!(length > 256);
                    if reader.skip(&mut stream, length).is_err() {
                        break;
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
    });
    assert!(memory() - before < 32 << 10);
}
