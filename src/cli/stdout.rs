//! Standard output for what must not get lost: of what was written it is known how much, and whether anybody reads.

use std::io::{self, ErrorKind, IsTerminal, Write};

/// Standard output, without a buffer.
pub struct Stdout(Inner);

#[cfg(unix)]
type Inner = std::fs::File;

/// A console has an encoding of its own elsewhere, which the standard library knows how to serve.
#[cfg(not(unix))]
type Inner = io::Stdout;

impl Stdout {
    /// The standard output of this process.
    #[cfg(unix)]
    pub fn open() -> io::Result<Self> {
        use std::os::fd::AsFd;
        Ok(Self(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    #[cfg(not(unix))]
    pub fn open() -> io::Result<Self> {
        Ok(Self(io::stdout()))
    }

    /// Writes all of it; with the error comes how many bytes were written before it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            match self.0.write(&bytes[written..]) {
                Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        self.0.flush().map_err(|error| (0, error))
    }

    /// Whether people see it as it is written.
    pub fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }

    /// Whether this process was started without one (`>&-`). The standard library then opens /dev/null in its place,
    /// for reading too, as nobody does who only wants to throw things away.
    #[cfg(unix)]
    pub fn is_closed(&mut self) -> bool {
        use std::io::Read;
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        let device = |file: std::fs::Metadata| file.file_type().is_char_device().then(|| file.rdev());
        let null = std::fs::metadata("/dev/null").ok().and_then(device);
        let is_null = null.is_some() && self.0.metadata().ok().and_then(device) == null;
        is_null && self.0.read(&mut [0]).is_ok()
    }

    #[cfg(not(unix))]
    pub fn is_closed(&mut self) -> bool {
        false
    }

    /// Whether it is a pipe whose reader has left, as far as the system tells before a write.
    ///
    /// To copy from one pipe to another is one call of Linux's (`splice`), and that looks for the reader first, even
    /// when there is nothing to copy. Elsewhere nothing is copied, and the next write finds out.
    #[cfg(unix)]
    pub fn has_no_reader(&self) -> bool {
        let Ok((mut nothing, _)) = io::pipe() else { return false };
        let copied = io::copy(&mut nothing, &mut &self.0);
        copied.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe)
    }

    #[cfg(not(unix))]
    pub fn has_no_reader(&self) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, pipe};
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_reader_that_has_left_is_seen_without_a_write() {
        let (mut reader, writer) = pipe().unwrap();
        let mut stdout = Stdout(OwnedFd::from(writer).into());
        assert!(!stdout.has_no_reader());
        stdout.write(b"text").unwrap();
        assert!(!stdout.has_no_reader());
        let mut text = [0; 4];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"text");
        drop(reader);
        assert!(stdout.has_no_reader());
        assert_eq!(stdout.write(b"text").unwrap_err().1.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_was_written_before_an_error_is_counted() {
        let (mut reader, writer) = pipe().unwrap();
        let mut stdout = Stdout(OwnedFd::from(writer).into());
        let writing = std::thread::spawn(move || stdout.write(&[7; 1 << 20]));
        reader.read_exact(&mut [0; 100_000]).unwrap();
        drop(reader);
        let (written, error) = writing.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert!((100_000..1 << 20).contains(&written), "{written}");
    }

    #[test]
    fn null_is_a_closed_output_only_if_it_can_be_read() {
        let null = |read| Stdout(std::fs::File::options().read(read).write(true).open("/dev/null").unwrap());
        assert!(null(true).is_closed());
        assert!(!null(false).is_closed());
    }
}
