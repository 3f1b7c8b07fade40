//! The memory that an instruction writes.

use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};
use nix::libc::user_regs_struct;

/// The size of a line of memory, in bytes.
const LINE_BYTES: u64 = 64;
/// The length of the longest instruction, in bytes.
pub(crate) const MOST_BYTES: usize = 15;

/// Decodes the instruction at `address`.
pub(crate) fn decode(bytes: &[u8], address: u64) -> Instruction {
    Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode()
}

/// Returns `true` if an instruction locks the line that it writes.
pub(crate) fn is_locked(instruction: &Instruction) -> bool {
    let swaps_memory =
        instruction.mnemonic() == Mnemonic::Xchg && instruction.op0_kind() == OpKind::Memory;
    instruction.has_lock_prefix() || swaps_memory
}

/// Returns `true` if an instruction repeats itself, such as one that copies memory.
pub(crate) fn is_repeated(instruction: &Instruction) -> bool {
    instruction.has_rep_prefix() || instruction.has_repne_prefix()
}

/// Calls `each` with every line that an instruction writes, given the registers before it.
pub(crate) fn written_lines(
    info: &mut InstructionInfoFactory,
    instruction: &Instruction,
    registers: &user_regs_struct,
    mut each: impl FnMut(u64),
) {
    let repetitions = if is_repeated(instruction) {
        registers.rcx.max(1)
    } else {
        1
    };
    for memory in info.info(instruction).used_memory() {
        let is_written = matches!(
            memory.access(),
            OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
        );
        let address = memory.virtual_address(0, |register, _, _| Some(value(registers, register)));
        let (true, Some(address)) = (is_written, address) else {
            continue;
        };
        let bytes = memory.memory_size().size().max(1) as u64 * repetitions;
        for line in address / LINE_BYTES..=(address + bytes - 1) / LINE_BYTES {
            each(line);
        }
    }
}

/// Returns the value of a register in an address.
fn value(registers: &user_regs_struct, register: Register) -> u64 {
    let value = match register.full_register() {
        Register::RAX => registers.rax,
        Register::RBX => registers.rbx,
        Register::RCX => registers.rcx,
        Register::RDX => registers.rdx,
        Register::RSI => registers.rsi,
        Register::RDI => registers.rdi,
        Register::RBP => registers.rbp,
        Register::RSP => registers.rsp,
        Register::R8 => registers.r8,
        Register::R9 => registers.r9,
        Register::R10 => registers.r10,
        Register::R11 => registers.r11,
        Register::R12 => registers.r12,
        Register::R13 => registers.r13,
        Register::R14 => registers.r14,
        Register::R15 => registers.r15,
        Register::FS => registers.fs_base,
        Register::GS => registers.gs_base,
        _ => 0,
    };
    if register.size() == 4 {
        value & u64::from(u32::MAX)
    } else {
        value
    }
}
