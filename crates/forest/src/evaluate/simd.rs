//! Run the block evaluator in the version for this machine.
//!
//! Holds: the versions are one source, compiled for different instruction sets; the only `unsafe` of the crate is
//! the call into them, after detection.
//! Not here: what they compute (`block`).
#![expect(unsafe_code, reason = "a call into a function for an instruction set that was detected at load")]

use super::block::{Block, LANES};
use super::{InstructionSet, Leaf};
use crate::Score;
use crate::link::Link;

pub(super) fn detect() -> InstructionSet {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if avx2 && avx512 {
            return InstructionSet::Avx512;
        }
        if avx2 {
            return InstructionSet::Avx2;
        }
    }
    InstructionSet::Baseline
}

pub(super) fn score<T: Leaf>(
    set: InstructionSet,
    block: &Block<T>,
    columns: &[[f32; LANES]],
    link: Link,
    out: &mut [Score],
) {
    match set {
        InstructionSet::Baseline => block.score(columns, link, out),
        // SAFETY: an evaluator's set is what `detect` found on this machine, or less.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { avx2(block, columns, link, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { avx512(block, columns, link, out) },
        #[cfg(not(target_arch = "x86_64"))]
        InstructionSet::Avx2 | InstructionSet::Avx512 => block.score(columns, link, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2")]
fn avx2<T: Leaf>(block: &Block<T>, columns: &[[f32; LANES]], link: Link, out: &mut [Score]) {
    block.score(columns, link, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
fn avx512<T: Leaf>(block: &Block<T>, columns: &[[f32; LANES]], link: Link, out: &mut [Score]) {
    block.score(columns, link, out);
}
