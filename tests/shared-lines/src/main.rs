//! Single-steps two threads that handle the same kind of request, and finds the lines of memory
//! that both write. Cores that write one line wait for each other, so such writes bound the number
//! of requests that a machine with many cores can handle.
//!
//! `shared-lines` prints a line for each kind of request: its name, the instructions of a request,
//! its locked instructions, and those of them that write lines which the other thread writes too.
//!
//! `shared-lines requests KIND` handles the requests, and is what the first form traces.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod access;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod requests;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trace;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            for kind in requests::KINDS {
                let counts = trace::trace(kind)?;
                println!("{kind} {counts}");
            }
        }
        ["requests", kind] => requests::run(kind),
        _ => return Err("usage: shared-lines [requests KIND]".into()),
    }
    Ok(())
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    Err("only Linux on x86-64 can be traced".into())
}
