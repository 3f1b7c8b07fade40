//! The tracer: single-steps each thread between its two signals, and counts what it writes.

use std::{
    collections::{BTreeMap, HashMap},
    env, fmt,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::FileExt as _,
    process::{Child, Command, Stdio},
};

use iced_x86::{Instruction, InstructionInfoFactory};
use nix::{
    libc,
    sched::{CpuSet, sched_setaffinity},
    sys::{
        ptrace,
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::{
    access::{MOST_BYTES, decode, is_locked, is_repeated, written_lines},
    requests::{MARK, REQUESTS, THREADS},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The cost of one request, on average.
pub(crate) struct Counts {
    instructions: f64,
    locked: f64,
    shared: f64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            instructions,
            locked,
            shared,
        } = self;
        write!(f, "{instructions:.0} {locked:.1} {shared:.1}")
    }
}

/// The instructions of a thread between its signals.
#[derive(Default)]
struct Steps {
    instructions: u64,
    locked: u64,
    /// For each line that the thread wrote, the number of locked writes.
    lines: HashMap<u64, u64>,
}

/// A traced program. It is killed when this is dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if the program has ended by itself.
        let _ = self.0.kill();
        // The program is gone when its traced threads have been waited for, too.
        while waitpid(None, Some(WaitPidFlag::__WALL)).is_ok() {}
    }
}

/// Traces requests of one kind.
pub(crate) fn trace(kind: &str) -> Result<Counts> {
    // On one core, a step is a switch of threads. On two, it would wake the other core each time.
    let mut first_cpu = CpuSet::new();
    first_cpu.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &first_cpu)?;
    let mut program = Program(
        Command::new(env::current_exe()?)
            .args(["requests", kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let output = program.0.stdout.take().ok_or("the program has no output")?;
    let mut output = BufReader::new(output);
    let mut threads = BTreeMap::new();
    for _ in 0..THREADS {
        let mut line = String::new();
        output.read_line(&mut line)?;
        let (turn, thread) = line.trim().split_once(' ').ok_or("no thread is named")?;
        let thread = Pid::from_raw(thread.parse()?);
        ptrace::seize(thread, ptrace::Options::empty())?;
        threads.insert(turn.parse::<usize>()?, thread);
    }
    let mut input = program.0.stdin.take().ok_or("the program has no input")?;
    input.write_all(b"\n")?;
    let memory = File::open(format!("/proc/{}/mem", program.0.id()))?;
    let mut code = Code {
        memory,
        decoded: HashMap::new(),
        info: InstructionInfoFactory::new(),
    };
    let mut all = Vec::new();
    for thread in threads.into_values() {
        all.push(code.steps(thread)?);
    }
    Ok(counts(&all))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a float represents the counts of some requests exactly"
)]
fn counts(threads: &[Steps]) -> Counts {
    let requests = (REQUESTS * threads.len()) as f64;
    let sum = |count: &dyn Fn(&Steps) -> u64| threads.iter().map(count).sum::<u64>() as f64;
    let shared = sum(&|thread| {
        let others = |line| {
            threads
                .iter()
                .filter(move |other: &&Steps| other.lines.contains_key(line))
        };
        let shared = thread
            .lines
            .iter()
            .filter(|(line, _)| others(line).count() > 1);
        // The allocator takes its lock once in many requests, which may be among the traced ones.
        let in_each = |locked: &&u64| **locked >= REQUESTS as u64;
        shared.map(|(_, locked)| locked).filter(in_each).sum()
    });
    Counts {
        instructions: sum(&|thread| thread.instructions) / requests,
        locked: sum(&|thread| thread.locked) / requests,
        shared: shared / requests,
    }
}

/// The code of the program, decoded as far as it was executed.
struct Code {
    memory: File,
    decoded: HashMap<u64, Instruction>,
    info: InstructionInfoFactory,
}

impl Code {
    /// Lets a thread run to its first signal, and steps it to the second one.
    fn steps(&mut self, thread: Pid) -> Result<Steps> {
        wait_for(thread, MARK)?;
        let mut steps = Steps::default();
        let mut repeated = None;
        loop {
            let registers = ptrace::getregs(thread)?;
            let instruction = self.instruction(registers.rip)?;
            if is_signal(&instruction, &registers) {
                break;
            }
            // A repeated instruction stops once for each repetition.
            if repeated != Some(registers.rip) {
                steps.instructions += 1;
            }
            repeated = is_repeated(&instruction).then_some(registers.rip);
            let is_locked = is_locked(&instruction);
            steps.locked += u64::from(is_locked);
            written_lines(&mut self.info, &instruction, &registers, |line| {
                *steps.lines.entry(line).or_default() += u64::from(is_locked);
            });
            ptrace::step(thread, None)?;
            wait_for(thread, Signal::SIGTRAP)?;
        }
        // The second signal is withheld from the thread, as the first one was.
        ptrace::cont(thread, None)?;
        wait_for(thread, MARK)?;
        ptrace::detach(thread, None)?;
        Ok(steps)
    }

    fn instruction(&mut self, address: u64) -> Result<Instruction> {
        if let Some(instruction) = self.decoded.get(&address) {
            return Ok(*instruction);
        }
        let mut bytes = [0; MOST_BYTES];
        let read = self.memory.read_at(&mut bytes, address)?;
        let instruction = decode(&bytes[..read], address);
        self.decoded.insert(address, instruction);
        Ok(instruction)
    }
}

/// Returns `true` if a thread is about to signal itself.
fn is_signal(instruction: &Instruction, registers: &libc::user_regs_struct) -> bool {
    let is_call = instruction.mnemonic() == iced_x86::Mnemonic::Syscall;
    is_call
        && i64::try_from(registers.rax) == Ok(libc::SYS_tgkill)
        && i32::try_from(registers.rdx) == Ok(MARK as i32)
}

/// Waits until a thread stops with a signal: its own, or that of a step.
fn wait_for(thread: Pid, signal: Signal) -> Result<()> {
    match waitpid(thread, Some(WaitPidFlag::__WALL))? {
        WaitStatus::Stopped(_, stopped) if stopped == signal => Ok(()),
        other => Err(format!("the thread did not stop with {signal}: {other:?}").into()),
    }
}
